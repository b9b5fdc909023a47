/* tests/unit/serve/connections.c - the table of addresses, against a plain array of counts. */
#include "tests/unit/unit.h"

#include "serve/connections_priv.h"
#include "tests/dice.h"

static char first_exempt[] = "10.0.0.0/8";
static char second_exempt[] = "2001:db8:1::/48";
static char *exempt[] = { first_exempt, second_exempt };

static struct peer v4(unsigned number)
{
	return (struct peer){ .family = 4, .address = { 192, 0, number >> 8 & 255, number & 255 } };
}

static struct peer v6(uint8_t network, uint8_t host)
{
	return (struct peer){ .family = 6,
			      .address = { 0x20, 1, 0xd, 0xb8, 0, 2, 0, network, [15] = host } };
}

static void limits_are_kept(void **state)
{
	const struct config config = { .connections = 5, .connections_per_address = 2 };
	struct connections *table = connections_new(&config);
	struct peer a = v4(1), b = v4(2), c = v4(3), d = v4(4);
	assert_int_equal(connections_enter(table, &a), CONNECTION_COUNTED);
	assert_int_equal(connections_enter(table, &a), CONNECTION_COUNTED);
	assert_int_equal(connections_enter(table, &a), CONNECTION_TOO_MANY_FROM_HIM);
	assert_int_equal(connections_enter(table, &b), CONNECTION_COUNTED);
	assert_int_equal(connections_enter(table, &b), CONNECTION_COUNTED);
	assert_int_equal(connections_enter(table, &c), CONNECTION_COUNTED);
	assert_int_equal(connections_enter(table, &d), CONNECTION_TOO_MANY);
	assert_int_equal(connections_count(table), 5);
	connections_leave(table, &a);
	assert_int_equal(connections_enter(table, &d), CONNECTION_COUNTED);

	const struct config wider = { .connections = 9, .connections_per_address = 3 };
	connections_set_limits(table, &wider);
	assert_int_equal(connections_enter(table, &b), CONNECTION_COUNTED);
	assert_int_equal(connections_enter(table, &b), CONNECTION_TOO_MANY_FROM_HIM);
	connections_free(&table);
}

static void ipv6_counts_by_network(void **state)
{
	const struct config config = { .connections = 100, .connections_per_address = 2 };
	struct connections *table = connections_new(&config);
	struct peer one = v6(1, 1), two = v6(1, 2), three = v6(1, 3), other = v6(2, 1);
	assert_int_equal(connections_enter(table, &one), CONNECTION_COUNTED);
	assert_int_equal(connections_enter(table, &two), CONNECTION_COUNTED);
	assert_int_equal(connections_enter(table, &three), CONNECTION_TOO_MANY_FROM_HIM);
	assert_int_equal(connections_enter(table, &other), CONNECTION_COUNTED);
	connections_free(&table);
}

static void exempt_are_not_counted(void **state)
{
	const struct config config = {
		.connections = 1, .connections_per_address = 1, .exempt = exempt, .exempt_count = 2
	};
	struct connections *table = connections_new(&config);
	struct peer friend4 = { .family = 4, .address = { 10, 1, 2, 3 } };
	struct peer friend6 = { .family = 6, .address = { 0x20, 1, 0xd, 0xb8, 0, 1 } };
	struct peer stranger = v4(1);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(connections_enter(table, &friend4), CONNECTION_EXEMPT);
		assert_int_equal(connections_enter(table, &friend6), CONNECTION_EXEMPT);
	}
	assert_int_equal(connections_enter(table, &stranger), CONNECTION_COUNTED);
	assert_int_equal(connections_count(table), 1);
	connections_free(&table);
}

/* Growth, and holes that move others up: whoever is in must be found again. */
static void agrees_with_an_array(void **state)
{
	enum { ADDRESSES = 3000, STEPS = 60000, LIMIT = 4 };
	static unsigned counts[ADDRESSES];
	const struct config config = { .connections = ADDRESSES * LIMIT,
				       .connections_per_address = LIMIT };
	struct connections *table = connections_new(&config);
	unsigned total = 0;
	uint32_t seed = 12345;
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned number = dice_roll(&seed, ADDRESSES);
		struct peer peer = v4(number);
		/* First mostly coming, then mostly leaving. */
		bool comes = dice_roll(&seed, 16) < (step < STEPS / 2 ? 11u : 5u);
		if (comes) {
			enum connections_verdict verdict = connections_enter(table, &peer);
			assert_int_equal(verdict, counts[number] < LIMIT
							  ? CONNECTION_COUNTED
							  : CONNECTION_TOO_MANY_FROM_HIM);
			if (verdict == CONNECTION_COUNTED) {
				counts[number]++;
				total++;
			}
		} else if (counts[number] > 0) {
			connections_leave(table, &peer);
			counts[number]--;
			total--;
		}
		assert_int_equal(connections_count(table), total);
	}
	for (unsigned number = 0; number < ADDRESSES; number++) {
		struct peer peer = v4(number);
		while (counts[number]-- > 0)
			connections_leave(table, &peer);
	}
	assert_int_equal(connections_count(table), 0);
	connections_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(ipv6_counts_by_network),
		cmocka_unit_test(exempt_are_not_counted),
		cmocka_unit_test(agrees_with_an_array),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
