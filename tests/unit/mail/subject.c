/* tests/unit/mail/subject.c - base subjects (RFC 5256 section 2.1). */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/subject.h"

static const struct {
	const char *value, *base;
	bool is_reply;
} cases[] = {
	{ "", "", false },
	{ "hello", "hello", false },
	{ " Hello  \t World \r\n again ", "Hello World again", false },
	{ "Re: hello", "hello", true },
	{ "RE :hello", "hello", true },
	{ "Fw: hello", "hello", true },
	{ "fwd: hello", "hello", true },
	{ "Re[2]: hello", "hello", true },
	{ "re [list] : hello", "hello", true },
	{ "[list] Re: hello", "hello", true },
	{ "[a] [b] Re: [c] hello", "hello", true },
	{ "[list] hello", "hello", false },
	{ "[list]", "[list]", false },
	{ "[a] [list]", "[list]", false },
	{ "hello (fwd)", "hello", true },
	{ "hello (FWD) (fwd) ", "hello", true },
	{ "[Fwd: hello]", "hello", true },
	{ "[fwd: [fwd: Re: hello (fwd)]]", "hello", true },
	{ "Re: Re: fwd: re: hello", "hello", true },
	{ "Re:", "", true },
	{ "(fwd)", "", true },
	{ "[fwd:]", "", true },
	{ "reply: hello", "reply: hello", false },
	{ "Re hello", "Re hello", false },
	{ "[open Re: hello", "[open Re: hello", false },
	{ "[a[b] Re: hello", "[a[b] Re: hello", false },
	{ "=?utf-8?q?Re:_h=C3=A9?=", "h\xc3\xa9", true },
};

static void bases(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buffer base = { 0 };
		bool is_reply = subject_base(slice_cstr(cases[i].value), &base);
		if (!slice_eq(buffer_slice(&base), slice_cstr(cases[i].base)) ||
		    is_reply != cases[i].is_reply)
			fail_msg("%s: got \"%.*s\"", cases[i].value,
				 SLICE_ARG(buffer_slice(&base)));
		buffer_free(&base);
	}
}

/* Blobs and nested forwards without end: each octet is looked at a few times only. */
static void hostile_subjects_are_cheap(void **state)
{
	enum { COUNT = 100 * 1000 };
	struct buffer value = { 0 }, base = { 0 };
	for (unsigned i = 0; i < COUNT; i++)
		buffer_add_cstr(&value, "[a]");
	buffer_add_cstr(&value, "x");
	assert_false(subject_base(buffer_slice(&value), &base));
	assert_true(slice_eq(buffer_slice(&base), SLICE("x")));
	buffer_clear(&value);
	buffer_clear(&base);
	for (unsigned i = 0; i < COUNT; i++)
		buffer_add_cstr(&value, "[fwd:");
	for (unsigned i = 0; i < COUNT; i++)
		buffer_add_cstr(&value, "]");
	assert_true(subject_base(buffer_slice(&value), &base));
	assert_int_equal(base.len, 0);
	buffer_free(&value);
	buffer_free(&base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bases),
		cmocka_unit_test(hostile_subjects_are_cheap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
