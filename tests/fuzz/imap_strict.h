/* tests/fuzz/imap_strict.h - reads ENVELOPE, BODY and BODYSTRUCTURE as the strictest client
 * would: the rules of RFC 9051 section 9 to the letter, no octet more or less. For the fuzz
 * target that renders arbitrary messages and for the unit tests of the renderers. */
#pragma once

#include "base/cursor.h"
#include "mail/text.h"

struct strict {
	struct cursor at;
	bool utf8;     /* the client has enabled IMAP4rev2 */
	bool extended; /* BODYSTRUCTURE, not BODY */
};

static inline bool strict_quoted(struct strict *s, struct slice *text_out)
{
	if (!take_byte(&s->at, '"'))
		return false;
	const uint8_t *start = s->at.at;
	while (!at_end(&s->at) && *s->at.at != '"') {
		uint8_t c = *s->at.at++;
		if (c == '\0' || c == '\r' || c == '\n' || (c >= 0x80 && !s->utf8))
			return false;
		if (c == '\\' && !take_byte(&s->at, '"') && !take_byte(&s->at, '\\'))
			return false;
	}
	*text_out = slice_of(start, (size_t)(s->at.at - start));
	return take_byte(&s->at, '"') && (!s->utf8 || text_is_utf8(*text_out));
}

static inline bool strict_string(struct strict *s, struct slice *text_out)
{
	uint64_t size;
	if (next_is(&s->at, '"'))
		return strict_quoted(s, text_out);
	return take_byte(&s->at, '{') && take_number(&s->at, INT64_MAX, &size) &&
	       take_octets(&s->at, 3, text_out) && slice_eq(*text_out, SLICE("}\r\n")) &&
	       size <= cursor_left(&s->at) && take_octets(&s->at, (size_t)size, text_out) &&
	       slice_find_byte(*text_out, 0, '\0') == text_out->len;
}

static inline bool strict_nil(struct strict *s)
{
	struct slice word;
	if (cursor_left(&s->at) < 3 || memcmp(s->at.at, "NIL", 3) != 0)
		return false;
	return take_octets(&s->at, 3, &word);
}

static inline bool strict_nstring(struct strict *s)
{
	struct slice text;
	return strict_nil(s) || strict_string(s, &text);
}

static inline bool strict_space(struct strict *s)
{
	return take_byte(&s->at, ' ');
}

static inline bool strict_number(struct strict *s)
{
	uint64_t number;
	return take_number(&s->at, INT64_MAX, &number);
}

static inline bool strict_address(struct strict *s)
{
	return take_byte(&s->at, '(') && strict_nstring(s) && strict_space(s) &&
	       strict_nstring(s) && strict_space(s) && strict_nstring(s) && strict_space(s) &&
	       strict_nstring(s) && take_byte(&s->at, ')');
}

static inline bool strict_addresses(struct strict *s)
{
	if (strict_nil(s))
		return true;
	if (!take_byte(&s->at, '('))
		return false;
	do {
		if (!strict_address(s))
			return false;
	} while (!next_is(&s->at, ')'));
	return take_byte(&s->at, ')');
}

static inline bool strict_envelope(struct strict *s)
{
	if (!take_byte(&s->at, '(') || !strict_nstring(s) || !strict_space(s) || !strict_nstring(s))
		return false;
	for (int i = 0; i < 6; i++)
		if (!strict_space(s) || !strict_addresses(s))
			return false;
	return strict_space(s) && strict_nstring(s) && strict_space(s) && strict_nstring(s) &&
	       take_byte(&s->at, ')');
}

/* body-fld-param */
static inline bool strict_parameters(struct strict *s)
{
	struct slice text;
	if (strict_nil(s))
		return true;
	if (!take_byte(&s->at, '('))
		return false;
	do {
		if (!strict_string(s, &text) || !strict_space(s) || !strict_string(s, &text))
			return false;
	} while (strict_space(s));
	return take_byte(&s->at, ')');
}

/* body-fld-dsp SP body-fld-lang SP body-fld-loc */
static inline bool strict_extension(struct strict *s)
{
	struct slice text;
	if (!strict_nil(s) &&
	    (!take_byte(&s->at, '(') || !strict_string(s, &text) || !strict_space(s) ||
	     !strict_parameters(s) || !take_byte(&s->at, ')')))
		return false;
	if (!strict_space(s))
		return false;
	if (take_byte(&s->at, '(')) {
		do {
			if (!strict_string(s, &text))
				return false;
		} while (strict_space(s));
		if (!take_byte(&s->at, ')'))
			return false;
	} else if (!strict_nstring(s)) {
		return false;
	}
	return strict_space(s) && strict_nstring(s);
}

static inline bool strict_body(struct strict *s);

static inline bool strict_multipart(struct strict *s)
{
	struct slice subtype;
	while (next_is(&s->at, '('))
		if (!strict_body(s))
			return false;
	if (!strict_space(s) || !strict_string(s, &subtype))
		return false;
	return !s->extended ||
	       (strict_space(s) && strict_parameters(s) && strict_space(s) && strict_extension(s));
}

static inline bool strict_single(struct strict *s)
{
	struct slice type, subtype, encoding;
	if (!strict_string(s, &type) || !strict_space(s) || !strict_string(s, &subtype) ||
	    !strict_space(s) || !strict_parameters(s) || !strict_space(s) || !strict_nstring(s) ||
	    !strict_space(s) || !strict_nstring(s) || !strict_space(s) ||
	    !strict_string(s, &encoding) || !strict_space(s) || !strict_number(s))
		return false;
	if (slice_eq_nocase(type, SLICE("multipart")))
		return false;
	bool is_message = slice_eq_nocase(type, SLICE("message")) &&
			  (slice_eq_nocase(subtype, SLICE("rfc822")) ||
			   slice_eq_nocase(subtype, SLICE("global")));
	if (is_message &&
	    (!strict_space(s) || !strict_envelope(s) || !strict_space(s) || !strict_body(s)))
		return false;
	if ((is_message || slice_eq_nocase(type, SLICE("text"))) &&
	    (!strict_space(s) || !strict_number(s)))
		return false;
	return !s->extended ||
	       (strict_space(s) && strict_nstring(s) && strict_space(s) && strict_extension(s));
}

static inline bool strict_body(struct strict *s)
{
	if (!take_byte(&s->at, '('))
		return false;
	if (!(next_is(&s->at, '(') ? strict_multipart(s) : strict_single(s)))
		return false;
	return take_byte(&s->at, ')');
}

static inline bool strict_envelope_is_right(struct slice text, bool utf8)
{
	struct strict s = { cursor_of(text), utf8, false };
	return strict_envelope(&s) && at_end(&s.at);
}

static inline bool strict_body_is_right(struct slice text, bool utf8, bool extended)
{
	struct strict s = { cursor_of(text), utf8, extended };
	return strict_body(&s) && at_end(&s.at);
}
