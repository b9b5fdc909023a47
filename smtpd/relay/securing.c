/* smtpd/relay/securing.c - the handshake with another server: against what its certificate is held, and
 * what is told of the outcome (RFC 7672, RFC 8461). Runs in the front. */
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "smtpd/relay/sender_priv.h"

/* RFC 7672 section 3.2.2: the next hop's name, which is the destination's only where that is looked up. */
static void start_dane(struct connection *connection, struct tls_context *context,
		       struct tls_demand *tls)
{
	const struct outgoing *outgoing = connection->outgoing;
	const struct exchanger *exchanger = &outgoing->exchanger;
	const struct dane *dane = exchanger->dane;
	char *destination = heap_string(outgoing->message.destination);
	char *canonical = heap_string(exchanger->canonical);
	tls->host = dane->base;
	tls->records = dane->records;
	tls->record_count = dane->record_count;
	tls->names[tls->name_count++] = dane->base;
	tls->names[tls->name_count++] =
		outgoing->route.kind == ROUTE_BY_DNS ? destination : connection->host;
	if (exchanger->canonical.len > 0)
		tls->names[tls->name_count++] = canonical;
	stream_start_tls_client(connection->stream, context, tls);
	free(destination);
	free(canonical);
}

const char *connection_secure(struct connection *connection)
{
	struct relay_sender *sender = connection->sender;
	const struct demand *demand = &connection->demand;
	char place[sizeof(connection->remote) + DNS_NAME_MAX_OCTETS + 2];
	snprintf(place, sizeof(place), "%s %s", connection->key, connection->remote);
	struct tls_demand tls = { .host = connection->host,
				  .proof = demand->proof,
				  .is_lenient = demand->is_lenient,
				  .sessions = sender->sessions,
				  .place = place };
	struct tls_context *context = sender->trust.opportunistic;
	if (demand->proof == TLS_PROOF_NAME)
		context = connection->outgoing->route.kind == ROUTE_TO_SMARTHOST
				  ? sender->trust.smarthost
				  : sender->trust.authorities;
	if (!context && demand->is_lenient) {
		context = sender->trust.opportunistic;
		tls.proof = TLS_PROOF_NONE;
	}
	if (!context)
		return "this server has no list of authorities to check the other server's "
		       "certificate against";
	connection->is_handshaking = true;
	if (demand->proof == TLS_PROOF_DANE)
		start_dane(connection, context, &tls);
	else
		stream_start_tls_client(connection->stream, context, &tls);
	return NULL;
}

void connection_note_secured(struct connection *connection)
{
	static const char *const proofs[] = {
		[TLS_PROOF_NAME] = "name", [TLS_PROOF_NONE] = "none", [TLS_PROOF_DANE] = "dane"
	};
	const struct stream *stream = connection->stream;
	enum tls_refusal kind;
	const char *refusal = stream_tls_refusal(stream, &kind);
	connection->is_handshaking = false;
	connection->client.is_proven = demand_proves(&connection->demand);
	log_info(&connection->log, EVENT("relay-secured"),
		 CSTR("version", stream_tls_version(stream)),
		 CSTR("cipher", stream_tls_cipher(stream)),
		 WORD("proof", refusal ? "failed" : proofs[connection->demand.proof]),
		 NUM("resumed", stream_tls_is_resumed(stream)));
	results_note(connection, refusal ? results_kind(kind) : TLS_RESULT_GOOD, refusal);
	if (refusal) /* a policy that is being tested: the mail goes all the same */
		log_info(&connection->log, EVENT("relay-unproven"), CSTR("why", refusal));
}
