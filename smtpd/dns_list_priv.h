/* smtpd/dns_list_priv.h - lists of addresses in DNS (RFC 5782): one word of [smtp] dns_lists, and
 * what an answer of such a list means. Values only. */
#pragma once

#include "runtime/dns_record.h"

enum { DNS_LISTS_MAX = 32 };

/* "ZONE", "ZONE:WEIGHT", "ZONE=NETWORK:WEIGHT". */
struct dns_list {
	struct slice zone;
	struct network answers; /* those that count; default: 127.0.0.0/8 */
	int weight;		/* default: 1; below 0: a list of the good */
};
/* The next word of `rest`; one that is no list (base/config has complained about it) is skipped.
 * False: there is none. */
bool dns_list_next(struct slice *rest, struct dns_list *list_out);

enum dns_list_meaning {
	DNS_LIST_SAYS_NO,  /* not on it, or on a part of it that does not count */
	DNS_LIST_SAYS_YES, /* on it */
	/* The list does not serve the resolver that we ask by, or the zone is not a list any more:
	 * whatever it says means nothing. */
	DNS_LIST_REFUSES_US,
};
enum dns_list_meaning dns_list_meaning(const struct dns_list *list,
				       const struct dns_record *records, size_t count);
