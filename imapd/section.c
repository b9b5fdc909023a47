/* imapd/section.c - which piece of a message BODY[...] and BINARY[...] name. In the back.
 *
 * RFC 9051 section 6.4.5.1 and, of section 9, section, section-binary and partial. */
#include "imapd/grammar_priv.h"

static size_t count_part_numbers(struct cursor c)
{
	size_t count = 1;
	for (; c.at != c.end && (ascii_is_digit(*c.at) || *c.at == '.'); c.at++)
		count += *c.at == '.';
	return count;
}

/* section-part = nz-number *("." nz-number); a "." that no digit follows is not taken. */
static bool take_section_part(struct cursor *at, struct arena *arena, struct section *section)
{
	struct cursor c = *at;
	if (c.at == c.end || !ascii_is_digit(*c.at))
		return false;
	section->part = arena_alloc_array(arena, count_part_numbers(c), sizeof(*section->part));
	for (;;) {
		if (!take_nz_number(&c, &section->part[section->part_count++]))
			return false;
		if (cursor_left(&c) < 2 || c.at[0] != '.' || !ascii_is_digit(c.at[1]))
			break;
		c.at++;
	}
	*at = c;
	return true;
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static bool take_header_list(struct cursor *at, struct arena *arena, struct section *section)
{
	struct cursor c = *at;
	struct slice name;
	size_t count = 0;
	if (!take_byte(&c, '('))
		return false;
	for (struct cursor ahead = c; take_astring(&ahead, arena, &name);) {
		count++;
		if (!take_space(&ahead))
			break;
	}
	if (count == 0)
		return false;
	section->fields = arena_alloc_array(arena, count, sizeof(*section->fields));
	for (size_t i = 0; i < count; i++)
		if ((i > 0 && !take_space(&c)) || !take_astring(&c, arena, &section->fields[i]))
			return false;
	section->field_count = count;
	if (!take_byte(&c, ')'))
		return false;
	*at = c;
	return true;
}

/* section-text = section-msgtext / "MIME"; without a part only section-msgtext */
static bool take_section_text(struct cursor *at, struct arena *arena, struct section *section)
{
	struct cursor c = *at;
	if (take_keyword(&c, "HEADER.FIELDS.NOT"))
		section->text = SECTION_HEADER_FIELDS_NOT;
	else if (take_keyword(&c, "HEADER.FIELDS"))
		section->text = SECTION_HEADER_FIELDS;
	else if (take_keyword(&c, "HEADER"))
		section->text = SECTION_HEADER;
	else if (take_keyword(&c, "TEXT"))
		section->text = SECTION_TEXT;
	else if (section->part_count > 0 && take_keyword(&c, "MIME"))
		section->text = SECTION_MIME;
	else
		return false;
	if ((section->text == SECTION_HEADER_FIELDS ||
	     section->text == SECTION_HEADER_FIELDS_NOT) &&
	    (!take_space(&c) || !take_header_list(&c, arena, section)))
		return false;
	*at = c;
	return true;
}

bool take_section(struct cursor *at, struct arena *arena, struct section *section_out)
{
	struct cursor c = *at;
	struct section section = { 0 };
	if (!take_byte(&c, '['))
		return false;
	if (!next_is(&c, ']')) {
		if (take_section_part(&c, arena, &section)) {
			if (take_byte(&c, '.') && !take_section_text(&c, arena, &section))
				return false;
		} else if (!take_section_text(&c, arena, &section)) {
			return false;
		}
	}
	if (!take_byte(&c, ']'))
		return false;
	*section_out = section;
	*at = c;
	return true;
}

bool take_section_binary(struct cursor *at, struct arena *arena, struct section *section_out)
{
	struct cursor c = *at;
	struct section section = { 0 };
	if (!take_byte(&c, '['))
		return false;
	if (!next_is(&c, ']') && !take_section_part(&c, arena, &section))
		return false;
	if (!take_byte(&c, ']'))
		return false;
	*section_out = section;
	*at = c;
	return true;
}

bool take_partial(struct cursor *at, struct partial *partial_out)
{
	struct cursor c = *at;
	struct partial partial;
	if (!take_byte(&c, '<') || !take_number64(&c, &partial.offset) || !take_byte(&c, '.') ||
	    !take_number64(&c, &partial.count) || partial.count == 0 || !take_byte(&c, '>'))
		return false;
	*partial_out = partial;
	*at = c;
	return true;
}
