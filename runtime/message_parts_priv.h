/* runtime/message_parts_priv.h - what messages are made of, as the other side may have put them
 * together: every length meets its limit, every choice its last value. */
#pragma once

#include "base/octets.h"

/* A block of `max_octets` at most. */
static inline bool take_limited(struct cursor *c, size_t max_octets, struct slice *octets_out)
{
	return take_block(c, octets_out) && octets_out->len <= max_octets;
}

static inline bool take_below(struct cursor *c, uint8_t count, uint8_t *number_out)
{
	return take_u8(c, number_out) && *number_out < count;
}

static inline bool take_bool(struct cursor *c, bool *value_out)
{
	uint8_t number;
	if (!take_below(c, 2, &number))
		return false;
	*value_out = number == 1;
	return true;
}
