/* imapd/pace.c - how long a command may take to come: the idle time begins anew with every octet, so it
 * must be whole within that, and within what its literals take at the slowest rate, [limits]
 * minimum_rate. So with those that are skipped because the command is refused (RFC 7888 section 4),
 * but no longer than for what might have been taken. In the back. */
#include "imapd/pace_priv.h"

#include "base/clock.h"

void pace_forget(struct imap_session *s)
{
	s->command_began_ms = 0;
	s->literal_octets = 0;
}

/* Of a line, DONE included, or of what APPEND receives. */
static bool waits_for_rest(const struct imap_session *s)
{
	if (s->running && !imap_is_idle(s))
		return true;
	return s->framing.text.len > 0 && !s->framing.is_whole;
}

static uint64_t expected_octets(const struct imap_session *s)
{
	uint64_t skipped = s->framing.skipped_octets, most = s->back->config->message_size_octets;
	return s->literal_octets + (skipped < most ? skipped : most);
}

bool pace_dribbles(struct imap_session *s)
{
	const struct config *config = s->back->config;
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t most_ms = (uint64_t)config->idle_imap_seconds * 1000;
	if (!waits_for_rest(s)) {
		pace_forget(s);
		return false;
	}
	if (s->command_began_ms == 0)
		s->command_began_ms = now_ms;
	if (config->minimum_rate > 0)
		most_ms += expected_octets(s) * 1000 / config->minimum_rate;
	else if (s->literal_octets > 0 && !s->framing.is_skipping)
		return false; /* a message may take as long as it likes */
	return now_ms - s->command_began_ms > most_ms;
}
