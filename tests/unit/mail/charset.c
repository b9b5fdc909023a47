/* tests/unit/mail/charset.c - charsets to UTF-8, and what is UTF-8. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/resource.h>

#include "base/attributes.h"
#include "mail/charset.h"
#include "mail/text.h"

static const struct {
	const char *charset, *octets, *utf8;
} cases[] = {
	{ "us-ascii", "abc", "abc" },
	{ "US-ASCII", "a\xe4z", "a\xef\xbf\xbdz" },
	{ "utf-8", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	{ "UTF8", "a\xc3z\xff", "a\xef\xbf\xbdz\xef\xbf\xbd" },
	{ "utf-8", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "iso-8859-1", "\x93gr\xfc\xdf\x94", "\xe2\x80\x9cgr\xc3\xbc\xc3\x9f\xe2\x80\x9d" },
	{ "windows-1252", "\x80", "\xe2\x82\xac" },
	{ "latin1", "\x81", "\xef\xbf\xbd" },
	{ "ISO-8859-15", "\xa4", "\xe2\x82\xac" },
	{ "iso-8859-2", "\xb1", "\xc4\x85" },
	{ "koi8-r", "\xf0\xd2\xc9", "\xd0\x9f\xd1\x80\xd0\xb8" },
	{ "windows-1251", "\xcf\xf0\xe8", "\xd0\x9f\xd1\x80\xd0\xb8" },
	{ "iso-2022-jp", "\x1b$B$3$s\x1b(B!", "\xe3\x81\x93\xe3\x82\x93!" },
	{ "shift_jis", "\x82\xb1\x82\xf1", "\xe3\x81\x93\xe3\x82\x93" },
	{ "euc-jp", "\xa4\xb3\xa4\xf3", "\xe3\x81\x93\xe3\x82\x93" },
	{ "gb2312", "\xc4\xe3\xba\xc3", "\xe4\xbd\xa0\xe5\xa5\xbd" },
	{ "big5", "\xa7\x41\xa6\x6e", "\xe4\xbd\xa0\xe5\xa5\xbd" },
	{ "ks_c_5601-1987", "\xc7\xd1", "\xed\x95\x9c" },
	{ "iso-2022-kr", "\x1b$)C\x0eGQ\x0f", "\xed\x95\x9c" },
	{ "utf-7", "Hi +ZeVnLA-", "Hi \xe6\x97\xa5\xe6\x9c\xac" },
	{ "utf-16", "\xff\xfe\x61\x01", "\xc5\xa1" },
	{ "utf-16", "\xfe\xff\x01\x61", "\xc5\xa1" },
	{ "utf-16", "\x01\x61", "\xc5\xa1" },
	{ "utf-16le", "\x61\x01", "\xc5\xa1" },
	{ "gb18030", "\xc4", "\xef\xbf\xbd" },
	{ " iso-8859-1 ", "\xe4", "\xc3\xa4" },
	{ "x-nobody-knows", "a\xe4", "a\xef\xbf\xbd" },
	{ "", "a\xe4", "a\xef\xbf\xbd" },
	{ "UTF-8//TRANSLIT", "\xe4", "\xef\xbf\xbd" },
	{ "utf-8 us-ascii", "\xc3\xa4", "\xef\xbf\xbd\xef\xbf\xbd" },
};

static void decodes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buffer utf8 = { 0 };
		text_decode_charset(slice_cstr(cases[i].charset), slice_cstr(cases[i].octets),
				    &utf8);
		if (!slice_eq(buffer_slice(&utf8), slice_cstr(cases[i].utf8)))
			fail_msg("%s, row %zu: got \"%.*s\"", cases[i].charset, i,
				 SLICE_ARG(buffer_slice(&utf8)));
		buffer_free(&utf8);
	}
}

static void knows_its_names(void **state)
{
	static const char *known[] = { "US-ASCII", "utf-8", "Windows-1252", "ISO-2022-JP", "l1" };
	static const char *unknown[] = { "",	   " ", "utf", "tf-8", "x", "iso-8859-1 iso8859-1",
					 "../../x" };
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		assert_true(text_charset_is_known(slice_cstr(known[i])));
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		assert_false(text_charset_is_known(slice_cstr(unknown[i])));
}

static bool has_decoder(const char *charset)
{
	struct buffer utf8 = { 0 };
	struct charset_decoder *decoder = charset_decoder_new(slice_cstr(charset));
	bool has = decoder != NULL;
	charset_decoder_finish(&decoder, &utf8);
	buffer_free(&utf8);
	return has;
}

static void knows_what_shifts(void **state)
{
	static const char *const shifting[] = { "utf-7",
						"UTF7",
						"csUTF7",
						"iso-2022-jp",
						"csISO2022JP",
						"iso-2022-jp-1",
						"iso-2022-kr",
						"csISO2022KR",
						"csISO2022JP2",
						" iso-2022-jp",
						"unicode-1-1-utf-7",
						"iso-2022-jp-2" };
	static const char *const wide[] = { "utf-16",	"csUTF16", "utf-16be", "UTF-16LE",
					    "utf16 ",	"utf-32",  "UTF-32BE", "utf32",
					    "csUTF32",	"ucs-2",   "ucs-4",    "ISO-10646-UCS-2",
					    "csUTF16LE" };
	static const char *const plain[] = { "us-ascii", "utf-8",	"UTF8",
					     "gb18030",	 "shift_jis",	"iso-8859-1",
					     "",	 "no-such-one", "x-utf-16" };
	for (size_t i = 0; i < ARRAY_LEN(shifting); i++) {
		assert_true(has_decoder(shifting[i]));
		assert_false(charset_is_wide(slice_cstr(shifting[i])));
	}
	for (size_t i = 0; i < ARRAY_LEN(wide); i++) {
		assert_true(has_decoder(wide[i]));
		assert_true(charset_is_wide(slice_cstr(wide[i])));
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		assert_false(has_decoder(plain[i]));
		assert_false(charset_is_wide(slice_cstr(plain[i])));
	}
	assert_false(text_charset_is_known(SLICE("utf-32")));
}

/* Wherever it is cut, and where it ends within a character. */
static void pieces_are_one_text(void **state)
{
	static const struct {
		const char *charset;
		struct slice octets;
	} texts[] = {
		{ "utf-16", SLICE("\xff\xfe\x61\x01\x3d\xd8\x00\xde\n\0b\0") },
		{ "utf-16", SLICE("\xfe\xff\x01\x61\xd8\x3d\xde\x00\0\n\xff\xfe") },
		{ "utf-16", SLICE("\x01\x61\xd8\x3d\xde\x00\0\n\0") },
		{ "utf-16", SLICE("\xff\xfe\x3d\xd8") },
		{ "utf-16", SLICE("a") },
		{ "utf-16le", SLICE("\x3d\xd8\x00\xde\x61\x01") },
		{ "utf-7", SLICE("Hi +ZeVnLNg93gA-. +ZeVnLA") },
		{ "utf-7", SLICE("+A9A999-&2D3eAA1999-") },
		{ "utf-7", SLICE("&AA+35e-A+71e-2+35f+AGE-") },
		{ "utf-7", SLICE("Z=+e31e557Be\nA/+-+") },
		{ "iso-2022-jp", SLICE("a\x1b$B$3$s\x1b(Bz\x1b$@$3$s\x1b(J!\x1b$B$") },
		{ "iso-2022-kr", SLICE("\x1b$)C\x0eGQ\x0f a\x0eGQGQ\x0f\n") },
		{ "utf-32", SLICE("a\0\0\0b\0\0\0") },
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct slice charset = slice_cstr(texts[i].charset), octets = texts[i].octets;
		struct buffer whole = { 0 }, pieces = { 0 };
		text_decode_charset(charset, octets, &whole);
		for (size_t len = 1; len <= octets.len; len++) {
			struct charset_decoder *decoder = charset_decoder_new(charset);
			buffer_clear(&pieces);
			for (size_t at = 0; at < octets.len; at += len)
				charset_decode(decoder, slice_sub(octets, at, len), &pieces);
			charset_decoder_finish(&decoder, &pieces);
			assert_null(decoder);
			if (!slice_eq(buffer_slice(&pieces), buffer_slice(&whole)))
				fail_msg("%s, row %zu, by %zu: got \"%.*s\"", texts[i].charset, i,
					 len, SLICE_ARG(buffer_slice(&pieces)));
		}
		buffer_free(&whole);
		buffer_free(&pieces);
	}
}

