/* smtpd/relay/demand.c - opportunistic encryption (RFC 7435), DANE (RFC 7672), what a sender demands
 * (REQUIRETLS, RFC 8689), and what the configuration says of a smarthost: from all of it, how one
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

/* A report about such a message goes on all the same (RFC 8689 section 5). */
static bool requires_tls(const struct outgoing *outgoing)
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
	if (!requires_tls(outgoing) || demand_proves(demand))
		return true;
	/* The name in its certificate proves something only where DNSSEC, or who runs this server,
	 * has said that it is the right one (RFC 8689 section 4.2.1). */
	*why_out = "nothing proves which server the destination's mail goes to, and the sender "
		   "demands a secure way (REQUIRETLS)";
	*status_out = "5.7.10";
	demand->tls = CLIENT_TLS_MUST;
	demand->proof = TLS_PROOF_NAME;
	return exchanger->is_secure || outgoing->route.kind == ROUTE_TO_HOST;
}
