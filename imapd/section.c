/* imapd/section.c - section-spec and partial: grammar, resolution, echo, header subsets.
 *
 * RFC 9051 section 6.4.5.1 and the rules section, section-binary, section-spec, partial of
 * section 9. A section that the message does not have (part 7 of 2, the HEADER of a part that
 * is no message) is no error: it is answered with NIL. Runs in the back. */
#include "imapd/section_priv.h"

#include "imapd/grammar_priv.h"
#include "imapd/wire_priv.h"
#include "mail/header.h"

/* nz-number *("." nz-number); stops before a "." that no digit follows. */
static bool take_section_part(struct cursor *c, struct arena *arena, struct section *section)
{
	struct cursor ahead = *c;
	uint64_t number;
	size_t count = 0;

	do {
		if (!take_number(&ahead, UINT32_MAX, &number) || number == 0)
			return false;
		count++;
	} while (cursor_left(&ahead) >= 2 && ahead.at[0] == '.' && ascii_is_digit(ahead.at[1]) &&
		 take_byte(&ahead, '.'));

	section->numbers = arena_alloc_array(arena, count, sizeof(*section->numbers));
	section->number_count = count;
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			take_byte(c, '.');
		take_number(c, UINT32_MAX, &number);
		section->numbers[i] = (uint32_t)number;
	}
	return true;
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static bool take_header_list(struct cursor *c, struct arena *arena, struct section *section)
{
	struct slice name;
	size_t cap = 0;

	if (!take_byte(c, '('))
		return false;
	do {
		if (!take_astring(c, arena, &name))
			return false;
		if (section->name_count == cap) {
			cap = cap ? cap * 2 : 8;
			struct slice *names = arena_alloc_array(arena, cap, sizeof(*names));
			if (section->name_count)
				memcpy(names, section->names, section->name_count * sizeof(*names));
			section->names = names;
		}
		section->names[section->name_count++] = name;
	} while (take_byte(c, ' '));
	return take_byte(c, ')');
}

/* section-text; MIME only behind a part number. */
static bool take_section_text(struct cursor *c, struct arena *arena, struct section *section)
{
	if (take_word_nocase(c, SLICE("HEADER.FIELDS.NOT ("))) {
		section->kind = SECTION_FIELDS_NOT;
	} else if (take_word_nocase(c, SLICE("HEADER.FIELDS ("))) {
		section->kind = SECTION_FIELDS;
	} else if (take_word_nocase(c, SLICE("HEADER"))) {
		section->kind = SECTION_HEADER;
		return true;
	} else if (take_word_nocase(c, SLICE("TEXT"))) {
		section->kind = SECTION_TEXT;
		return true;
	} else if (section->number_count && take_word_nocase(c, SLICE("MIME"))) {
		section->kind = SECTION_MIME;
		return true;
	} else {
		return false;
	}
	c->at--; /* the parenthesis belongs to the list */
	return take_header_list(c, arena, section);
}

static bool take_section_spec(struct cursor *c, struct arena *arena, struct section *section)
{
	if (next_is(c, ']'))
		return true;
	if (c->at != c->end && ascii_is_digit(*c->at)) {
		if (!take_section_part(c, arena, section))
			return false;
		if (!take_byte(c, '.'))
			return true;
	}
	return take_section_text(c, arena, section);
}

bool take_section(struct cursor *c, struct arena *arena, struct section *section_out)
{
	struct cursor ahead = *c;
	struct section section = { .kind = SECTION_PART };
	if (!take_byte(&ahead, '[') || !take_section_spec(&ahead, arena, &section) ||
	    !take_byte(&ahead, ']'))
		return false;
	*section_out = section;
	*c = ahead;
	return true;
}

bool take_section_binary(struct cursor *c, struct arena *arena, struct section *section_out)
{
	struct cursor ahead = *c;
	struct section section = { .kind = SECTION_PART };
	if (!take_byte(&ahead, '['))
		return false;
	if (!next_is(&ahead, ']') && !take_section_part(&ahead, arena, &section))
		return false;
	if (!take_byte(&ahead, ']'))
		return false;
	*section_out = section;
	*c = ahead;
	return true;
}

bool take_partial(struct cursor *c, struct section *section)
{
	struct cursor ahead = *c;
	uint64_t offset, octets;
	if (!take_byte(&ahead, '<'))
		return true;
	if (!take_number(&ahead, INT64_MAX, &offset) || !take_byte(&ahead, '.') ||
	    !take_number(&ahead, INT64_MAX, &octets) || octets == 0 || !take_byte(&ahead, '>'))
		return false;
	section->is_partial = true;
	section->partial_offset = offset;
	section->partial_octets = octets;
	*c = ahead;
	return true;
}

