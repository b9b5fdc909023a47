/* base/slice.h - bytes that somebody else owns.
 *
 * A slice may hold NUL, ends nowhere in particular and owns nothing. One into the
 * input dies with its command; one into the map with its read transaction. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *ptr; /* may be NULL when len is 0 */
	size_t len;	    /* octets */
};

/* A slice of a string literal, without its NUL. */
#define SLICE(literal) ((struct slice){ (const uint8_t *)("" literal), sizeof(literal) - 1 })
#define SLICE_NONE ((struct slice){ NULL, 0 })

/* For printf's "%.*s". */
#define SLICE_ARG(s) (int)(s).len, (const char *)(s).ptr

static inline struct slice slice_of(const void *ptr, size_t len)
{
	return (struct slice){ (const uint8_t *)ptr, len };
}

/* The bytes of a C string; NULL gives the empty slice. */
static inline struct slice slice_cstr(const char *text)
{
	return text ? slice_of(text, strlen(text)) : SLICE_NONE;
}

/* At most `len` octets from `from` on; past the end, the empty slice. */
static inline struct slice slice_sub(struct slice s, size_t from, size_t len)
{
	if (!s.ptr)
		return SLICE_NONE;
	if (from > s.len)
		from = s.len;
	if (len > s.len - from)
		len = s.len - from;
	return slice_of(s.ptr + from, len);
}

bool slice_eq(struct slice a, struct slice b);
/* ASCII letters compare equal in either case; the locale has no say. */
bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_starts_nocase(struct slice s, struct slice prefix);
/* Less than, equal to or greater than 0, by octets, then by length. */
int slice_compare(struct slice a, struct slice b);
/* Offset of the first `byte` at or after `from`, or s.len. */
size_t slice_find_byte(struct slice s, size_t from, uint8_t byte);
/* Offset of the first `needle` at or after `from`, or s.len. */
size_t slice_find(struct slice s, size_t from, struct slice needle);
/* Without spaces, tabs, CR and LF at either end. */
struct slice slice_trim(struct slice s);
/* The whole slice as a decimal number of at most `max`. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *number_out);

/* ASCII only, whatever the locale. */
static inline uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}
static inline uint8_t ascii_upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
}
static inline bool ascii_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_is_alpha(uint8_t c)
{
	return (uint8_t)((c | 32) - 'a') < 26;
}
