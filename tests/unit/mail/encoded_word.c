/* tests/unit/mail/encoded_word.c - header text as people read it. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/text.h"

static const struct {
	const char *value, *utf8;
} cases[] = {
	/* RFC 2047 section 8 */
	{ "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>" },
	{ "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>",
	  "Keld J\xc3\xb8rn Simonsen <keld@dkuug.dk>" },
	{ "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
	  " =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
	  "If you can read this you understand the example." },
	{ "(=?ISO-8859-1?Q?a?=)", "(a)" },
	{ "(=?ISO-8859-1?Q?a?= b)", "(a b)" },
	{ "(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)" },
	{ "(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)" },
	{ "(=?ISO-8859-1?Q?a_b?=)", "(a b)" },
	{ "(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)" },
	/* RFC 2231 section 5 */
	{ "=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore" },
	/* A character split over two words. */
	{ "=?utf-8?Q?x=C3?= =?UTF-8?B?pA==?=", "x\xc3\xa4" },
	{ "=?utf-8?Q?x=C3?= y", "x\xef\xbf\xbd y" },
	/* Wider than the grammar. */
	{ "\"=?utf-8?Q?a?=\"", "\"a\"" },
	{ "a=?utf-8?Q?b?=c", "abc" },
	{ "=?utf-8?Q?a?==?utf-8?Q?b?=", "ab" },
	{ "=?utf-8?q?a b?=", "a b" },
	{ "=?utf-8?Q?=3d=3D=4?=", "===4" },
	{ "=?utf-8?Q?"
	  "?=",
	  "" },
	{ "=?x-nobody?Q?a=E4?=", "a\xef\xbf\xbd" },
	/* No words. */
	{ "=?utf-8?X?a?=", "=?utf-8?X?a?=" },
	{ "=?utf-8?Q?a", "=?utf-8?Q?a" },
	{ "=?utf-8?Q?=", "=?utf-8?Q?=" },
	{ "=?=?utf-8?Q?a?=", "=?a" },
	{ "=??Q?a?=", "=??Q?a?=" },
	{ "1 = 2 =? x", "1 = 2 =? x" },
	{ "=", "=" },
	{ "=?", "=?" },
	/* Folding and raw octets. */
	{ " a\r\n b\r\n\tc \r\n", "a b\tc" },
	{ "a\rb\nc", "a b c" },
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	{ "gr\xfc\xdf", "gr\xef\xbf\xbd\xef\xbf\xbd" },
	{ "", "" },
};

static void decodes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buffer utf8 = { 0 };
		text_decode_header(slice_cstr(cases[i].value), &utf8);
		if (!slice_eq(buffer_slice(&utf8), slice_cstr(cases[i].utf8)))
			fail_msg("%s\n  got  \"%.*s\"\n  want \"%s\"", cases[i].value,
				 SLICE_ARG(buffer_slice(&utf8)), cases[i].utf8);
		buffer_free(&utf8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decodes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
