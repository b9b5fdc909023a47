/* mail/fold.c - Unicode case folding and NFKC, so that text can be compared octet by octet.
 *
 * RFC 5051 in effect, by utf8proc. Works through the text in short segments, cut where nothing
 * composes across: before an ASCII character, and only in a longer run of others wherever
 * a character starts. Runs in both. */
#include <assert.h>

#include <utf8proc.h>

#include "mail/text_priv.h"

enum {
	MAX_SEGMENT_OCTETS = 256,
	/* U+FDFA, three octets, becomes 18 characters: none grows more. */
	MAX_CHARACTERS = MAX_SEGMENT_OCTETS * 6,
};

static void add_lower(struct slice ascii, struct buffer *folded)
{
	if (ascii.len == 0)
		return;
	uint8_t *to = buffer_reserve(folded, ascii.len);
	for (size_t i = 0; i < ascii.len; i++)
		to[i] = ascii_lower(ascii.ptr[i]);
	folded->len += ascii.len;
}

static void add_segment(struct slice segment, struct buffer *folded)
{
	const utf8proc_option_t options =
		UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD;
	utf8proc_int32_t characters[MAX_CHARACTERS + 1];
	utf8proc_ssize_t count = utf8proc_decompose(segment.ptr, (utf8proc_ssize_t)segment.len,
						    characters, MAX_CHARACTERS, options);
	assert(count >= 0 && count <= MAX_CHARACTERS);
	utf8proc_ssize_t len = utf8proc_reencode(characters, count, options);
	assert(len >= 0);
	buffer_add(folded, slice_of(characters, (size_t)len));
}

/* Folds well-formed text. */
static void fold(struct slice s, struct buffer *folded)
{
	while (s.len) {
		size_t ascii = text_ascii_len(s);
		if (ascii == s.len) {
			add_lower(s, folded);
			return;
		}
		/* The last ASCII character may compose with a mark behind it. */
		size_t start = ascii ? ascii - 1 : 0;
		add_lower(slice_sub(s, 0, start), folded);
		size_t end = ascii;
		while (end < s.len && s.ptr[end] >= 0x80) {
			size_t len = text_utf8_len(slice_sub(s, end, 4));
			if (end + len - start > MAX_SEGMENT_OCTETS)
				break;
			end += len;
		}
		add_segment(slice_sub(s, start, end - start), folded);
		s = slice_sub(s, end, s.len);
	}
}

void text_fold(struct slice utf8, struct buffer *folded)
{
	if (text_is_utf8(utf8)) {
		fold(utf8, folded);
		return;
	}
	struct buffer clean = { 0 };
	text_add_utf8(utf8, &clean);
	fold(buffer_slice(&clean), folded);
	buffer_free(&clean);
}
