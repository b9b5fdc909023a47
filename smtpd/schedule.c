/* smtpd/schedule.c - when a message is to go, until when, and before which others: HOLDFOR and
 * HOLDUNTIL (FUTURERELEASE, RFC 4865), BY (DELIVERBY, RFC 2852), MT-PRIORITY (RFC 6710). Runs in the
 * front; the queue in the back keeps to it. */
#include "base/clock.h"
#include "base/cursor.h"
#include "mail/date.h"
#include "smtpd/parameters_priv.h"

static struct envelope *envelope_of(void *mail)
{
	return &((struct mail_parameters *)mail)->envelope;
}

/* Either of the two parameters, once. */
static bool hold(struct envelope *envelope, int64_t until_unix)
{
	int64_t now_unix = clock_unix();

	if (envelope->hold_until_unix != 0 || until_unix <= now_unix ||
	    until_unix > now_unix + HOLD_MAX_SECONDS)
		return false;
	envelope->hold_until_unix = until_unix;
	return true;
}

/* future-release-integer = 1*9DIGIT, of seconds */
bool take_hold_for(struct slice value, struct arena *arena, void *mail)
{
	uint64_t seconds;

	return value.len <= 9 && slice_to_u64(value, UINT32_MAX, &seconds) &&
	       hold(envelope_of(mail), clock_unix() + (int64_t)seconds);
}

bool take_hold_until(struct slice value, struct arena *arena, void *mail)
{
	int64_t until_unix;

	return internet_date_parse(value, &until_unix) && hold(envelope_of(mail), until_unix);
}

/* by-value = by-time ";" by-mode [ "T" ], by-time = [ "-" / "+" ] 1*9DIGIT, of seconds from now. A
 * time that is over makes sense only for who wants to be told (section 4). */
bool take_deliver_by(struct slice value, struct arena *arena, void *mail)
{
	struct envelope *envelope = envelope_of(mail);
	struct cursor c = cursor_of(value);
	uint64_t seconds;
	bool is_past = take_byte(&c, '-');

	if (!is_past)
		take_byte(&c, '+');
	if (!take_number(&c, BY_MAX_SECONDS, &seconds) || !take_byte(&c, ';'))
		return false;
	if (take_word_nocase(&c, SLICE("R")))
		envelope->deliver_by = DELIVER_BY_RETURN;
	else if (take_word_nocase(&c, SLICE("N")))
		envelope->deliver_by = DELIVER_BY_NOTIFY;
	else
		return false;
	envelope->traces_deliver_by = take_word_nocase(&c, SLICE("T"));
	envelope->deliver_by_unix = clock_unix() + (is_past ? -(int64_t)seconds : (int64_t)seconds);
	if (envelope->deliver_by == DELIVER_BY_RETURN && (is_past || seconds == 0))
		return false;
	return at_end(&c);
}

/* priority-value = "0" / ( [ "-" ] NZDIGIT ) (section 7) */
bool take_priority(struct slice value, struct arena *arena, void *mail)
{
	struct cursor c = cursor_of(value);
	bool is_negative = take_byte(&c, '-');

	if (cursor_left(&c) != 1 || !ascii_is_digit(*c.at) || (is_negative && *c.at == '0'))
		return false;
	envelope_of(mail)->priority = (int8_t)(is_negative ? '0' - *c.at : *c.at - '0');
	return true;
}
