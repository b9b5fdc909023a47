/* smtpd/relay/hop_pace_priv.h - how fast mail goes to one place: how much may be under way to it at a
 * time, and whether it answers at all. Values only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	HOP_LIMIT_PROBE = 1, /* while nothing is known of it */
	HOP_LIMIT_FIRST = 5, /* once it has taken a recipient */
	HOP_LIMIT_MAX = 20,
	HOP_FAILURES_MAX = 3, /* in a row; then it is left alone for a while */
};

struct hop_pace {
	unsigned limit;	   /* 0: nothing is known of it */
	unsigned failures; /* in a row */
	int64_t down_until_unix_ms;
};

static inline unsigned hop_limit(const struct hop_pace *pace)
{
	return pace->limit ? pace->limit : HOP_LIMIT_PROBE;
}
static inline bool hop_is_unknown(const struct hop_pace *pace)
{
	return pace->limit == 0;
}
static inline bool hop_is_down(const struct hop_pace *pace, int64_t now_unix_ms)
{
	return pace->down_until_unix_ms > now_unix_ms;
}
/* It has answered, and goes on doing so. */
static inline bool hop_is_proven(const struct hop_pace *pace)
{
	return pace->limit > 0 && pace->failures == 0;
}
/* The first message there has had a recipient taken; or it is known from before. */
void hop_note_answer(struct hop_pace *pace);
/* A message was dealt with there: one more at a time from now on. */
void hop_note_success(struct hop_pace *pace);
/* It did not answer, or not well: half as many; after some in a row, none for `pause_ms`. */
void hop_note_failure(struct hop_pace *pace, int64_t now_unix_ms, int64_t pause_ms);
