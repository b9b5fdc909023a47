/* mail/charset.h - text that comes in pieces, in charsets that are not ASCII below 128.
 *
 * What else is decoded, is decoded at once: text_decode_charset(). Any thread; a decoder is one
 * thread's at a time. */
#pragma once

#include "base/buffer.h"

/* True for charsets whose characters are two or four octets, whether we read them or not: a LF octet
 * is no line end then. */
bool charset_is_wide(struct slice charset);

/* Keeps from piece to piece which way the text is shifted, what its byte order mark said, and the
 * beginning of a character. */
struct charset_decoder;
/* For charsets whose octets below 128 may be something else than ASCII: UTF-7, ISO-2022-JP and its
 * like, and the wide ones. NULL for others. */
struct charset_decoder *charset_decoder_new(struct slice charset);
/* Appends UTF-8, as text_decode_charset() does. */
void charset_decode(struct charset_decoder *decoder, struct slice octets, struct buffer *utf8);
/* Appends what was held back, frees the decoder, leaves NULL. Accepts NULL. */
void charset_decoder_finish(struct charset_decoder **decoder, struct buffer *utf8);
