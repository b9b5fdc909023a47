/* mail/text.h - decoding what mail says into UTF-8, and folding it for comparison.
 *
 * Nothing here fails: octets that make no sense in their charset become U+FFFD, an unknown
 * charset is taken as US-ASCII with its other octets so replaced. Any thread. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"

/* Appends `octets`, which are in `charset`, as UTF-8. The charsets are those of charset.c's
 * table, by any of their names in either case: what mail is written in. */
void text_decode_charset(struct slice charset, struct slice octets, struct buffer *utf8);
/* True for charsets that text_decode_charset() knows: SEARCH answers BADCHARSET otherwise. */
bool text_charset_is_known(struct slice charset);
/* Appends a header value with its encoded words decoded (RFC 2047) and folding removed. Octets
 * outside of encoded words are taken as UTF-8 (RFC 6532). */
void text_decode_header(struct slice value, struct buffer *utf8);
/* Whether that would only trim it: ASCII on one line, without encoded words. False where that is
 * not seen at a glance. */
bool text_header_is_plain(struct slice value);
/* Appends the text with case folded and each character decomposed, for substring matching: what
 * i;unicode-casemap (RFC 5051) finds, and the full case folding of Unicode besides, by which
 * "STRASSE" is in "Straße". A character becomes the same whatever stands beside it, so text may be
 * folded in pieces. Invalid UTF-8 becomes U+FFFD. */
void text_fold(struct slice utf8, struct buffer *folded);
/* Appends the text as i;unicode-casemap orders it, octet by octet (RFC 5051 section 2). */
void text_casemap(struct slice utf8, struct buffer *mapped);
/* Normalisation form C: a letter and its accent are one character where Unicode has one. What is no UTF-8,
 * or has more than 30 marks on one letter, stays as it is, and counts as not composed. Points into `utf8`
 * where that is ASCII. */
struct slice text_compose(struct slice utf8, struct arena *arena);
bool text_is_composed(struct slice utf8);
/* How many octets at the start of `s` are below 128. */
size_t text_ascii_len(struct slice s);
bool text_is_ascii(struct slice s);
bool text_is_utf8(struct slice s);
/* Octets of the character that `s` starts with: 1 to 4; 0 where it is empty, cut off or not
 * UTF-8 (RFC 3629: the shortest form, no surrogates, up to U+10FFFF). */
size_t text_utf8_len(struct slice s);

/* Content-Transfer-Encoding (RFC 2045 section 6), in pieces. */
enum transfer_encoding { ENCODING_IDENTITY, ENCODING_BASE64, ENCODING_QUOTED_PRINTABLE };
enum transfer_encoding transfer_encoding_of(struct slice encoding);
struct transfer_decoder;
struct transfer_decoder *transfer_decoder_new(enum transfer_encoding encoding);
void transfer_decode(struct transfer_decoder *decoder, struct slice encoded, struct buffer *octets);
/* Appends what was held back, frees the decoder, leaves NULL. Accepts NULL. */
void transfer_decoder_finish(struct transfer_decoder **decoder, struct buffer *octets);
/* And applied, in pieces. CRLF stays a line end in quoted-printable, which is the canonical form of a
 * text; a CR or LF alone is encoded like any other octet. No line that comes out is longer than 76
 * octets or begins with "--", so none is the delimiter of a multipart (RFC 2046 section 5.1.1).
 * Zero-initialise, but for `encoding`, which is not ENCODING_IDENTITY. */
enum { ENCODED_GROUP_OCTETS = 57 }; /* what a line of base64 holds */
struct transfer_encoder {
	enum transfer_encoding encoding;
	size_t column;	 /* quoted-printable: octets of the line so far */
	uint8_t blank;	 /* held back, since it is encoded at the end of a line; 0: none */
	bool has_return; /* held back: a CR, behind the blank */
	uint8_t group[ENCODED_GROUP_OCTETS]; /* base64: held back */
	size_t group_len;
};
void transfer_encode(struct transfer_encoder *encoder, struct slice octets, struct buffer *encoded);
/* Appends what was held back. Base64 ends with a line end; quoted-printable does if `ends_line`, by a
 * soft break where the text has none. */
void transfer_encoder_finish(struct transfer_encoder *encoder, bool ends_line,
			     struct buffer *encoded);

/* Mailbox names: modified UTF-7 (RFC 3501 section 5.1.3) to UTF-8 and back. Strict: false, and
 * nothing appended, for what is not a canonical encoding, or not UTF-8. */
bool mutf7_decode(struct slice name, struct buffer *utf8);
bool mutf7_encode(struct slice utf8, struct buffer *name);
/* Opens the converters of the usual charsets before the sandbox shuts: glibc loads them from
 * files at first use. Call once per process at start. */
void text_prepare_sandbox(void);
