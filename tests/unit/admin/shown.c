/* tests/unit/admin/shown.c - of what strangers say nothing but text reaches a terminal. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "admin/shown.h"

static void check(struct slice text, const char *want)
{
	struct buffer added = { 0 };
	char *printed = NULL;
	size_t len = 0;
	add_shown(&added, text);
	assert_slice(buffer_slice(&added), want);
	FILE *out = open_memstream(&printed, &len);
	print_shown(out, text);
	fclose(out);
	assert_slice(slice_of(printed, len), want);
	free(printed);
	buffer_free(&added);
}

static void text_is_shown_as_it_is(void **state)
{
	check(SLICE(""), "");
	check(SLICE("a mailbox"), "a mailbox");
	check(SLICE("Gr\xc3\xbc\xc3\x9f"
		    "e \xe2\x82\xac \xf0\x9f\x93\xac"),
	      "Gr\xc3\xbc\xc3\x9f"
	      "e \xe2\x82\xac \xf0\x9f\x93\xac");
}

static void whatever_else_is_a_question_mark(void **state)
{
	check(SLICE("\x1b[31m\r\n\t\x7f\0"), "?[31m?????");
	check(SLICE("\xc2\x9b"
		    "31m\xc2\x80\xc2\x9f\xc2\xa0"),
	      "?31m??\xc2\xa0");
	check(SLICE("\xff\x9b\xc3"), "???");
	check(SLICE("\xed\xa0\x80"), "???"); /* half of a pair */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_shown_as_it_is),
		cmocka_unit_test(whatever_else_is_a_question_mark),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
