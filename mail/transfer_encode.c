/* mail/transfer_encode.c - Content-Transfer-Encoding applied, in pieces: quoted-printable and base64
 * (RFC 2045 sections 6.7 and 6.8). What undoes it is mail/transfer.c. Runs in the back. */
#include "base/base64.h"
#include "mail/text.h"

enum {
	LINE_MAX_OCTETS = 76,
	BLOCK_OCTETS = 4096,
	/* Of one octet at most: a soft break, then "=" and two digits. */
	QUOTED_OCTETS = 6,
};

/* ---- quoted-printable ---- */

/* Octets that may stand for themselves. */
static bool is_plain(uint8_t c)
{
	return (c > ' ' && c < 0x7f && c != '=') || c == ' ' || c == '\t';
}

/* One octet, behind a soft break where the line has no room for it. A line does not begin with "-",
 * as a delimiter would. */
static uint8_t *add_octet(struct transfer_encoder *e, uint8_t c, bool as_it_is, uint8_t *at)
{
	static const char digits[] = "0123456789ABCDEF";
	enum { ROOM_OCTETS = LINE_MAX_OCTETS - 1 }; /* the last is the soft break's */
	if (c == '-' && (e->column == 0 || e->column == ROOM_OCTETS))
		as_it_is = false;
	size_t len = as_it_is ? 1 : 3;
	if (e->column + len > ROOM_OCTETS) {
		*at++ = '=';
		*at++ = '\r';
		*at++ = '\n';
		e->column = 0;
	}
	e->column += len;
	if (as_it_is) {
		*at++ = c;
	} else {
		*at++ = '=';
		*at++ = (uint8_t)digits[c >> 4];
		*at++ = (uint8_t)digits[c & 15];
	}
	return at;
}

/* The blank that was held back; at the end of a line it may not stand for itself (rule 3). */
static uint8_t *add_blank(struct transfer_encoder *e, bool at_line_end, uint8_t *at)
{
	uint8_t blank = e->blank;
	e->blank = 0;
	return blank ? add_octet(e, blank, !at_line_end, at) : at;
}

static uint8_t *take_octet(struct transfer_encoder *e, uint8_t c, uint8_t *at)
{
	if (e->has_return) {
		e->has_return = false;
		at = add_blank(e, c == '\n', at);
		if (c == '\n') {
			*at++ = '\r';
			*at++ = '\n';
			e->column = 0;
			return at;
		}
		at = add_octet(e, '\r', false, at);
	}
	if (c == '\r') {
		e->has_return = true;
		return at;
	}
	at = add_blank(e, false, at);
	if (c == ' ' || c == '\t') {
		e->blank = c;
		return at;
	}
	return add_octet(e, c, is_plain(c), at);
}

static void encode_quoted(struct transfer_encoder *e, struct slice octets, struct buffer *encoded)
{
	for (size_t from = 0; from < octets.len; from += BLOCK_OCTETS) {
		struct slice block = slice_sub(octets, from, BLOCK_OCTETS);
		/* Two octets may have been held back. */
		uint8_t *at = buffer_reserve(encoded, (block.len + 2) * QUOTED_OCTETS);
		for (size_t i = 0; i < block.len; i++)
			at = take_octet(e, block.ptr[i], at);
		encoded->len = (size_t)(at - encoded->data);
	}
}

static void finish_quoted(struct transfer_encoder *e, bool ends_line, struct buffer *encoded)
{
	uint8_t *at = buffer_reserve(encoded, 3 * QUOTED_OCTETS);
	bool has_return = e->has_return;
	at = add_blank(e, !has_return, at);
	if (has_return)
		at = add_octet(e, '\r', false, at);
	e->has_return = false;
	if (ends_line && e->column > 0) {
		*at++ = '=';
		*at++ = '\r';
		*at++ = '\n';
		e->column = 0;
	}
	encoded->len = (size_t)(at - encoded->data);
}

/* ---- base64 ---- */

static void add_group(struct slice group, struct buffer *encoded)
{
	base64_encode(group, encoded);
	buffer_add(encoded, SLICE("\r\n"));
}

static void encode_base64(struct transfer_encoder *e, struct slice octets, struct buffer *encoded)
{
	if (e->group_len > 0) {
		struct slice more = slice_sub(octets, 0, ENCODED_GROUP_OCTETS - e->group_len);
		if (more.len > 0)
			memcpy(e->group + e->group_len, more.ptr, more.len);
		e->group_len += more.len;
		octets = slice_sub(octets, more.len, octets.len);
		if (e->group_len < ENCODED_GROUP_OCTETS)
			return;
		add_group(slice_of(e->group, e->group_len), encoded);
	}
	struct slice whole = slice_sub(octets, 0, octets.len - octets.len % ENCODED_GROUP_OCTETS);
	base64_encode_lines(whole, LINE_MAX_OCTETS, encoded);
	octets = slice_sub(octets, whole.len, octets.len);
	e->group_len = octets.len;
	if (octets.len > 0)
		memcpy(e->group, octets.ptr, octets.len);
}

/* ---- from outside ---- */

void transfer_encode(struct transfer_encoder *encoder, struct slice octets, struct buffer *encoded)
{
	if (octets.len == 0)
		return;
	if (encoder->encoding == ENCODING_BASE64)
		encode_base64(encoder, octets, encoded);
	else
		encode_quoted(encoder, octets, encoded);
}

void transfer_encoder_finish(struct transfer_encoder *encoder, bool ends_line,
			     struct buffer *encoded)
{
	if (encoder->encoding == ENCODING_QUOTED_PRINTABLE)
		finish_quoted(encoder, ends_line, encoded);
	else if (encoder->group_len > 0)
		add_group(slice_of(encoder->group, encoder->group_len), encoded);
	encoder->group_len = 0;
}
