/* tests/unit/mail/mutf7.c - mailbox names of IMAP4rev1. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/text.h"

static const struct {
	const char *name, *utf8;
} cases[] = {
	{ "", "" },
	{ "INBOX", "INBOX" },
	{ "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
	  "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
	{ "A&-B", "A&B" },
	{ "&-&-", "&&" },
	{ "Entw&APw-rfe", "Entw\xc3\xbcrfe" },
	{ "&2D3eAA-", "\xf0\x9f\x98\x80" },
	{ "&AAk-", "\t" },
	{ "a+b\\\"", "a+b\\\"" },
};

static void both_ways(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buffer out = { 0 };
		buffer_add_cstr(&out, "kept");
		assert_true(mutf7_decode(slice_cstr(cases[i].name), &out));
		assert_slice(slice_sub(buffer_slice(&out), 4, out.len), cases[i].utf8);
		buffer_clear(&out);
		assert_true(mutf7_encode(slice_cstr(cases[i].utf8), &out));
		assert_slice(buffer_slice(&out), cases[i].name);
		buffer_free(&out);
	}
}

static void refuses_what_is_not_canonical(void **state)
{
	static const char *names[] = {
		"&", /* never closed */
		"&AGE",
		"&AGE-",	      /* "a" stands for itself */
		"&U,BTFw-&ZeVnLIqe-", /* a needless shift (section 5.1.3) */
		"&Jjo",
		"&Jjo!",  /* (same) */
		"&APx-",  /* bits left over that are not zero */
		"&APwA-", /* an octet too many */
		"&A-",	  /* too short */
		"&2D0-",
		"&3gA-",
		"&3gDYPQ-", /* halves of surrogate pairs */
		"&AP/-",    /* no "/" in this alphabet */
		"&ACY-",    /* "&" is "&-" */
		"\xc3\xbc",
		"a\tb",
		"&APw=-",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct buffer out = { 0 };
		buffer_add_cstr(&out, "kept");
		if (mutf7_decode(slice_cstr(names[i]), &out))
			fail_msg("%s was taken", names[i]);
		assert_slice(buffer_slice(&out), "kept");
		buffer_free(&out);
	}
	struct buffer out = { 0 };
	assert_false(mutf7_encode(SLICE("a\xff"), &out));
	assert_int_equal(out.len, 0);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(refuses_what_is_not_canonical),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
