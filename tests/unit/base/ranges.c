/* tests/unit/base/ranges.c - sets of runs, held against a plain array of booleans. */
#include "tests/unit/unit.h"

#include "base/ranges.h"

#include <stdlib.h>

enum { NUMBERS = 200 };

static void check(const struct ranges *set, const bool *want)
{
	uint32_t rank = 0;
	for (uint32_t n = 1; n < NUMBERS; n++) {
		assert_int_equal(ranges_contains(set, n), want[n]);
		if (want[n])
			assert_int_equal(ranges_at_rank(set, ++rank), n);
		assert_int_equal(ranges_rank(set, n), want[n] ? rank : 0);
	}
	assert_int_equal(ranges_total(set), rank);
	for (uint32_t i = 0; i + 1 < set->count; i++)
		assert_true(set->runs[i].last + 1 < set->runs[i + 1].first);
}

static void agrees_with_an_array(void **state)
{
	srandom(7);
	struct ranges set = { 0 };
	bool want[NUMBERS] = { false };
	for (unsigned step = 0; step < 20000; step++) {
		uint32_t first = 1 + (uint32_t)random() % (NUMBERS - 1);
		uint32_t last = first + (uint32_t)random() % 9;
		bool add = random() % 2;
		if (last >= NUMBERS)
			last = NUMBERS - 1;
		if (add)
			ranges_add(&set, first, last);
		else
			ranges_remove(&set, first, last);
		for (uint32_t n = first; n <= last; n++)
			want[n] = add;
		if (step % 50 == 0)
			check(&set, want);
	}
	check(&set, want);
	ranges_free(&set);
}

static void joins_many(void **state)
{
	srandom(11);
	for (unsigned round = 0; round < 500; round++) {
		struct ranges set = { 0 }, more = { 0 };
		bool want[NUMBERS] = { false };
		struct ranges *const sets[] = { &set, &more };
		for (unsigned i = 0; i < 40; i++) {
			uint32_t first = 1 + (uint32_t)random() % (NUMBERS - 4);
			uint32_t last = first + (uint32_t)random() % 3;
			ranges_add(sets[random() % 2], first, last);
			for (uint32_t n = first; n <= last; n++)
				want[n] = true;
		}
		ranges_join(&set, &more);
		check(&set, want);
		ranges_free(&set);
		ranges_free(&more);
	}
}

/* Half a million runs between as many: one by one that took minutes. */
static void joins_what_lies_between(void **state)
{
	enum { RUNS = 500000 };
	struct ranges set = { 0 }, more = { 0 };
	for (uint32_t i = 0; i < RUNS; i++) {
		ranges_add(&set, 1 + 4 * i, 1 + 4 * i);
		ranges_add(&more, 3 + 4 * i, 3 + 4 * i);
	}
	ranges_join(&set, &more);
	assert_int_equal(set.count, 2 * RUNS);
	assert_int_equal(ranges_total(&set), 2 * RUNS);
	ranges_free(&set);
	ranges_free(&more);
}

static void reaches_the_last_number(void **state)
{
	struct ranges set = { 0 }, other = { 0 }, both = { 0 };
	ranges_add(&set, UINT32_MAX, UINT32_MAX);
	ranges_add(&set, 5, UINT32_MAX - 1);
	assert_int_equal(set.count, 1);
	ranges_add(&other, 1, 6);
	ranges_intersect(&set, &other, &both);
	assert_int_equal(both.count, 1);
	assert_int_equal(both.runs[0].first, 5);
	assert_int_equal(both.runs[0].last, 6);
	ranges_remove(&set, 6, UINT32_MAX);
	assert_int_equal(ranges_last(&set), 5);
	ranges_free(&set);
	ranges_free(&other);
	ranges_free(&both);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_an_array),
		cmocka_unit_test(joins_many),
		cmocka_unit_test(joins_what_lies_between),
		cmocka_unit_test(reaches_the_last_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
