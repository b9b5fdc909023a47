/* tests/unit/trust/tlsrpt.c - who wants reports about TLS, as domains write it. */
#include "tests/unit/unit.h"

#include "trust/tlsrpt.h"

static void records_name_addresses(void **state)
{
	const struct slice texts[] = { SLICE("v=spf1 -all"),
				       SLICE("v=TLSRPTv1; x=y; rua=mailto:a@b.example,"
					     "https://c.example/x , MAILTO:d+e@f.example!5m") };
	const struct slice twice[] = { SLICE("v=TLSRPTv1;rua=mailto:a@b.example"),
				       SLICE("v=TLSRPTv1;rua=mailto:c@d.example") };
	const struct slice none[] = { SLICE("v=TLSRPTv1"), SLICE("v=TLSRPTv1;"),
				      SLICE("v=TLSRPTv12;rua=x"), SLICE("v=TLSRPTv1; rua=") };
	struct slice uris;
	struct tlsrpt_uri uri;
	assert_true(tlsrpt_records_uris(texts, 2, &uris));
	assert_true(tlsrpt_next_uri(&uris, &uri));
	assert_int_equal(uri.scheme, TLSRPT_MAILTO);
	assert_slice(uri.address, "a@b.example");
	assert_true(tlsrpt_next_uri(&uris, &uri));
	assert_int_equal(uri.scheme, TLSRPT_HTTPS);
	assert_slice(uri.host, "c.example");
	assert_slice(uri.path, "/x");
	assert_int_equal(uri.port, 443);
	assert_true(tlsrpt_next_uri(&uris, &uri));
	assert_slice(uri.address, "d+e@f.example");
	assert_false(tlsrpt_next_uri(&uris, &uri));
	assert_false(tlsrpt_records_uris(twice, 2, &uris));
	for (size_t i = 0; i < 4; i++)
		assert_false(tlsrpt_records_uris(&none[i], 1, &uris));
}

static void only_plain_addresses_are_written_to(void **state)
{
	struct slice uris = SLICE("mailto:a@b@c.example,mailto:<a@b.example>,mailto:a b@c.example,"
				  "mailto:@b.example,mailto:a@,mailto:a,mailto:a\r\n@b.example,"
				  "mailto:a%40b.example,,http:a@b.example");
	struct tlsrpt_uri uri;
	assert_false(tlsrpt_next_uri(&uris, &uri));
	assert_int_equal(uris.len, 0);
}

static void only_hosts_with_names_are_posted_to(void **state)
{
	struct slice good = SLICE("https://a.example, HTTPS://a.example:8443?b=c/d%20#e,"
				  "https://a-1.example:/v1/");
	struct slice bad = SLICE(
		"https://,https:///x,https://a,https://192.0.2.1/x,https://[::1]/x,"
		"https://u@a.example/,https://a.example:0/,https://a.example:65536/,"
		"https://a.example:x/,https://a..example/,https://.example/,https://a.example./,"
		"https://a.example/ x,https://a.example/\r\nHost: b,https://a.example/<,"
		"https://a_b.example/,http://a.example/,https:a.example/");
	static const struct {
		const char *host, *path;
		uint16_t port;
	} wanted[] = { { "a.example", "", 443 },
		       { "a.example", "?b=c/d%20", 8443 },
		       { "a-1.example", "/v1/", 443 } };
	struct tlsrpt_uri uri;
	for (size_t i = 0; i < 3; i++) {
		assert_true(tlsrpt_next_uri(&good, &uri));
		assert_slice(uri.host, wanted[i].host);
		assert_slice(uri.path, wanted[i].path);
		assert_int_equal(uri.port, wanted[i].port);
	}
	assert_false(tlsrpt_next_uri(&good, &uri));
	assert_false(tlsrpt_next_uri(&bad, &uri));
}

static void what_is_too_long_is_cut_between_two(void **state)
{
	assert_slice(tlsrpt_cut_uris(SLICE("mailto:a@b,mailto:c@d"), 21), "mailto:a@b,mailto:c@d");
	assert_slice(tlsrpt_cut_uris(SLICE("mailto:a@b,mailto:c@d"), 20), "mailto:a@b");
	assert_slice(tlsrpt_cut_uris(SLICE("mailto:a@b,mailto:c@d"), 10), "mailto:a@b");
	assert_slice(tlsrpt_cut_uris(SLICE("mailto:a@b,mailto:c@d"), 9), "");
	assert_slice(tlsrpt_cut_uris(SLICE(",,,"), 1), ",");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_name_addresses),
		cmocka_unit_test(only_plain_addresses_are_written_to),
		cmocka_unit_test(only_hosts_with_names_are_posted_to),
		cmocka_unit_test(what_is_too_long_is_cut_between_two),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
