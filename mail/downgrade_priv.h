/* mail/downgrade_priv.h - the pieces of the converter (mail/downgrade.h). */
#pragma once

#include "base/arena.h"
#include "mail/downgrade.h"
#include "mail/text.h"

/* What octets are, as a transport sees them (RFC 2045 sections 2.7 to 2.9). Zeroed, of none. */
struct scan {
	bool has_8bit, has_nul;
	bool has_bare; /* a CR or LF outside of CRLF */
	bool has_long; /* a line of more than 998 octets without its end */
	bool after_return;
	size_t line_octets;
};
void scan_octets(struct scan *scan, struct slice octets);
void scan_end(struct scan *scan);

/* The source, a chunk at a time. */
struct chunk_reader {
	uint64_t size; /* of the message */
	uint64_t chunk_at;
	struct buffer chunk;
};
/* Octets from `at` on, which is before the end: one at least, at most `max`. */
enum err chunk_reader_get(struct chunk_reader *reader, const struct downgrade_source *source,
			  uint64_t at, uint64_t max, struct slice *piece_out) MUST_USE;

/* How long a body gets, by which encoding. */
struct measure {
	uint64_t quoted_octets, base64_octets;
	bool has_nul;	 /* then quoted_octets says nothing */
	uint64_t octets; /* decoded */
};
enum err measure_body(struct chunk_reader *reader, const struct downgrade_source *source,
		      uint64_t start, uint64_t end, enum transfer_encoding from,
		      struct measure *measure_out) MUST_USE;
enum { BODY_PIECE_OCTETS = 16 * 1024 };

/* Content-Transfer-Encoding that a header is to have. */
enum label { LABEL_AS_IT_IS, LABEL_7BIT, LABEL_8BIT, LABEL_QUOTED_PRINTABLE, LABEL_BASE64 };

enum step_kind {
	STEP_COPY,
	STEP_HEADER,
	STEP_BODY,	/* decoded and encoded */
	STEP_DELIMITER, /* the line alone, without preamble or epilogue */
};
/* One stretch of the message, in order; together they are all of it. */
struct step {
	uint64_t start, end;
	uint8_t kind;
	uint8_t label;	       /* header, body: the new encoding */
	uint8_t from;	       /* body: enum transfer_encoding, the old one */
	bool is_open;	       /* header: it lacks the empty line, and must not */
	bool is_message;       /* header: a message's, not a part's */
	bool adds_line_end;    /* body: for the delimiter behind it, which has none */
	bool has_line_end;     /* delimiter: the line end before it is its own */
	bool is_close;	       /* delimiter: the last */
	struct slice boundary; /* delimiter */
};

struct downgrade {
	struct arena arena; /* boundaries */
	struct step *steps;
	size_t step_count, step_cap;
	struct chunk_reader reader;
	/* How far downgrade_read() has come. */
	size_t step_at;
	uint64_t at; /* in the message */
	struct transfer_decoder *decoder;
	struct transfer_encoder encoder;
	struct buffer decoded;
};

/* Whether it ends with an empty line. */
bool downgrade_header_ends(struct slice header);
/* The header of a step, changed. */
void downgrade_header(struct slice header, const struct step *step, struct buffer *out);
void downgrade_delimiter(const struct step *step, struct buffer *out);
enum transfer_encoding downgrade_encoding(enum label label);
