/* tests/dice.h - numbers that look random and follow from a seed: the same in every run. */
#pragma once

#include <stdint.h>

/* Below `sides`. `seed` is what the numbers come from, any number to begin with. */
static inline uint32_t dice_roll(uint32_t *seed, uint32_t sides)
{
	*seed = *seed * 1664525u + 1013904223u;
	/* By the high bits: the low ones of such a generator repeat themselves soon. */
	return (uint32_t)(((uint64_t)*seed * sides) >> 32);
}
