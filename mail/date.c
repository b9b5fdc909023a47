/* mail/date.c - the dates of header fields and of IMAP, to and from Unix time.
 *
 * RFC 5322 sections 3.3 and 4.3, RFC 9051 section 9 (date-time, date-text), RFC 3339. The name of the
 * day is not compared with the date, a leap second counts as the next second. Runs in both. */
#include "mail/date.h"

#include <stdio.h>

#include "base/attributes.h"
#include "mail/header.h"

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */

struct day {
	int year, month, day; /* month and day from 1 */
};

static bool is_leap_year(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	return days[month - 1] + (month == 2 && is_leap_year(year));
}

/* Days since 1970-01-01 in the Gregorian calendar. Counts years from March, so that the leap
 * day comes last: each 400 years from then on are alike. */
static int32_t day_number(struct day d)
{
	int year = d.year - (d.month <= 2);
	int era = (year >= 0 ? year : year - 399) / 400;
	int year_of_era = year - era * 400;
	int day_of_year = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

static struct day day_of_number(int32_t number)
{
	int32_t days = number + 719468;
	int era = (days >= 0 ? days : days - 146096) / 146097;
	int day_of_era = days - era * 146097;
	int year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int month_from_march = (5 * day_of_year + 2) / 153;
	struct day d = { .day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
			 .month = month_from_march + (month_from_march < 10 ? 3 : -9) };
	d.year = year_of_era + era * 400 + (d.month <= 2);
	return d;
}

static bool day_exists(struct day d)
{
	return d.day >= 1 && d.day <= days_in_month(d.year, d.month);
}

static bool take_month(struct cursor *c, int *month_out)
{
	for (int i = 0; i < 12; i++) {
		if (take_word_nocase(c, slice_of(month_names + i * (ptrdiff_t)3, 3))) {
			*month_out = i + 1;
			return true;
		}
	}
	return false;
}

/* From `least` to `most` digits, and no further digit behind them. */
static bool take_digits(struct cursor *c, int least, int most, int *number_out)
{
	int number = 0, count = 0;
	const uint8_t *at = c->at;
	for (; at != c->end && ascii_is_digit(*at); at++) {
		if (++count > most)
			return false;
		number = number * 10 + (*at - '0');
	}
	if (count < least)
		return false;
	*number_out = number;
	c->at = at;
	return true;
}

/* year of RFC 5322 section 3.3, and the two- and three-digit ones of section 4.3 */
static bool take_year(struct cursor *c, int *year_out)
{
	const uint8_t *start = c->at;
	int year;
	if (!take_digits(c, 2, 4, &year))
		return false;
	ptrdiff_t digits = c->at - start;
	if (digits == 2)
		year += year < 50 ? 2000 : 1900;
	else if (digits == 3)
		year += 1900;
	*year_out = year;
	return year >= 1900;
}

/* [ day-of-week "," ] day month year; blanks around each, and the comma, may be missing */
static bool take_day(struct cursor *c, struct day *day_out)
{
	struct day d;
	skip_cfws(c);
	if (c->at != c->end && ascii_is_alpha(*c->at)) {
		while (c->at != c->end && ascii_is_alpha(*c->at))
			c->at++;
		skip_cfws(c);
		take_byte(c, ',');
		skip_cfws(c);
	}
	if (!take_digits(c, 1, 2, &d.day))
		return false;
	skip_cfws(c);
	if (!take_month(c, &d.month))
		return false;
	while (c->at != c->end && ascii_is_alpha(*c->at)) /* "Sept", "June" */
		c->at++;
	skip_cfws(c);
	if (!take_year(c, &d.year) || !day_exists(d))
		return false;
	*day_out = d;
	return true;
}

static bool time_exists(int hour, int minute, int second)
{
	return hour <= 23 && minute <= 59 && second <= 60;
}

/* time-of-day; the seconds may be missing */
static bool take_time(struct cursor *c, int *second_of_day_out)
{
	int hour, minute, second = 0;
	skip_cfws(c);
	if (!take_digits(c, 1, 2, &hour))
		return false;
	skip_cfws(c);
	if (!take_byte(c, ':'))
		return false;
	skip_cfws(c);
	if (!take_digits(c, 1, 2, &minute))
		return false;
	skip_cfws(c);
	if (take_byte(c, ':')) {
		skip_cfws(c);
		if (!take_digits(c, 1, 2, &second))
			return false;
	}
	*second_of_day_out = hour * 3600 + minute * 60 + second;
	return time_exists(hour, minute, second);
}

/* ( "+" / "-" ) 4DIGIT */
static bool take_offset(struct cursor *c, int *seconds_out)
{
	struct cursor at = *c;
	int hours_minutes;
	bool west = next_is(&at, '-');
	if (!take_byte(&at, west ? '-' : '+') || !take_digits(&at, 4, 4, &hours_minutes) ||
	    hours_minutes % 100 > 59)
		return false;
	int seconds = (hours_minutes / 100 * 60 + hours_minutes % 100) * 60;
	*seconds_out = west ? -seconds : seconds;
	*c = at;
	return true;
}

/* zone / obs-zone. What is not known counts as "-0000" (section 4.3): the military letters,
 * which RFC 822 had the wrong way round, any other name, and no zone at all. */
static int take_zone(struct cursor *c)
{
	static const struct {
		char name[4];
		int hours;
	} zones[] = {
		{ "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 },
		{ "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 },
	};
	int seconds;
	skip_cfws(c);
	if (take_offset(c, &seconds))
		return seconds;
	struct slice name = slice_of(c->at, 0);
	while (c->at != c->end && ascii_is_alpha(*c->at))
		c->at++;
	name.len = (size_t)(c->at - name.ptr);
	for (size_t i = 0; i < ARRAY_LEN(zones); i++)
		if (slice_eq_nocase(name, slice_of(zones[i].name, 3)))
			return zones[i].hours * 3600;
	return 0;
}

bool date_parse(struct slice text, int64_t *unix_out)
{
	struct cursor c = cursor_of(text);
	struct day d;
	int second_of_day;
	if (!take_day(&c, &d) || !take_time(&c, &second_of_day))
		return false;
	*unix_out = (int64_t)day_number(d) * 86400 + second_of_day - take_zone(&c);
	return true;
}

bool date_parse_day(struct slice text, int32_t *day_out)
{
	struct cursor c = cursor_of(text);
	struct day d;
	if (!take_day(&c, &d))
		return false;
	*day_out = day_number(d);
	return true;
}

/* Within the years that four digits can name. */
static int64_t clamp_to_four_digit_year(int64_t unix_seconds)
{
	const int64_t first = -62167219200, last = 253402300799;
	return unix_seconds < first ? first : unix_seconds > last ? last : unix_seconds;
}

int32_t date_day(int64_t unix_seconds)
{
	unix_seconds = clamp_to_four_digit_year(unix_seconds);
	return (int32_t)((unix_seconds - (unix_seconds < 0 ? 86399 : 0)) / 86400);
}

/* A moment as it is written; the names are three letters each, without an end. */
struct moment {
	const char *week_day, *month;
	struct day day;
	int hour, minute, second;
};

static struct moment moment_of(int64_t unix_seconds)
{
	unix_seconds = clamp_to_four_digit_year(unix_seconds);
	int32_t number = date_day(unix_seconds);
	int second = (int)(unix_seconds - (int64_t)number * 86400);
	struct day day = day_of_number(number);
	return (struct moment){
		.week_day = day_names + (number % 7 + 7) % 7 * (ptrdiff_t)3,
		.month = month_names + (day.month - 1) * (ptrdiff_t)3,
		.day = day,
		.hour = second / 3600,
		.minute = second / 60 % 60,
		.second = second % 60,
	};
}

void date_format(int64_t unix_seconds, char text_out[DATE_TEXT_OCTETS])
{
	struct moment m = moment_of(unix_seconds);
	snprintf(text_out, DATE_TEXT_OCTETS, "%.3s, %02d %.3s %04d %02d:%02d:%02d +0000",
		 m.week_day, m.day.day, m.month, m.day.year, m.hour, m.minute, m.second);
}

void imap_date_format(int64_t unix_seconds, char text_out[DATE_TEXT_OCTETS])
{
	struct moment m = moment_of(unix_seconds);
	snprintf(text_out, DATE_TEXT_OCTETS, "%2d-%.3s-%04d %02d:%02d:%02d +0000", m.day.day,
		 m.month, m.day.year, m.hour, m.minute, m.second);
}

/* "-" date-month "-" date-year */
static bool take_month_year(struct cursor *c, struct day *d)
{
	return take_byte(c, '-') && take_month(c, &d->month) && take_byte(c, '-') &&
	       take_digits(c, 4, 4, &d->year) && day_exists(*d);
}

/* date-text = date-day "-" date-month "-" date-year */
bool take_imap_date(struct cursor *c, int32_t *day_out)
{
	struct cursor at = *c;
	struct day d;
	if (!take_digits(&at, 1, 2, &d.day) || !take_month_year(&at, &d))
		return false;
	*day_out = day_number(d);
	*c = at;
	return true;
}

/* time = 2DIGIT ":" 2DIGIT ":" 2DIGIT, as IMAP has it and RFC 3339 (partial-time, no fraction) */
static bool take_exact_time(struct cursor *c, int *second_of_day_out)
{
	struct cursor at = *c;
	int hour, minute, second;
	if (!take_digits(&at, 2, 2, &hour) || !take_byte(&at, ':') ||
	    !take_digits(&at, 2, 2, &minute) || !take_byte(&at, ':') ||
	    !take_digits(&at, 2, 2, &second) || !time_exists(hour, minute, second))
		return false;
	*second_of_day_out = hour * 3600 + minute * 60 + second;
	*c = at;
	return true;
}

/* date-time = date-day-fixed "-" date-month "-" date-year SP time SP zone */
bool take_imap_date_time(struct cursor *c, int64_t *unix_out)
{
	struct cursor at = *c;
	struct day d;
	int second_of_day, offset;
	int day_digits = take_byte(&at, ' ') ? 1 : 2;
	if (!take_digits(&at, day_digits, day_digits, &d.day) || !take_month_year(&at, &d) ||
	    !take_byte(&at, ' ') || !take_exact_time(&at, &second_of_day) || !take_byte(&at, ' ') ||
	    !take_offset(&at, &offset))
		return false;
	*unix_out = (int64_t)day_number(d) * 86400 + second_of_day - offset;
	*c = at;
	return true;
}

/* time-offset = "Z" / ( "+" / "-" ) time-hour ":" time-minute */
static bool take_internet_offset(struct cursor *c, int *seconds_out)
{
	int hour, minute;
	if (take_word_nocase(c, SLICE("Z"))) {
		*seconds_out = 0;
		return true;
	}
	bool west = take_byte(c, '-');
	if ((!west && !take_byte(c, '+')) || !take_digits(c, 2, 2, &hour) || !take_byte(c, ':') ||
	    !take_digits(c, 2, 2, &minute) || !time_exists(hour, minute, 0))
		return false;
	*seconds_out = (hour * 3600 + minute * 60) * (west ? -1 : 1);
	return true;
}

bool internet_date_parse(struct slice text, int64_t *unix_out)
{
	struct cursor c = cursor_of(text);
	struct day d;
	int second_of_day, offset;
	uint64_t ignored;
	if (!take_digits(&c, 4, 4, &d.year) || !take_byte(&c, '-') ||
	    !take_digits(&c, 2, 2, &d.month) || d.month < 1 || d.month > 12 ||
	    !take_byte(&c, '-') || !take_digits(&c, 2, 2, &d.day) || !day_exists(d) ||
	    !take_word_nocase(&c, SLICE("T")) || !take_exact_time(&c, &second_of_day))
		return false;
	if (take_byte(&c, '.') && !take_number(&c, UINT64_MAX, &ignored))
		return false;
	if (!take_internet_offset(&c, &offset) || !at_end(&c))
		return false;
	*unix_out = (int64_t)day_number(d) * 86400 + second_of_day - offset;
	return true;
}

void internet_date_format(int64_t unix_seconds, char text_out[DATE_TEXT_OCTETS])
{
	unix_seconds = clamp_to_four_digit_year(unix_seconds);
	int32_t number = date_day(unix_seconds);
	int second = (int)(unix_seconds - (int64_t)number * 86400);
	struct day d = day_of_number(number);
	snprintf(text_out, DATE_TEXT_OCTETS, "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year, d.month,
		 d.day, second / 3600, second / 60 % 60, second % 60);
}
