/* smtpd/relay/tlsa_priv.h - what DNS proves of an exchanger's certificate: DANE (RFC 7672 section 2).
 * On the front's loop. */
#pragma once

#include "runtime/front.h"
#include "runtime/tls_demand.h"

enum dane_state {
	DANE_NONE,     /* DNS does not prove anything */
	DANE_DENIED,   /* DNS proves that there are no records */
	DANE_USABLE,   /* one of the records has to fit */
	DANE_UNUSABLE, /* records, but none that is understood: TLS, with any certificate */
	DANE_FAILED,   /* not known: the exchanger is as good as unreachable */
};

struct dane {
	enum dane_state state;
	bool is_bogus;	  /* of DANE_FAILED: there is an answer, and its signatures do not hold */
	const char *base; /* TLSA base domain: whom to ask for, and whose name to find */
	struct tlsa *records;
	size_t record_count;
};

/* One exchanger's, at a time. Stays where it is until found() or tlsa_lookup_cancel(). */
struct tlsa_lookup {
	/* To be set. */
	const struct front *front;
	struct arena *arena; /* of what is found */
	uint16_t port;
	struct slice host;	/* as the MX record has it */
	struct slice canonical; /* at the end of its CNAMEs; empty: it has none */
	bool is_secure;		/* its addresses, with all CNAMEs on the way */
	void (*found)(struct tlsa_lookup *lookup);

	struct dane dane; /* the answer */

	struct dns_question question;
	struct slice candidates[2]; /* base domains */
	size_t candidate_count, candidate_at;
	bool is_about_alias, is_denied;
};
/* found() may come at once. */
void tlsa_lookup_begin(struct tlsa_lookup *lookup);
void tlsa_lookup_cancel(struct tlsa_lookup *lookup);
