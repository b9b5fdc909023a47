/* base/checksum.h - XXH64: does this still hold what was written? Fast, 64 bits wide, the same on
 * every machine. Against accidents, not against an attacker. One thread at a time. */
#pragma once

#include <stdint.h>

#include "base/slice.h"

struct checksum {
	uint64_t lanes[4];
	uint8_t rest[32]; /* what does not fill a stripe yet */
	size_t rest_octets;
	uint64_t total_octets;
};

void checksum_begin(struct checksum *sum);
void checksum_add(struct checksum *sum, struct slice octets);
/* Of all that was added so far; more may follow. */
uint64_t checksum_value(const struct checksum *sum);
uint64_t checksum_of(struct slice octets);
