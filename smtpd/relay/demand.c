/* smtpd/relay/demand.c - opportunistic encryption (RFC 7435), DANE (RFC 7672), the destination's policy
 * (MTA-STS, RFC 8461 section 5), what a sender demands (REQUIRETLS, RFC 8689), and what the configuration says of a smarthost: from all of it, how one
 * connection is to be. Runs in the front.
 *
 * What DNS proves of an exchanger comes first; a sender's demand can ask for more, never for less. */
#include "smtpd/relay/demand_priv.h"

#include "smtpd/relay/sender_priv.h"

static void of_smarthost(const struct config *config, struct demand *demand)
{
	demand->tls =
		config->smarthost_tls == SMARTHOST_STARTTLS ? CLIENT_TLS_MUST : CLIENT_TLS_NONE;
	demand->is_implicit = config->smarthost_tls == SMARTHOST_IMPLICIT;
	demand->proof = TLS_PROOF_NAME;
}

bool demand_is_senders(const struct outgoing *outgoing)
{
	const struct envelope *envelope = &outgoing->message.envelope;
	return envelope->requires_tls && envelope->reverse_path.len > 0;
}

static void of_dane(const struct dane *dane, struct demand *demand)
{
	if (!dane || (dane->state != DANE_USABLE && dane->state != DANE_UNUSABLE))
		return;
	demand->tls = CLIENT_TLS_MUST;
	demand->proof = dane->state == DANE_USABLE ? TLS_PROOF_DANE : TLS_PROOF_NONE;
}

bool demand_policy_allows(const struct outgoing *outgoing)
{
	const struct sts_lookup *sts = &outgoing->sts;
	return sts->has_policy && sts->policy.mode != STS_NONE &&
	       sts_policy_allows(&sts->policy, outgoing->exchanger.host);
}

/* False: the policy forbids this exchanger. */
static bool of_policy(const struct outgoing *outgoing, struct demand *demand)
{
	const struct sts_lookup *sts = &outgoing->sts;
	if (!sts->has_policy || sts->policy.mode == STS_NONE)
		return true;
	if (!demand_policy_allows(outgoing))
		return sts->policy.mode == STS_TESTING;
	demand->proof = TLS_PROOF_NAME;
	if (sts->policy.mode == STS_ENFORCE)
		demand->tls = CLIENT_TLS_MUST;
	else
		demand->is_lenient = true;
	return true;
}

bool demand_find(const struct outgoing *outgoing, struct demand *demand_out, const char **why_out,
		 const char **status_out)
{
	const struct exchanger *exchanger = &outgoing->exchanger;
	struct demand *demand = demand_out;
	*demand = (struct demand){ .tls = CLIENT_TLS_MAY, .proof = TLS_PROOF_NONE };
	if (outgoing->route.kind == ROUTE_TO_SMARTHOST) {
		of_smarthost(outgoing->sender->front->config, demand);
		return true;
	}
	of_dane(exchanger->dane, demand);
	/* Where there are TLSA records, a policy has no say (RFC 8461 section 2). */
	if (demand->tls != CLIENT_TLS_MUST && !of_policy(outgoing, demand)) {
		*why_out =
			"the destination's policy (MTA-STS) does not know the mail server that DNS "
			"names";
		*status_out = NULL;
		return false;
	}
	if (!demand_is_senders(outgoing) || demand_proves(demand))
		return true;
	/* The name in its certificate proves something only where DNSSEC, a policy, or who runs this
	 * server, has said that it is the right one (RFC 8689 section 4.2.1). */
	*why_out = "nothing proves which server the destination's mail goes to, and the sender "
		   "demands a secure way (REQUIRETLS)";
	*status_out = "5.7.10";
	demand->tls = CLIENT_TLS_MUST;
	demand->proof = TLS_PROOF_NAME;
	demand->is_lenient = false;
	return exchanger->is_secure || outgoing->route.kind == ROUTE_TO_HOST ||
	       demand_policy_allows(outgoing);
}
