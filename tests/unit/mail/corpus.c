/* tests/unit/mail/corpus.c - the messages of tests/corpora through the structure parser. */
#include "tests/unit/mail/corpus.h"

static void own_messages(void **state)
{
	find_messages(arena_format(&names_arena, "%s/tests/corpora/mime", source_root()));
	if (name_count == 0)
		fail_msg("no messages in %s/tests/corpora/mime", source_root());
	for (size_t i = 0; i < name_count; i++)
		check_message(names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(own_messages) };
	return cmocka_run_group_tests(tests, NULL, forget_names);
}
