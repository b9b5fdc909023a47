/* tests/unit/base/slice.c - slices and cursors at their edges. */
#include "tests/unit/unit.h"

#include "base/cursor.h"

static void finds_and_compares(void **state)
{
	struct slice s = SLICE("From: a\r\nTo: b\r\n");
	assert_int_equal(slice_find(s, 0, SLICE("\r\n")), 7);
	assert_int_equal(slice_find(s, 8, SLICE("\r\n")), 14);
	assert_int_equal(slice_find(s, 15, SLICE("\r\n")), s.len);
	assert_int_equal(slice_find(s, 99, SLICE("F")), s.len);
	assert_int_equal(slice_find(SLICE_NONE, 0, SLICE("x")), 0);
	assert_true(slice_eq_nocase(SLICE("INBOX"), SLICE("inBox")));
	assert_false(slice_eq_nocase(SLICE("INBOX"), SLICE("INBOXES")));
	assert_true(slice_compare(SLICE("a"), SLICE("ab")) < 0);
	assert_slice(slice_trim(SLICE(" \t a b\r\n")), "a b");
	assert_int_equal(slice_sub(s, 90, 3).len, 0);
}

static void numbers_meet_their_limit(void **state)
{
	uint64_t n = 7;
	assert_true(slice_to_u64(SLICE("18446744073709551615"), UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
	assert_false(slice_to_u64(SLICE("18446744073709551616"), UINT64_MAX, &n));
	assert_false(slice_to_u64(SLICE(""), UINT64_MAX, &n));
	assert_false(slice_to_u64(SLICE("12a"), UINT64_MAX, &n));
	assert_false(slice_to_u64(SLICE("5"), 4, &n));
	assert_true(slice_to_u64(SLICE("0004"), 4, &n));
	assert_int_equal(n, 4);
}

static void failed_takes_take_nothing(void **state)
{
	struct cursor c = cursor_of(SLICE("OK 12\r\nrest"));
	uint64_t n;
	struct slice line;
	assert_false(take_number(&c, 99, &n));
	assert_true(take_word_nocase(&c, SLICE("ok ")));
	assert_false(take_number(&c, 11, &n));
	assert_true(take_number(&c, 12, &n));
	assert_true(take_crlf_line(&c, &line));
	assert_int_equal(line.len, 0);
	assert_false(take_crlf_line(&c, &line));
	assert_slice(cursor_rest(&c), "rest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_and_compares),
		cmocka_unit_test(numbers_meet_their_limit),
		cmocka_unit_test(failed_takes_take_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
