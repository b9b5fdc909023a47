/* mail/mime_parameters.c - the parameters of Content-Type and Content-Disposition.
 *
 * RFC 2045 section 5.1, RFC 2231 sections 3 and 4 (continuations joined; charset and percent
 * encoding left for whoever decodes). Unquoted values may hold blanks and tspecials, as many
 * senders of file names have it. Linear time but for a sort of the continuations. Runs in
 * both. */
#include <stdlib.h>

#include "base/buffer.h"
#include "mail/header.h"
#include "mail/mime_priv.h"

static bool is_attribute_octet(uint8_t c)
{
	return c > ' ' && c != '=' && c != ';' && c != '(' && c != '"' && c != 0x7f;
}

static struct slice lower_copy(struct arena *arena, struct slice s)
{
	return arena_lower(arena, s);
}

/* quoted-string, at its first quote; reaches to the end where it is never closed. */
static struct slice take_quoted_value(struct cursor *c, struct arena *arena)
{
	const uint8_t *start = ++c->at;
	bool escaped = false;
	while (!at_end(c) && *c->at != '"') {
		if (*c->at == '\\') {
			escaped = true;
			if (cursor_left(c) > 1)
				c->at++;
		}
		c->at++;
	}
	struct slice quoted = slice_of(start, (size_t)(c->at - start));
	take_byte(c, '"');
	if (!escaped)
		return quoted;
	uint8_t *text = arena_alloc(arena, quoted.len);
	size_t len = 0;
	for (size_t i = 0; i < quoted.len; i++) {
		if (quoted.ptr[i] == '\\' && i + 1 < quoted.len)
			i++;
		text[len++] = quoted.ptr[i];
	}
	return slice_of(text, len);
}

/* Without a comment at the end, as in `charset=us-ascii (Plain text)`; one that text follows
 * belongs to a file name that nobody quoted. */
static struct slice cut_last_comment(struct slice value)
{
	const uint8_t *end = value.ptr + value.len;
	for (const uint8_t *at = value.ptr; at != end;) {
		bool opens = *at == '(' && (at == value.ptr || at[-1] == ' ' || at[-1] == '\t');
		if (!opens) {
			at++;
			continue;
		}
		struct cursor c = { at, end };
		skip_cfws(&c);
		if (at_end(&c))
			return slice_trim(slice_of(value.ptr, (size_t)(at - value.ptr)));
		at = c.at;
	}
	return value;
}

/* attribute "=" value; takes up to the next ";" in any case. */
static bool take_parameter(struct cursor *c, struct arena *arena, struct mime_parameter *out)
{
	struct slice name, value;
	skip_cfws(c);
	bool named = take_while(c, is_attribute_octet, &name);
	skip_cfws(c);
	if (named && take_byte(c, '=')) {
		skip_cfws(c);
		if (next_is(c, '"')) {
			value = take_quoted_value(c, arena);
		} else {
			const uint8_t *start = c->at;
			while (!at_end(c) && *c->at != ';')
				c->at++;
			value = cut_last_comment(
				slice_trim(slice_of(start, (size_t)(c->at - start))));
		}
		*out = (struct mime_parameter){ lower_copy(arena, name), value };
	} else {
		named = false;
	}
	while (!at_end(c) && *c->at != ';')
		c->at++;
	return named;
}

/* A parameter that is a piece of one: name "*" number ["*"] (RFC 2231 section 3). */
struct section {
	struct slice base;
	uint64_t number;
	bool encoded;
	size_t index; /* of the parameter */
};

static bool read_section(struct slice name, struct section *section_out)
{
	size_t star = slice_find_byte(name, 0, '*');
	struct slice rest = slice_sub(name, star + 1, name.len);
	bool encoded = rest.len > 1 && rest.ptr[rest.len - 1] == '*';
	if (encoded)
		rest.len--;
	if (star == 0 || !slice_to_u64(rest, MIME_MAX_PARAMETERS, &section_out->number) ||
	    (rest.len > 1 && rest.ptr[0] == '0'))
		return false;
	section_out->base = slice_sub(name, 0, star);
	section_out->encoded = encoded;
	return true;
}

