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
	struct slice uris, address;
	assert_true(tlsrpt_records_uris(texts, 2, &uris));
	assert_true(tlsrpt_next_mailbox(&uris, &address));
	assert_slice(address, "a@b.example");
	assert_true(tlsrpt_next_mailbox(&uris, &address));
	assert_slice(address, "d+e@f.example");
	assert_false(tlsrpt_next_mailbox(&uris, &address));
	assert_false(tlsrpt_records_uris(twice, 2, &uris));
	for (size_t i = 0; i < 4; i++)
		assert_false(tlsrpt_records_uris(&none[i], 1, &uris));
}

static void only_plain_addresses_are_written_to(void **state)
{
	struct slice uris = SLICE("mailto:a@b@c.example,mailto:<a@b.example>,mailto:a b@c.example,"
				  "mailto:@b.example,mailto:a@,mailto:a,mailto:a\r\n@b.example,"
				  "mailto:a%40b.example,,http:a@b.example");
	struct slice address;
	assert_false(tlsrpt_next_mailbox(&uris, &address));
	assert_int_equal(uris.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_name_addresses),
		cmocka_unit_test(only_plain_addresses_are_written_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
