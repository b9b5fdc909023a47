/* base/slice.c - comparing and searching slices. */
#include "base/slice.h"

bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	return a.len == b.len && slice_starts_nocase(a, b);
}

bool slice_starts_nocase(struct slice s, struct slice prefix)
{
	if (s.len < prefix.len)
		return false;
	for (size_t i = 0; i < prefix.len; i++)
		if (ascii_lower(s.ptr[i]) != ascii_lower(prefix.ptr[i]))
			return false;
	return true;
}

int slice_compare(struct slice a, struct slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

size_t slice_find_byte(struct slice s, size_t from, uint8_t byte)
{
	if (from >= s.len)
		return s.len;
	const uint8_t *found = memchr(s.ptr + from, byte, s.len - from);
	return found ? (size_t)(found - s.ptr) : s.len;
}

size_t slice_find(struct slice s, size_t from, struct slice needle)
{
	if (from > s.len || needle.len > s.len - from)
		return s.len;
	if (needle.len == 0)
		return from;
	const uint8_t *found = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
	return found ? (size_t)(found - s.ptr) : s.len;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *number_out)
{
	uint64_t number = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!ascii_is_digit(s.ptr[i]))
			return false;
		uint64_t digit = (uint64_t)(s.ptr[i] - '0');
		if (digit > max || number > (max - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*number_out = number;
	return true;
}
