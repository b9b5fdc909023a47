/* smtpd/relay/sts_priv.h - which policy of MTA-STS a destination has (RFC 8461), asked for when mail
 * goes there. On the front's loop. */
#pragma once

#include "runtime/delivery.h"
#include "runtime/front.h"
#include "runtime/tls.h"
#include "trust/sts.h"

/* Fetches of one loop: under way, and those of the last minutes. */
struct sts_fetches {
	struct front *front;
	struct tls_context *authorities; /* NULL: nothing can be fetched */
	struct sts_fetch *newest;
	size_t count;
};

/* One delivery's. Stays where it is until found() or sts_lookup_cancel(). */
struct sts_lookup {
	/* To be set. */
	struct sts_fetches *fetches;
	struct arena *arena; /* of what is found */
	struct slice domain;
	struct policy_message known; /* by the back */
	void (*found)(struct sts_lookup *lookup);

	/* The answer. */
	bool has_policy; /* one that is in force */
	bool is_doubtful; /* without one: DNS or the policy's host did not say whether there is one */
	struct sts_policy policy;

	struct dns_question question;
	struct sts_fetch *fetch; /* that is waited for */
	struct sts_lookup *next; /* that waits for it as well */
};
/* found() comes in a later turn. */
void sts_lookup_begin(struct sts_lookup *lookup);
void sts_lookup_cancel(struct sts_lookup *lookup);
