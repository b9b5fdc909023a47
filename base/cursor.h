/* base/cursor.h - reading bytes without passing their end.
 *
 * A `take_` function succeeds and moves the cursor, or returns false and takes
 * nothing. Grammars in the rooms above are built from these. */
#pragma once

#include "base/slice.h"

struct cursor {
	const uint8_t *at;
	const uint8_t *end; /* one past the last octet */
};

static inline struct cursor cursor_of(struct slice s)
{
	return (struct cursor){ s.ptr, s.ptr ? s.ptr + s.len : s.ptr };
}
static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}
static inline struct slice cursor_rest(const struct cursor *c)
{
	return slice_of(c->at, cursor_left(c));
}
static inline bool at_end(const struct cursor *c)
{
	return c->at == c->end;
}
static inline bool next_is(const struct cursor *c, uint8_t byte)
{
	return c->at != c->end && *c->at == byte;
}

bool take_byte(struct cursor *c, uint8_t byte);
/* The letters of `word` in either case. Does not look at what follows. */
bool take_word_nocase(struct cursor *c, struct slice word);
/* Exactly `len` octets. */
bool take_octets(struct cursor *c, size_t len, struct slice *octets_out);
/* 1*DIGIT, at most `max`; leading zeros are allowed. A larger number takes nothing. */
bool take_number(struct cursor *c, uint64_t max, uint64_t *number_out);
/* One or more octets for which `is_member` says true. */
bool take_while(struct cursor *c, bool (*is_member)(uint8_t), struct slice *octets_out);
/* Everything up to the next `byte`, which is not taken; false where there is none. */
bool take_until_byte(struct cursor *c, uint8_t byte, struct slice *octets_out);
/* A line with its CRLF taken but not returned; false while CRLF has not come. */
bool take_crlf_line(struct cursor *c, struct slice *line_out);
/* Spaces and tabs, any number. */
void skip_blanks(struct cursor *c);
