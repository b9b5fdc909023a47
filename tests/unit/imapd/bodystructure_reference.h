/* tests/unit/imapd/bodystructure_reference.h - BODY and BODYSTRUCTURE rendered straight from the
 * structure, part by part, as the grammar of RFC 9051 section 9 has it: what is made ready at arrival
 * must say the same. It repeats on purpose what mail/structure_text.c decides: a reference that shared
 * that code would share its mistakes. */
#pragma once

#include "imapd/bodystructure_priv.h"
#include "imapd/envelope_priv.h"
#include "imapd/respond_priv.h"

static void reference_render(struct buffer *out, const struct mime_part *root,
			     enum bodystructure_form form, bool utf8);

/* body-fld-param */
static void put_parameters(struct buffer *out, const struct mime_parameter *parameters,
			   size_t count, bool utf8)
{
	if (count == 0) {
		buffer_add(out, SLICE("NIL"));
		return;
	}
	for (size_t i = 0; i < count; i++) {
		buffer_add_byte(out, i == 0 ? '(' : ' ');
		respond_string(out, parameters[i].name, utf8);
		buffer_add_byte(out, ' ');
		respond_string(out, parameters[i].value, utf8);
	}
	buffer_add_byte(out, ')');
}

/* body-fld-dsp */
static void put_disposition(struct buffer *out, const struct mime_part *part, bool utf8)
{
	if (!part->disposition.ptr) {
		buffer_add(out, SLICE("NIL"));
		return;
	}
	buffer_add_byte(out, '(');
	respond_string(out, part->disposition, utf8);
	buffer_add_byte(out, ' ');
	put_parameters(out, part->disposition_parameters, part->disposition_parameter_count, utf8);
	buffer_add_byte(out, ')');
}

/* body-fld-lang: the field is a list with commas (RFC 3282); one language goes as a string. */
static void put_language(struct buffer *out, struct slice language, bool utf8)
{
	if (slice_find_byte(language, 0, ',') == language.len) {
		respond_nstring(out, language, utf8);
		return;
	}
	size_t from = 0, count = 0;
	while (from < language.len) {
		size_t comma = slice_find_byte(language, from, ',');
		struct slice tag = slice_trim(slice_sub(language, from, comma - from));
		if (tag.len) {
			buffer_add_byte(out, count++ == 0 ? '(' : ' ');
			respond_string(out, tag, utf8);
		}
		from = comma + 1;
	}
	buffer_add(out, count ? SLICE(")") : SLICE("NIL"));
}

/* What body-ext-1part and body-ext-mpart have in common. */
static void put_extension(struct buffer *out, const struct mime_part *part, bool utf8)
{
	buffer_add_byte(out, ' ');
	put_disposition(out, part, utf8);
	buffer_add_byte(out, ' ');
	put_language(out, part->language, utf8);
	buffer_add_byte(out, ' ');
	respond_nstring(out, part->location, utf8);
}

/* body-type-mpart: the parts follow one another without a space. */
static void put_multipart(struct buffer *out, const struct mime_part *part,
			  enum bodystructure_form form, bool utf8)
{
	for (const struct mime_part *child = part->first_child; child; child = child->next_sibling)
		reference_render(out, child, form, utf8);
	buffer_add_byte(out, ' ');
	respond_string(out, part->subtype, utf8);
	if (form == FORM_BODY)
		return;
	buffer_add_byte(out, ' ');
	put_parameters(out, part->parameters, part->parameter_count, utf8);
	put_extension(out, part, utf8);
}

/* Names that promise a structure which this part does not have. */
static bool is_opaque(const struct mime_part *part)
{
	return slice_eq_nocase(part->type, SLICE("multipart")) ||
	       (slice_eq_nocase(part->type, SLICE("message")) &&
		(slice_eq_nocase(part->subtype, SLICE("rfc822")) ||
		 slice_eq_nocase(part->subtype, SLICE("global"))));
}

static void put_type_and_fields(struct buffer *out, const struct mime_part *part, bool opaque,
				bool utf8)
{
	respond_string(out, opaque ? SLICE("application") : part->type, utf8);
	buffer_add_byte(out, ' ');
	respond_string(out, opaque ? SLICE("octet-stream") : part->subtype, utf8);
	buffer_add_byte(out, ' ');
	put_parameters(out, part->parameters, part->parameter_count, utf8);
	buffer_add_byte(out, ' ');
	respond_nstring(out, part->id, utf8);
	buffer_add_byte(out, ' ');
	respond_nstring(out, part->description, utf8);
	buffer_add_byte(out, ' ');
	respond_string(out, part->encoding, utf8);
	buffer_add_byte(out, ' ');
	buffer_add_u64(out, part->body_end - part->body_start);
}

/* body-type-1part */
static void put_single(struct buffer *out, const struct mime_part *part,
		       enum bodystructure_form form, bool utf8)
{
	bool message = mime_is_message(part) && part->first_child && part->first_child->envelope;

	put_type_and_fields(out, part, !message && is_opaque(part), utf8);
	if (message) {
		buffer_add_byte(out, ' ');
		envelope_render(out, part->first_child->envelope, utf8);
		buffer_add_byte(out, ' ');
		reference_render(out, part->first_child, form, utf8);
	}
	if (message || slice_eq_nocase(part->type, SLICE("text"))) {
		buffer_add_byte(out, ' ');
		buffer_add_u64(out, part->lines);
	}
	if (form == FORM_BODY)
		return;
	buffer_add_byte(out, ' ');
	respond_nstring(out, part->md5, utf8);
	put_extension(out, part, utf8);
}

static void reference_render(struct buffer *out, const struct mime_part *root,
			     enum bodystructure_form form, bool utf8)
{
	buffer_add_byte(out, '(');
	if (mime_is_multipart(root) && root->first_child)
		put_multipart(out, root, form, utf8);
	else
		put_single(out, root, form, utf8);
	buffer_add_byte(out, ')');
}
