/* tests/unit/imapd/walk.c - sequence numbers and UIDs, held against ranges_rank(). */
#include "tests/unit/unit.h"

#include "imapd/walk_priv.h"

#include <stdlib.h>

enum { NUMBERS = 120 };

static void fill(struct ranges *set, unsigned density)
{
	ranges_clear(set);
	for (uint32_t n = 1; n < NUMBERS; n++)
		if ((unsigned)random() % 10 < density)
			ranges_add(set, n, n);
}

static void sets_are_translated(void **state)
{
	struct ranges all = { 0 }, some = { 0 }, got = { 0 }, back = { 0 };
	srandom(11);
	for (unsigned round = 0; round < 500; round++) {
		fill(&all, (unsigned)random() % 11);
		fill(&some, (unsigned)random() % 11);
		ranges_clear(&got);
		ranks_to_members(&all, &some, &got);
		for (uint32_t n = 1; n < NUMBERS; n++) {
			uint32_t member = ranges_at_rank(&all, n);
			if (member)
				assert_int_equal(ranges_contains(&got, member),
						 ranges_contains(&some, n));
		}
		ranges_clear(&back);
		members_to_ranks(&all, &some, &back);
		for (uint32_t n = 1; n < NUMBERS; n++) {
			uint32_t rank = ranges_rank(&all, n);
			if (rank)
				assert_int_equal(ranges_contains(&back, rank),
						 ranges_contains(&some, n));
		}
		assert_true(ranges_total(&back) <= ranges_total(&all));
	}
	ranges_free(&all);
	ranges_free(&some);
	ranges_free(&got);
	ranges_free(&back);
}

static void ranks_grow_with_uids(void **state)
{
	struct ranges all = { 0 };
	srandom(12);
	for (unsigned round = 0; round < 200; round++) {
		struct rank_walk walk = { 0 };
		fill(&all, 1 + (unsigned)random() % 9);
		for (uint32_t n = 1; n < NUMBERS; n += 1 + (uint32_t)random() % 5)
			if (ranges_contains(&all, n))
				assert_int_equal(rank_walk_next(&walk, &all, n),
						 ranges_rank(&all, n));
	}
	ranges_free(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_are_translated),
		cmocka_unit_test(ranks_grow_with_uids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
