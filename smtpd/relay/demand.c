/* smtpd/relay/demand.c - opportunistic encryption (RFC 7435), DANE (RFC 7672), the destination's policy
 * (MTA-STS, RFC 8461 section 5), what a sender demands (REQUIRETLS, RFC 8689), and what the configuration
 * says of a smarthost: from all of it, how one connection is to be. Runs in the front.
 *
 * What DNS proves of an exchanger comes first, then the policy; what was reached before is expected
 * again. A sender can demand more (REQUIRETLS), or that nothing of this holds his message up
 * (TLS-Required: No). */
#include "smtpd/relay/demand_priv.h"

#include "smtpd/relay/sender_priv.h"

/* TLSA records stand in for the authorities. Where none of them is understood, an authority still has
 * to vouch for it. */
static void of_smarthost(const struct config *config, const struct dane *dane,
			 struct demand *demand)
{
	demand->tls =
		config->smarthost_tls == SMARTHOST_STARTTLS ? CLIENT_TLS_MUST : CLIENT_TLS_NONE;
	demand->is_implicit = config->smarthost_tls == SMARTHOST_IMPLICIT;
	demand->proof = dane && dane->state == DANE_USABLE ? TLS_PROOF_DANE : TLS_PROOF_NAME;
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
	if (dane->state == DANE_USABLE) {
		demand->proof = TLS_PROOF_DANE;
		demand->proven_by = TLS_POLICY_TLSA;
	}
}

/* Whether the destination's policy, if it has one, means the exchanger (RFC 8461 section 4.1). */
static bool policy_allows(const struct outgoing *outgoing)
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
	if (!policy_allows(outgoing))
		return sts->policy.mode == STS_TESTING;
	demand->proof = TLS_PROOF_NAME;
	if (sts->policy.mode == STS_ENFORCE) {
		demand->tls = CLIENT_TLS_MUST;
		demand->proven_by = TLS_POLICY_STS;
	} else {
		demand->is_lenient = true;
	}
	return true;
}

/* DNS proves that there are no TLSA records any more, where they have proven the way; a policy says that
 * none is in force, where one has. Neither speaks for the other: most domains never had TLSA records. */
static bool is_renounced(const struct outgoing *outgoing)
{
	const struct dane *dane = outgoing->exchanger.dane;
	const struct sts_lookup *sts = &outgoing->sts;
	enum tls_policy_kind known_by = outgoing->message.known_by;
	bool by_dns = dane && (dane->state == DANE_DENIED || dane->state == DANE_UNUSABLE);
	bool by_policy = sts->has_policy && sts->policy.mode != STS_ENFORCE;
	return (by_dns && known_by != TLS_POLICY_STS) || (by_policy && known_by != TLS_POLICY_TLSA);
}

/* What was reached before is expected again. False: it is not to be had, and nothing says why. */
static bool of_memory(const struct outgoing *outgoing, struct demand *demand)
{
	enum tls_level known = outgoing->message.known_level;
	if (known == TLS_LEVEL_NONE || demand_proves(demand))
		return true;
	if (known == TLS_LEVEL_PROVEN) {
		demand->is_renounced = is_renounced(outgoing);
		demand->is_downgrade = !demand->is_renounced;
	}
	demand->tls = CLIENT_TLS_MUST;
	return !demand->is_downgrade;
}

static bool of_domain(const struct outgoing *outgoing, struct demand *demand, const char **why_out)
{
	of_dane(outgoing->exchanger.dane, demand);
	/* Where there are TLSA records, a policy has no say (RFC 8461 section 2). */
	if (demand->tls != CLIENT_TLS_MUST && !of_policy(outgoing, demand)) {
		*why_out =
			"the destination's policy (MTA-STS) does not know the mail server that DNS "
			"names";
		return false;
	}
	*why_out =
		"the way to the destination could be proven to be secure before, and cannot now; "
		"perhaps somebody is in it";
	return of_memory(outgoing, demand);
}

bool demand_find(const struct outgoing *outgoing, struct demand *demand_out, const char **why_out,
		 const char **status_out)
{
	const struct exchanger *exchanger = &outgoing->exchanger;
	struct demand *demand = demand_out;
	*demand = (struct demand){ .tls = CLIENT_TLS_MAY, .proof = TLS_PROOF_NONE };
	*status_out = NULL;
	if (outgoing->route.kind == ROUTE_TO_SMARTHOST) {
		of_smarthost(outgoing->sender->front->config, exchanger->dane, demand);
		return true;
	}
	if (outgoing->message.tls_optional) {
		demand->is_lax = true;
		return true;
	}
	if (outgoing->route.kind == ROUTE_TO_HOST)
		of_dane(exchanger->dane, demand);
	else if (!of_domain(outgoing, demand, why_out))
		return false;
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
	       policy_allows(outgoing);
}
