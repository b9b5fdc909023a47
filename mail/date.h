/* mail/date.h - dates as mail writes them. Any thread. */
#pragma once

#include "base/cursor.h"

/* date-time of RFC 5322 section 3.3, obsolete forms and named zones included (section 4.3),
 * comments skipped. Unix seconds; false where it is no date. */
bool date_parse(struct slice text, int64_t *unix_out);
/* Only the calendar day that the text names, in its own zone, as days since 1970-01-01: what
 * SENTON compares (RFC 9051 section 6.4.4 disregards time and zone). */
bool date_parse_day(struct slice text, int32_t *day_out);

enum { DATE_TEXT_OCTETS = 40 };
/* "Fri, 21 Nov 1997 09:55:06 +0000" */
void date_format(int64_t unix_seconds, char text_out[DATE_TEXT_OCTETS]);
/* date-time of RFC 9051 without its quotes: "17-Jul-1996 02:44:25 -0700". Strict. */
bool take_imap_date_time(struct cursor *c, int64_t *unix_out);
void imap_date_format(int64_t unix_seconds, char text_out[DATE_TEXT_OCTETS]);
/* date-text: 1-Feb-1994, as days since 1970-01-01. Strict. */
bool take_imap_date(struct cursor *c, int32_t *day_out);
/* date-time of RFC 3339 section 5.6: "2026-07-04T12:00:00Z", "...T12:00:00.5+02:00". Strict. */
bool internet_date_parse(struct slice text, int64_t *unix_out);
void internet_date_format(int64_t unix_seconds, char text_out[DATE_TEXT_OCTETS]);
/* Days since 1970-01-01 of a moment in UTC. */
int32_t date_day(int64_t unix_seconds);
