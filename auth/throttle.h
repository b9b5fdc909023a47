/* auth/throttle.h - guessing costs time: failures per address (IPv6 by /64) and per login.
 * One bounded table; any thread. An attempt asks for its delay, is checked, and reports how it
 * ended. Where `address` is empty nothing is counted. Call password_start() first. */
#pragma once

#include "base/slice.h"

struct throttle;
struct throttle *throttle_new(size_t entries_max);
void throttle_free(struct throttle **throttle);
/* How long an answer to this attempt must wait, in milliseconds; UINT64_MAX: refuse without
 * looking. `address` is 4 or 16 octets, or empty for an exempt client. */
uint64_t throttle_delay_ms(struct throttle *throttle, struct slice address, struct slice login);
void throttle_failed(struct throttle *throttle, struct slice address, struct slice login);
void throttle_succeeded(struct throttle *throttle, struct slice address, struct slice login);
