/* tests/unit/imapd/status.c - DELETED-STORAGE, for which entries are read: right, and in turns. RFC
 * 9208 section 4.1.4. */
#include "tests/unit/imapd/many.h"

enum { MESSAGE_OCTETS = 16 };

static void without_deleted_messages_nothing_is_read(void **state)
{
	assert_int_equal(run_timeless(session, "t STATUS many (MESSAGES DELETED-STORAGE)",
				      "(MESSAGES 40960 DELETED-STORAGE 0)\r\nt OK"),
			 1);
}

static void many_entries_take_turns(void **state)
{
	run(session, "s SELECT many", "s OK");
	run(session, "f STORE 7,40000:* +FLAGS.SILENT (\\Deleted)", "f OK");
	char want[100];
	snprintf(want, sizeof(want), "(DELETED 962 DELETED-STORAGE %u)\r\nt OK",
		 962 * MESSAGE_OCTETS);
	assert_true(run(session, "t STATUS many (DELETED DELETED-STORAGE)", want) >= 3);
	/* The same as one of several. */
	snprintf(
		want, sizeof(want),
		"* LIST (\\HasNoChildren) \"/\" many\r\n* STATUS many (DELETED-STORAGE %u)\r\nl OK",
		962 * MESSAGE_OCTETS);
	assert_true(run(session, "l LIST \"\" many RETURN (STATUS (DELETED-STORAGE))", want) >= 3);
	/* Of what is not told, nothing is read. */
	assert_int_equal(
		run_timeless(session,
			     "l LIST (SUBSCRIBED) \"\" * RETURN (STATUS (DELETED-STORAGE))",
			     "l OK"),
		1);
	/* The last of them is found before the end is reached. */
	run(session, "f STORE 40000:* -FLAGS.SILENT (\\Deleted)", "f OK");
	snprintf(want, sizeof(want), "(DELETED-STORAGE %u)\r\nt OK", MESSAGE_OCTETS);
	assert_int_equal(run_timeless(session, "t STATUS many (DELETED-STORAGE)", want), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_deleted_messages_nothing_is_read),
		cmocka_unit_test(many_entries_take_turns),
	};
	return cmocka_run_group_tests(tests, many_setup, many_teardown);
}
