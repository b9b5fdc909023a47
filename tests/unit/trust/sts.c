/* tests/unit/trust/sts.c - records and policies of MTA-STS as domains write them, well and badly. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "trust/sts.h"

static void records_have_an_id(void **state)
{
	static const char *const good[] = {
		"v=STSv1; id=20160831085700Z;",
		"v=STSv1;id=20160831085700Z",
		"v=STSv1 ; x.y-z=1 ; id=20160831085700Z ;",
		"v=STSv1;id=20160831085700Z; id=other",
	};
	static const char *const bad[] = {
		"v=STSv1;",
		"v=STSv1; id=;",
		"v=STSv1; id=a-b;",
		"v=STSv1;; id=1",
		"v=STSv1; id=012345678901234567890123456789012",
		"v=STSv1; id=1; =2",
		"v=STSv1; id",
	};
	static const char *const others[] = {
		"", "v=STSv12; id=1", "v=stsv1; id=1", "id=1; v=STSv1", "v=spf1 -all", "v=STSv1"
	};
	struct slice id;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(sts_record_take(slice_cstr(good[i]), &id));
		assert_slice(id, "20160831085700Z");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(sts_record_take(slice_cstr(bad[i]), &id));
		assert_int_equal(id.len, 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(sts_record_take(slice_cstr(others[i]), &id));
}

static void one_record_is_meant(void **state)
{
	struct slice id;
	const struct slice one[] = { SLICE("v=spf1 -all"), SLICE("v=STSv1; id=a1"), SLICE("x") };
	const struct slice two[] = { SLICE("v=STSv1; id=a1"), SLICE("v=STSv1; id=a2") };
	assert_true(sts_records_id(one, 3, &id));
	assert_slice(id, "a1");
	assert_false(sts_records_id(two, 2, &id));
	assert_false(sts_records_id(one, 1, &id));
	assert_false(sts_records_id(NULL, 0, &id));
}

static void policies_are_read(void **state)
{
	struct sts_policy policy;
	assert_true(
		sts_policy_parse(SLICE("version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n"
				       "mx: *.example.net\r\nother: x\r\nmode: none\r\n"
				       "max_age: 604800\r\n"),
				 &policy));
	assert_int_equal(policy.mode, STS_ENFORCE);
	assert_int_equal(policy.max_age_seconds, 604800);
	assert_int_equal(policy.mx_count, 2);
	assert_true(sts_policy_parse(
		SLICE("mode:testing \nversion:STSv1\nmx:a\nmax_age:9999999999"), &policy));
	assert_int_equal(policy.mode, STS_TESTING);
	assert_int_equal(policy.max_age_seconds, STS_AGE_MAX_SECONDS);
	assert_true(sts_policy_parse(SLICE("version: STSv1\nmode: none\nmax_age: 0\n"), &policy));
	assert_int_equal(policy.mode, STS_NONE);
}

static void what_is_no_policy_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"<html>",
		"version: STSv1\nmode: enforce\nmax_age: 1\n",
		"version: STSv2\nmode: none\nmax_age: 1\n",
		"version: STSv1\nmode: Enforce\nmx: a\nmax_age: 1\n",
		"version: STSv1\nmode: enforce\nmx: a\n",
		"version: STSv1\nmode: enforce\nmx: a\nmax_age: -1\n",
		"version: STSv1\nmode: enforce\nmx: a\nmax_age: 12345678901\n",
		"version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n",
		"version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 1\n",
		"version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 1\n",
		"version: STSv1\nmode: enforce\nmx: a\nmax_age: 1\nno colon\n",
	};
	struct sts_policy policy;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(sts_policy_parse(slice_cstr(bad[i]), &policy));
}

static void patterns_match_one_label(void **state)
{
	struct sts_policy policy;
	assert_true(sts_policy_parse(SLICE("version: STSv1\nmode: enforce\nmx: Mail.example.com\n"
					   "mx: *.example.net\nmax_age: 1\n"),
				     &policy));
	assert_true(sts_policy_allows(&policy, SLICE("mail.example.com")));
	assert_true(sts_policy_allows(&policy, SLICE("mx1.EXAMPLE.net")));
	assert_false(sts_policy_allows(&policy, SLICE("example.net")));
	assert_false(sts_policy_allows(&policy, SLICE(".example.net")));
	assert_false(sts_policy_allows(&policy, SLICE("a.b.example.net")));
	assert_false(sts_policy_allows(&policy, SLICE("other.example.com")));
	assert_false(sts_policy_allows(&policy, SLICE("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_have_an_id),
		cmocka_unit_test(one_record_is_meant),
		cmocka_unit_test(policies_are_read),
		cmocka_unit_test(what_is_no_policy_is_none),
		cmocka_unit_test(patterns_match_one_label),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
