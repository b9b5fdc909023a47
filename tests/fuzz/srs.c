/* tests/fuzz/srs.c - local parts that look like rewritten ones, and paths that are rewritten: what is
 * made leads back, and what was not made leads nowhere. */
#include <assert.h>

#include "mail/address.h"
#include "mda/srs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[MAC_KEY_OCTETS] = { 1 }, other[MAC_KEY_OCTETS] = { 2 };
	enum { NOW = 1800000000 };
	struct arena arena = { 0 };
	struct slice text = slice_of(data, size);
	struct address address, back;
	(void)srs_back(key, text, NOW, &arena);
	if (!address_parse(text, &arena, &address)) {
		arena_fini(&arena);
		return 0;
	}
	(void)srs_back(key, address.local, NOW, &arena);
	struct slice path = srs_forward(key, text, SLICE("ours.example"), NOW, &arena);
	if (path.len > 0) {
		assert(address_parse(path, &arena, &back) && srs_is_rewritten(back.local));
		struct slice first = srs_back(key, back.local, NOW, &arena);
		assert(first.len > 0 && srs_back(other, back.local, NOW, &arena).len == 0);
		if (!srs_is_rewritten(address.local))
			assert(slice_eq(first, address_format(&address, &arena)));
	}
	arena_fini(&arena);
	return 0;
}
