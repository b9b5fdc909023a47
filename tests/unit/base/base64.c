/* tests/unit/base/base64.c - the vectors of RFC 4648 section 10, and what is not base64. */
#include "tests/unit/unit.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4648_vectors),
		cmocka_unit_test(refuses_what_is_not_base64),
		cmocka_unit_test(streams_in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
