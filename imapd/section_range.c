/* imapd/section_range.c - sections of a message: resolution, echo, subsets of a header.
 *
 * RFC 9051 section 6.4.5.1. A section that the message does not have (part 7 of 2, the HEADER
 * of a part that is no message) is no error: it is answered with NIL. Runs in the back. */
#include "imapd/section_range_priv.h"

#include "imapd/respond_priv.h"
#include "mail/header.h"

static void put_field_name(struct buffer *out, struct slice name, bool utf8)
{
	struct cursor c = cursor_of(name);
	struct slice atom;
	if (take_while(&c, is_atom_char, &atom) && at_end(&c))
		buffer_add(out, name);
	else
		respond_string(out, name, utf8);
}

void section_render(struct buffer *out, const struct section *section, bool utf8)
{
	static const char *const words[] = {
		[SECTION_WHOLE] = "",
		[SECTION_HEADER] = "HEADER",
		[SECTION_HEADER_FIELDS] = "HEADER.FIELDS",
		[SECTION_HEADER_FIELDS_NOT] = "HEADER.FIELDS.NOT",
		[SECTION_TEXT] = "TEXT",
		[SECTION_MIME] = "MIME",
	};

	buffer_add_byte(out, '[');
	for (size_t i = 0; i < section->part_count; i++) {
		if (i > 0)
			buffer_add_byte(out, '.');
		buffer_add_u64(out, section->part[i]);
	}
	if (section->part_count && section->text != SECTION_WHOLE)
		buffer_add_byte(out, '.');
	buffer_add_cstr(out, words[section->text]);
	for (size_t i = 0; i < section->field_count; i++) {
		buffer_add(out, i == 0 ? SLICE(" (") : SLICE(" "));
		put_field_name(out, section->fields[i], utf8);
	}
	buffer_add(out, section->field_count ? SLICE(")]") : SLICE("]"));
}

/* The message whose HEADER and TEXT a section names: the root, or the one inside a
 * message/rfc822 part. NULL where the numbers name no such part. */
static const struct mime_part *section_message(const struct section *section,
					       const struct mime_part *root)
{
	if (section->part_count == 0)
		return root;
	const struct mime_part *part = mime_find_part(root, section->part, section->part_count);
	return part && mime_is_message(part) ? part->first_child : NULL;
}

bool section_needs_structure(const struct section *section)
{
	return section->part_count > 0 || section->text != SECTION_WHOLE;
}

bool section_resolve(const struct section *section, const struct mime_part *root,
		     uint64_t size_octets, struct octet_range *range_out,
		     const struct mime_part **part_out)
{
	const struct mime_part *part = NULL;
	struct octet_range range = { 0, size_octets };

	if (section_needs_structure(section)) {
		if (section->text == SECTION_WHOLE || section->text == SECTION_MIME)
			part = mime_find_part(root, section->part, section->part_count);
		else
			part = section_message(section, root);
		if (!part)
			return false;
		if (section->text == SECTION_WHOLE || section->text == SECTION_TEXT)
			range = (struct octet_range){ part->body_start, part->body_end };
		else
			range = (struct octet_range){ part->header_start, part->body_start };
	}
	if (range.end > size_octets || range.start > range.end)
		return false;
	*range_out = range;
	*part_out = part;
	return true;
}

struct octet_range section_clip(const struct partial *partial, struct octet_range range)
{
	if (!partial)
		return range;
	if (partial->offset >= range.end - range.start) {
		range.start = range.end;
		return range;
	}
	range.start += partial->offset;
	if (partial->count < range.end - range.start)
		range.end = range.start + partial->count;
	return range;
}

static bool names_contain(const struct section *section, struct slice name)
{
	for (size_t i = 0; i < section->field_count; i++)
		if (slice_eq_nocase(section->fields[i], name))
			return true;
	return false;
}

void section_filter_fields(const struct section *section, struct slice header, bool has_body,
			   struct buffer *out)
{
	struct cursor c = cursor_of(header);
	struct header_field field;
	bool want = section->text == SECTION_HEADER_FIELDS;

	while (take_header_field(&c, &field))
		if (names_contain(section, field.name) == want)
			buffer_add(out, field.whole);
	if (has_body || slice_starts_nocase(cursor_rest(&c), SLICE("\r\n")))
		buffer_add(out, SLICE("\r\n"));
}
