/* base/hex.h - hexadecimal digits. */
#pragma once

#include "base/slice.h"

/* Of a digit in either case; -1: it is none. */
static inline int hex_value(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
