/* mail/header.h - the header of a message or part as a row of fields (RFC 5322 section 2.2).
 *
 * Lines end with LF; a CR before it belongs to the line end. Only an empty line ends a header.
 * A line that is no field counts as folded into the field before it, as RFC 7103 section 7.2
 * advises; it is skipped where there is none (an mbox "From " line on top). Where no empty
 * line comes at all, lines behind the last field that are no fields are the body. Any thread. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"

struct header_field {
	struct slice name;  /* without the colon and blanks before it */
	struct slice value; /* after the colon; folded lines still hold their CRLF */
	struct slice whole; /* the field as stored, its last CRLF included */
};
/* The next field; false at the empty line and at the end. */
bool take_header_field(struct cursor *c, struct header_field *field_out);
/* The value on one line: CRLF before white space removed (section 2.2.3), blanks trimmed at
 * both ends; NUL and what is left of CR and LF become spaces. Points into `value` where nothing
 * had to change; the pointer is never NULL, so that an empty field is told from none. */
struct slice header_unfold(struct slice value, struct arena *arena);
/* The first field with that name, in a header that starts at `header`. */
bool header_find(struct slice header, struct slice name, struct header_field *field_out);
/* Where the body starts: behind the first empty line; without one see above. */
size_t header_end(struct slice message);
/* What one line of a header is, its line end included or not. */
enum header_line {
	HEADER_LINE_EMPTY,
	HEADER_LINE_FIELD,
	HEADER_LINE_FOLDED, /* starts with a blank */
	HEADER_LINE_OTHER,  /* can be none of these */
};
enum header_line header_line_kind(struct slice line);
/* [CFWS] of RFC 5322 section 3.2.2: blanks, line ends and comments, which nest. An unclosed
 * comment reaches to the end. */
void skip_cfws(struct cursor *c);
