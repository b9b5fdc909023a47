/* tests/fuzz/sts.c - what a stranger's zone and web server say of MTA-STS and TLS reports. */
#include <assert.h>

#include "trust/sts.h"
#include "trust/tlsrpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size), id;
	struct sts_policy policy;
	if (sts_record_take(input, &id) && id.len > 0)
		assert(sts_id_is_valid(id));
	if (sts_policy_parse(input, &policy)) {
		assert(policy.max_age_seconds <= STS_AGE_MAX_SECONDS);
		assert(policy.mode == STS_NONE || policy.mx_count > 0);
		for (size_t i = 0; i < policy.mx_count; i++)
			assert(policy.mx[i].len > 0 && policy.mx[i].ptr >= data &&
			       policy.mx[i].ptr + policy.mx[i].len <= data + size);
		(void)sts_policy_allows(&policy, input);
	}
	struct slice uris;
	struct tlsrpt_uri uri;
	if (tlsrpt_records_uris(&input, 1, &uris))
		while (tlsrpt_next_uri(&uris, &uri)) {
			const struct slice parts[] = { uri.address, uri.host, uri.path };
			assert(uri.scheme == TLSRPT_MAILTO || uri.port > 0);
			for (size_t k = 0; k < 3; k++)
				for (size_t i = 0; i < parts[k].len; i++)
					assert(parts[k].ptr[i] > ' ' && parts[k].ptr[i] < 127 &&
					       parts[k].ptr[i] != '<' && parts[k].ptr[i] != '>');
		}
	assert(tlsrpt_cut_uris(input, 10).len <= 10);
	return 0;
}
