/* mail/downgrade_header.c - the header of a part whose body is encoded otherwise now, and a multipart's
 * delimiter without what stands around it (RFC 2045 sections 4 and 6, RFC 2046 section 5.1.1). Runs in
 * the back. */
#include "mail/downgrade_priv.h"

#include <assert.h>

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

/* A CR that ends no line is a blank, which is what every reader here takes it for (header_unfold()). With
 * that blank a line that was no field, and so belonged to the field before it, could be a field, a label
 * even, or a delimiter, or folded elsewhere than it was: a blank in front makes it as much of the same
 * text as it was (RFC 5322 section 2.2.3). */
static void add_canonical_line(struct buffer *out, struct slice line)
{
	size_t len = line.len;
	bool is_ended = len > 0 && line.ptr[len - 1] == '\n';
	len -= is_ended;
	len -= is_ended && len > 0 && line.ptr[len - 1] == '\r';
	struct slice text = slice_sub(line, 0, len);
	bool has_bare = slice_find_byte(text, 0, '\r') < len;
	if (has_bare && header_line_kind(line) == HEADER_LINE_OTHER)
		buffer_add_byte(out, ' ');
	for (size_t from = 0, end; from < len; from = end + 1) {
		end = slice_find_byte(text, from, '\r');
		buffer_add(out, slice_sub(text, from, end - from));
		if (end < len)
			buffer_add_byte(out, ' ');
	}
	if (is_ended)
		buffer_add_cstr(out, "\r\n");
}

/* With CRLF for each line end, as no transport but a binary one leaves it otherwise. */
static void add_canonical(struct buffer *out, struct slice text)
{
	for (size_t at = 0, end; at < text.len; at = end + 1) {
		end = slice_find_byte(text, at, '\n');
		add_canonical_line(out, slice_sub(text, at, end + 1 - at));
	}
}

/* Takes the empty line at the end away, if there is one. */
static bool cut_empty_line(struct slice *text)
{
	size_t at = text->len;
	assert(text->ptr || text->len == 0);
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
	bool needs_end = is_encoded || step->is_open;
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
		else
			needs_end = true; /* it made lines that are no field part of the header */
		lacks_label = false;
	}
	struct slice rest = slice_of(at, (size_t)(c.end - at));
	bool has_empty_line = cut_empty_line(&rest);
	add_canonical(out, rest);
	if (out->len > start && out->data[out->len - 1] != '\n' && (lacks_label || needs_end))
		buffer_add_cstr(out, "\r\n");
	/* Without it the label means nothing (RFC 2045 section 4). */
	if (is_encoded && step->is_message && lacks_version)
		buffer_add_cstr(out, "MIME-Version: 1.0\r\n");
	if (lacks_label)
		buffer_add_format(out, "%.*s: %s\r\n", SLICE_ARG(encoding),
				  labels[step->label].word);
	/* What is encoded must not look like more of the header. */
	if (has_empty_line || needs_end)
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
