/* smtpd/relay/demand_priv.h - how the way to an exchanger has to be secured, for a message. On the
 * front's loop. */
#pragma once

#include "runtime/tls_demand.h"
#include "runtime/tls_result.h"
#include "smtpd/relay/client_priv.h"

struct outgoing;

struct demand {
	enum client_tls tls;
	bool is_implicit;     /* TLS from the start */
	enum tls_proof proof; /* where TLS is spoken */
	/* What of the destination's demands that proof; TLS_POLICY_NONE: nothing. A sender's demand is not
	 * to be expected of the next message. */
	enum tls_policy_kind proven_by;
	bool is_lenient;   /* a proof that fails is noted only */
	bool is_lax;	   /* the sender wants it so (RFC 8689 section 3): for such mail alone */
	bool is_downgrade; /* with false: less than before, and nothing says why */
	bool is_renounced; /* less than before, and what proved it says that it is meant so */
};

/* For the message's next exchanger. False: it is not to be tried; `why_out` says why in words, and
 * `status_out` with which status the message goes back where all of them are so; NULL: it waits. */
bool demand_find(const struct outgoing *outgoing, struct demand *demand_out, const char **why_out,
		 const char **status_out);
/* REQUIRETLS was said of the message; but a report about such a message goes on in any case (RFC 8689
 * section 5). */
bool demand_is_senders(const struct outgoing *outgoing);
/* With it, TLS proves that the server is the one that was meant. */
static inline bool demand_proves(const struct demand *demand)
{
	return demand->proof != TLS_PROOF_NONE && !demand->is_lenient;
}
