/* runtime/limits.h - how much of each thing a client may have in a time, by its address and by the
 * network around it; and who has been good before.
 *
 * One table of token buckets for all loops of the front, of a fixed size: any thread. An address is
 * an IPv4 address or an IPv6 /64; its network is the /24 or the /48, which may have
 * LIMITS_NETWORK_FACTOR times as much. Nothing is counted for [limits] exempt and for what comes
 * from this machine itself (127.0.0.1, ::1, local sockets), which may speak for many. */
#pragma once

#include "base/config.h"
#include "runtime/peer.h"

enum limit {
	LIMIT_CONNECTIONS,
	LIMIT_MESSAGES,
	LIMIT_COMMANDS,
	LIMIT_ERRORS, /* commands that are the client's mistake */
	LIMIT_UNKNOWN_RECIPIENTS,
	LIMIT_COUNT,
};
enum { LIMITS_NETWORK_FACTOR = 8 };

struct limits;

/* `entries_max`: addresses and networks that are remembered; those with the least on their account
 * are forgotten first. */
struct limits *limits_new(const struct config *config, size_t entries_max);
/* Other limits from now on; what was counted stays. */
void limits_set(struct limits *limits, const struct config *config);
void limits_free(struct limits **limits); /* accepts NULL, leaves NULL */

/* Takes one. False: there is none left, nothing was taken. `limits` NULL: there are no limits. */
bool limits_take(struct limits *limits, const struct peer *peer, enum limit what);
/* Whether there is one left. */
bool limits_has(struct limits *limits, const struct peer *peer, enum limit what);

/* One of ours, or exempt: no limit, and no question to DNS about it. */
bool limits_trusts(struct limits *limits, const struct peer *peer);
/* Has sent a message that was accepted within the last weeks, as far as the table remembers. */
bool limits_knows(struct limits *limits, const struct peer *peer);
void limits_note_good(struct limits *limits, const struct peer *peer);
