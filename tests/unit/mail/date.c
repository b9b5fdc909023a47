/* tests/unit/mail/date.c - dates of RFC 5322 and RFC 9051. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/date.h"

#define NO_DATE INT64_MIN

/* Seconds as `date -u -d ... +%s` gives them. */
static const struct {
	const char *text;
	int64_t unix_seconds;
} header_dates[] = {
	{ "Fri, 21 Nov 1997 09:55:06 -0600", 880127706 },
	{ "21 Nov 1997 09:55:06 -0600", 880127706 },
	{ "Fri,21 Nov 1997 09:55:06 -0600", 880127706 },
	{ "  Fri, 21\r\n Nov 1997 09:55:06 -0600 (CST)\r\n", 880127706 },
	{ "Thu, 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)", -27723480 },
	{ "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706 },
	{ "(a (nested \\) one)) 21 Nov 1997 09:55:06 -0600", 880127706 },
	{ "21 Nov 97 09:55:06 GMT", 880106106 },
	{ "21 Nov 97 09:55 UT", 880106100 },
	{ "21 Nov 49 00:00 UT", 2521065600 },
	{ "21 Nov 50 00:00 UT", -603158400 },
	{ "21 Nov 097 09:55:06 GMT", 880106106 },
	{ "21 nov 1997 09:55:06 est", 880124106 },
	{ "21 Nov 1997 09:55:06 EDT", 880120506 },
	{ "21 Nov 1997 09:55:06 CST", 880127706 },
	{ "21 Nov 1997 09:55:06 CDT", 880124106 },
	{ "21 Nov 1997 09:55:06 MST", 880131306 },
	{ "21 Nov 1997 09:55:06 MDT", 880127706 },
	{ "21 Nov 1997 09:55:06 PST", 880134906 },
	{ "21 Nov 1997 09:55:06 PDT", 880131306 },
	{ "21 Nov 1997 09:55:06 A", 880106106 }, /* military: -0000 */
	{ "21 Nov 1997 09:55:06 Z", 880106106 },
	{ "21 Nov 1997 09:55:06 CEST", 880106106 }, /* not known: -0000 */
	{ "21 Nov 1997 09:55:06", 880106106 },
	{ "21 Nov 1997 09:55:06 +0530", 880086306 },
	{ "1 Jan 1970 00:00:00 +0000", 0 },
	{ "29 Feb 2000 12:00:00 +0000", 951825600 },
	{ "31 Dec 2016 23:59:60 +0000", 1483228800 },
	{ "31 Dec 9999 23:59:59 +0000", 253402300799 },
	{ "1 Jan 1900 00:00:00 +0000", -2208988800 },
	{ "3 Sept 2025 1:02:03 +0000", 1756861323 },
	{ "29 Feb 1900 12:00:00 +0000", NO_DATE },
	{ "31 Feb 2025 10:00:00 +0000", NO_DATE },
	{ "0 Feb 2025 10:00:00 +0000", NO_DATE },
	{ "31 Jun 2025 10:00:00 +0000", NO_DATE },
	{ "1 Foo 2025 10:00:00 +0000", NO_DATE },
	{ "1 Jan 2025 24:00:00 +0000", NO_DATE },
	{ "1 Jan 2025 10:60:00 +0000", NO_DATE },
	{ "1 Jan 2025 10:00:61 +0000", NO_DATE },
	{ "1 Jan 2025 10", NO_DATE },
	{ "1 Jan 2025", NO_DATE },
	{ "1 Jan 1899 00:00:00 +0000", NO_DATE },
	{ "1 Jan 12025 00:00:00 +0000", NO_DATE },
	{ "1 Jan 5 00:00:00 +0000", NO_DATE },
	{ "(never closed 21 Nov 1997 09:55:06 -0600", NO_DATE },
	{ "Fri,", NO_DATE },
	{ "", NO_DATE },
};

static void header_date_grammar(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(header_dates); i++) {
		int64_t got = NO_DATE;
		bool parsed = date_parse(slice_cstr(header_dates[i].text), &got);
		if (parsed != (header_dates[i].unix_seconds != NO_DATE) ||
		    got != header_dates[i].unix_seconds)
			fail_msg("%s: %lld", header_dates[i].text, (long long)got);
	}
}

static void the_day_is_that_of_the_text(void **state)
{
	int32_t day;
	assert_true(date_parse_day(SLICE("Mon, 1 Jan 2024 00:30:00 +0200"), &day));
	assert_int_equal(day, 19723);
	assert_true(date_parse_day(SLICE("1 Jan 2024 what time?"), &day));
	assert_int_equal(day, 19723);
	assert_false(date_parse_day(SLICE("Thu, 31 Feb 2025 25:61:61 +9999"), &day));
	assert_int_equal(date_day(0), 0);
	assert_int_equal(date_day(-1), -1);
	assert_int_equal(date_day(86399), 0);
	assert_int_equal(date_day(-86400), -1);
	assert_int_equal(date_day(-86401), -2);
}

