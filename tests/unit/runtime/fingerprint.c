/* tests/unit/runtime/fingerprint.c - pieces are told apart, and so is where they end. */
#include "tests/unit/unit.h"

#include "runtime/fingerprint.h"

static void pieces_and_their_ends_count(void **state)
{
	const struct slice one[] = { SLICE("ab"), SLICE("c") }, two[] = { SLICE("a"), SLICE("bc") },
			   three[] = { SLICE("ab"), SLICE("c"), SLICE_NONE };
	uint8_t a[16], b[32], c[16];
	fingerprint(one, 2, a, sizeof(a));
	fingerprint(one, 2, b, sizeof(b));
	assert_memory_equal(a, b, sizeof(a));
	fingerprint(two, 2, c, sizeof(c));
	assert_memory_not_equal(a, c, sizeof(a));
	fingerprint(three, 3, c, sizeof(c));
	assert_memory_not_equal(a, c, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(pieces_and_their_ends_count) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
