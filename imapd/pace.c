/* imapd/pace.c - how long a command may take to come: the idle time begins anew with every octet, so it
 * must be whole within that, and within what its literals take at the slowest rate, [limits]
 * minimum_rate. In the back. */
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
	if (s->literal_octets > 0 && config->minimum_rate == 0)
		return false;
	if (s->literal_octets > 0)
		most_ms += s->literal_octets * 1000 / config->minimum_rate;
	return now_ms - s->command_began_ms > most_ms;
}
