/* Unit tests of runtime/limits.c, with a clock that stands still. */
#include "runtime/limits.h"

#include "base/clock.h"
#include "tests/unit/unit.h"

static char exempt_network[] = "203.0.113.0/24";
static char *exempt[] = { exempt_network };
static const struct config config = {
	.connections_per_minute = 3,
	.messages_per_minute = 0, /* no limit */
	.commands_per_minute = 1000,
	.errors_per_hour = 2,
	.unknown_recipients_per_hour = 2,
	.exempt = exempt,
	.exempt_count = 1,
};
static struct limits *limits;
static int64_t now_ms;

static void pass(int64_t ms)
{
	now_ms += ms;
	clock_set_fake_unix_ms(now_ms);
}

static int start(void **state)
{
	now_ms = 1000 * 1000;
	clock_set_fake_unix_ms(now_ms);
	limits = limits_new(&config, 1024);
	return 0;
}

static int stop(void **state)
{
	limits_free(&limits);
	clock_set_fake_unix_ms(-1);
	return 0;
}

static struct peer v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct peer){ .family = 4, .address = { a, b, c, d } };
}

static struct peer v6(uint8_t network, uint8_t subnet, uint8_t host)
{
	return (struct peer){
		.family = 6, .address = { 0x20, 1, 0xd, 0xb8, 0, network, 0, subnet, [15] = host }
	};
}

static unsigned take_all(struct peer peer, enum limit what)
{
	unsigned taken = 0;
	while (taken < 10000 && limits_take(limits, &peer, what))
		taken++;
	return taken;
}

static void gives_so_many_and_more_with_time(void **state)
{
	struct peer a = v4(192, 0, 2, 1), b = v4(192, 0, 2, 2);
	assert_int_equal(take_all(a, LIMIT_CONNECTIONS), 3);
	assert_false(limits_has(limits, &a, LIMIT_CONNECTIONS));
	assert_true(limits_has(limits, &a, LIMIT_ERRORS)); /* a bucket for each thing */
	assert_true(limits_has(limits, &b, LIMIT_CONNECTIONS));
	pass(20 * 1000);
	assert_int_equal(take_all(a, LIMIT_CONNECTIONS), 1);
	pass(10 * 60 * 1000);
	assert_int_equal(take_all(a, LIMIT_CONNECTIONS), 3); /* and never more */
	assert_int_equal(take_all(a, LIMIT_ERRORS), 2);
	pass(29 * 60 * 1000);
	assert_false(limits_has(limits, &a, LIMIT_ERRORS));
	pass(2 * 60 * 1000);
	assert_true(limits_has(limits, &a, LIMIT_ERRORS));
}

static void counts_ipv6_by_64_bits(void **state)
{
	struct peer one = v6(1, 1, 1), same = v6(1, 1, 2), other = v6(1, 2, 1);
	assert_int_equal(take_all(one, LIMIT_CONNECTIONS), 3);
	assert_false(limits_has(limits, &same, LIMIT_CONNECTIONS));
	assert_true(limits_has(limits, &other, LIMIT_CONNECTIONS));
}

static void counts_networks_too(void **state)
{
	unsigned taken = 0, of_v6 = 0;
	for (unsigned host = 0; host < 256; host++)
		taken += take_all(v4(198, 51, 100, (uint8_t)host), LIMIT_CONNECTIONS);
	assert_int_equal(taken, 3 * LIMITS_NETWORK_FACTOR);
	assert_int_equal(take_all(v4(198, 51, 101, 1), LIMIT_CONNECTIONS), 3);
	for (unsigned subnet = 0; subnet < 256; subnet++)
		of_v6 += take_all(v6(7, (uint8_t)subnet, 1), LIMIT_CONNECTIONS);
	assert_int_equal(of_v6, 3 * LIMITS_NETWORK_FACTOR);
	assert_int_equal(take_all(v6(8, 1, 1), LIMIT_CONNECTIONS), 3);
}

static void has_no_limit_where_none_is_set(void **state)
{
	struct peer anybody = v4(192, 0, 2, 3), exempted = v4(203, 0, 113, 9);
	struct peer here = v4(127, 0, 0, 1), socket = { 0 };
	struct peer here6 = { .family = 6, .address = { [15] = 1 } };
	assert_int_equal(take_all(anybody, LIMIT_MESSAGES), 10000);
	assert_int_equal(take_all(exempted, LIMIT_ERRORS), 10000);
	assert_int_equal(take_all(here, LIMIT_ERRORS), 10000);
	assert_int_equal(take_all(here6, LIMIT_ERRORS), 10000);
	assert_int_equal(take_all(socket, LIMIT_ERRORS), 10000);
	assert_true(limits_take(NULL, &anybody, LIMIT_ERRORS));
	assert_true(limits_trusts(limits, &exempted));
	assert_true(limits_trusts(limits, &here));
	assert_false(limits_trusts(limits, &anybody));
}

static void learns_new_limits(void **state)
{
	struct peer peer = v4(192, 0, 2, 4);
	struct config wider = config;
	wider.connections_per_minute = 5;
	wider.exempt_count = 0;
	assert_int_equal(take_all(peer, LIMIT_CONNECTIONS), 3);
	limits_set(limits, &wider);
	assert_int_equal(take_all(peer, LIMIT_CONNECTIONS), 2);
	assert_int_equal(take_all(v4(203, 0, 113, 9), LIMIT_CONNECTIONS), 5);
}

static void remembers_who_was_good(void **state)
{
	struct peer good = v4(192, 0, 2, 5), other = v4(192, 0, 2, 6);
	assert_false(limits_knows(limits, &good));
	limits_note_good(limits, &good);
	assert_true(limits_knows(limits, &good));
	assert_false(limits_knows(limits, &other));
	pass(INT64_C(29) * 24 * 60 * 60 * 1000);
	assert_true(limits_knows(limits, &good));
	pass(INT64_C(2) * 24 * 60 * 60 * 1000);
	assert_false(limits_knows(limits, &good));
}

/* However many come, memory stays as it is, and who has used his up is not forgotten for them. */
static void a_crowd_pushes_out_nobody_who_matters(void **state)
{
	struct peer bad = v4(192, 0, 2, 7);
	assert_int_equal(take_all(bad, LIMIT_ERRORS), 2);
	for (unsigned i = 0; i < 100 * 1000; i++) {
		struct peer passer_by = v4(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
		limits_take(limits, &passer_by, LIMIT_COMMANDS);
	}
	assert_false(limits_has(limits, &bad, LIMIT_ERRORS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gives_so_many_and_more_with_time, start, stop),
		cmocka_unit_test_setup_teardown(counts_ipv6_by_64_bits, start, stop),
		cmocka_unit_test_setup_teardown(counts_networks_too, start, stop),
		cmocka_unit_test_setup_teardown(has_no_limit_where_none_is_set, start, stop),
		cmocka_unit_test_setup_teardown(learns_new_limits, start, stop),
		cmocka_unit_test_setup_teardown(remembers_who_was_good, start, stop),
		cmocka_unit_test_setup_teardown(a_crowd_pushes_out_nobody_who_matters, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
