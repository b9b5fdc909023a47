/* base/checksum.c - XXH64 with seed 0, which libxxhash computes. Front and back. */
#include "base/checksum.h"

#include <assert.h>

void checksum_begin(struct checksum *sum)
{
	XXH64_reset(&sum->state, 0);
}

void checksum_add(struct checksum *sum, struct slice octets)
{
	if (octets.len > 0)
		XXH64_update(&sum->state, octets.ptr, octets.len);
}

uint64_t checksum_value(const struct checksum *sum)
{
	return XXH64_digest(&sum->state);
}

uint64_t checksum_of(struct slice octets)
{
	assert(octets.ptr || octets.len == 0);
	return XXH64(octets.ptr, octets.len, 0);
}
