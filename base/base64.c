/* base/base64.c - RFC 4648 section 4. Runs in both. */
#include "base/base64.h"

#include <assert.h>

#include "base/base64_priv.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- encoding ---- */

static uint8_t *encode_groups(const uint8_t *octets, size_t groups, uint8_t *text)
{
	for (size_t i = 0; i < groups; i++, octets += 3, text += 4) {
		uint32_t bits = (uint32_t)octets[0] << 16 | (uint32_t)octets[1] << 8 | octets[2];
		text[0] = (uint8_t)alphabet[bits >> 18];
		text[1] = (uint8_t)alphabet[bits >> 12 & 63];
		text[2] = (uint8_t)alphabet[bits >> 6 & 63];
		text[3] = (uint8_t)alphabet[bits & 63];
	}
	return text;
}

void base64_encode(struct slice octets, struct buffer *text)
{
	if (octets.len == 0)
		return;
	const uint8_t *end = octets.ptr + octets.len;
	size_t groups = octets.len / 3, rest = octets.len % 3;
	uint8_t *at = buffer_reserve(text, (groups + 1) * 4);
	at = encode_groups(octets.ptr, groups, at);
	if (rest > 0) {
		uint32_t bits = (uint32_t)end[-(ptrdiff_t)rest] << 16 |
				(rest == 2 ? (uint32_t)end[-1] << 8 : 0);
		*at++ = (uint8_t)alphabet[bits >> 18];
		*at++ = (uint8_t)alphabet[bits >> 12 & 63];
		*at++ = rest == 2 ? (uint8_t)alphabet[bits >> 6 & 63] : '=';
		*at++ = '=';
	}
	text->len = (size_t)(at - text->data);
}

void base64_encode_lines(struct slice octets, size_t line_octets, struct buffer *text)
{
	size_t groups = line_octets / 4;
	assert(groups > 0 && line_octets % 4 == 0 && octets.len % (groups * 3) == 0);
	size_t lines = octets.len / (groups * 3);
	if (lines == 0)
		return;
	uint8_t *at = buffer_reserve(text, lines * (line_octets + 2));
	size_t done = base64_encode_lines_wide(octets.ptr, lines, groups, octets.len, at);
	at += done * (line_octets + 2);
	for (; done < lines; done++) {
		at = encode_groups(octets.ptr + done * groups * 3, groups, at);
		*at++ = '\r';
		*at++ = '\n';
	}
	text->len = (size_t)(at - text->data);
}

/* ---- decoding ---- */

enum { LETTER = 64, SEXTET = 63 };

/* A letter's sextet and LETTER; 0 for what is none. */
/* clang-format off */
static const uint8_t letters[256] = {
	['A'] = 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84,
		85, 86, 87, 88, 89,
	['a'] = 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108,
		109, 110, 111, 112, 113, 114, 115,
	['0'] = 116, 117, 118, 119, 120, 121, 122, 123, 124, 125,
	['+'] = 126,
	['/'] = 127,
};
/* clang-format on */

/* Of `text`, up to the first quartet that is not four letters; returns how many octets of it. There
 * is room for three quarters as many. */
static size_t decode_quartets(struct slice text, uint8_t *octets)
{
	const uint8_t *at = text.ptr, *end = text.ptr + text.len / 4 * 4;
	for (; at < end; at += 4, octets += 3) {
		uint32_t a = letters[at[0]], b = letters[at[1]], c = letters[at[2]],
			 d = letters[at[3]];
		if (!(a & b & c & d & LETTER))
			break;
		uint32_t bits =
			(a & SEXTET) << 18 | (b & SEXTET) << 12 | (c & SEXTET) << 6 | (d & SEXTET);
		octets[0] = (uint8_t)(bits >> 16);
		octets[1] = (uint8_t)(bits >> 8);
		octets[2] = (uint8_t)bits;
	}
	return (size_t)(at - text.ptr);
}

/* The last quartet, which is padded; returns how many octets it holds, 0 where it is wrong. */
static size_t decode_padded(const uint8_t quartet[4], uint8_t octets[2])
{
	uint32_t a = letters[quartet[0]], b = letters[quartet[1]], c = letters[quartet[2]];
	bool is_one = quartet[2] == '=';
	if (!(a & b & LETTER) || (!is_one && !(c & LETTER)) || quartet[3] != '=')
		return 0;
	/* The bits that padding leaves over are zero: one text for one secret. */
	if ((is_one && (b & 15) != 0) || (!is_one && (c & 3) != 0))
		return 0;
	octets[0] = (uint8_t)(a << 2 | (b & SEXTET) >> 4);
	if (!is_one)
		octets[1] = (uint8_t)(b << 4 | (c & SEXTET) >> 2);
	return is_one ? 1 : 2;
}

bool base64_decode(struct slice text, struct buffer *octets)
{
	if (text.len % 4 != 0)
		return false;
	if (text.len == 0)
		return true;
	uint8_t *at = buffer_reserve(octets, text.len / 4 * 3);
	size_t taken = decode_quartets(text, at), padded = 0;
	if (text.len - taken > 4)
		return false;
	if (taken < text.len && (padded = decode_padded(text.ptr + taken, at + taken / 4 * 3)) == 0)
		return false;
	octets->len += taken / 4 * 3 + padded;
	return true;
}

void base64_stream_decode(struct base64_stream *stream, struct slice text, struct buffer *octets)
{
	if (text.len == 0)
		return;
	uint8_t *at = buffer_reserve(octets, text.len / 4 * 3 + 3);
	for (size_t i = 0; i < text.len; i++) {
		if (stream->count == 0) {
			size_t taken = decode_quartets(slice_sub(text, i, text.len), at);
			at += taken / 4 * 3;
			i += taken;
			if (i == text.len)
				break;
		}
		uint8_t letter = letters[text.ptr[i]];
		if (text.ptr[i] == '=') {
			/* Padding ends a run; a new one may follow where encoders concatenated. */
			stream->count = 0;
			stream->bits = 0;
			continue;
		}
		if (!letter)
			continue;
		stream->bits = stream->bits << 6 | (letter & SEXTET);
		stream->count = (uint8_t)((stream->count + 1) & 3);
		/* Each sextet but a quartet's first completes one octet. */
		switch (stream->count) {
		case 2: *at++ = (uint8_t)(stream->bits >> 4); break;
		case 3: *at++ = (uint8_t)(stream->bits >> 2); break;
		case 0: *at++ = (uint8_t)stream->bits; break;
		default: break;
		}
	}
	octets->len = (size_t)(at - octets->data);
}
