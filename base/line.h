/* base/line.h - command lines out of the stream: framing, before any grammar.
 *
 * Lines end in CRLF and in nothing else. A lone CR or LF is never an end of line and never
 * mended; such a line is read to its real end and refused, so that two programs cannot be made
 * to see different lines in the same octets. */
#pragma once

#include "base/cursor.h"

/* Zero-initialise. */
struct line_reader {
	bool is_skipping; /* the line under way is too long; its end has not come */
};

enum line_result {
	LINE_PARTIAL,  /* more input, please */
	LINE_TAKEN,    /* a line, without its CRLF */
	LINE_TOO_LONG, /* it was, and has been taken whole */
	LINE_BARE,     /* taken whole; a CR or LF stood in it that is not part of CRLF */
};
/* Takes a line of at most `max_octets` without its CRLF. What is incomplete stays in `in`,
 * unless it is too long already. */
enum line_result line_take(struct line_reader *reader, struct cursor *in, size_t max_octets,
			   struct slice *line_out);
