/* imapd/search_text.c - looking for strings in the text of a message.
 *
 * All strings of a search are looked for in one pass. Text comes in pieces, which are cut at line ends,
 * so that no character is torn; where a charset shifts (ISO-2022-JP, UTF-16), one decoder reads all of
 * them. Neighbouring pieces overlap by the length of the longest string. ASCII is looked at where it
 * stands; other text is decoded and folded into a window first. A character folds to the same whatever
 * stands beside it, so text may change from one to the other anywhere. Runs in the back, on a worker. */
#include "imapd/search_text_priv.h"

#include "mail/charset.h"
#include "mail/header.h"

enum {
	LINE_MAX_OCTETS = 64 * 1024, /* a longer line is cut where it can be */
	ASCII_MIN_OCTETS = 128,	     /* in other text: less is not worth another look */
};

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

static bool window_holds(struct matcher *m, struct slice needle)
{
	struct slice window = buffer_slice(&m->window);
	m->spent += window.len / NEEDLE_OCTETS_FOR_ONE;
	return needle.len == 0 || slice_find(window, 0, needle) < window.len;
}

bool text_contains(struct matcher *m, struct slice utf8, const struct needle *needle)
{
	if (text_is_ascii(utf8))
		return needle_is_in_ascii(needle, utf8, &m->spent);
	buffer_clear(&m->window);
	window_add(m, utf8);
	return window_holds(m, needle->folded);
}

bool text_field_contains(struct matcher *m, struct slice value, const struct needle *needle)
{
	if (text_header_is_plain(value))
		return needle_is_in_ascii(needle, slice_trim(value), &m->spent);
	buffer_clear(&m->utf8);
	text_decode_header(value, &m->utf8);
	return text_contains(m, buffer_slice(&m->utf8), needle);
}

/* ---- all strings at once ---- */

/* Whether the string has not been found yet, and may be there. */
static bool is_wanted(const struct matcher *m, size_t index, enum text_origin origin)
{
	return !m->found[index] &&
	       (origin != ORIGIN_HEADER || m->program->texts[index]->kind == SEARCH_TEXT);
}

static void note_found(struct matcher *m, size_t index)
{
	m->found[index] = true;
	m->left_to_find--;
}

/* Keeps of the window what the next piece may complete. */
static void window_look(struct matcher *m, enum text_origin origin)
{
	for (size_t i = 0; i < m->program->text_count; i++)
		if (is_wanted(m, i, origin) &&
		    window_holds(m, m->program->texts[i]->text.needle.folded))
			note_found(m, i);
	if (m->window.len > m->overlap_octets)
		buffer_drop_front(&m->window, m->window.len - m->overlap_octets);
}

static void look_at_ascii(struct matcher *m, struct slice ascii, enum text_origin origin)
{
	size_t overlap = m->overlap_octets;
	if (m->window.len > 0 || ascii.len < overlap) {
		window_add(m, slice_sub(ascii, 0, overlap));
		window_look(m, origin);
	}
	for (size_t i = 0; i < m->program->text_count; i++)
		if (is_wanted(m, i, origin) &&
		    needle_is_in_ascii(&m->program->texts[i]->text.needle, ascii, &m->spent))
			note_found(m, i);
	if (ascii.len < overlap)
		return;
	buffer_clear(&m->window);
	window_add(m, slice_sub(ascii, ascii.len - overlap, overlap));
}

/* How long a stretch of ASCII in other text has to be to be looked at in place. The window, which holds
 * an overlap, is searched before it and behind it, so a shorter one is cheaper in there. */
static size_t stretch_min(const struct matcher *m)
{
	size_t both = 2 * m->overlap_octets;
	return both < ASCII_MIN_OCTETS ? ASCII_MIN_OCTETS : both;
}

/* Up to the next long stretch of ASCII. */
static size_t mixed_len(struct slice utf8, size_t ascii_min)
{
	size_t at = 0;
	while (at < utf8.len) {
		size_t ascii = text_ascii_len(slice_sub(utf8, at, utf8.len));
		if (ascii >= ascii_min)
			break;
		at += ascii;
		while (at < utf8.len && utf8.ptr[at] >= 0x80)
			at++;
	}
	return at;
}

static void look_at_utf8(struct matcher *m, struct slice utf8, enum text_origin origin)
{
	size_t ascii_min = stretch_min(m);
	while (utf8.len > 0 && m->left_to_find > 0) {
		size_t len = text_ascii_len(utf8);
		if (len == utf8.len || len >= ascii_min) {
			look_at_ascii(m, slice_sub(utf8, 0, len), origin);
		} else {
			len = mixed_len(utf8, ascii_min);
			window_add(m, slice_sub(utf8, 0, len));
			window_look(m, origin);
		}
		utf8 = slice_sub(utf8, len, utf8.len);
	}
}

