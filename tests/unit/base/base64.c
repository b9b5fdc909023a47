/* tests/unit/base/base64.c - the vectors of RFC 4648 section 10, what is not base64, and any length,
 * compared with what is written here octet by octet. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/base64.h"

static void rfc4648_vectors(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buffer text = { 0 }, octets = { 0 };
		base64_encode(slice_cstr(rows[i][0]), &text);
		assert_slice(buffer_slice(&text), rows[i][1]);
		assert_true(base64_decode(slice_cstr(rows[i][1]), &octets));
		assert_slice(buffer_slice(&octets), rows[i][0]);
		buffer_free(&text);
		buffer_free(&octets);
	}
}

static void refuses_what_is_not_base64(void **state)
{
	static const char *const rows[] = { "Zg=",  "Zg",    "Z",      "====",	   "Z===", "Zh==",
					    "Zm9=", "Zm 9v", "Zm9v\n", "Zg==Zg==", "Zm9v!" };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buffer octets = { 0 };
		if (base64_decode(slice_cstr(rows[i]), &octets))
			fail_msg("\"%s\" was decoded", rows[i]);
		assert_int_equal(octets.len, 0);
		buffer_free(&octets);
	}
}

static void streams_in_pieces(void **state)
{
	struct slice text = SLICE("Zm9v\r\nYm Fy!Zm8=");
	for (size_t piece = 1; piece <= text.len; piece++) {
		struct base64_stream stream = { 0 };
		struct buffer octets = { 0 };
		for (size_t at = 0; at < text.len; at += piece)
			base64_stream_decode(&stream, slice_sub(text, at, piece), &octets);
		assert_slice(buffer_slice(&octets), "foobarfo");
		buffer_free(&octets);
	}
}

/* As the RFC tells it, six bits at a time. */
static void encode_slowly(struct slice octets, struct buffer *text)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t before = text->len;
	for (size_t bit = 0; bit < octets.len * 8; bit += 6) {
		unsigned value = 0;
		for (size_t i = bit; i < bit + 6; i++)
			value = value << 1 |
				(i < octets.len * 8 ? octets.ptr[i / 8] >> (7 - i % 8) & 1 : 0);
		buffer_add_byte(text, (uint8_t)letters[value]);
	}
	while ((text->len - before) % 4 != 0)
		buffer_add_byte(text, '=');
}

static struct slice random_octets(uint8_t *octets, size_t len)
{
	for (size_t i = 0; i < len; i++)
		octets[i] = (uint8_t)random();
	return slice_of(octets, len);
}

/* Each length in memory of just that length, so that one octet too far is noticed. */
static void encodes_any_length(void **state)
{
	srandom(1);
	for (size_t len = 0; len < 600; len++) {
		struct buffer text = { 0 }, want = { 0 }, octets = { 0 }, streamed = { 0 };
		struct base64_stream stream = { 0 };
		uint8_t *memory = malloc(len + 1);
		struct slice some = random_octets(memory + 1, len);
		buffer_add_cstr(&text, "before");
		buffer_add_cstr(&want, "before");
		base64_encode(some, &text);
		encode_slowly(some, &want);
		assert_true(slice_eq(buffer_slice(&text), buffer_slice(&want)));
		struct slice encoded = slice_sub(buffer_slice(&text), 6, text.len);
		assert_true(base64_decode(encoded, &octets));
		assert_true(slice_eq(buffer_slice(&octets), some));
		base64_stream_decode(&stream, encoded, &streamed);
		assert_true(slice_eq(buffer_slice(&streamed), some));
		buffer_free(&text);
		buffer_free(&want);
		buffer_free(&octets);
		buffer_free(&streamed);
		free(memory);
	}
}

static void encodes_lines_of_any_length(void **state)
{
	srandom(2);
	for (size_t line = 4; line <= 1000; line += line < 132 ? 4 : 124)
		for (size_t lines = 0; lines < 5; lines++) {
			struct buffer text = { 0 }, want = { 0 };
			size_t octets = line / 4 * 3;
			uint8_t *memory = malloc(octets * lines + 1);
			struct slice some = random_octets(memory + 1, octets * lines);
			base64_encode_lines(some, line, &text);
			for (size_t i = 0; i < lines; i++) {
				encode_slowly(slice_sub(some, i * octets, octets), &want);
				buffer_add_cstr(&want, "\r\n");
			}
			assert_true(slice_eq(buffer_slice(&text), buffer_slice(&want)));
			buffer_free(&text);
			buffer_free(&want);
			free(memory);
		}
}

/* Every octet in every place of a quartet, alone and behind others. */
static void knows_each_letter(void **state)
{
	struct slice alphabet =
		SLICE("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
	for (unsigned place = 0; place < 8; place++)
		for (unsigned octet = 0; octet < 256; octet++) {
			struct buffer octets = { 0 };
			struct base64_stream stream = { 0 };
			uint8_t text[8] = "AAAAAAAA";
			text[place] = (uint8_t)octet;
			bool is_letter =
				slice_find_byte(alphabet, 0, (uint8_t)octet) < alphabet.len;
			bool is_padding = octet == '=' && place == 7;
			assert_int_equal(base64_decode(slice_of(text, 8), &octets),
					 is_letter || is_padding);
			assert_int_equal(octets.len, is_letter ? 6 : is_padding ? 5 : 0);
			buffer_clear(&octets);
			base64_stream_decode(&stream, slice_of(text, 8), &octets);
			if (octet != '=')
				assert_int_equal(octets.len, is_letter ? 6 : 5);
			buffer_free(&octets);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4648_vectors),
		cmocka_unit_test(refuses_what_is_not_base64),
		cmocka_unit_test(streams_in_pieces),
		cmocka_unit_test(encodes_any_length),
		cmocka_unit_test(encodes_lines_of_any_length),
		cmocka_unit_test(knows_each_letter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
