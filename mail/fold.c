/* mail/fold.c - text made comparable octet by octet. Runs in both.
 *
 * RFC 5051 section 2: each character by itself is mapped and then decomposed, by its
 * compatibility mapping too (utf8proc). Nothing is composed or put into another order, so it makes no
 * difference where a text is cut. */
#include <utf8proc.h>

#include "mail/text_priv.h"

enum { MAX_CHARACTERS = 32 /* U+FDFA becomes 18: none becomes more */ };

static void add_character(utf8proc_int32_t character, utf8proc_option_t options, struct buffer *out)
{
	utf8proc_int32_t characters[MAX_CHARACTERS];
	int last_boundclass = 0;
	utf8proc_ssize_t count = utf8proc_decompose_char(character, characters, MAX_CHARACTERS,
							 options, &last_boundclass);
	for (utf8proc_ssize_t i = 0; i < count && i < MAX_CHARACTERS; i++)
		out->len += (size_t)utf8proc_encode_char(characters[i], buffer_reserve(out, 4));
}

/* Eight octets below 0x80: those from `first` to `first` + 25 in the other case. Folding is most of what
 * looking for a text costs us, so not one by one. */
static uint64_t turn_case(uint64_t eight, uint8_t first)
{
	const uint64_t each = 0x0101010101010101, high = each * 0x80;
	uint64_t from_first = eight + each * (uint8_t)(0x80 - first);
	uint64_t behind_last = eight + each * (uint8_t)(0x80 - first - 26);
	return eight ^ ((from_first & ~behind_last & high) >> 2);
}

static void add_ascii(struct slice ascii, bool to_upper, struct buffer *out)
{
	uint8_t first = to_upper ? 'a' : 'A';
	if (ascii.len == 0)
		return;
	uint8_t *to = buffer_reserve(out, ascii.len);
	size_t i = 0;
	for (uint64_t eight; i + 8 <= ascii.len; i += 8) {
		memcpy(&eight, ascii.ptr + i, 8);
		eight = turn_case(eight, first);
		memcpy(to + i, &eight, 8);
	}
	for (; i < ascii.len; i++)
		to[i] = to_upper ? ascii_upper(ascii.ptr[i]) : ascii_lower(ascii.ptr[i]);
	out->len += ascii.len;
}

/* Maps well-formed text. */
static void map(struct slice s, bool to_title, struct buffer *out)
{
	const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT |
					  (to_title ? 0 : UTF8PROC_CASEFOLD);
	while (s.len > 0) {
		size_t len = text_ascii_len(s);
		add_ascii(slice_sub(s, 0, len), to_title, out);
		while (len < s.len && s.ptr[len] >= 0x80) {
			utf8proc_int32_t character;
			utf8proc_ssize_t octets = utf8proc_iterate(
				s.ptr + len, (utf8proc_ssize_t)(s.len - len), &character);
			if (octets <= 0)
				return;
			/* utf8proc makes a capital of sharp s; UnicodeData.txt, which RFC 5051
			 * names, does not. */
			if (to_title && character != 0xdf)
				character = utf8proc_totitle(character);
			/* No case folding makes "i" of the one without a dot, its title case does. */
			if (!to_title && character == 0x131)
				character = 'i';
			add_character(character, options, out);
			len += (size_t)octets;
		}
		s = slice_sub(s, len, s.len);
	}
}

static void map_any(struct slice utf8, bool to_title, struct buffer *out)
{
	if (text_is_utf8(utf8)) {
		map(utf8, to_title, out);
		return;
	}
	struct buffer clean = { 0 };
	text_add_utf8(utf8, &clean);
	map(buffer_slice(&clean), to_title, out);
	buffer_free(&clean);
}

void text_fold(struct slice utf8, struct buffer *folded)
{
	map_any(utf8, false, folded);
}

void text_casemap(struct slice utf8, struct buffer *mapped)
{
	map_any(utf8, true, mapped);
}
