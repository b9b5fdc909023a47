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
/* In upper case only, as the grammars of RFC 3461 (xtext) and RFC 6533 have it. */
static inline int hex_value_upper(uint8_t c)
{
	return c >= 'a' && c <= 'f' ? -1 : hex_value(c);
}