static const struct {
	const char *text;
	int64_t unix_seconds;
	const char *left;
} imap_dates[] = {
	{ "17-Jul-1996 02:44:25 -0700\")", 837596665, "\")" },
	{ " 1-Feb-1994 21:52:25 +0000", 760139545, "" },
	{ "01-feb-1994 21:52:25 +0000", 760139545, "" },
	{ "1-Feb-1994 21:52:25 +0000", NO_DATE, NULL },
	{ " 11-Feb-1994 21:52:25 +0000", NO_DATE, NULL },
	{ "31-Feb-1994 21:52:25 +0000", NO_DATE, NULL },
	{ "01-Feb-94 21:52:25 +0000", NO_DATE, NULL },
	{ "01-Feb-1994 1:52:25 +0000", NO_DATE, NULL },
	{ "01-Feb-1994 24:52:25 +0000", NO_DATE, NULL },
	{ "01-Feb-1994 21:52:25 0000", NO_DATE, NULL },
	{ "01-Feb-1994 21:52:25 +000", NO_DATE, NULL },
	{ "01-Feb-1994 21:52:25 +0060", NO_DATE, NULL },
	{ "01-Feb-1994 21:52:25 GMT", NO_DATE, NULL },
	{ "01-Feb-1994", NO_DATE, NULL },
	{ "", NO_DATE, NULL },
};

static void imap_date_grammar(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(imap_dates); i++) {
		struct cursor c = cursor_of(slice_cstr(imap_dates[i].text));
		int64_t got = NO_DATE;
		bool taken = take_imap_date_time(&c, &got);
		if (taken != (imap_dates[i].unix_seconds != NO_DATE) ||
		    got != imap_dates[i].unix_seconds)
			fail_msg("%s: %lld", imap_dates[i].text, (long long)got);
		assert_slice(cursor_rest(&c), taken ? imap_dates[i].left : imap_dates[i].text);
	}
	int32_t day;
	struct cursor c = cursor_of(SLICE("1-Feb-1994 NEW"));
	assert_true(take_imap_date(&c, &day));
	assert_int_equal(day, 8797);
	assert_slice(cursor_rest(&c), " NEW");
	c = cursor_of(SLICE("01-Feb-1994"));
	assert_true(take_imap_date(&c, &day));
	assert_int_equal(day, 8797);
	c = cursor_of(SLICE("1-Feb-94"));
	assert_false(take_imap_date(&c, &day));
}

static void formats(void **state)
{
	char text[DATE_TEXT_OCTETS];
	date_format(880127706, text);
	assert_string_equal(text, "Fri, 21 Nov 1997 15:55:06 +0000");
	imap_date_format(760139545, text);
	assert_string_equal(text, " 1-Feb-1994 21:52:25 +0000");
	date_format(-1, text);
	assert_string_equal(text, "Wed, 31 Dec 1969 23:59:59 +0000");
	date_format(INT64_MAX, text);
	assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 +0000");
	imap_date_format(INT64_MIN, text);
	assert_string_equal(text, " 1-Jan-0000 00:00:00 +0000");
}

/* Every third day of eight centuries, through both texts and back. */
static void days_come_back(void **state)
{
	char text[DATE_TEXT_OCTETS];
	for (int64_t day = -25567; day < 266700; day += 3) {
		int64_t moment = day * 86400 + (day & 0xffff), back;
		date_format(moment, text);
		assert_true(date_parse(slice_cstr(text), &back));
		assert_true(back == moment);
		imap_date_format(moment, text);
		struct cursor c = cursor_of(slice_cstr(text));
		assert_true(take_imap_date_time(&c, &back));
		assert_true(back == moment);
	}
}

static void internet_date_grammar(void **state)
{
	static const struct {
		const char *text;
		int64_t unix_seconds; /* -1: none */
	} cases[] = {
		{ "2026-07-04T12:00:00Z", 1783166400 },
		{ "2026-07-04t12:00:00z", 1783166400 },
		{ "2026-07-04T14:00:00.25+02:00", 1783166400 },
		{ "2026-07-04T11:30:00-00:30", 1783166400 },
		{ "2026-07-04T12:00:00", -1 },
		{ "2026-07-04 12:00:00Z", -1 },
		{ "2026-13-04T12:00:00Z", -1 },
		{ "2026-02-30T12:00:00Z", -1 },
		{ "2026-00-01T12:00:00Z", -1 },
		{ "2026-07-04T24:00:00Z", -1 },
		{ "2026-07-04T12:00:00.Z", -1 },
		{ "2026-07-04T12:00:00+0200", -1 },
		{ "2026-07-04T12:00:00+25:00", -1 },
		{ "2026-7-4T12:00:00Z", -1 },
		{ "2026-07-04T12:00:00Zx", -1 },
		{ "", -1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t got = -1;
		bool parsed = internet_date_parse(slice_cstr(cases[i].text), &got);
		if (parsed != (cases[i].unix_seconds >= 0) || got != cases[i].unix_seconds)
			fail_msg("%s: %lld", cases[i].text, (long long)got);
	}
	char text[DATE_TEXT_OCTETS];
	internet_date_format(1783166400, text);
	assert_string_equal(text, "2026-07-04T12:00:00Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_date_grammar),
		cmocka_unit_test(internet_date_grammar),
		cmocka_unit_test(the_day_is_that_of_the_text),
		cmocka_unit_test(imap_date_grammar),
		cmocka_unit_test(formats),
		cmocka_unit_test(days_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
