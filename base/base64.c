/* base/base64.c - RFC 4648 section 4. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct slice octets, struct buffer *text)
{
	uint8_t *at = buffer_reserve(text, (octets.len + 2) / 3 * 4);
	size_t i = 0;
	for (; i + 2 < octets.len; i += 3) {
		uint32_t bits = (uint32_t)octets.ptr[i] << 16 | (uint32_t)octets.ptr[i + 1] << 8 |
				octets.ptr[i + 2];
		*at++ = (uint8_t)alphabet[bits >> 18];
		*at++ = (uint8_t)alphabet[bits >> 12 & 63];
		*at++ = (uint8_t)alphabet[bits >> 6 & 63];
		*at++ = (uint8_t)alphabet[bits & 63];
	}
	if (i < octets.len) {
		bool two = i + 1 < octets.len;
		uint32_t bits = (uint32_t)octets.ptr[i] << 16 |
				(two ? (uint32_t)octets.ptr[i + 1] << 8 : 0);
		*at++ = (uint8_t)alphabet[bits >> 18];
		*at++ = (uint8_t)alphabet[bits >> 12 & 63];
		*at++ = two ? (uint8_t)alphabet[bits >> 6 & 63] : '=';
		*at++ = '=';
	}
	text->len = (size_t)(at - text->data);
}

static int sextet(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct slice text, struct buffer *octets)
{
	if (text.len % 4 != 0)
		return false;
	size_t padding = 0;
	while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.len - padding; i++)
		if (sextet(text.ptr[i]) < 0)
			return false;
	/* The bits that padding leaves over are zero: one text for one secret. */
	if (padding == 1 && (sextet(text.ptr[text.len - 2]) & 3) != 0)
		return false;
	if (padding == 2 && (sextet(text.ptr[text.len - 3]) & 15) != 0)
		return false;
	struct base64_stream stream = { 0 };
	base64_stream_decode(&stream, text, octets);
	return true;
}

void base64_stream_decode(struct base64_stream *stream, struct slice text, struct buffer *octets)
{
	if (text.len == 0)
		return;
	uint8_t *at = buffer_reserve(octets, text.len / 4 * 3 + 3);
	for (size_t i = 0; i < text.len; i++) {
		int value = sextet(text.ptr[i]);
		if (text.ptr[i] == '=') {
			/* Padding ends a run; a new one may follow where encoders concatenated. */
			stream->count = 0;
			stream->bits = 0;
			continue;
		}
		if (value < 0)
			continue;
		stream->bits = stream->bits << 6 | (uint32_t)value;
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