static int compare_sections(const void *left, const void *right)
{
	const struct section *a = left, *b = right;
	int order = slice_compare(a->base, b->base);
	if (order == 0)
		order = (a->number > b->number) - (a->number < b->number);
	if (order == 0)
		order = (a->index > b->index) - (a->index < b->index);
	return order;
}

/* attribute-char of RFC 2231 section 7 */
static bool is_attribute_char(uint8_t c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=*'%", c);
}

static uint8_t *write_percent_encoded(uint8_t *at, struct slice value)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.ptr[i];
		if (is_attribute_char(c)) {
			*at++ = c;
			continue;
		}
		*at++ = '%';
		*at++ = (uint8_t)digits[c >> 4];
		*at++ = (uint8_t)digits[c & 15];
	}
	return at;
}

/* One parameter of `count` sections. As soon as one is percent-encoded all have to be, and the
 * charset that only the first can name is left empty if it does not. */
static struct mime_parameter join_sections(const struct section *sections, size_t count,
					   const struct mime_parameter *parameters,
					   struct arena *arena)
{
	bool encoded = false;
	size_t total = 2;
	for (size_t i = 0; i < count; i++) {
		encoded |= sections[i].encoded;
		total += 3 * parameters[sections[i].index].value.len;
	}
	uint8_t *text = arena_alloc(arena, total), *at = text;
	if (encoded && !sections[0].encoded) {
		*at++ = '\'';
		*at++ = '\'';
	}
	for (size_t i = 0; i < count; i++) {
		struct slice value = parameters[sections[i].index].value;
		if (encoded && !sections[i].encoded) {
			at = write_percent_encoded(at, value);
		} else if (value.len) {
			memcpy(at, value.ptr, value.len);
			at += value.len;
		}
	}
	struct mime_parameter joined = { .name = sections[0].base,
					 .value = slice_of(text, (size_t)(at - text)) };
	if (encoded) {
		const char *name = arena_format(arena, "%.*s*", SLICE_ARG(joined.name));
		joined.name = slice_cstr(name);
	}
	return joined;
}

/* Puts what section 0 and its followers make in the place of section 0. Sections without one
 * before them stay parameters of their own; of two with one number the first counts. */
static size_t join_continuations(struct mime_parameter *parameters, size_t count,
				 struct section *sections, size_t section_count,
				 struct arena *arena)
{
	bool used[MIME_MAX_PARAMETERS] = { false };
	qsort(sections, section_count, sizeof(*sections), compare_sections);
	for (size_t i = 0; i < section_count;) {
		struct section *first = &sections[i++];
		size_t joined_count = 1;
		if (first->number != 0)
			continue;
		for (; i < section_count && slice_eq(sections[i].base, first->base); i++) {
			if (sections[i].number > joined_count)
				break;
			if (sections[i].number == joined_count)
				first[joined_count++] = sections[i];
			used[sections[i].index] = true;
		}
		parameters[first->index] = join_sections(first, joined_count, parameters, arena);
	}
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (!used[i])
			parameters[kept++] = parameters[i];
	return kept;
}

struct mime_parameter *mime_parameters_parse(struct slice text, struct arena *arena,
					     size_t *count_out)
{
	struct mime_parameter found[MIME_MAX_PARAMETERS];
	struct section sections[MIME_MAX_PARAMETERS];
	size_t count = 0, section_count = 0;
	struct cursor c = cursor_of(text);
	while (!at_end(&c) && count < MIME_MAX_PARAMETERS) {
		if (!take_parameter(&c, arena, &found[count])) {
			take_byte(&c, ';');
			continue;
		}
		take_byte(&c, ';');
		sections[section_count].index = count;
		if (read_section(found[count].name, &sections[section_count]))
			section_count++;
		count++;
	}
	if (section_count)
		count = join_continuations(found, count, sections, section_count, arena);
	*count_out = count;
	if (count == 0)
		return NULL;
	struct mime_parameter *parameters = arena_alloc_array(arena, count, sizeof(*parameters));
	memcpy(parameters, found, count * sizeof(*parameters));
	return parameters;
}