/* ---- headers ---- */

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

/* Decoding takes away line ends and moves blanks; but for that, and for encoded words, what is in the
 * text of an ASCII header is in the header. So most headers need not be decoded. */
static bool may_hold(struct matcher *m, struct slice raw, enum text_origin origin)
{
	const struct needle encoded_word = needle_of(SLICE("=?"), COMPARATOR_OCTET);
	if (!text_is_ascii(raw) || needle_is_in_ascii(&encoded_word, raw, &m->spent))
		return true;
	for (size_t i = 0; i < m->program->text_count; i++)
		if (is_wanted(m, i, origin) &&
		    needle_is_in_ascii(&m->program->texts[i]->text.word, raw, &m->spent))
			return true;
	return false;
}

/* "Name: value", decoded, a field a line. */
static enum err look_at_header(struct matcher *m, const struct mime_part *part,
			       enum text_origin origin)
{
	struct header_field field;
	enum err err = text_read_header(m, part, &m->raw);
	if (err != ERR_OK || !may_hold(m, buffer_slice(&m->raw), origin))
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
	look_at_utf8(m, buffer_slice(&m->utf8), origin);
	return ERR_OK;
}

/* ---- content ---- */

/* How much of `raw`, in a charset that does not shift, can be decoded by itself. */
static size_t whole_text(struct slice raw, bool is_last)
{
	if (is_last)
		return raw.len;
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

/* Whether text beyond ASCII is UTF-8: unlabelled UTF-8 is common enough to be looked into. */
static bool is_written_in_utf8(struct slice charset, struct slice text)
{
	return (slice_eq_nocase(charset, SLICE("utf-8")) ||
		slice_eq_nocase(charset, SLICE("us-ascii")) || !text_charset_is_known(charset)) &&
	       text_is_utf8(text);
}

static void look_at_text(struct matcher *m, struct slice charset, struct slice text)
{
	if (text_is_ascii(text)) {
		look_at_ascii(m, text, ORIGIN_CONTENT);
	} else if (is_written_in_utf8(charset, text)) {
		look_at_utf8(m, text, ORIGIN_CONTENT);
	} else {
		buffer_clear(&m->utf8);
		text_decode_charset(charset, text, &m->utf8);
		look_at_utf8(m, buffer_slice(&m->utf8), ORIGIN_CONTENT);
	}
}

/* The next piece of a part. What it leaves over in m->raw goes before the next; a part of one piece stays
 * where it is. */
static void look_at_piece(struct matcher *m, struct slice charset, struct slice text, bool is_last)
{
	bool is_joined = m->raw.len > 0;
	if (is_joined) {
		buffer_add(&m->raw, text);
		text = buffer_slice(&m->raw);
	}
	size_t whole = whole_text(text, is_last);
	look_at_text(m, charset, slice_sub(text, 0, whole));
	if (is_joined)
		buffer_drop_front(&m->raw, whole);
	else
		buffer_add(&m->raw, slice_sub(text, whole, text.len));
}

static void look_at_shifting_piece(struct matcher *m, struct charset_decoder **decoder,
				   struct slice text, bool is_last)
{
	buffer_clear(&m->utf8);
	charset_decode(*decoder, text, &m->utf8);
	if (is_last)
		charset_decoder_finish(decoder, &m->utf8);
	look_at_utf8(m, buffer_slice(&m->utf8), ORIGIN_CONTENT);
}

static enum err look_at_content(struct matcher *m, const struct mime_part *part)
{
	struct slice charset = content_charset(part);
	struct octet_range range = { part->body_start, part->body_end };
	bool is_last = false;
	enum err err = ERR_OK;

	if (range.end < range.start)
		return ERR_DAMAGED;
	struct charset_decoder *decoder = charset_decoder_new(charset);
	content_begin(&m->content, part, range);
	buffer_clear(&m->raw);
	buffer_clear(&m->window);
	while (m->left_to_find > 0 && !is_last) {
		struct slice text;
		if ((err = content_next(&m->content, m->source, &text, &m->spent)) != ERR_OK)
			break;
		is_last = text.len == 0 || m->content.is_over;
		if (decoder)
			look_at_shifting_piece(m, &decoder, text, is_last);
		else
			look_at_piece(m, charset, text, is_last);
	}
	charset_decoder_finish(&decoder, &m->utf8);
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
		m->found[i] = m->program->texts[i]->text.needle.folded.len == 0;
		m->left_to_find -= m->found[i];
	}
	if (m->left_to_find == 0)
		return ERR_OK;
	return look_at_part(m, m->root, ORIGIN_HEADER);
}
