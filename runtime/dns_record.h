/* runtime/dns_record.h - what DNS says, as values: record data off the wire, names for questions.
 *
 * Any thread. Names are text as hosts have them: lower case, letters, digits, hyphens and
 * underscores, no dot at the end; the root is empty. A record whose name is anything else is left
 * out, so what comes from here may stand in a log line or a trace header. */
#pragma once

#include "base/arena.h"
#include "runtime/peer.h"

/* RFC 1035 section 3.2.2, RFC 3596, RFC 6698 section 7.1. */
enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5, /* asked for by itself, it is not followed */
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52,
};

enum {
	DNS_NAME_MAX_OCTETS = 253,
	/* Of one answer; a stranger's zone says how many there are. */
	DNS_RECORDS_MAX = 128,
};

struct dns_record {
	struct peer address; /* A, AAAA; its port is 0 */
	struct slice name;   /* MX (empty: RFC 7505, no mail here), PTR, CNAME */
	uint16_t preference; /* MX */
	/* TLSA (RFC 6698 section 2.1): certificate usage, selector, matching type. */
	uint8_t usage, selector, matching;
	struct slice data; /* TLSA: the association data; TXT: its strings, joined */
};

/* One record's data off the wire, names not compressed. False: not well-formed, or of a kind
 * that is left out. Slices lie in `arena`. */
bool dns_record_decode(enum dns_type type, struct slice rdata, struct arena *arena,
		       struct dns_record *record_out);

/* "_25._tcp.mail.example.org": could be asked for. A dot at the end is no part of a name here. */
bool dns_name_is_valid(struct slice name);
/* "7.2.0.192." and `zone`: in-addr.arpa or ip6.arpa (RFC 1035 section 3.5, RFC 3596 section 2.5)
 * where `zone` is empty, else a DNS list's (RFC 5782 sections 2.1 and 2.4). False: a local socket
 * has no such name, or it would be too long. */
bool dns_reverse_name(const struct peer *peer, struct slice zone,
		      char name_out[DNS_NAME_MAX_OCTETS + 1]);
