/* imapd/preview.c - a few words of a message. In the back.
 *
 * RFC 8970 section 3: the start of the first text that is no attachment, plain before HTML,
 * without markup, quotations and line ends, of at most 200 characters. Made anew each time from the
 * first octets of that part, so LAZY makes no difference. */
#include "imapd/preview_priv.h"

#include "mail/html.h"

enum {
	PREVIEW_CHARACTERS = 200,
	PLAIN_OCTETS_MAX = 16 * 1024, /* of decoded text that is looked at */
	HTML_OCTETS_MAX = 128 * 1024, /* style sheets come first */
};

static bool is_text(const struct mime_part *part, const char *subtype)
{
	return !part->first_child && slice_eq_nocase(part->type, SLICE("text")) &&
	       slice_eq_nocase(part->subtype, slice_cstr(subtype)) &&
	       !slice_eq_nocase(part->disposition, SLICE("attachment"));
}

/* Parts are nested MIME_MAX_DEPTH deep at most. Messages inside and what is encrypted are no
 * text of this one. */
static const struct mime_part *find_text(const struct mime_part *part, const char *subtype)
{
	if (is_text(part, subtype))
		return part;
	if (!mime_is_multipart(part) || slice_eq_nocase(part->subtype, SLICE("encrypted")))
		return NULL;
	for (const struct mime_part *child = part->first_child; child;
	     child = child->next_sibling) {
		const struct mime_part *found = find_text(child, subtype);
		if (found)
			return found;
	}
	return NULL;
}

static enum err read_text(const struct mime_part *part, struct content_source *source,
			  size_t octets_max, struct buffer *utf8, uint64_t *read_octets)
{
	struct octet_range range = { part->body_start, part->body_end };
	struct buffer raw = { 0 };
	struct content content = { 0 };
	enum err err = ERR_OK;

	/* Encoded text is larger, but never four times. */
	if (range.end - range.start > 4 * octets_max)
		range.end = range.start + 4 * octets_max;
	content_begin(&content, part, range);
	while (raw.len < octets_max) {
		struct slice piece;
		err = content_next(&content, source, &piece, read_octets);
		if (err != ERR_OK || piece.len == 0)
			break;
		buffer_add(&raw, piece);
	}
	content_fini(&content);
	if (err == ERR_OK)
		text_decode_charset(content_charset(part),
				    slice_sub(buffer_slice(&raw), 0, octets_max), utf8);
	buffer_free(&raw);
	return err;
}

/* Spaces for line ends, no quoted lines, no control characters, and not too much of it. */
static void add_words(struct slice text, struct buffer *utf8)
{
	unsigned characters = 0;
	bool at_line_start = true, wants_space = false;
	for (size_t i = 0; i < text.len && characters < PREVIEW_CHARACTERS;) {
		size_t len = text_utf8_len(slice_sub(text, i, 4));
		uint8_t c = text.ptr[i];
		if (at_line_start && c == '>') {
			i = slice_find_byte(text, i, '\n');
			continue;
		}
		at_line_start = c == '\n';
		if (len == 0) {
			i++;
		} else if (c <= ' ' || c == 127 ||
			   slice_eq(slice_sub(text, i, len), SLICE("\xc2\xa0"))) {
			wants_space = characters > 0;
			i += len;
		} else {
			if (wants_space) {
				buffer_add_byte(utf8, ' ');
				if (++characters == PREVIEW_CHARACTERS)
					break;
			}
			wants_space = false;
			buffer_add(utf8, slice_sub(text, i, len));
			characters++;
			i += len;
		}
	}
}

enum err preview_make(const struct mime_part *root, struct content_source *source,
		      struct buffer *utf8, uint64_t *read_octets)
{
	struct buffer text = { 0 }, plain = { 0 };
	const struct mime_part *part = find_text(root, "plain");
	bool is_html = !part;
	if (is_html)
		part = find_text(root, "html");
	if (!part)
		return ERR_OK;
	enum err err = read_text(part, source, is_html ? HTML_OCTETS_MAX : PLAIN_OCTETS_MAX, &text,
				 read_octets);
	if (err == ERR_OK && is_html)
		text_from_html(buffer_slice(&text), &plain);
	if (err == ERR_OK)
		add_words(is_html ? buffer_slice(&plain) : buffer_slice(&text), utf8);
	buffer_free(&text);
	buffer_free(&plain);
	return err;
}
