/* admin/imap_word.c - the words of a line in IMAP (RFC 9051 section 4), as a client meets them. Runs
 * in the admin's process. */
#include "admin/imap_word.h"

void imap_add_string(struct buffer *out, struct slice text)
{
	buffer_add_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			buffer_add_byte(out, '\\');
		buffer_add_byte(out, text.ptr[i]);
	}
	buffer_add_byte(out, '"');
}

static bool is_word_octet(uint8_t c)
{
	return c > ' ' && c != '(' && c != ')' && c != '"';
}

bool imap_take_word(struct cursor *at, struct arena *arena, struct slice *word_out)
{
	struct cursor c = *at;
	skip_blanks(&c);
	if (!take_byte(&c, '"')) {
		if (!take_while(&c, is_word_octet, word_out))
			return false;
		*at = c;
		return true;
	}
	size_t len = 0;
	const uint8_t *end = c.at;
	while (end < c.end && *end != '"')
		end += *end == '\\' && end + 1 < c.end ? 2 : 1;
	uint8_t *text = arena_alloc(arena, (size_t)(end - c.at) + 1);
	while (!at_end(&c) && *c.at != '"') {
		if (*c.at == '\\' && c.at + 1 < c.end)
			c.at++;
		text[len++] = *c.at++;
	}
	if (!take_byte(&c, '"'))
		return false;
	*word_out = slice_of(text, len);
	*at = c;
	return true;
}
