/* trust/sts.h - MTA-STS (RFC 8461): what a domain says of its mail servers in DNS and over HTTPS.
 * Values only; any thread. Nothing is fetched here. */
#pragma once

#include "base/slice.h"

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

enum {
	STS_ID_MAX_OCTETS = 32,
	STS_MX_MAX = 64,		 /* patterns of one policy; what is more is left out */
	STS_TEXT_MAX_OCTETS = 64 * 1024, /* RFC 8461 section 3.3 */
	STS_AGE_MAX_SECONDS = 31557600,	 /* RFC 8461 section 3.2 */
};

struct sts_policy {
	enum sts_mode mode;
	uint32_t max_age_seconds;
	struct slice mx[STS_MX_MAX]; /* "mail.example.org", "*.example.org" */
	size_t mx_count;
};

/* One TXT record of "_mta-sts". False: it is none of MTA-STS's. `id_out` is empty where it is one, but
 * cannot be understood. */
bool sts_record_take(struct slice text, struct slice *id_out);
/* Of all records: the policy's id. False: there is not exactly one that can be understood. */
bool sts_records_id(const struct slice *texts, size_t count, struct slice *id_out);
/* The policy as it came over HTTPS. Slices point into `text`. False: it cannot be understood. */
bool sts_policy_parse(struct slice text, struct sts_policy *policy_out);
/* Whether an MX record with this name is one that the policy means (section 4.1). */
bool sts_policy_allows(const struct sts_policy *policy, struct slice host);
/* Letters and digits, at most STS_ID_MAX_OCTETS. */
bool sts_id_is_valid(struct slice id);
