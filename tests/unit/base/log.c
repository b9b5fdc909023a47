/* tests/unit/base/log.c - lines that are held leave together, in order; an urgent one at once,
 * with those before it; nothing is lost when there are more than fit. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int stderr_before, log_end;
static char said[1 << 16];

/* What was written to standard error since. */
static const char *take(void)
{
	ssize_t got = read(log_end, said, sizeof(said) - 1);
	said[got > 0 ? got : 0] = '\0';
	return said;
}

static int redirect(void **state)
{
	int ends[2];
	if (pipe2(ends, O_NONBLOCK) < 0)
		return -1;
	stderr_before = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	log_end = ends[0];
	return 0;
}

static int restore(void **state)
{
	dup2(stderr_before, STDERR_FILENO);
	close(stderr_before);
	close(log_end);
	return 0;
}

static void lines_leave_at_once(void **state)
{
	log_info(NULL, EVENT("one"));
	assert_non_null(strstr(take(), "event=one\n"));
}

static void held_lines_leave_together(void **state)
{
	log_hold();
	log_info(NULL, EVENT("one"));
	log_hold();
	log_info(NULL, EVENT("two"));
	log_release();
	assert_string_equal(take(), "");
	log_release();
	const char *one = strstr(take(), "event=one\n");
	assert_non_null(one);
	assert_non_null(strstr(one, "event=two\n"));
	log_info(NULL, EVENT("three"));
	assert_non_null(strstr(take(), "event=three\n"));
	assert_null(strstr(said, "event=one\n"));
}

static void urgent_lines_do_not_wait(void **state)
{
	log_hold();
	log_info(NULL, EVENT("one"));
	log_warning(NULL, EVENT("two"));
	const char *one = strstr(take(), "event=one\n");
	assert_non_null(one);
	assert_non_null(strstr(one, "event=two\n"));
	log_release();
	assert_string_equal(take(), "");
}

static void none_is_lost(void **state)
{
	enum { LINES = 400 };
	log_hold();
	for (unsigned i = 0; i < LINES; i++)
		log_info(NULL, EVENT("many"), NUM("number", i));
	log_release();
	const char *at = take();
	for (unsigned i = 0; i < LINES; i++) {
		char wanted[40];
		snprintf(wanted, sizeof(wanted), "event=many number=%u\n", i);
		at = strstr(at, wanted);
		assert_non_null(at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_leave_at_once, redirect, restore),
		cmocka_unit_test_setup_teardown(held_lines_leave_together, redirect, restore),
		cmocka_unit_test_setup_teardown(urgent_lines_do_not_wait, redirect, restore),
		cmocka_unit_test_setup_teardown(none_is_lost, redirect, restore),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
