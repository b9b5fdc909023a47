/* base/cursor.c - the takers that every grammar shares. */
#include "base/cursor.h"

bool take_byte(struct cursor *c, uint8_t byte)
{
	if (c->at == c->end || *c->at != byte)
		return false;
	c->at++;
	return true;
}

bool take_word_nocase(struct cursor *c, struct slice word)
{
	if (!slice_starts_nocase(cursor_rest(c), word))
		return false;
	c->at += word.len;
	return true;
}

bool take_octets(struct cursor *c, size_t len, struct slice *octets_out)
{
	if (len > cursor_left(c))
		return false;
	*octets_out = slice_of(c->at, len);
	c->at += len;
	return true;
}

bool take_number(struct cursor *c, uint64_t max, uint64_t *number_out)
{
	const uint8_t *at = c->at;
	while (at != c->end && ascii_is_digit(*at))
		at++;
	if (!slice_to_u64(slice_of(c->at, (size_t)(at - c->at)), max, number_out))
		return false;
	c->at = at;
	return true;
}

bool take_while(struct cursor *c, bool (*is_member)(uint8_t), struct slice *octets_out)
{
	const uint8_t *at = c->at;
	while (at != c->end && is_member(*at))
		at++;
	if (at == c->at)
		return false;
	*octets_out = slice_of(c->at, (size_t)(at - c->at));
	c->at = at;
	return true;
}

bool take_until_byte(struct cursor *c, uint8_t byte, struct slice *octets_out)
{
	struct slice rest = cursor_rest(c);
	size_t found = slice_find_byte(rest, 0, byte);
	if (found == rest.len)
		return false;
	return take_octets(c, found, octets_out);
}

bool take_crlf_line(struct cursor *c, struct slice *line_out)
{
	struct slice rest = cursor_rest(c);
	size_t found = slice_find(rest, 0, SLICE("\r\n"));
	if (found == rest.len)
		return false;
	*line_out = slice_of(c->at, found);
	c->at += found + 2;
	return true;
}

void skip_blanks(struct cursor *c)
{
	while (c->at != c->end && (*c->at == ' ' || *c->at == '\t'))
		c->at++;
}
