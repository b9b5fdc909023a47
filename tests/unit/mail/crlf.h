/* tests/unit/mail/crlf.h - messages as C strings, whose lines end with LF. */
#pragma once

#include "base/arena.h"

/* The text with each LF made CRLF. */
static inline struct slice crlf(const char *text, struct arena *arena)
{
	struct slice plain = slice_cstr(text);
	uint8_t *out = arena_alloc(arena, 2 * plain.len + 1);
	size_t len = 0;
	for (size_t i = 0; i < plain.len; i++) {
		if (plain.ptr[i] == '\n')
			out[len++] = '\r';
		out[len++] = plain.ptr[i];
	}
	return slice_of(out, len);
}
