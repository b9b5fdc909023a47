/* runtime/resolver.h - questions to DNS: recursive, validated by DNSSEC, cached; libunbound.
 *
 * One resolver serves all loops of the front and works in a thread of its own; the answer comes
 * on the loop that asked. CNAMEs are followed. The cache keeps answers, the negative ones as well,
 * for their TTL and is bounded in memory. */
#pragma once

#include "base/err.h"
#include "runtime/dns_record.h"
#include "runtime/loop.h"
#include "runtime/peer.h"

struct resolver;
struct lookup;

struct resolver_options {
	const char *
		forward; /* "192.0.2.1:53", "[::1]:53": all questions go there; NULL: own recursion */
	/* Zone file lines of DS or DNSKEY records; validation starts there. NULL: the root's, built
	 * in. Without any record: nothing is validated. */
	struct slice *trust_anchor;
};

enum dns_outcome {
	DNS_FOUND,    /* there are records; `count` is 0 where none of them is well-formed */
	DNS_NODATA,   /* the name exists, or may: nothing of that type */
	DNS_NXDOMAIN, /* there is no such name (RFC 8020: nor anything below it) */
	DNS_BOGUS,  /* signed, and the signature does not hold: treat as a failure that may pass */
	DNS_FAILED, /* no answer in time, or servers that fail: nothing is known */
};

struct dns_answer {
	enum dns_outcome outcome;
	bool secure; /* proven by DNSSEC from a trust anchor on, also where there is nothing */
	uint32_t ttl_seconds;
	struct slice canonical; /* the name at the end of the CNAMEs; empty where there are none */
	const struct dns_record *records; /* in the order of the answer */
	size_t count;
	const char *why; /* for the log, where bogus; may be NULL */
};

/* Embedded in what asks; stays where it is until answered() or resolver_cancel(). */
struct dns_question {
	/* Once, in a later turn of the loop. The answer lives during the call. */
	void (*answered)(struct dns_question *question, const struct dns_answer *answer);
	/* Who makes us ask it by connecting; NULL: nobody does. Such questions have a share of what may be
	 * open at a time, also after they were cancelled, and so have those of his network, a /24 or
	 * /48, and of his address, of IPv6 the /64. Read by resolver_ask() only. */
	const struct peer *stranger;
	/* To a zone that the configuration names: there is room for it whatever servers of strangers leave
	 * unanswered. */
	bool is_to_list;
	struct lookup *lookup; /* resolver's; NULL: not asked */
};

/* After the sandbox is shut: a thread starts with the first question. `home` is the loop on which
 * what the thread brings is taken; call on its thread or before it runs. NULL: options that do not
 * work; logged. */
struct resolver *resolver_new(struct loop *home, const struct resolver_options *options) MUST_USE;
/* Every question was answered or cancelled. Accepts NULL, leaves NULL. */
void resolver_free(struct resolver **resolver);

/* On `loop`, from its thread. DNS_FAILED after `timeout_ms`, for a name that cannot be asked for,
 * when too many questions are open, and where `resolver` is NULL. */
void resolver_ask(struct resolver *resolver, struct loop *loop, struct dns_question *question,
		  enum dns_type type, struct slice name, uint64_t timeout_ms);
/* answered() will not be called any more. Nothing to do where nothing is asked. */
void resolver_cancel(struct dns_question *question);
