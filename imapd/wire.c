/* imapd/wire.c - strings on their way to the client: quoted, literal, NIL, atom.
 *
 * RFC 9051 section 4.3 (strings), section 9 (string, nstring, astring, QUOTED-CHAR, CHAR8);
 * RFC 3501 section 9 for clients that have not enabled IMAP4rev2. Runs in both. */
#include "imapd/wire_priv.h"

#include "mail/text.h"

enum string_form { FORM_ATOM, FORM_QUOTED, FORM_UTF8, FORM_LITERAL };

/* What an octet asks of the string that holds it; the string takes the greatest. */
static enum string_form octet_form(uint8_t c)
{
	if (c >= 0x80)
		return FORM_UTF8;
	if (c == '\0' || c == '\r' || c == '\n')
		return FORM_LITERAL;
	if (c <= ' ' || c == 0x7f || strchr("(){%*\"\\", c))
		return FORM_QUOTED;
	return FORM_ATOM;
}

static enum string_form string_form(struct slice s, bool utf8)
{
	enum string_form form = FORM_ATOM;
	if (s.len > WIRE_QUOTED_MAX_OCTETS)
		return FORM_LITERAL;
	for (size_t i = 0; i < s.len && form != FORM_LITERAL; i++) {
		enum string_form one = octet_form(s.ptr[i]);
		if (one > form)
			form = one;
	}
	if (form == FORM_UTF8)
		form = utf8 && text_is_utf8(s) ? FORM_QUOTED : FORM_LITERAL;
	return form;
}

static void put_quoted(struct buffer *out, struct slice s)
{
	uint8_t *start = buffer_reserve(out, 2 * s.len + 2), *at = start;
	*at++ = '"';
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			*at++ = '\\';
		*at++ = s.ptr[i];
	}
	*at++ = '"';
	out->len += (size_t)(at - start);
}

static void put_literal(struct buffer *out, struct slice s)
{
	wire_literal_begin(out, s.len);
	size_t from = out->len;
	buffer_add(out, s);
	wire_mask_nuls(out, from);
}

void wire_literal_begin(struct buffer *out, uint64_t size_octets)
{
	buffer_add_byte(out, '{');
	buffer_add_u64(out, size_octets);
	buffer_add(out, SLICE("}\r\n"));
}

void wire_mask_nuls(struct buffer *out, size_t from)
{
	while (from < out->len) {
		uint8_t *nul = memchr(out->data + from, '\0', out->len - from);
		if (!nul)
			return;
		*nul = WIRE_NUL;
		from = (size_t)(nul - out->data) + 1;
	}
}

void wire_string(struct buffer *out, struct slice s, bool utf8)
{
	if (string_form(s, utf8) == FORM_LITERAL)
		put_literal(out, s);
	else
		put_quoted(out, s);
}

void wire_nstring(struct buffer *out, struct slice s, bool utf8)
{
	if (s.ptr)
		wire_string(out, s, utf8);
	else
		buffer_add(out, SLICE("NIL"));
}

void wire_astring(struct buffer *out, struct slice s, bool utf8)
{
	if (s.len && string_form(s, utf8) == FORM_ATOM && !slice_eq_nocase(s, SLICE("NIL")))
		buffer_add(out, s);
	else
		wire_string(out, s, utf8);
}
