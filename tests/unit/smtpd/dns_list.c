/* Unit tests of smtpd/dns_list.c: the words of the configuration, and what answers mean. */
#include "smtpd/dns_list_priv.h"

#include "tests/unit/unit.h"

static struct dns_list list_of(const char *word)
{
	struct slice rest = slice_cstr(word);
	struct dns_list list = { .weight = 0 };
	assert_true(dns_list_next(&rest, &list));
	assert_false(dns_list_next(&rest, &list));
	return list;
}

static enum dns_list_meaning meaning(const char *word, uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	const struct dns_list list = list_of(word);
	const struct dns_record record = { .address = { .family = 4, .address = { a, b, c, d } } };
	return dns_list_meaning(&list, &record, 1);
}

static void takes_words(void **state)
{
	struct slice rest = SLICE(" bl.example  wl.example=127.0.0.0/16:-3 \t x.example:12");
	struct dns_list list;
	assert_true(dns_list_next(&rest, &list));
	assert_slice(list.zone, "bl.example");
	assert_int_equal(list.weight, 1);
	assert_int_equal(list.answers.prefix_bits, 8);
	assert_true(dns_list_next(&rest, &list));
	assert_slice(list.zone, "wl.example");
	assert_int_equal(list.weight, -3);
	assert_int_equal(list.answers.prefix_bits, 16);
	assert_true(dns_list_next(&rest, &list));
	assert_slice(list.zone, "x.example");
	assert_int_equal(list.weight, 12);
	assert_false(dns_list_next(&rest, &list));
	rest = SLICE("=127.0.0.1 a..b x=y:1 z:many");
	assert_false(dns_list_next(&rest, &list));
}

static void understands_answers(void **state)
{
	assert_int_equal(meaning("bl.example", 127, 0, 0, 2), DNS_LIST_SAYS_YES);
	assert_int_equal(meaning("bl.example", 127, 1, 2, 3), DNS_LIST_SAYS_YES);
	assert_int_equal(meaning("bl.example=127.0.0.0/28", 127, 0, 0, 15), DNS_LIST_SAYS_YES);
	assert_int_equal(meaning("bl.example=127.0.0.0/28", 127, 0, 0, 16), DNS_LIST_SAYS_NO);
	assert_int_equal(meaning("bl.example=127.0.0.4", 127, 0, 0, 4), DNS_LIST_SAYS_YES);
	assert_int_equal(meaning("bl.example=127.0.0.4", 127, 0, 0, 5), DNS_LIST_SAYS_NO);
	for (uint8_t last = 252; last >= 252; last++)
		assert_int_equal(meaning("bl.example", 127, 255, 255, last), DNS_LIST_REFUSES_US);
	assert_int_equal(meaning("bl.example", 127, 0, 0, 1), DNS_LIST_REFUSES_US);
	assert_int_equal(meaning("bl.example", 127, 0, 0, 255), DNS_LIST_REFUSES_US);
	assert_int_equal(meaning("bl.example", 192, 0, 2, 80), DNS_LIST_REFUSES_US);
}

/* One answer that means "not for you" makes all the others mean nothing. */
static void a_refusal_among_others_decides(void **state)
{
	const struct dns_list list = list_of("bl.example");
	const struct dns_record records[2] = {
		{ .address = { .family = 4, .address = { 127, 0, 0, 2 } } },
		{ .address = { .family = 4, .address = { 127, 255, 255, 254 } } },
	};
	assert_int_equal(dns_list_meaning(&list, records, 0), DNS_LIST_SAYS_NO);
	assert_int_equal(dns_list_meaning(&list, records, 1), DNS_LIST_SAYS_YES);
	assert_int_equal(dns_list_meaning(&list, records, 2), DNS_LIST_REFUSES_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_words),
		cmocka_unit_test(understands_answers),
		cmocka_unit_test(a_refusal_among_others_decides),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