/* Every octet alone in every charset comes out as UTF-8. */
static void always_gives_utf8(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buffer utf8 = { 0 };
		for (unsigned octet = 0; octet < 256; octet++) {
			uint8_t octets[3] = { (uint8_t)octet, 0x41, (uint8_t)(octet ^ 0x80) };
			text_decode_charset(slice_cstr(cases[i].charset), slice_of(octets, 3),
					    &utf8);
		}
		assert_true(text_is_utf8(buffer_slice(&utf8)));
		buffer_free(&utf8);
	}
}

static void utf8_is_strict(void **state)
{
	static const char *good[] = { "",
				      "abc",
				      "\xc2\x80",
				      "\xe0\xa0\x80",
				      "\xed\x9f\xbf",
				      "\xee\x80\x80",
				      "\xf0\x90\x80\x80",
				      "\xf4\x8f\xbf\xbf",
				      "12345678\xc3\xa4" };
	static const char *bad[] = { "\x80",
				     "\xc0\x80",
				     "\xc1\xbf",
				     "\xc3",
				     "\xe0\x9f\xbf",
				     "\xed\xa0\x80",
				     "\xe4\xbd",
				     "\xf0\x8f\xbf\xbf",
				     "\xf4\x90\x80\x80",
				     "\xf5\x80\x80\x80",
				     "\xff",
				     "12345678\xe4",
				     "\xc3\x28" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(text_is_utf8(slice_cstr(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(text_is_utf8(slice_cstr(bad[i])));
}

/* In the sandbox no file can be opened: what was prepared must do without. */
static void needs_no_file_once_prepared(void **state)
{
	struct rlimit limit;
	text_prepare_sandbox();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	struct rlimit none = { .rlim_cur = 3, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_null(fopen("/dev/null", "r"));
	decodes(state);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(void)
{
	/* First, so that nothing is loaded yet. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(needs_no_file_once_prepared),
		cmocka_unit_test(decodes),
		cmocka_unit_test(knows_its_names),
		cmocka_unit_test(knows_what_shifts),
		cmocka_unit_test(pieces_are_one_text),
		cmocka_unit_test(always_gives_utf8),
		cmocka_unit_test(utf8_is_strict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
