/* imapd/flood.c - who makes no sense, or does not get on with signing in, is slowed before he is sent
 * away: nothing of his is read for a while (session->delay_ms), so that a program that has gone mad
 * costs little, and one that was only clumsy still has time to do better. In both. */
#include "imapd/flood_priv.h"

uint64_t flood_delay_ms(unsigned count, unsigned limit)
{
	uint64_t delay_ms = FLOOD_DELAY_FIRST_MS;
	if (count <= limit / 2)
		return 0;
	for (unsigned i = limit / 2 + 1; i < count && delay_ms < FLOOD_DELAY_MAX_MS; i++)
		delay_ms *= 2;
	return delay_ms < FLOOD_DELAY_MAX_MS ? delay_ms : FLOOD_DELAY_MAX_MS;
}
