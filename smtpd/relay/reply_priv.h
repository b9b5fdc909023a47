/* smtpd/relay/reply_priv.h - replies of a server, out of the stream (RFC 5321 section 4.2). */
#pragma once

#include "base/buffer.h"
#include "base/cursor.h"

enum {
	REPLY_LINE_MAX_OCTETS = 4096, /* RFC 5321 allows 512; some write more */
	REPLY_LINES_MAX = 256,
	REPLY_KEPT_MAX_OCTETS = 8192, /* of the text; what is behind is counted and dropped */
};

struct reply {
	uint16_t code;	   /* 200 to 599 */
	struct slice text; /* lines without codes, separated by LF; until the next reply_take() */
	uint8_t status[3]; /* enhanced status code (RFC 2034); all 0: none */
	unsigned status_octets; /* of the text's first line that were the status and a blank */
};

/* Zero-initialise. */
struct reply_reader {
	struct buffer text;
	unsigned lines;
	uint16_t code; /* of the lines so far */
};

enum reply_result {
	REPLY_PARTIAL, /* more input, please */
	REPLY_TAKEN,
	REPLY_BROKEN, /* no SMTP, or endless: close the connection */
};
/* Lines may end in LF alone: who speaks so is understood. What is incomplete stays in `in`. */
enum reply_result reply_take(struct reply_reader *reader, struct cursor *in,
			     struct reply *reply_out);
void reply_reader_fini(struct reply_reader *reader);
/* "550 5.1.1 no such user", on one line, of printable characters, at most `max_octets` long. */
void reply_words(const struct reply *reply, size_t max_octets, struct buffer *out);
/* Appends `text` as reply_words() does: for words that are not a reply. */
void reply_clean(struct slice text, size_t max_octets, struct buffer *out);
