/* smtpd/relay/hop_pace.c - how fast mail goes to one place: one message to see whether it answers, then
 * more with each success, less with each trouble, one to try when a pause is over. Runs in the back. */
#include "smtpd/relay/hop_pace_priv.h"

void hop_note_answer(struct hop_pace *pace)
{
	if (pace->limit == 0)
		pace->limit = HOP_LIMIT_FIRST;
}

void hop_note_success(struct hop_pace *pace)
{
	pace->failures = 0;
	pace->down_until_unix_ms = 0;
	hop_note_answer(pace);
	if (pace->limit < HOP_LIMIT_MAX)
		pace->limit++;
}

void hop_note_failure(struct hop_pace *pace, int64_t now_unix_ms, int64_t pause_ms)
{
	pace->limit = hop_limit(pace) / 2 ? hop_limit(pace) / 2 : 1;
	if (++pace->failures < HOP_FAILURES_MAX)
		return;
	pace->failures = HOP_FAILURES_MAX - 1; /* the first after the pause decides */
	pace->limit = 1;
	pace->down_until_unix_ms = now_unix_ms + pause_ms;
}
