/* smtpd/content_priv.h - message content out of the stream: the end of the data, the doubled
 * dots, the line ends, the hops. Knows no session; in pieces, however they are cut. Content of
 * BDAT has no end of its own and no doubled dots; the rest is the same. */
#pragma once

#include "base/cursor.h"

enum { CONTENT_HOPS_MAX = 100 }; /* RFC 5321 section 6.3 */

enum content_state {
	CONTENT_LINE_START, /* behind CRLF; the CRLF of DATA counts (section 4.1.1.4) */
	CONTENT_TEXT,
	CONTENT_CR,	/* a CR is held: what follows decides */
	CONTENT_DOT,	/* a dot at the start of a line is held */
	CONTENT_DOT_CR, /* and a CR behind it */
};

/* Zero-initialise; then, before the first octet, what it is. */
struct smtp_content {
	bool is_chunked; /* comes by BDAT (RFC 3030), or by its size: dots mean nothing, no CONTENT_END */
	bool is_binary; /* BODY=BINARYMIME, and chunked: behind the header any octet goes */
	enum content_state state;
	bool has_bare;	      /* a CR or LF that is not part of CRLF has come */
	bool is_past_header;  /* the empty line has come */
	uint8_t matched;      /* octets of "Received:" at the start of this header line */
	bool is_other_field;  /* this header line does not begin so, or it is counted already */
	uint16_t hops;	      /* Received fields */
	uint64_t size_octets; /* of the message: without doubled dots and the final one */
};

enum content_event {
	CONTENT_MORE, /* `in` is used up */
	CONTENT_RUN,  /* *run_out is the next piece of the message; call again */
	CONTENT_END,  /* CRLF.CRLF has been taken; what follows is the next command */
};
/* The last chunk is over. A CR that waits for its LF has none: see has_bare. */
void smtp_content_end_chunks(struct smtp_content *content);
/* Takes from `in`. A run points into it, or to constant octets. Once has_bare is set there are
 * no more runs, but the end is still found: it is CRLF.CRLF and nothing else. */
enum content_event smtp_content_next(struct smtp_content *content, struct cursor *in,
				     struct slice *run_out);
