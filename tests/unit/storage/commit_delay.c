/* tests/unit/storage/commit_delay.c - who was answered together is waited for where the disk is slower than they are,
 * and only there. */
#include "tests/unit/unit.h"

#include "storage/commit_delay_priv.h"

enum { MS = 1000, JOBS = 20 };

/* As many as were answered come back, the last of them `turn_us` later. */
static void come_back(struct commit_delay *delay, uint64_t turn_us)
{
	for (size_t i = 1; i < JOBS; i++)
		assert_false(commit_delay_arrived(delay, delay->answered_us + turn_us / 2));
	assert_true(commit_delay_arrived(delay, delay->answered_us + turn_us));
}

static void a_slow_disk_is_worth_a_wait(void **state)
{
	struct commit_delay delay = { 0 };
	commit_delay_answered(&delay, 100 * MS, 8 * MS, JOBS);
	come_back(&delay, 1 * MS);
	commit_delay_answered(&delay, 110 * MS, 8 * MS, JOBS);
	assert_false(commit_delay_arrived(&delay, 110 * MS + 100));
	assert_int_equal(commit_delay_until_us(&delay), 114 * MS); /* half of what it took */
	for (size_t i = 1; i < JOBS; i++) {
		assert_false(commit_delay_is_over(&delay));
		assert_int_equal(commit_delay_arrived(&delay, 111 * MS), i == JOBS - 1);
	}
	assert_true(commit_delay_is_over(&delay));
	assert_int_equal(commit_delay_until_us(&delay), 0);
}

/* The commit of those who are there goes on while the others come. */
static void a_quick_disk_is_not(void **state)
{
	struct commit_delay delay = { 0 };
	commit_delay_answered(&delay, 100 * MS, 400, JOBS);
	come_back(&delay, 280);
	commit_delay_answered(&delay, 101 * MS, 400, JOBS);
	assert_false(commit_delay_arrived(&delay, 101 * MS + 10));
	assert_int_equal(commit_delay_until_us(&delay), 0);
}

static void a_client_alone_never_waits(void **state)
{
	struct commit_delay delay = { 0 };
	assert_false(commit_delay_arrived(&delay, 1 * MS)); /* before anybody was answered */
	assert_int_equal(commit_delay_until_us(&delay), 0);
	commit_delay_answered(&delay, 10 * MS, 8 * MS, 1);
	assert_int_equal(commit_delay_until_us(&delay), 0);
	assert_true(commit_delay_arrived(&delay, 11 * MS));
	assert_int_equal(commit_delay_until_us(&delay), 0);
}

/* Who left for good is waited for once; then what is known is that they take their time. */
static void who_does_not_come_back_is_not_waited_for_again(void **state)
{
	struct commit_delay delay = { 0 };
	commit_delay_answered(&delay, 100 * MS, 8 * MS, JOBS);
	assert_false(commit_delay_arrived(&delay, 101 * MS));
	assert_int_equal(commit_delay_until_us(&delay), 104 * MS);
	commit_delay_answered(&delay, 112 * MS, 8 * MS, 2);
	assert_false(commit_delay_arrived(&delay, 113 * MS));
	assert_int_equal(commit_delay_until_us(&delay), 0);
	/* Until they are seen to be quick once more. */
	assert_true(commit_delay_arrived(&delay, 114 * MS));
	commit_delay_answered(&delay, 125 * MS, 8 * MS, 2);
	assert_int_equal(commit_delay_until_us(&delay), 129 * MS);
}

static void nobody_waits_for_long(void **state)
{
	struct commit_delay delay = { 0 };
	commit_delay_answered(&delay, 1000 * MS, 900 * MS, JOBS);
	assert_int_equal(commit_delay_until_us(&delay), 1010 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_disk_is_worth_a_wait),
		cmocka_unit_test(a_quick_disk_is_not),
		cmocka_unit_test(a_client_alone_never_waits),
		cmocka_unit_test(who_does_not_come_back_is_not_waited_for_again),
		cmocka_unit_test(nobody_waits_for_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