void section_render(struct buffer *out, const struct section *section, bool utf8)
{
	static const char *const words[] = {
		[SECTION_PART] = "",
		[SECTION_HEADER] = "HEADER",
		[SECTION_FIELDS] = "HEADER.FIELDS",
		[SECTION_FIELDS_NOT] = "HEADER.FIELDS.NOT",
		[SECTION_TEXT] = "TEXT",
		[SECTION_MIME] = "MIME",
	};

	buffer_add_byte(out, '[');
	for (size_t i = 0; i < section->number_count; i++) {
		if (i > 0)
			buffer_add_byte(out, '.');
		buffer_add_u64(out, section->numbers[i]);
	}
	if (section->number_count && section->kind != SECTION_PART)
		buffer_add_byte(out, '.');
	buffer_add_cstr(out, words[section->kind]);
	for (size_t i = 0; i < section->name_count; i++) {
		buffer_add(out, i == 0 ? SLICE(" (") : SLICE(" "));
		wire_astring(out, section->names[i], utf8);
	}
	buffer_add(out, section->name_count ? SLICE(")]") : SLICE("]"));
	if (section->is_partial) {
		buffer_add_byte(out, '<');
		buffer_add_u64(out, section->partial_offset);
		buffer_add_byte(out, '>');
	}
}

/* The message whose HEADER and TEXT a section names: the root, or the one inside a
 * message/rfc822 part. NULL where the numbers name no such part. */
static const struct mime_part *section_message(const struct section *section,
					       const struct mime_part *root)
{
	if (section->number_count == 0)
		return root;
	const struct mime_part *part =
		mime_find_part(root, section->numbers, section->number_count);
	return part && mime_is_message(part) ? part->first_child : NULL;
}

bool section_resolve(const struct section *section, const struct mime_part *root,
		     uint64_t size_octets, struct octet_range *range_out,
		     const struct mime_part **part_out)
{
	const struct mime_part *part = NULL;
	struct octet_range range = { 0, 0 };

	switch (section->kind) {
	case SECTION_PART:
		if (section->number_count == 0) {
			range.end = size_octets;
			break;
		}
		part = mime_find_part(root, section->numbers, section->number_count);
		if (!part)
			return false;
		range = (struct octet_range){ part->body_start, part->body_end };
		break;
	case SECTION_MIME:
		part = mime_find_part(root, section->numbers, section->number_count);
		if (!part)
			return false;
		range = (struct octet_range){ part->header_start, part->body_start };
		break;
	case SECTION_HEADER:
	case SECTION_FIELDS:
	case SECTION_FIELDS_NOT:
		part = section_message(section, root);
		if (!part)
			return false;
		range = (struct octet_range){ part->header_start, part->body_start };
		break;
	case SECTION_TEXT:
		part = section_message(section, root);
		if (!part)
			return false;
		range = (struct octet_range){ part->body_start, part->body_end };
		break;
	}
	if (range.end > size_octets || range.start > range.end)
		return false;
	*range_out = range;
	if (part_out)
		*part_out = part;
	return true;
}

struct octet_range section_clip(const struct section *section, struct octet_range range)
{
	uint64_t octets = range.end - range.start;
	if (!section->is_partial)
		return range;
	if (section->partial_offset >= octets) {
		range.start = range.end;
		return range;
	}
	range.start += section->partial_offset;
	if (section->partial_octets < range.end - range.start)
		range.end = range.start + section->partial_octets;
	return range;
}

static bool names_contain(const struct section *section, struct slice name)
{
	for (size_t i = 0; i < section->name_count; i++)
		if (slice_eq_nocase(section->names[i], name))
			return true;
	return false;
}

void section_filter_fields(const struct section *section, struct slice header, bool has_body,
			   struct buffer *out)
{
	struct cursor c = cursor_of(header);
	struct header_field field;
	bool want = section->kind == SECTION_FIELDS;

	while (take_header_field(&c, &field))
		if (names_contain(section, field.name) == want)
			buffer_add(out, field.whole);
	if (has_body || slice_starts_nocase(cursor_rest(&c), SLICE("\r\n")))
		buffer_add(out, SLICE("\r\n"));
}
