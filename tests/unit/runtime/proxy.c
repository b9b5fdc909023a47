/* tests/unit/runtime/proxy.c - the PROXY header, versions 1 and 2: whole, in pieces, broken. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "base/buffer.h"
#include "runtime/proxy.h"

static struct peer balancer = { .address = { 10, 0, 0, 1 }, .family = 4, .port = 4711 };

/* Feeds exactly what is asked for, as the socket's reader does; what follows must be left. */
static enum proxy_header feed(struct slice octets, struct peer *peer, size_t *taken_out)
{
	size_t len = 0, more;

	*peer = balancer;
	for (;;) {
		enum proxy_header result =
			proxy_header_take(slice_sub(octets, 0, len), &more, peer);
		*taken_out = len;
		if (result != PROXY_PARTIAL)
			return result;
		assert_true(more > 0);
		if (len == octets.len)
			return PROXY_PARTIAL;
		len = len + more < octets.len ? len + more : octets.len;
	}
}

static void expect_peer(struct slice octets, const char *address, uint16_t port)
{
	struct buffer wire = { 0 };
	struct peer peer;
	char text[PEER_TEXT_MAX];
	size_t taken;

	buffer_add(&wire, octets);
	buffer_add_cstr(&wire, "EHLO x\r\n");
	if (feed(buffer_slice(&wire), &peer, &taken) != PROXY_WHOLE)
		fail_msg("not taken: %.*s", SLICE_ARG(octets));
	assert_int_equal(taken, octets.len);
	peer_format(&peer, text);
	assert_string_equal(text, address);
	assert_int_equal(peer.port, port);
	/* Each beginning of it is one of a header. */
	for (size_t len = 0; len < octets.len; len++)
		assert_int_equal(feed(slice_sub(octets, 0, len), &peer, &taken), PROXY_PARTIAL);
	buffer_free(&wire);
}

static void expect_broken(struct slice octets)
{
	struct peer peer;
	size_t taken;
	if (feed(octets, &peer, &taken) != PROXY_BROKEN)
		fail_msg("not broken: %.*s", SLICE_ARG(octets));
}

static void version_1(void **state)
{
	expect_peer(SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n"), "192.0.2.7", 56324);
	expect_peer(SLICE("PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n"), "2001:db8::7", 0);
	expect_peer(SLICE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
	expect_peer(SLICE("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), "192.0.2.7", 1);
	expect_peer(SLICE("PROXY UNKNOWN\r\n"), "10.0.0.1", 4711);
	expect_peer(SLICE("PROXY UNKNOWN anything at all\r\n"), "10.0.0.1", 4711);
}

static void version_1_broken(void **state)
{
	static const char *const lines[] = {
		"EHLO client.example\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\n",
		"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25 \r\n",
		"PROXY TCP4  192.0.2.7 198.51.100.1 56324 25\r\n",
		"PROXY TCP4 192.0.2.256 198.51.100.1 56324 25\r\n",
		"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
		"PROXY TCP6 192.0.2.7 198.51.100.1 56324 25\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.1 01 25\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
		"PROXY UDP4 192.0.2.7 198.51.100.1 1 25\r\n",
		"PROXY UNKNOWNX\r\n",
		"proxy UNKNOWN\r\n",
		"PROXY\r\nxxxxxxxxxxx",
		("PROXY UNKNOWN "
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"),
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		expect_broken(slice_cstr(lines[i]));
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static void version_2(void **state)
{
	expect_peer(SLICE(SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\0\x19"),
		    "192.0.2.7", 56324);
	/* with something about TLS behind the addresses */
	expect_peer(SLICE(SIGNATURE "\x21\x11\0\x10\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\0\x19"
				    "\x20\0\x01x"),
		    "192.0.2.7", 56324);
	expect_peer(SLICE(SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
				    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01\0\x02"),
		    "2001:db8::7", 1);
	expect_peer(SLICE(SIGNATURE "\x20\0\0\0"), "10.0.0.1", 4711);
	expect_peer(SLICE(SIGNATURE "\x20\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\0\x19"),
		    "10.0.0.1", 4711);
	expect_peer(SLICE(SIGNATURE "\x21\0\0\x03xyz"), "10.0.0.1", 4711);
	expect_peer(SLICE(SIGNATURE "\x21\x12\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\0\x19"),
		    "10.0.0.1", 4711);
}

static void version_2_broken(void **state)
{
	expect_broken(SLICE(SIGNATURE "\x11\x11\0\0"));
	expect_broken(SLICE(SIGNATURE "\x22\x11\0\0"));
	expect_broken(SLICE(SIGNATURE "\x21\x11\0\x0bxxxxxxxxxxx"));
	expect_broken(SLICE(SIGNATURE "\x21\x21\0\x0cxxxxxxxxxxxx"));
	expect_broken(SLICE(SIGNATURE "\x21\x11\xff\xff"));
	expect_broken(SLICE("\r\n\r\n\0\r\nQUIx\n\x21\x11\0\0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1),
		cmocka_unit_test(version_1_broken),
		cmocka_unit_test(version_2),
		cmocka_unit_test(version_2_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
