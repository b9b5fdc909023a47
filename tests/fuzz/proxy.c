/* tests/fuzz/proxy.c - the PROXY header: never wants what is not its own, and says the same whether
 * it comes whole or octet for octet. */
#include <assert.h>
#include <stdlib.h>

#include "runtime/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer peer = { .family = 4 };
	size_t len = 0, more = 0;
	enum proxy_header result;

	/* A copy for each length, so that reading behind it is found. */
	for (;;) {
		uint8_t *copy = malloc(len + 1);
		memcpy(copy, data, len);
		result = proxy_header_take(slice_of(copy, len), &more, &peer);
		free(copy);
		if (result != PROXY_PARTIAL)
			break;
		assert(more > 0 && len + more <= PROXY_HEADER_MAX_OCTETS);
		if (len == size)
			return 0;
		len += more < size - len ? more : size - len;
	}
	if (result == PROXY_WHOLE) {
		assert(peer.family == 4 || peer.family == 6);
		assert(proxy_header_take(slice_of(data, len), &more, &peer) == PROXY_WHOLE);
	}
	return 0;
}
