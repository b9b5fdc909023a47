/* tests/unit/mda/report.c - what a report quotes of the message. */
#include "mda/report.h"
#include "tests/unit/unit.h"

static bool wants_whole(const struct envelope *envelope, enum report_action action, uint64_t octets)
{
	const struct report_recipient recipient = { .action = action };
	return report_wants_whole(envelope, &recipient, 1, octets);
}

/* A line of binary content that is a dot between a bare LF and CRLF would end the report for some
 * servers, and the rest of it be commands. */
static void binary_content_is_not_quoted(void **state)
{
	static const struct envelope plain = { .body = ENVELOPE_8BITMIME },
				     binary = { .body = ENVELOPE_BINARYMIME },
				     headers = { .returns = DSN_RETURN_HEADERS };
	assert_true(wants_whole(&plain, REPORT_FAILED, 100));
	assert_false(wants_whole(&plain, REPORT_DELAYED, 100));
	assert_false(wants_whole(&plain, REPORT_FAILED, REPORT_CONTENT_MAX_OCTETS + 1));
	assert_false(wants_whole(&headers, REPORT_FAILED, 100));
	assert_false(wants_whole(&binary, REPORT_FAILED, 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(binary_content_is_not_quoted) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
