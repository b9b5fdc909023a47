/* base/octets.c - taking numbers and blocks from records and frames. */
#include "base/octets.h"

bool take_u8(struct cursor *c, uint8_t *number_out)
{
	if (at_end(c))
		return false;
	*number_out = *c->at++;
	return true;
}

bool take_be16(struct cursor *c, uint16_t *number_out)
{
	struct slice s;
	if (!take_octets(c, 2, &s))
		return false;
	*number_out = get_be16(s.ptr);
	return true;
}

bool take_be32(struct cursor *c, uint32_t *number_out)
{
	struct slice s;
	if (!take_octets(c, 4, &s))
		return false;
	*number_out = get_be32(s.ptr);
	return true;
}

bool take_be64(struct cursor *c, uint64_t *number_out)
{
	struct slice s;
	if (!take_octets(c, 8, &s))
		return false;
	*number_out = get_be64(s.ptr);
	return true;
}

bool take_unix(struct cursor *c, int64_t *unix_out)
{
	uint64_t number;
	if (!take_be64(c, &number) || number > INT64_MAX)
		return false;
	*unix_out = (int64_t)number;
	return true;
}

bool take_block(struct cursor *c, struct slice *octets_out)
{
	struct cursor copy = *c;
	uint32_t len;
	if (!take_be32(&copy, &len) || !take_octets(&copy, len, octets_out))
		return false;
	*c = copy;
	return true;
}
