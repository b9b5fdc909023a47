/* tests/unit/mail/corpus.c - the messages of the corpora through the structure parser. */
#include "tests/unit/mail/corpus.h"

static void every_message(void **state)
{
	find_corpora();
	for (size_t i = 0; i < name_count; i++)
		check_message(names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_message) };
	return cmocka_run_group_tests(tests, NULL, forget_names);
}
