/* tests/unit/mail/transfer.c - transfer encodings undone, whole and in pieces. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/text.h"

static const struct {
	enum transfer_encoding encoding;
	const char *encoded, *octets;
} cases[] = {
	{ ENCODING_IDENTITY, "a=3D b \r\n", "a=3D b \r\n" },
	{ ENCODING_BASE64, "SGVs\r\nbG8=\r\n", "Hello" },
	{ ENCODING_BASE64, "SG Vs*bG8", "Hello" },
	{ ENCODING_BASE64, "", "" },
	/* RFC 2045 section 6.7 */
	{ ENCODING_QUOTED_PRINTABLE,
	  "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
	  "Now's the time for all folk to come to the aid of their country." },
	{ ENCODING_QUOTED_PRINTABLE, "a=3D=3db=C3=a4", "a==b\xc3\xa4" },
	{ ENCODING_QUOTED_PRINTABLE, "a  \t\r\nb \r\n", "a\r\nb\r\n" },
	{ ENCODING_QUOTED_PRINTABLE, "a \nb", "a\nb" },
	{ ENCODING_QUOTED_PRINTABLE, "a=20\r\nb", "a \r\nb" },
	{ ENCODING_QUOTED_PRINTABLE, "a= \t \r\nb", "ab" },
	{ ENCODING_QUOTED_PRINTABLE, "a=\nb", "ab" },
	{ ENCODING_QUOTED_PRINTABLE, "a b\tc", "a b\tc" },
	{ ENCODING_QUOTED_PRINTABLE, "a \rb", "a \rb" },
	{ ENCODING_QUOTED_PRINTABLE, "a\r\r\nb", "a\r\r\nb" },
	{ ENCODING_QUOTED_PRINTABLE, "a=", "a" },
	{ ENCODING_QUOTED_PRINTABLE, "a=\r\n", "a" },
	{ ENCODING_QUOTED_PRINTABLE, "a=4", "a=4" },
	{ ENCODING_QUOTED_PRINTABLE, "a=4x=x4= z==41=\rq", "a=4x=x4= z=A=\rq" },
	{ ENCODING_QUOTED_PRINTABLE, "end  ", "end" },
	{ ENCODING_QUOTED_PRINTABLE, "", "" },
};

static void decode_in_pieces(size_t row, size_t piece_len)
{
	struct slice encoded = slice_cstr(cases[row].encoded);
	struct transfer_decoder *decoder = transfer_decoder_new(cases[row].encoding);
	struct buffer octets = { 0 };
	for (size_t at = 0; at < encoded.len; at += piece_len)
		transfer_decode(decoder, slice_sub(encoded, at, piece_len), &octets);
	transfer_decoder_finish(&decoder, &octets);
	assert_null(decoder);
	if (!slice_eq(buffer_slice(&octets), slice_cstr(cases[row].octets)))
		fail_msg("\"%s\" by %zu: got \"%.*s\"", cases[row].encoded, piece_len,
			 SLICE_ARG(buffer_slice(&octets)));
	buffer_free(&octets);
}

static void decodes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t piece_len = 1; piece_len < 9; piece_len++)
			decode_in_pieces(i, piece_len == 8 ? 1000 : piece_len);
}

static void blanks_are_not_hoarded(void **state)
{
	struct transfer_decoder *decoder = transfer_decoder_new(ENCODING_QUOTED_PRINTABLE);
	struct buffer octets = { 0 };
	for (size_t i = 0; i < 100000; i++)
		transfer_decode(decoder, SLICE(" "), &octets);
	assert_true(octets.len > 90000);
	transfer_decode(decoder, SLICE("x"), &octets);
	assert_int_equal(octets.len, 100001);
	transfer_decoder_finish(&decoder, &octets);
	transfer_decoder_finish(&decoder, &octets);
	/* Behind "=" too: so many are no soft line break. */
	buffer_clear(&octets);
	decoder = transfer_decoder_new(ENCODING_QUOTED_PRINTABLE);
	transfer_decode(decoder, SLICE("="), &octets);
	for (size_t i = 0; i < 100000; i++)
		transfer_decode(decoder, SLICE(" "), &octets);
	assert_int_equal(octets.data[0], '=');
	transfer_decode(decoder, SLICE("x"), &octets);
	assert_int_equal(octets.len, 100002);
	transfer_decoder_finish(&decoder, &octets);
	buffer_free(&octets);
}

static void names_of_encodings(void **state)
{
	assert_int_equal(transfer_encoding_of(SLICE("BASE64")), ENCODING_BASE64);
	assert_int_equal(transfer_encoding_of(SLICE("Quoted-Printable")),
			 ENCODING_QUOTED_PRINTABLE);
	assert_int_equal(transfer_encoding_of(SLICE("8bit")), ENCODING_IDENTITY);
	assert_int_equal(transfer_encoding_of(SLICE_NONE), ENCODING_IDENTITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes),
		cmocka_unit_test(blanks_are_not_hoarded),
		cmocka_unit_test(names_of_encodings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
