/* tests/unit/mail/composed.c - Unicode's normalisation form C. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/text.h"

static const struct {
	const char *utf8, *composed;
} cases[] = {
	{ "", "" },
	{ "ASCII, all of it", "ASCII, all of it" },
	{ "e\xcc\x81", "\xc3\xa9" },
	{ "\xc3\xa9", "\xc3\xa9" },
	{ "x\xcc\x81", "x\xcc\x81" },				    /* nothing to compose it to */
	{ "a\xcc\x81\xcc\xa3", "\xe1\xba\xa1\xcc\x81" },	    /* the dot below comes first */
	{ "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81" }, /* Hangul */
	{ "\xe2\x84\xab", "\xc3\x85" },	    /* Angstrom is an A with a ring */
	{ "\xef\xac\x81", "\xef\xac\x81" }, /* a ligature stays */
	{ "\xef\xbc\xa1", "\xef\xbc\xa1" }, /* and so does full width */
	{ "\xf0\x9d\x85\x9e", "\xf0\x9d\x85\x97\xf0\x9d\x85\xa5" }, /* never composed again */
	{ "e\xcc\x81\xff", "e\xcc\x81\xff" },			    /* no UTF-8 */
	{ "\xed\xa0\xbd", "\xed\xa0\xbd" },
};

static void composes(void **state)
{
	struct arena arena = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct slice utf8 = slice_cstr(cases[i].utf8);
		struct slice composed = text_compose(utf8, &arena);
		if (!slice_eq(composed, slice_cstr(cases[i].composed)))
			fail_msg("%s: got \"%.*s\"", cases[i].utf8, SLICE_ARG(composed));
		bool is_utf8 = text_is_utf8(utf8);
		assert_int_equal(text_is_composed(utf8), is_utf8 && slice_eq(composed, utf8));
		assert_int_equal(text_is_composed(composed), is_utf8);
	}
	arena_fini(&arena);
}

/* Whose order takes a time that grows with the square of their number, so there are few of them. */
static void many_marks_are_left_alone(void **state)
{
	struct arena arena = { 0 };
	struct buffer text = { 0 };
	for (size_t marks = 0; marks <= 40000; marks = marks < 40 ? marks + 1 : 40000) {
		buffer_clear(&text);
		buffer_add_byte(&text, 'e');
		for (size_t i = 0; i < marks; i++)
			buffer_add_cstr(&text, i == 0 ? "\xcc\x81" : "\xcc\xa3");
		buffer_add_cstr(&text, "o\xcc\x88");
		struct slice utf8 = buffer_slice(&text), composed = text_compose(utf8, &arena);
		assert_int_equal(slice_eq(composed, utf8), marks > 30);
		assert_int_equal(text_is_composed(composed), marks <= 30);
		if (marks == 40000)
			break;
	}
	buffer_free(&text);
	arena_fini(&arena);
}

/* What is ASCII is not even copied. */
static void ascii_stays_where_it_is(void **state)
{
	struct arena arena = { 0 };
	struct slice ascii = SLICE("INBOX"), empty = SLICE_NONE;
	assert_ptr_equal(text_compose(ascii, &arena).ptr, ascii.ptr);
	assert_ptr_equal(text_compose(empty, &arena).ptr, empty.ptr);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(composes),
		cmocka_unit_test(many_marks_are_left_alone),
		cmocka_unit_test(ascii_stays_where_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
