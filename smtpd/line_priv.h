/* smtpd/line_priv.h - command lines out of the stream: framing, before any grammar. */
#pragma once

#include "base/cursor.h"

/* Zero-initialise. */
struct smtp_line {
	bool is_skipping; /* the line under way is too long; its end has not come */
};

enum smtp_line_result {
	LINE_PARTIAL,  /* more input, please */
	LINE_TAKEN,    /* a line, without its CRLF */
	LINE_TOO_LONG, /* it was, and has been taken whole */
	LINE_BARE,     /* taken whole; a CR or LF stood in it that is not part of CRLF */
};
/* Takes a line of at most `max_octets` without its CRLF. What is incomplete stays in `in`,
 * unless it is too long already. */
enum smtp_line_result smtp_line_take(struct smtp_line *line, struct cursor *in, size_t max_octets,
				     struct slice *line_out);
