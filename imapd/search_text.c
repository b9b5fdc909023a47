/* imapd/search_text.c - looking for strings in the text of a message.
 *
 * All strings of a search are looked for in one pass. Text comes in pieces, which are cut at
 * line ends, so that no character and no shift state (ISO-2022-JP) is torn; neighbouring
 * pieces overlap by the length of the longest string. Runs in the back, on a worker. */
#include "imapd/search_text_priv.h"

#include "mail/header.h"

enum { LINE_MAX_OCTETS = 64 * 1024 /* a longer line is cut where it can be */ };

enum text_origin {
	ORIGIN_HEADER,	      /* of the message, or of a part: TEXT looks there */
	ORIGIN_INNER_MESSAGE, /* header of a message inside: part of the body, for BODY too */
	ORIGIN_CONTENT,
};

/* Appends to the window. */
static void window_add(struct matcher *m, struct slice utf8)
{
	comparator_fold(m->program->comparator, utf8, &m->window);
}

static bool window_holds(const struct matcher *m, struct slice needle)
{
	struct slice window = buffer_slice(&m->window);
	return needle.len == 0 || slice_find(window, 0, needle) < window.len;
}

bool text_contains(struct matcher *m, struct slice utf8, struct slice needle)
{
	buffer_clear(&m->window);
	window_add(m, utf8);
	return window_holds(m, needle);
}

/* Looks for what has not been found yet, then keeps of the window what the next piece may
 * complete. */
static void window_look(struct matcher *m, enum text_origin origin)
{
	for (size_t i = 0; i < m->program->text_count; i++) {
		const struct search_key *key = m->program->texts[i];
		if (m->found[i] || (origin == ORIGIN_HEADER && key->kind != SEARCH_TEXT))
			continue;
		if (window_holds(m, key->text.needle)) {
			m->found[i] = true;
			m->left_to_find--;
		}
	}
	if (m->window.len >= m->overlap_octets)
		buffer_drop_front(&m->window,
				  m->window.len - (m->overlap_octets ? m->overlap_octets - 1 : 0));
}

enum err text_read_header(struct matcher *m, const struct mime_part *part, struct buffer *header)
{
	struct octet_range range = { part->header_start, part->body_start };
	enum err err = ERR_OK;

	if (range.end < range.start)
		return ERR_DAMAGED;
	if (range.end - range.start > CONTENT_HEADER_MAX_OCTETS)
		range.end = range.start + CONTENT_HEADER_MAX_OCTETS;
	buffer_clear(header);
	m->spent += range.end - range.start;
	if (range.end > range.start)
		err = m->source->read(m->source, range.start, range.end - range.start, header);
	return err;
}

/* "Name: value", decoded, a field a line. */
static enum err look_at_header(struct matcher *m, const struct mime_part *part,
			       enum text_origin origin)
{
	struct header_field field;
	enum err err = text_read_header(m, part, &m->raw);
	if (err != ERR_OK)
		return err;

	struct cursor c = cursor_of(buffer_slice(&m->raw));
	buffer_clear(&m->utf8);
	while (take_header_field(&c, &field)) {
		buffer_add(&m->utf8, field.name);
		buffer_add(&m->utf8, SLICE(": "));
		text_decode_header(slice_trim(field.value), &m->utf8);
		buffer_add_byte(&m->utf8, '\n');
	}
	buffer_clear(&m->window);
	window_add(m, buffer_slice(&m->utf8));
	window_look(m, origin);
	return ERR_OK;
}

