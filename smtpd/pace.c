/* smtpd/pace.c - clients that dribble: the idle time starts anew with every octet, so one every few
 * minutes would hold a connection for ever. Runs in the front.
 *
 * A command line must be whole within the idle time of its first octet; a message must come, on
 * average over the idle time, with [limits] minimum_rate. Time in which the client waited for us is
 * not held against it. */
#include "base/clock.h"
#include "smtpd/session_priv.h"

static bool is_content(const struct smtp_session *s)
{
	return (s->state & (SMTP_DATA | SMTP_CHUNK)) != 0;
}

bool smtp_is_too_slow(const struct smtp_session *s)
{
	const struct smtp_pace *pace = &s->pace;
	const struct config *config = s->front->config;
	uint64_t elapsed_ms = clock_monotonic_ms() - pace->since_ms;

	if (pace->since_ms == 0 || elapsed_ms < config->idle_smtp_seconds * UINT64_C(1000))
		return false;
	if (!pace->is_content)
		return true;
	return pace->octets * 1000 < config->minimum_rate * elapsed_ms;
}

void smtp_pace_note(struct smtp_session *s, size_t taken_octets, size_t left_octets)
{
	struct smtp_pace *pace = &s->pace;
	uint64_t now_ms = clock_monotonic_ms();
	bool begins = pace->since_ms == 0 || pace->is_content != is_content(s);
	bool is_over =
		now_ms - pace->since_ms >= s->front->config->idle_smtp_seconds * UINT64_C(1000);

	/* A line that is too long leaves nothing behind, and is no less under way. */
	bool is_between = !is_content(s) && left_octets == 0 && !s->line.is_skipping;

	if (s->session.job_out || is_between) {
		*pace = (struct smtp_pace){ .since_ms = 0 };
	} else if (begins || is_over) {
		*pace = (struct smtp_pace){ .since_ms = now_ms, .is_content = is_content(s) };
	} else {
		pace->octets += taken_octets;
	}
}
