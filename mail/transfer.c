/* mail/transfer.c - Content-Transfer-Encoding undone, in pieces.
 *
 * RFC 2045 sections 6.7 (quoted-printable) and 6.8 (base64). Broken encodings give what can be
 * had: an "=" that starts nothing stands for itself. Leaves out uuencode and the like, which
 * are no MIME. Runs in both. */
#include <stdlib.h>

#include "base/base64.h"
#include "base/heap.h"
#include "base/hex.h"
#include "mail/text.h"

/* Blanks at the end of a line were added on the way (section 6.7 rule 3). So many are held
 * back until it is known what follows; more are taken as text. */
enum { MAX_BLANKS = 1024 };

enum quoted_state {
	QUOTED_TEXT,
	QUOTED_EQUALS,	    /* behind "=" */
	QUOTED_DIGIT,	    /* behind "=" and a hexadecimal digit */
	QUOTED_SOFT_BLANKS, /* behind "=" and blanks: a soft line break if the line ends */
	QUOTED_SOFT_RETURN, /* behind "=", blanks, CR */
	QUOTED_TEXT_RETURN, /* behind CR, blanks before it held back */
};

struct transfer_decoder {
	enum transfer_encoding encoding;
	struct base64_stream base64;
	enum quoted_state state;
	uint8_t digit;	      /* the first of two */
	struct buffer blanks; /* held back, at most MAX_BLANKS */
};

enum transfer_encoding transfer_encoding_of(struct slice encoding)
{
	if (slice_eq_nocase(encoding, SLICE("base64")))
		return ENCODING_BASE64;
	if (slice_eq_nocase(encoding, SLICE("quoted-printable")))
		return ENCODING_QUOTED_PRINTABLE;
	return ENCODING_IDENTITY;
}

struct transfer_decoder *transfer_decoder_new(enum transfer_encoding encoding)
{
	struct transfer_decoder *decoder = heap_alloc(sizeof(*decoder));
	decoder->encoding = encoding;
	return decoder;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void release_blanks(struct transfer_decoder *d, struct buffer *octets)
{
	buffer_add(octets, buffer_slice(&d->blanks));
	buffer_clear(&d->blanks);
}

static void hold_blank(struct transfer_decoder *d, uint8_t c, struct buffer *octets)
{
	if (d->blanks.len == MAX_BLANKS)
		release_blanks(d, octets);
	buffer_add_byte(&d->blanks, c);
}

/* One octet where no "=" is open. */
static enum quoted_state take_text(struct transfer_decoder *d, uint8_t c, struct buffer *octets)
{
	if (is_blank(c)) {
		hold_blank(d, c, octets);
		return QUOTED_TEXT;
	}
	if (c == '\r')
		return QUOTED_TEXT_RETURN;
	if (c == '\n')
		buffer_clear(&d->blanks);
	else
		release_blanks(d, octets);
	if (c == '=')
		return QUOTED_EQUALS;
	buffer_add_byte(octets, c);
	return QUOTED_TEXT;
}

/* One octet behind "=" that is no digit, or behind blanks after it: a soft line break may end. */
static enum quoted_state take_soft_break(struct transfer_decoder *d, uint8_t c,
					 struct buffer *octets)
{
	if (is_blank(c) && d->blanks.len < MAX_BLANKS) {
		hold_blank(d, c, octets);
		return QUOTED_SOFT_BLANKS;
	}
	if (c == '\r')
		return QUOTED_SOFT_RETURN;
	if (c == '\n') {
		buffer_clear(&d->blanks);
		return QUOTED_TEXT;
	}
	buffer_add_byte(octets, '=');
	release_blanks(d, octets);
	return take_text(d, c, octets);
}

static enum quoted_state take_quoted(struct transfer_decoder *d, uint8_t c, struct buffer *octets)
{
	switch (d->state) {
	case QUOTED_TEXT: break;
	case QUOTED_TEXT_RETURN:
		if (c == '\n')
			buffer_clear(&d->blanks);
		else
			release_blanks(d, octets);
		buffer_add_byte(octets, '\r');
		break;
	case QUOTED_EQUALS:
		if (hex_value(c) >= 0) {
			d->digit = c;
			return QUOTED_DIGIT;
		}
		return take_soft_break(d, c, octets);
	case QUOTED_SOFT_BLANKS: return take_soft_break(d, c, octets);
	case QUOTED_SOFT_RETURN:
		if (c == '\n') {
			buffer_clear(&d->blanks);
			return QUOTED_TEXT;
		}
		buffer_add_byte(octets, '=');
		release_blanks(d, octets);
		buffer_add_byte(octets, '\r');
		break;
	case QUOTED_DIGIT:
		if (hex_value(c) >= 0) {
			buffer_add_byte(octets, (uint8_t)(hex_value(d->digit) * 16 + hex_value(c)));
			return QUOTED_TEXT;
		}
		buffer_add_byte(octets, '=');
		buffer_add_byte(octets, d->digit);
		break;
	}
	return take_text(d, c, octets);
}

/* Octets that stand for themselves wherever they are. */
static bool is_plain(uint8_t c)
{
	return c > ' ' && c != '=';
}

static void decode_quoted(struct transfer_decoder *d, struct slice encoded, struct buffer *octets)
{
	for (size_t i = 0; i < encoded.len;) {
		size_t run = i;
		if (d->state == QUOTED_TEXT && d->blanks.len == 0)
			while (run < encoded.len && is_plain(encoded.ptr[run]))
				run++;
		if (run > i) {
			buffer_add(octets, slice_sub(encoded, i, run - i));
			i = run;
			continue;
		}
		d->state = take_quoted(d, encoded.ptr[i++], octets);
	}
}

void transfer_decode(struct transfer_decoder *d, struct slice encoded, struct buffer *octets)
{
	switch (d->encoding) {
	case ENCODING_IDENTITY: buffer_add(octets, encoded); break;
	case ENCODING_BASE64: base64_stream_decode(&d->base64, encoded, octets); break;
	case ENCODING_QUOTED_PRINTABLE: decode_quoted(d, encoded, octets); break;
	}
}

void transfer_decoder_finish(struct transfer_decoder **decoder, struct buffer *octets)
{
	struct transfer_decoder *d = *decoder;
	if (!d)
		return;
	/* The end is also the end of a line. */
	if (d->state == QUOTED_DIGIT) {
		buffer_add_byte(octets, '=');
		buffer_add_byte(octets, d->digit);
	} else if (d->state == QUOTED_TEXT_RETURN) {
		release_blanks(d, octets);
		buffer_add_byte(octets, '\r');
	}
	buffer_free(&d->blanks);
	free(d);
	*decoder = NULL;
}
