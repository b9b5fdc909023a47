/* base/checksum.h - XXH64 (libxxhash): does this still hold what was written? Fast, 64 bits wide, the same on
 * every machine. Against accidents, not against an attacker. One thread at a time. */
#pragma once

#include <stdint.h>

/* All of it stands in checksum.c, nothing is linked; so the size of the state is that of this header. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/slice.h"

struct checksum {
	XXH64_state_t state;
};

void checksum_begin(struct checksum *sum);
void checksum_add(struct checksum *sum, struct slice octets);
/* Of all that was added so far; more may follow. */
uint64_t checksum_value(const struct checksum *sum);
uint64_t checksum_of(struct slice octets);
