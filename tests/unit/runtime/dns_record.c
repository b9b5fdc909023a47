/* Unit tests of runtime/dns_record.c: record data of strangers' zones, names for questions. */
#include "runtime/dns_record.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/unit/unit.h"

static struct arena arena;

static bool decode(enum dns_type type, const char *octets, size_t len, struct dns_record *out)
{
	return dns_record_decode(type, slice_of(octets, len), &arena, out);
}
#define DECODE(type, literal, out) decode(type, literal, sizeof(literal) - 1, out)

static void takes_well_formed_records(void **state)
{
	struct dns_record r;
	char text[PEER_TEXT_MAX];
	assert_true(DECODE(DNS_A, "\xc0\x00\x02\x07", &r));
	peer_format(&r.address, text);
	assert_string_equal(text, "192.0.2.7");
	assert_true(DECODE(DNS_AAAA, " \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\7", &r));
	peer_format(&r.address, text);
	assert_string_equal(text, "2001:db8::7");
	/* An IPv4 address in IPv6's clothes is that address: of this machine, or nobody's. */
	assert_true(DECODE(DNS_AAAA, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", &r));
	peer_format(&r.address, text);
	assert_string_equal(text, "127.0.0.1");
	assert_true(peer_is_loopback(&r.address));
	assert_true(DECODE(DNS_MX, "\0\x0a\4Mail\7example\0", &r));
	assert_int_equal(r.preference, 10);
	assert_slice(r.name, "mail.example");
	assert_true(DECODE(DNS_MX, "\0\0\0", &r)); /* RFC 7505 */
	assert_int_equal(r.name.len, 0);
	assert_true(DECODE(DNS_PTR, "\5_a-1b\7example\0", &r));
	assert_slice(r.name, "_a-1b.example");
	assert_true(DECODE(DNS_TXT, "\3abc\0\2de", &r));
	assert_slice(r.data, "abcde");
	assert_true(DECODE(DNS_TXT, "", &r));
	assert_true(DECODE(DNS_TLSA, "\3\1\1\xab\xcd", &r));
	assert_int_equal(r.usage, 3);
	assert_int_equal(r.selector, 1);
	assert_int_equal(r.matching, 1);
	assert_int_equal(r.data.len, 2);
}

static void refuses_what_is_not(void **state)
{
	struct dns_record r;
	assert_false(DECODE(DNS_A, "\x7f\0\0", &r));
	assert_false(DECODE(DNS_A, "\x7f\0\0\1\1", &r));
	assert_false(DECODE(DNS_AAAA, "\x7f\0\0\1", &r));
	assert_false(DECODE(DNS_MX, "\0", &r));
	assert_false(DECODE(DNS_MX, "\0\x0a", &r));
	assert_false(DECODE(DNS_MX, "\0\x0a\4mail", &r));   /* no root */
	assert_false(DECODE(DNS_MX, "\0\x0a\4mai", &r));    /* cut */
	assert_false(DECODE(DNS_MX, "\0\x0a\xc0\x0c", &r)); /* compressed */
	assert_false(DECODE(DNS_MX, "\0\x0a\1a\0x", &r));   /* something behind it */
	assert_false(DECODE(DNS_MX, "\0\x0a\4a.b \0", &r)); /* a dot inside a label */
	assert_false(DECODE(DNS_PTR, "\4a\r\nb\0", &r));    /* forged lines */
	assert_false(DECODE(DNS_PTR, "\3a\0b\0", &r));
	assert_false(DECODE(DNS_PTR, "\0", &r));
	assert_false(DECODE(DNS_PTR, "", &r));
	assert_false(DECODE(DNS_TXT, "\4abc", &r));
	assert_false(DECODE(DNS_TLSA, "\3\1", &r));
	assert_false(DECODE(DNS_TLSA, "\3\1\1", &r));
	char endless[600];
	memset(endless, 1, sizeof(endless));
	for (size_t i = 1; i < sizeof(endless); i += 2)
		endless[i] = 'a';
	assert_false(decode(DNS_PTR, endless, sizeof(endless), &r));
	endless[253] = 'a';
	endless[254] = 0;
	assert_true(decode(DNS_PTR, endless, 255, &r)); /* the longest there can be */
	assert_int_equal(r.name.len, 253);
}

static void knows_names(void **state)
{
	char label[64 + 1];
	assert_true(dns_name_is_valid(SLICE("example.org")));
	assert_true(dns_name_is_valid(SLICE("_25._tcp.mail.example.org")));
	assert_true(dns_name_is_valid(SLICE("org")));
	assert_false(dns_name_is_valid(SLICE("")));
	assert_false(dns_name_is_valid(SLICE(".")));
	assert_false(dns_name_is_valid(SLICE("example.")));
	assert_false(dns_name_is_valid(SLICE("a..b")));
	assert_false(dns_name_is_valid(SLICE("a b")));
	assert_false(dns_name_is_valid(SLICE("a\0b")));
	assert_false(dns_name_is_valid(SLICE("b\xc3\xbc.example")));
	memset(label, 'a', sizeof(label));
	assert_true(dns_name_is_valid(slice_of(label, 63)));
	assert_false(dns_name_is_valid(slice_of(label, 64)));
}

static struct peer peer_of(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct peer peer;
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		peer_from_sockaddr((struct sockaddr *)&v4, &peer);
	else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		peer_from_sockaddr((struct sockaddr *)&v6, &peer);
	else
		peer = (struct peer){ 0 };
	return peer;
}

static void turns_addresses_round(void **state)
{
	char name[DNS_NAME_MAX_OCTETS + 1], zone[DNS_NAME_MAX_OCTETS + 1];
	struct peer v4 = peer_of("192.0.2.127"), v6 = peer_of("2001:db8::fe"), local = peer_of("");
	assert_true(dns_reverse_name(&v4, SLICE_NONE, name));
	assert_string_equal(name, "127.2.0.192.in-addr.arpa");
	assert_true(dns_reverse_name(&v4, SLICE("list.example"), name));
	assert_string_equal(name, "127.2.0.192.list.example");
	assert_true(dns_reverse_name(&v6, SLICE_NONE, name));
	assert_string_equal(name, "e.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0."
				  "1.0.0.2.ip6.arpa");
	assert_false(dns_reverse_name(&local, SLICE_NONE, name));
	memset(zone, 'a', sizeof(zone));
	assert_false(dns_reverse_name(&v6, slice_of(zone, 190), name));
	assert_true(dns_reverse_name(&v6, slice_of(zone, 189), name));
	assert_int_equal(strlen(name), DNS_NAME_MAX_OCTETS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_well_formed_records),
		cmocka_unit_test(refuses_what_is_not),
		cmocka_unit_test(knows_names),
		cmocka_unit_test(turns_addresses_round),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_fini(&arena);
	return failed;
}
