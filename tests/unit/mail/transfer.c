/* tests/unit/mail/transfer.c - transfer encodings undone and applied, whole and in pieces. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/text.h"
#include "tests/dice.h"

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

/* ---- encoding ---- */

#define SIXTY "123456789 123456789 123456789 123456789 123456789 123456789 "

static const struct {
	enum transfer_encoding encoding;
	bool ends_line;
	const char *octets, *encoded;
} encodings[] = {
	{ ENCODING_BASE64, false, "", "" },
	{ ENCODING_BASE64, false, "Hello", "SGVsbG8=\r\n" },
	{ ENCODING_BASE64, true, SIXTY,
	  "MTIzNDU2Nzg5IDEyMzQ1Njc4OSAxMjM0NTY3ODkgMTIzNDU2Nzg5IDEyMzQ1Njc4OSAxMjM0NTY3\r\n"
	  "ODkg\r\n" },
	{ ENCODING_QUOTED_PRINTABLE, false, "", "" },
	{ ENCODING_QUOTED_PRINTABLE, true, "", "" },
	{ ENCODING_QUOTED_PRINTABLE, false, "a=b\xc3\xa4\x7f\x01", "a=3Db=C3=A4=7F=01" },
	{ ENCODING_QUOTED_PRINTABLE, true, "a", "a=\r\n" },
	{ ENCODING_QUOTED_PRINTABLE, true, "a\r\n", "a\r\n" },
	/* Rule 3: blanks at the end of a line. */
	{ ENCODING_QUOTED_PRINTABLE, false, "a b\tc \r\n\t\r\n \t", "a b\tc=20\r\n=09\r\n =09" },
	/* What ends no line. */
	{ ENCODING_QUOTED_PRINTABLE, false, "a\nb\rc \r\r\nd \r", "a=0Ab=0Dc =0D\r\nd =0D" },
	/* Rule 5, and nothing is a delimiter. */
	{ ENCODING_QUOTED_PRINTABLE, false, SIXTY "123456789 12345678",
	  SIXTY "123456789 12345=\r\n678" },
	{ ENCODING_QUOTED_PRINTABLE, false, SIXTY "123456789 1234\xe4",
	  SIXTY "123456789 1234=\r\n=E4" },
	{ ENCODING_QUOTED_PRINTABLE, false, "--a\r\n-b-", "=2D-a\r\n=2Db-" },
	{ ENCODING_QUOTED_PRINTABLE, false, SIXTY "123456789 12345--b",
	  SIXTY "123456789 12345=\r\n=2D-b" },
};

static void encode(enum transfer_encoding encoding, bool ends_line, struct slice octets,
		   size_t piece_len, struct buffer *encoded)
{
	struct transfer_encoder encoder = { .encoding = encoding };
	for (size_t at = 0; at < octets.len; at += piece_len)
		transfer_encode(&encoder, slice_sub(octets, at, piece_len), encoded);
	transfer_encoder_finish(&encoder, ends_line, encoded);
}

static void encodes(void **state)
{
	struct buffer encoded = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
		for (size_t piece_len = 1; piece_len < 100; piece_len++) {
			buffer_clear(&encoded);
			encode(encodings[i].encoding, encodings[i].ends_line,
			       slice_cstr(encodings[i].octets), piece_len, &encoded);
			assert_slice(buffer_slice(&encoded), encodings[i].encoded);
		}
	}
	buffer_free(&encoded);
}

/* Octets of few kinds, so that what matters to quoted-printable comes often. */
static void what_is_encoded_decodes(void **state)
{
	static const char kinds[] = "\r\n\r\n \t-=.aA\xe4";
	struct buffer encoded = { 0 }, decoded = { 0 };
	uint32_t seed = 1;
	uint8_t octets[700];
	for (int round = 0; round < 2000; round++) {
		enum transfer_encoding encoding =
			round % 2 ? ENCODING_BASE64 : ENCODING_QUOTED_PRINTABLE;
		size_t len = dice_roll(&seed, 512);
		for (size_t i = 0; i < len; i++)
			octets[i] = (uint8_t)kinds[dice_roll(&seed, sizeof(kinds))];
		buffer_clear(&encoded);
		buffer_clear(&decoded);
		encode(encoding, dice_roll(&seed, 2), slice_of(octets, len),
		       1 + dice_roll(&seed, 90), &encoded);
		size_t column = 0;
		for (size_t i = 0; i < encoded.len; i++) {
			uint8_t c = encoded.data[i];
			assert_true(c < 0x7f && (c >= ' ' || c == '\r' || c == '\n' || c == '\t'));
			assert_false(column == 0 && c == '-');
			column = c == '\n' ? 0 : column + 1;
			assert_true(column <= 76 + 1);
		}
		struct transfer_decoder *decoder = transfer_decoder_new(encoding);
		transfer_decode(decoder, buffer_slice(&encoded), &decoded);
		transfer_decoder_finish(&decoder, &decoded);
		assert_true(slice_eq(buffer_slice(&decoded), slice_of(octets, len)));
	}
	buffer_free(&encoded);
	buffer_free(&decoded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes),
		cmocka_unit_test(blanks_are_not_hoarded),
		cmocka_unit_test(names_of_encodings),
		cmocka_unit_test(encodes),
		cmocka_unit_test(what_is_encoded_decodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
