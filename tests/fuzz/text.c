/* tests/fuzz/text.c - whatever comes in, UTF-8 comes out, alike for all cuts.
 *
 * The first octet picks the charset and where the transfer encoding is cut. */
#include <assert.h>

#include "base/attributes.h"
#include "mail/charset.h"
#include "mail/html.h"
#include "mail/subject.h"
#include "mail/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *charsets[] = {
	"us-ascii", "utf-8",	 "utf-16",	"utf-16le",    "utf-7",		  "iso-8859-1",
	"koi8-r",   "shift_jis", "iso-2022-jp", "iso-2022-kr", "euc-jp",	  "euc-kr",
	"gb18030",  "big5",	 "macintosh",	"tis-620",     "no-such-charset", "iso-8859-8",
};

static void try_names(struct slice text)
{
	struct buffer utf8 = { 0 }, again = { 0 };
	if (mutf7_decode(text, &utf8)) {
		assert(text_is_utf8(buffer_slice(&utf8)));
		assert(mutf7_encode(buffer_slice(&utf8), &again));
		assert(slice_eq(buffer_slice(&again), text));
	} else {
		assert(utf8.len == 0);
	}
	buffer_clear(&utf8);
	buffer_clear(&again);
	bool encoded = mutf7_encode(text, &again);
	assert(encoded == text_is_utf8(text));
	if (encoded) {
		assert(mutf7_decode(buffer_slice(&again), &utf8));
		assert(slice_eq(buffer_slice(&utf8), text));
	}
	buffer_free(&utf8);
	buffer_free(&again);
}

static void try_transfer(struct slice text, enum transfer_encoding encoding, size_t piece_len)
{
	struct buffer whole = { 0 }, pieces = { 0 };
	struct transfer_decoder *decoder = transfer_decoder_new(encoding);
	transfer_decode(decoder, text, &whole);
	transfer_decoder_finish(&decoder, &whole);
	decoder = transfer_decoder_new(encoding);
	for (size_t at = 0; at < text.len; at += piece_len)
		transfer_decode(decoder, slice_sub(text, at, piece_len), &pieces);
	transfer_decoder_finish(&decoder, &pieces);
	assert(slice_eq(buffer_slice(&whole), buffer_slice(&pieces)));
	assert(whole.len <= text.len);
	buffer_free(&whole);
	buffer_free(&pieces);
}

static void try_pieces(struct slice charset, struct slice text, size_t piece_len,
		       struct slice whole)
{
	struct buffer pieces = { 0 };
	struct charset_decoder *decoder = charset_decoder_new(charset);
	if (!decoder)
		return;
	for (size_t at = 0; at < text.len; at += piece_len)
		charset_decode(decoder, slice_sub(text, at, piece_len), &pieces);
	charset_decoder_finish(&decoder, &pieces);
	assert(slice_eq(buffer_slice(&pieces), whole));
	buffer_free(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer utf8 = { 0 }, folded = { 0 };
	if (size == 0)
		return 0;
	struct slice text = slice_of(data + 1, size - 1);
	struct slice charset = slice_cstr(charsets[data[0] % ARRAY_LEN(charsets)]);
	size_t piece_len = 1 + data[0] % 13;
	text_decode_charset(charset, text, &utf8);
	assert(text_is_utf8(buffer_slice(&utf8)));
	try_pieces(charset, text, piece_len, buffer_slice(&utf8));
	text_fold(buffer_slice(&utf8), &folded);
	assert(text_is_utf8(buffer_slice(&folded)));
	buffer_clear(&utf8);
	buffer_clear(&folded);
	text_decode_header(text, &utf8);
	assert(text_is_utf8(buffer_slice(&utf8)));
	text_fold(text, &folded);
	assert(text_is_utf8(buffer_slice(&folded)));
	buffer_clear(&folded);
	text_casemap(text, &folded);
	assert(text_is_utf8(buffer_slice(&folded)));
	buffer_clear(&folded);
	subject_base(text, &folded);
	assert(text_is_utf8(buffer_slice(&folded)));
	buffer_clear(&folded);
	text_from_html(buffer_slice(&utf8), &folded);
	assert(text_is_utf8(buffer_slice(&folded)));
	try_names(text);
	try_transfer(text, ENCODING_BASE64, piece_len);
	try_transfer(text, ENCODING_QUOTED_PRINTABLE, piece_len);
	buffer_free(&utf8);
	buffer_free(&folded);
	return 0;
}
