/* mail/utf8.c - what is UTF-8. RFC 3629 sections 3 and 4. Runs in both. */
#include "mail/text_priv.h"

static bool is_continuation(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

size_t text_utf8_len(struct slice s)
{
	if (s.len == 0)
		return 0;
	uint8_t first = s.ptr[0];
	if (first < 0x80)
		return 1;
	if (s.len < 2 || !is_continuation(s.ptr[1]))
		return 0;
	uint8_t second = s.ptr[1];
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (s.len < 3 || !is_continuation(s.ptr[2]))
		return 0;
	/* E0 below A0 would be overlong, ED above 9F a surrogate. */
	if ((first & 0xf0) == 0xe0)
		return (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ? 0 : 3;
	if (s.len < 4 || !is_continuation(s.ptr[3]) || first < 0xf0 || first > 0xf4)
		return 0;
	/* F0 below 90 would be overlong, F4 above 8F beyond U+10FFFF. */
	return (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f) ? 0 : 4;
}

size_t text_ascii_len(struct slice s)
{
	size_t i = 0;
	for (uint64_t four[4]; i + 32 <= s.len; i += 32) {
		memcpy(four, s.ptr + i, 32);
		if ((four[0] | four[1] | four[2] | four[3]) & 0x8080808080808080)
			break;
	}
	for (uint64_t eight; i + 8 <= s.len; i += 8) {
		memcpy(&eight, s.ptr + i, 8);
		if (eight & 0x8080808080808080)
			break;
	}
	while (i < s.len && s.ptr[i] < 0x80)
		i++;
	return i;
}

bool text_is_ascii(struct slice s)
{
	return text_ascii_len(s) == s.len;
}

bool text_is_utf8(struct slice s)
{
	for (size_t i = 0; i < s.len;) {
		i += text_ascii_len(slice_sub(s, i, s.len));
		if (i == s.len)
			break;
		size_t len = text_utf8_len(slice_sub(s, i, 4));
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

void text_add_replacement(struct buffer *utf8)
{
	buffer_add(utf8, SLICE("\xef\xbf\xbd"));
}

void text_add_utf8(struct slice s, struct buffer *utf8)
{
	size_t good = 0; /* where the octets that are not yet added start */
	for (size_t i = 0; i < s.len;) {
		i += text_ascii_len(slice_sub(s, i, s.len));
		if (i == s.len)
			break;
		size_t len = text_utf8_len(slice_sub(s, i, 4));
		if (len == 0) {
			buffer_add(utf8, slice_sub(s, good, i - good));
			text_add_replacement(utf8);
			good = i + 1;
		}
		i += len ? len : 1;
	}
	buffer_add(utf8, slice_sub(s, good, s.len));
}
