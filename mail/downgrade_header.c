/* mail/downgrade_header.c - the header of a part whose body is encoded otherwise now, and a multipart's
 * delimiter without what stands around it (RFC 2045 sections 4 and 6, RFC 2046 section 5.1.1). Runs in
 * the back. */
#include "mail/downgrade_priv.h"
#include "mail/header.h"

static const struct {
	const char *word;
	enum transfer_encoding encoding;
} labels[] = {
	[LABEL_7BIT] = { "7bit", ENCODING_IDENTITY },
	[LABEL_8BIT] = { "8bit", ENCODING_IDENTITY },
	[LABEL_QUOTED_PRINTABLE] = { "quoted-printable", ENCODING_QUOTED_PRINTABLE },
	[LABEL_BASE64] = { "base64", ENCODING_BASE64 },
};

enum transfer_encoding downgrade_encoding(enum label label)
{
	return labels[label].encoding;
}

/* With CRLF for each line end, as no transport but a binary one leaves it otherwise. A CR that ends no
 * line is a blank, which is what every reader here takes it for (header_unfold()). */
static void add_canonical(struct buffer *out, struct slice text)
{
	size_t from = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		bool is_end = c == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n';
		if (is_end)
			i++;
		if (is_end || (c != '\r' && c != '\n'))
			continue;
		buffer_add(out, slice_sub(text, from, i - from));
		buffer_add_cstr(out, c == '\n' ? "\r\n" : " ");
		from = i + 1;
	}
	buffer_add(out, slice_sub(text, from, text.len - from));
}

/* Takes the empty line at the end away, if there is one. */
static bool cut_empty_line(struct slice *text)
{
	size_t at = text->len;
	if (at > 0 && text->ptr[at - 1] == '\n')
		at--;
	while (at > 0 && text->ptr[at - 1] != '\n')
		at--;
	if (at == text->len ||
	    header_line_kind(slice_sub(*text, at, text->len)) != HEADER_LINE_EMPTY)
		return false;
	text->len = at;
	return true;
}

bool downgrade_header_ends(struct slice header)
{
	return cut_empty_line(&header);
}

void downgrade_header(struct slice header, const struct step *step, struct buffer *out)
{
	const struct slice encoding = SLICE("Content-Transfer-Encoding");
	bool is_encoded = step->label == LABEL_QUOTED_PRINTABLE || step->label == LABEL_BASE64;
	bool lacks_label = step->label != LABEL_AS_IT_IS, lacks_version = true;
	struct cursor c = cursor_of(header);
	struct header_field field;
	const uint8_t *at = c.at;
	const size_t start = out->len;
	while (take_header_field(&c, &field)) {
		/* Lines that are no field, above the first. */
		add_canonical(out, slice_of(at, (size_t)(field.whole.ptr - at)));
		at = c.at;
		lacks_version &= !slice_eq_nocase(field.name, SLICE("MIME-Version"));
		if (step->label == LABEL_AS_IT_IS || !slice_eq_nocase(field.name, encoding)) {
			add_canonical(out, field.whole);
			continue;
		}
		/* Several of them would be as many opinions. */
		if (lacks_label)
			buffer_add_format(out, "%.*s: %s\r\n", SLICE_ARG(encoding),
					  labels[step->label].word);
		lacks_label = false;
	}
	struct slice rest = slice_of(at, (size_t)(c.end - at));
	bool has_empty_line = cut_empty_line(&rest);
	add_canonical(out, rest);
	if (out->len > start && out->data[out->len - 1] != '\n' &&
	    (lacks_label || is_encoded || step->is_open))
		buffer_add_cstr(out, "\r\n");
	/* Without it the label means nothing (RFC 2045 section 4). */
	if (is_encoded && step->is_message && lacks_version)
		buffer_add_cstr(out, "MIME-Version: 1.0\r\n");
	if (lacks_label)
		buffer_add_format(out, "%.*s: %s\r\n", SLICE_ARG(encoding),
				  labels[step->label].word);
	/* What is encoded must not look like more of the header. */
	if (has_empty_line || is_encoded || step->is_open)
		buffer_add_cstr(out, "\r\n");
}

void downgrade_delimiter(const struct step *step, struct buffer *out)
{
	if (step->has_line_end)
		buffer_add_cstr(out, "\r\n");
	buffer_add_cstr(out, "--");
	buffer_add(out, step->boundary);
	buffer_add_cstr(out, step->is_close ? "--\r\n" : "\r\n");
}
