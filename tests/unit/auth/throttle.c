/* tests/unit/auth/throttle.c - delays grow, decay, and stay off who has nothing to do with it. */
#include "tests/unit/unit.h"

#include "auth/password.h"
#include "auth/throttle.h"
#include "base/clock.h"

enum { START_MS = 100000000, MINUTE_MS = 60 * 1000 };

static const struct slice home = { (const uint8_t *)"\xc0\x00\x02\x07", 4 };
static const struct slice elsewhere = { (const uint8_t *)"\xc0\x00\x02\x08", 4 };

static int start(void **state)
{
	clock_set_fake_unix_ms(START_MS);
	*state = throttle_new(1024);
	return 0;
}

static int stop(void **state)
{
	struct throttle *throttle = *state;
	throttle_free(&throttle);
	assert_null(throttle);
	clock_set_fake_unix_ms(-1);
	return 0;
}

static struct slice login_number(unsigned *number)
{
	return slice_of(number, sizeof(*number));
}

static void a_few_mistakes_are_free(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(throttle_delay_ms(*state, home, SLICE("alice")), 0);
		throttle_failed(*state, home, SLICE("alice"));
	}
	assert_true(throttle_delay_ms(*state, home, SLICE("alice")) > 0);
}

static void an_address_waits_longer_then_is_refused(void **state)
{
	uint64_t before = 0;
	for (unsigned i = 0; i < 50; i++) {
		uint64_t delay_ms = throttle_delay_ms(*state, home, login_number(&i));
		assert_true(delay_ms >= before);
		assert_true(delay_ms <= 30000);
		before = delay_ms;
		throttle_failed(*state, home, login_number(&i));
	}
	assert_true(before > 10000);
	assert_true(throttle_delay_ms(*state, home, SLICE("alice")) == UINT64_MAX);
	assert_int_equal(throttle_delay_ms(*state, elsewhere, SLICE("alice")), 0);
	/* Signing in to an account of one's own forgives nothing. */
	throttle_succeeded(*state, home, SLICE("mallory"));
	assert_true(throttle_delay_ms(*state, home, SLICE("alice")) == UINT64_MAX);
}

static void a_login_waits_but_is_never_refused(void **state)
{
	for (uint8_t i = 0; i < 200; i++)
		throttle_failed(*state, slice_of((uint8_t[]){ 10, 0, 0, i }, 4), SLICE("alice"));
	uint64_t delay_ms = throttle_delay_ms(*state, home, SLICE("alice"));
	assert_true(delay_ms > 0 && delay_ms < 10000);
	assert_int_equal(throttle_delay_ms(*state, home, SLICE("ALICE")), delay_ms);
	assert_int_equal(throttle_delay_ms(*state, home, SLICE("bob")), 0);
	throttle_succeeded(*state, home, SLICE("alice"));
	assert_int_equal(throttle_delay_ms(*state, home, SLICE("alice")), 0);
}

static void failures_are_forgotten(void **state)
{
	for (unsigned i = 0; i < 60; i++)
		throttle_failed(*state, home, login_number(&i));
	assert_true(throttle_delay_ms(*state, home, SLICE("alice")) == UINT64_MAX);
	clock_set_fake_unix_ms(START_MS + 5 * MINUTE_MS);
	uint64_t delay_ms = throttle_delay_ms(*state, home, SLICE("alice"));
	assert_true(delay_ms > 0 && delay_ms < UINT64_MAX);
	clock_set_fake_unix_ms(START_MS + 20 * MINUTE_MS);
	assert_int_equal(throttle_delay_ms(*state, home, SLICE("alice")), 0);
	/* Months later nothing overflows. */
	clock_set_fake_unix_ms(START_MS + (int64_t)400 * 24 * 60 * MINUTE_MS);
	assert_int_equal(throttle_delay_ms(*state, home, SLICE("alice")), 0);
}

static void ipv6_counts_by_network(void **state)
{
	uint8_t address[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2 };
	for (unsigned i = 0; i < 60; i++) {
		address[15] = (uint8_t)i;
		throttle_failed(*state, slice_of(address, 16), login_number(&i));
	}
	address[15] = 200;
	assert_true(throttle_delay_ms(*state, slice_of(address, 16), SLICE("x")) == UINT64_MAX);
	address[7] = 3; /* the neighbour's /64 */
	assert_int_equal(throttle_delay_ms(*state, slice_of(address, 16), SLICE("x")), 0);
}

static void exempt_clients_are_not_counted(void **state)
{
	for (unsigned i = 0; i < 200; i++)
		throttle_failed(*state, SLICE_NONE, SLICE("alice"));
	assert_int_equal(throttle_delay_ms(*state, SLICE_NONE, SLICE("alice")), 0);
	assert_int_equal(throttle_delay_ms(*state, home, SLICE("alice")), 0);
}

/* The table stays as it is, and a flood of names does not wash out an address that guesses. */
static void a_flood_does_not_hide_the_guesser(void **state)
{
	for (unsigned i = 0; i < 60; i++)
		throttle_failed(*state, home, SLICE("alice"));
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t address[4] = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
		throttle_failed(*state, slice_of(address, 4), login_number(&i));
	}
	assert_true(throttle_delay_ms(*state, home, SLICE("bob")) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_few_mistakes_are_free, start, stop),
		cmocka_unit_test_setup_teardown(an_address_waits_longer_then_is_refused, start,
						stop),
		cmocka_unit_test_setup_teardown(a_login_waits_but_is_never_refused, start, stop),
		cmocka_unit_test_setup_teardown(failures_are_forgotten, start, stop),
		cmocka_unit_test_setup_teardown(ipv6_counts_by_network, start, stop),
		cmocka_unit_test_setup_teardown(exempt_clients_are_not_counted, start, stop),
		cmocka_unit_test_setup_teardown(a_flood_does_not_hide_the_guesser, start, stop),
	};
	password_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
