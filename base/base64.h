/* base/base64.h - RFC 4648 section 4, for SASL, for MIME bodies, and for the store, which keeps
 * such bodies decoded. */
#pragma once

#include "base/buffer.h"

void base64_encode(struct slice octets, struct buffer *text);
/* As lines of `line_octets`, a multiple of 4, each with CRLF behind it; `octets` fills them all. */
void base64_encode_lines(struct slice octets, size_t line_octets, struct buffer *text);
/* Strict: only the alphabet, whole quartets, padding only at the end, no white space
 * (RFC 4954 section 4 and RFC 9051 section 6.2.2 want nothing else). False: nothing added. */
bool base64_decode(struct slice text, struct buffer *octets);

/* Lenient and in pieces, as RFC 2045 section 6.8 asks for bodies: what is not of the
 * alphabet is skipped. Zero-initialise. */
struct base64_stream {
	uint32_t bits;
	uint8_t count; /* sextets held in `bits` */
};
void base64_stream_decode(struct base64_stream *stream, struct slice text, struct buffer *octets);
