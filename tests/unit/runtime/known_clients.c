/* tests/unit/runtime/known_clients.c - what is told is what is heard; what is malformed ends it. */
#include "tests/unit/unit.h"

#include "base/log.h"
#include "runtime/known_clients.h"
#include "runtime/limits.h"

static const struct peer four = { .address = { 192, 0, 2, 7 }, .family = 4 };
static const struct peer six = { .address = { 0x20, 1, 0xd, 0xb8, 1 }, .family = 6 };

static void told_is_heard(void **state)
{
	struct buffer told = { 0 };
	struct peer peer;

	known_clients_add(&told, &four);
	known_clients_add(&told, &six);
	struct slice rest = buffer_slice(&told);
	assert_true(known_clients_next(&rest, &peer));
	assert_memory_equal(&peer, &four, sizeof(peer));
	assert_true(known_clients_next(&rest, &peer));
	assert_memory_equal(&peer, &six, sizeof(peer));
	assert_false(known_clients_next(&rest, &peer));
	for (size_t len = 0; len < told.len; len++) {
		rest = slice_sub(buffer_slice(&told), 0, len);
		unsigned count = 0;
		while (known_clients_next(&rest, &peer))
			count++;
		assert_int_equal(count, len < 5 ? 0 : 1);
	}
	rest = SLICE("\x05zzzzzzzzzzzzzzzzzzzz");
	assert_false(known_clients_next(&rest, &peer));
	buffer_free(&told);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(told_is_heard) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
