/* mail/header.h - the header of a message or part as a row of fields (RFC 5322 section 2.2).
 * Lenient: a line that is no field ends the header, as RFC 7103 advises. Any thread. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"

struct header_field {
	struct slice name;  /* without the colon and blanks before it */
	struct slice value; /* after the colon; folded lines still hold their CRLF */
	struct slice whole; /* the field as stored, its last CRLF included */
};
/* The next field; false at the empty line, the end, or what cannot be a field. */
bool take_header_field(struct cursor *c, struct header_field *field_out);
/* The value on one line: CRLF before white space removed (section 2.2.3), blanks trimmed at
 * both ends. Points into `value` where nothing had to change. */
struct slice header_unfold(struct slice value, struct arena *arena);
/* The first field with that name, in a header that starts at `header`. */
bool header_find(struct slice header, struct slice name, struct header_field *field_out);
/* Where the body starts: behind the first empty line; header.len where there is none. */
size_t header_end(struct slice message);
