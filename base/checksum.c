/* base/checksum.c - XXH64 with seed 0, as the xxHash specification describes it
 * (github.com/Cyan4973/xxHash, doc/xxhash_spec.md). */
#include "base/checksum.h"

static const uint64_t prime1 = 0x9E3779B185EBCA87, prime2 = 0xC2B2AE3D27D4EB4F,
		      prime3 = 0x165667B19E3779F9, prime4 = 0x85EBCA77C2B2AE63,
		      prime5 = 0x27D4EB2F165667C5;

enum { STRIPE = 32 };

static uint64_t rotate(uint64_t n, int by)
{
	return n << by | n >> (64 - by);
}

/* Little-endian, as the specification has it. */
static uint64_t le64(const uint8_t *at)
{
	uint64_t n;
	memcpy(&n, at, sizeof(n));
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(n) : n;
}

static uint32_t le32(const uint8_t *at)
{
	uint32_t n;
	memcpy(&n, at, sizeof(n));
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap32(n) : n;
}

static uint64_t round_of(uint64_t lane, uint64_t input)
{
	return rotate(lane + input * prime2, 31) * prime1;
}

static void stripe(struct checksum *sum, const uint8_t *at)
{
	for (int i = 0; i < 4; i++)
		sum->lanes[i] = round_of(sum->lanes[i], le64(at + 8 * i));
}

void checksum_begin(struct checksum *sum)
{
	*sum = (struct checksum){ .lanes = { prime1 + prime2, prime2, 0, 0 - prime1 } };
}

void checksum_add(struct checksum *sum, struct slice octets)
{
	const uint8_t *at = octets.ptr;
	size_t left = octets.len;
	sum->total_octets += left;
	if (sum->rest_octets > 0 && left > 0) {
		size_t take = STRIPE - sum->rest_octets < left ? STRIPE - sum->rest_octets : left;
		memcpy(sum->rest + sum->rest_octets, at, take);
		sum->rest_octets += take;
		at += take;
		left -= take;
		if (sum->rest_octets < STRIPE)
			return;
		stripe(sum, sum->rest);
		sum->rest_octets = 0;
	}
	for (; left >= STRIPE; at += STRIPE, left -= STRIPE)
		stripe(sum, at);
	if (left > 0)
		memcpy(sum->rest, at, left);
	sum->rest_octets = left;
}

uint64_t checksum_value(const struct checksum *sum)
{
	const uint64_t *lanes = sum->lanes;
	uint64_t value = prime5;
	if (sum->total_octets >= STRIPE) {
		value = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) +
			rotate(lanes[3], 18);
		for (int i = 0; i < 4; i++)
			value = (value ^ round_of(0, lanes[i])) * prime1 + prime4;
	}
	value += sum->total_octets;
	const uint8_t *at = sum->rest, *end = at + sum->rest_octets;
	for (; end - at >= 8; at += 8)
		value = rotate(value ^ round_of(0, le64(at)), 27) * prime1 + prime4;
	if (end - at >= 4) {
		value = rotate(value ^ le32(at) * prime1, 23) * prime2 + prime3;
		at += 4;
	}
	for (; at < end; at++)
		value = rotate(value ^ *at * prime5, 11) * prime1;
	value = (value ^ value >> 33) * prime2;
	value = (value ^ value >> 29) * prime3;
	return value ^ value >> 32;
}

uint64_t checksum_of(struct slice octets)
{
	struct checksum sum;
	checksum_begin(&sum);
	checksum_add(&sum, octets);
	return checksum_value(&sum);
}
