/* imapd/flood_priv.h - what a client that floods us has to wait for. In both. */
#pragma once

#include <stdint.h>

/* Of `limit` things that end the connection, `count` have come: from the second half on each costs
 * a pause, twice as long as the one before, up to FLOOD_DELAY_MAX_MS. 0: none. */
enum { FLOOD_DELAY_FIRST_MS = 50, FLOOD_DELAY_MAX_MS = 2000 };
uint64_t flood_delay_ms(unsigned count, unsigned limit);