/* How much of `raw` can be decoded by itself. */
static size_t whole_text(struct slice raw, bool is_wide, bool is_last)
{
	if (is_last)
		return raw.len;
	if (is_wide)
		return raw.len - raw.len % 4;
	size_t end = raw.len;
	while (end > 0 && raw.ptr[end - 1] != '\n')
		end--;
	if (end > 0 || raw.len < LINE_MAX_OCTETS)
		return end;
	/* One long line: behind an ASCII octet, or at least not inside a UTF-8 character. */
	end = raw.len;
	while (end > 0 && raw.ptr[end - 1] >= 0x80)
		end--;
	if (end > 0)
		return end;
	end = raw.len;
	while (end > 1 && (raw.ptr[end - 1] & 0xc0) == 0x80)
		end--;
	return end > 1 ? end - 1 : raw.len;
}

/* Charsets in which ASCII octets are something else at times. */
static bool charset_shifts(struct slice charset)
{
	return content_charset_is_wide(charset) || slice_starts_nocase(charset, SLICE("utf-7")) ||
	       slice_starts_nocase(charset, SLICE("hz")) ||
	       slice_starts_nocase(charset, SLICE("iso-2022"));
}

static void window_add_text(struct matcher *m, struct slice charset, struct slice text)
{
	bool is_utf8 = slice_eq_nocase(charset, SLICE("utf-8"));
	bool is_labelled =
		text_charset_is_known(charset) && !slice_eq_nocase(charset, SLICE("us-ascii"));
	/* Unlabelled UTF-8 is common enough to be looked into. */
	if (!charset_shifts(charset) &&
	    (text_is_ascii(text) || ((is_utf8 || !is_labelled) && text_is_utf8(text)))) {
		window_add(m, text);
		return;
	}
	buffer_clear(&m->utf8);
	text_decode_charset(charset, text, &m->utf8);
	window_add(m, buffer_slice(&m->utf8));
}

static enum err look_at_content(struct matcher *m, const struct mime_part *part)
{
	struct slice charset = content_charset(part);
	bool is_wide = content_charset_is_wide(charset);
	struct octet_range range = { part->body_start, part->body_end };
	enum err err = ERR_OK;

	if (range.end < range.start)
		return ERR_DAMAGED;
	content_begin(&m->content, part, range);
	buffer_clear(&m->raw);
	buffer_clear(&m->window);
	while (m->left_to_find > 0) {
		struct slice piece;
		if ((err = content_next(&m->content, m->source, &piece, &m->spent)) != ERR_OK)
			break;
		buffer_add(&m->raw, piece);
		struct slice raw = buffer_slice(&m->raw);
		size_t whole = whole_text(raw, is_wide, piece.len == 0);
		window_add_text(m, charset, slice_sub(raw, 0, whole));
		window_look(m, ORIGIN_CONTENT);
		buffer_drop_front(&m->raw, whole);
		if (piece.len == 0)
			break;
	}
	content_end(&m->content);
	return err;
}

static enum err look_at_part(struct matcher *m, const struct mime_part *part,
			     enum text_origin header_origin)
{
	enum err err;

	if ((err = look_at_header(m, part, header_origin)) != ERR_OK)
		return err;
	for (const struct mime_part *child = part->first_child; child;
	     child = child->next_sibling) {
		if (m->left_to_find == 0)
			return ERR_OK;
		err = look_at_part(m, child,
				   mime_is_message(part) ? ORIGIN_INNER_MESSAGE : ORIGIN_HEADER);
		if (err != ERR_OK)
			return err;
	}
	if (part->first_child || m->left_to_find == 0)
		return ERR_OK;
	if (slice_eq_nocase(part->type, SLICE("text")) ||
	    slice_eq_nocase(part->type, SLICE("message")))
		err = look_at_content(m, part);
	return err;
}

enum err text_look(struct matcher *m)
{
	m->left_to_find = m->program->text_count;
	for (size_t i = 0; i < m->program->text_count; i++) {
		/* The empty string is in every text. */
		m->found[i] = m->program->texts[i]->text.needle.len == 0;
		m->left_to_find -= m->found[i];
	}
	if (m->left_to_find == 0)
		return ERR_OK;
	return look_at_part(m, m->root, ORIGIN_HEADER);
}
