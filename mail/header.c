/* mail/header.c - header fields: finding them, unfolding them.
 *
 * RFC 5322 sections 2.2, 3.6 and 4.5 (blanks before the colon), RFC 6532 section 3.4 (octets
 * above 127), RFC 7103 sections 7.2 to 7.4 (lines that are no fields). What a field's value
 * means is for others. Runs in both. */
#include "mail/header.h"

/* The line at `at` with its line end; up to the end where there is none. */
static struct slice line_at(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
	return slice_of(at, (size_t)((newline ? newline + 1 : end) - at));
}

/* ftext of RFC 5322 section 3.6.8, and the octets of UTF-8 and of broken mail. */
static bool is_field_name_octet(uint8_t c)
{
	return c > ' ' && c != ':' && c != 0x7f;
}

/* The length of the field name if the line is `name *WSP ":"`, else 0. */
static size_t field_name_len(struct slice line, size_t *colon_out)
{
	size_t len = 0;
	while (len < line.len && is_field_name_octet(line.ptr[len]))
		len++;
	size_t colon = len;
	while (colon < line.len && (line.ptr[colon] == ' ' || line.ptr[colon] == '\t'))
		colon++;
	if (colon == line.len || line.ptr[colon] != ':')
		return 0;
	*colon_out = colon;
	return len;
}

enum header_line header_line_kind(struct slice line)
{
	size_t colon;
	if (line.len == 0 || line.ptr[0] == '\n' ||
	    (line.ptr[0] == '\r' && (line.len == 1 || line.ptr[1] == '\n')))
		return HEADER_LINE_EMPTY;
	if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
		return HEADER_LINE_FOLDED;
	return field_name_len(line, &colon) ? HEADER_LINE_FIELD : HEADER_LINE_OTHER;
}

/* The end of the field that starts at `at`. Lines that can be no field belong to it only
 * if an empty line or another field comes behind them. */
static const uint8_t *field_end(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *sure = NULL; /* the end, if nothing but other lines follows */
	while (at != end) {
		struct slice line = line_at(at, end);
		enum header_line kind = header_line_kind(line);
		if (kind == HEADER_LINE_EMPTY || kind == HEADER_LINE_FIELD)
			return at;
		if (kind == HEADER_LINE_OTHER && !sure)
			sure = at;
		at += line.len;
	}
	return sure ? sure : end;
}

bool take_header_field(struct cursor *c, struct header_field *field_out)
{
	const uint8_t *at = c->at;
	while (at != c->end) {
		struct slice line = line_at(at, c->end);
		switch (header_line_kind(line)) {
		case HEADER_LINE_EMPTY: return false;
		case HEADER_LINE_FIELD: {
			size_t colon = 0;
			size_t name_len = field_name_len(line, &colon);
			const uint8_t *value = at + colon + 1;
			const uint8_t *end = field_end(at + line.len, c->end);
			field_out->name = slice_of(at, name_len);
			field_out->value = slice_of(value, (size_t)(end - value));
			field_out->whole = slice_of(at, (size_t)(end - at));
			c->at = end;
			return true;
		}
		case HEADER_LINE_FOLDED:
		case HEADER_LINE_OTHER: at += line.len; break;
		}
	}
	return false;
}

static bool needs_unfolding(struct slice value)
{
	return memchr(value.ptr, '\n', value.len) || memchr(value.ptr, '\r', value.len) ||
	       memchr(value.ptr, '\0', value.len);
}

struct slice header_unfold(struct slice value, struct arena *arena)
{
	value = slice_trim(value);
	if (value.len == 0)
		return SLICE("");
	if (!needs_unfolding(value))
		return value;
	uint8_t *text = arena_alloc(arena, value.len);
	size_t len = 0;
	for (size_t i = 0; i < value.len; i++) {
		uint8_t octet = value.ptr[i];
		if (octet == '\r' && i + 1 < value.len && value.ptr[i + 1] == '\n')
			continue;
		/* Trimmed, so that an octet follows. */
		if (octet == '\n' && (value.ptr[i + 1] == ' ' || value.ptr[i + 1] == '\t'))
			continue;
		text[len++] = octet == '\n' || octet == '\r' || octet == '\0' ? ' ' : octet;
	}
	return slice_of(text, len);
}

bool header_find(struct slice header, struct slice name, struct header_field *field_out)
{
	struct cursor c = cursor_of(header);
	struct header_field field;
	while (take_header_field(&c, &field)) {
		if (slice_eq_nocase(field.name, name)) {
			*field_out = field;
			return true;
		}
	}
	return false;
}

size_t header_end(struct slice message)
{
	struct cursor c = cursor_of(message);
	const uint8_t *other = NULL; /* the first of the lines that may turn out to be body */
	bool field_seen = false;
	while (!at_end(&c)) {
		struct slice line = line_at(c.at, c.end);
		enum header_line kind = header_line_kind(line);
		if (kind == HEADER_LINE_EMPTY)
			return (size_t)(c.at + line.len - message.ptr);
		if (kind == HEADER_LINE_FIELD) {
			field_seen = true;
			other = NULL;
		} else if (!other && (kind == HEADER_LINE_OTHER || !field_seen)) {
			other = c.at;
		}
		c.at += line.len;
	}
	return other ? (size_t)(other - message.ptr) : message.len;
}

void skip_cfws(struct cursor *c)
{
	size_t depth = 0;
	for (; c->at != c->end; c->at++) {
		uint8_t octet = *c->at;
		if (octet == '(')
			depth++;
		else if (octet == ')' && depth)
			depth--;
		else if (octet == '\\' && depth && c->end - c->at > 1)
			c->at++;
		else if (!depth && octet != ' ' && octet != '\t' && octet != '\r' && octet != '\n')
			return;
	}
}
