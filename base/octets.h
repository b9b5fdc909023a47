/* base/octets.h - numbers as big-endian octets, at any alignment. */
#pragma once

#include "base/cursor.h"

static inline void put_be16(uint8_t *at, uint16_t n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
}
static inline void put_be32(uint8_t *at, uint32_t n)
{
	n = __builtin_bswap32(n);
	memcpy(at, &n, 4);
}
static inline void put_be64(uint8_t *at, uint64_t n)
{
	n = __builtin_bswap64(n);
	memcpy(at, &n, 8);
}
static inline uint16_t get_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}
static inline uint32_t get_be32(const uint8_t *at)
{
	uint32_t n;
	memcpy(&n, at, 4);
	return __builtin_bswap32(n);
}
static inline uint64_t get_be64(const uint8_t *at)
{
	uint64_t n;
	memcpy(&n, at, 8);
	return __builtin_bswap64(n);
}

/* Takers for records and frames; false where too few octets are left. */
bool take_u8(struct cursor *c, uint8_t *number_out);
bool take_be16(struct cursor *c, uint16_t *number_out);
bool take_be32(struct cursor *c, uint32_t *number_out);
bool take_be64(struct cursor *c, uint64_t *number_out);
/* A be64 that is a time of Unix, not before 1970. */
bool take_unix(struct cursor *c, int64_t *unix_out);
/* be32 length and that many octets, as buffer_add_block() wrote them. */
bool take_block(struct cursor *c, struct slice *octets_out);
