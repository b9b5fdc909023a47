/* tests/fuzz/dns_record.c - what comes out of record data may stand in a log or a header. */
#include <assert.h>

#include "runtime/dns_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = {
		DNS_A, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct arena arena = { NULL };
		struct dns_record r;
		if (dns_record_decode(types[i], slice_of(data, size), &arena, &r)) {
			assert(r.name.len == 0 || dns_name_is_valid(r.name));
			assert(r.data.len <= size);
		}
		arena_fini(&arena);
	}
	(void)dns_name_is_valid(slice_of(data, size));
	return 0;
}
