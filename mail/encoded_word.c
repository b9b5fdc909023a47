/* mail/encoded_word.c - header values with their encoded words decoded.
 *
 * RFC 2047, RFC 2231 section 5 (a language behind the charset). Wider than the grammar where
 * senders are: a word may be of any length, hold blanks, and stand in quotes or beside other
 * text; a character may be split over adjacent words of one charset. Linear time. Runs in
 * both. */
#include "base/base64.h"
#include "base/hex.h"
#include "mail/text_priv.h"

enum { MAX_CHARSET = 64 };

struct encoded_word {
	struct slice charset; /* without the language */
	bool base64;
	struct slice text;
};

/* "=?" charset "?" encoding "?" encoded-text "?=" */
static bool take_encoded_word(struct slice value, size_t *at, bool *no_more,
			      struct encoded_word *word_out)
{
	size_t i = *at + 2, start = i;
	if (*no_more || value.len < i + 6 || value.ptr[*at] != '=' || value.ptr[*at + 1] != '?')
		return false;
	while (i < value.len && i - start <= MAX_CHARSET && value.ptr[i] > ' ' &&
	       value.ptr[i] != '?')
		i++;
	if (i == start || value.len - i < 3 || value.ptr[i] != '?' || value.ptr[i + 2] != '?')
		return false;
	uint8_t encoding = ascii_lower(value.ptr[i + 1]);
	if (encoding != 'b' && encoding != 'q')
		return false;
	size_t text = i + 3, end = slice_find(value, text, SLICE("?="));
	if (end == value.len) {
		*no_more = true; /* no word ends behind here, so none begins */
		return false;
	}
	struct slice charset = slice_sub(value, start, i - start);
	word_out->charset = slice_sub(charset, 0, slice_find_byte(charset, 0, '*'));
	word_out->base64 = encoding == 'b';
	word_out->text = slice_sub(value, text, end - text);
	*at = end + 2;
	return true;
}

/* The "Q" encoding (RFC 2047 section 4.2). */
static void decode_q(struct slice text, struct buffer *octets)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		int high = -1, low = -1;
		if (c == '=' && text.len - i > 2) {
			high = hex_value(text.ptr[i + 1]);
			low = hex_value(text.ptr[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			buffer_add_byte(octets, (uint8_t)(high << 4 | low));
			i += 2;
		} else {
			buffer_add_byte(octets, c == '_' ? ' ' : c);
		}
	}
}

static void decode_word(const struct encoded_word *word, struct buffer *octets)
{
	if (word->base64) {
		struct base64_stream stream = { 0 };
		base64_stream_decode(&stream, word->text, octets);
	} else {
		decode_q(word->text, octets);
	}
}

static bool is_folding(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Of eight octets: any that is beyond ASCII, a control character, or the "=" of an encoded word. */
static bool has_odd(uint64_t eight)
{
	const uint64_t each = 0x0101010101010101, high = each * 0x80;
	uint64_t equals = eight ^ (each * '=');
	uint64_t low = (eight - each * ' ') | (equals - each);
	return ((low | eight) & high) != 0;
}

bool text_header_is_plain(struct slice value)
{
	uint64_t eight = 0x2020202020202020;
	size_t i = 0;
	for (; i + 8 <= value.len; i += 8) {
		memcpy(&eight, value.ptr + i, 8);
		if (has_odd(eight))
			return false;
	}
	eight = 0x2020202020202020;
	if (i < value.len)
		memcpy(&eight, value.ptr + i, value.len - i);
	return !has_odd(eight);
}

/* Most fields: nothing but ASCII on one line. */
static bool is_simple(struct slice text)
{
	uint8_t odd = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		odd |= (uint8_t)((c == '\r') | (c == '\n') | (c == '\0') | (c >> 7));
	}
	return odd == 0;
}

/* Text as it stands: without folding, and so that no line end is left. */
static void add_plain(struct slice text, struct buffer *utf8, struct buffer *scratch)
{
	if (is_simple(text)) {
		buffer_add(utf8, text);
		return;
	}
	scratch->len = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i], next = i + 1 < text.len ? text.ptr[i + 1] : '\0';
		if (c == '\r' && next == '\n')
			continue;
		if (c == '\n' && (next == ' ' || next == '\t'))
			continue;
		buffer_add_byte(scratch, c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
	}
	text_add_utf8(buffer_slice(scratch), utf8);
}

/* Where the charset says nothing of octets beyond ASCII, UTF-8 is what they are if they can be, as in bodies
 * (RFC 5255 section 4.6). */
static void decode_charset(struct slice charset, struct slice octets, struct buffer *utf8)
{
	bool says_nothing =
		slice_eq_nocase(charset, SLICE("us-ascii")) || !text_charset_is_known(charset);
	if (says_nothing && text_is_utf8(octets))
		buffer_add(utf8, octets);
	else
		text_decode_charset(charset, octets, utf8);
}

/* `word`, which ends at `*at`, and those that only white space parts from it (section 6.2). The
 * octets of words in one charset are decoded together. */
static void add_words(struct encoded_word word, struct slice value, size_t *at, bool *no_more,
		      struct buffer *utf8, struct buffer *scratch)
{
	scratch->len = 0;
	for (;;) {
		struct encoded_word next;
		size_t behind = *at;
		decode_word(&word, scratch);
		while (behind < value.len && is_folding(value.ptr[behind]))
			behind++;
		bool more = take_encoded_word(value, &behind, no_more, &next);
		if (!more || !slice_eq_nocase(next.charset, word.charset)) {
			decode_charset(word.charset, buffer_slice(scratch), utf8);
			scratch->len = 0;
		}
		if (!more)
			return;
		word = next;
		*at = behind;
	}
}

void text_decode_header(struct slice value, struct buffer *utf8)
{
	struct buffer scratch = { 0 };
	bool no_more = false;
	size_t plain = 0; /* where the text that is not yet added starts */
	value = slice_trim(value);
	if (text_header_is_plain(value)) {
		buffer_add(utf8, value);
		return;
	}
	for (size_t at = 0; (at = slice_find_byte(value, at, '=')) < value.len && !no_more;) {
		struct encoded_word word;
		size_t start = at;
		if (!take_encoded_word(value, &at, &no_more, &word)) {
			at++;
			continue;
		}
		add_plain(slice_sub(value, plain, start - plain), utf8, &scratch);
		add_words(word, value, &at, &no_more, utf8, &scratch);
		plain = at;
	}
	add_plain(slice_sub(value, plain, value.len), utf8, &scratch);
	buffer_free(&scratch);
}
