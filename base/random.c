/* base/random.c - unpredictable octets from the kernel. */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_octets(void *out, size_t len)
{
	uint8_t *at = out;
	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort(); /* nothing secret can be made without it */
		at += got;
		len -= (size_t)got;
	}
}

uint32_t random_u32(void)
{
	uint32_t n;
	random_octets(&n, sizeof(n));
	return n;
}

uint64_t random_u64(void)
{
	uint64_t n;
	random_octets(&n, sizeof(n));
	return n;
}
