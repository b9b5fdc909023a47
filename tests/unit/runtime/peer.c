/* tests/unit/runtime/peer.c - addresses and networks. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>

#include "base/attributes.h"
#include "runtime/peer.h"

static struct peer peer_of(const char *text)
{
	struct peer peer;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(25) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(25) };
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		peer_from_sockaddr((struct sockaddr *)&v4, &peer);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
		peer_from_sockaddr((struct sockaddr *)&v6, &peer);
	}
	assert_int_equal(peer.port, 25);
	return peer;
}

static void test_format(void **state)
{
	static const char *const texts[][2] = {
		{ "192.0.2.7", "192.0.2.7" },
		{ "2001:db8::7", "2001:db8::7" },
		{ "::ffff:192.0.2.7", "192.0.2.7" },
	};
	char text[PEER_TEXT_MAX];
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct peer peer = peer_of(texts[i][0]);
		peer_format(&peer, text);
		assert_string_equal(text, texts[i][1]);
	}
	struct peer local;
	struct sockaddr unix_address = { .sa_family = AF_UNIX };
	peer_from_sockaddr(&unix_address, &local);
	peer_format(&local, text);
	assert_string_equal(text, "local");
	assert_true(peer_is_loopback(&local));
}

static void test_loopback(void **state)
{
	struct peer yes[] = { peer_of("127.0.0.1"), peer_of("127.9.9.9"), peer_of("::1"),
			      peer_of("::ffff:127.0.0.1") };
	struct peer no[] = { peer_of("128.0.0.1"), peer_of("::2"), peer_of("7f00::1") };
	for (size_t i = 0; i < 4; i++)
		assert_true(peer_is_loopback(&yes[i]));
	for (size_t i = 0; i < 3; i++)
		assert_false(peer_is_loopback(&no[i]));
}

static void test_private(void **state)
{
	static const char *const inside[] = {
		"0.0.0.0",
		"0.1.2.3",
		"10.1.2.3",
		"100.64.0.1",
		"127.0.0.1",
		"169.254.169.254",
		"172.31.0.1",
		"192.168.1.1",
		"::",
		"::1",
		"fd00::1",
		"fe80::1",
		"::ffff:10.0.0.1",
		"192.0.0.1",
		"192.0.2.1",
		"192.88.99.1",
		"198.19.0.1",
		"198.51.100.1",
		"203.0.113.1",
		"224.0.0.1",
		"240.0.0.1",
		"255.255.255.255",
		"::2",
		"::10.0.0.1",
		"100::1",
		"64:ff9b::10.0.0.1",
		"64:ff9b::127.0.0.1",
		"64:ff9b:1::1.1.1.1",
		"2001::1",
		"2001:db8::1",
		"2002:a00:1::1",
		"3fff::1",
		"fec0::1",
		"ff02::1",
	};
	static const char *const outside[] = { "1.1.1.1",	   "100.128.0.1", "172.32.0.1",
					       "192.0.1.1",	   "198.20.0.1",  "223.255.255.1",
					       "64:ff9b::1.1.1.1", "2001:200::1", "2003::1",
					       "2a00::1",	   "3ffe::1" };
	for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
		struct peer peer = peer_of(inside[i]);
		assert_true(peer_is_private(&peer));
	}
	for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
		struct peer peer = peer_of(outside[i]);
		assert_false(peer_is_private(&peer));
	}
}

static void test_networks(void **state)
{
	static const struct {
		const char *network, *inside, *outside;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.0.1", "11.0.0.1" },
		{ "10.1.2.3/8", "10.0.0.0", "9.255.255.255" },
		{ "192.0.2.7", "192.0.2.7", "192.0.2.6" },
		{ "192.0.2.128/25", "192.0.2.200", "192.0.2.127" },
		{ "::1", "::1", "::2" },
		{ "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1" },
		{ "0.0.0.0/0", "203.0.113.9", "2001:db8::1" },
		{ "::/0", "2001:db8::1", "203.0.113.9" },
		{ "::ffff:10.0.0.0/104", "10.3.3.3", "11.0.0.1" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct network network;
		assert_true(network_parse(slice_cstr(rows[i].network), &network));
		struct peer inside = peer_of(rows[i].inside), outside = peer_of(rows[i].outside);
		assert_true(network_contains(&network, &inside));
		assert_false(network_contains(&network, &outside));
	}
	struct network all;
	struct peer local = { 0 };
	assert_true(network_parse(SLICE("0.0.0.0/0"), &all));
	assert_false(network_contains(&all, &local));
}

static void test_bad_networks(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0",
		"::1/129",
		"10.0.0.0/-1",
		"10.0.0.0/8/8",
		"localhost",
		" 10.0.0.0/8",
		"10.0.0.0/ 8",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb"
	};
	struct network network;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(network_parse(slice_cstr(bad[i]), &network));
	assert_false(network_parse(slice_of("10.0.0.0\0/8", 11), &network));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),	     cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_private),	     cmocka_unit_test(test_networks),
		cmocka_unit_test(test_bad_networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
