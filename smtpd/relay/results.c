/* smtpd/relay/results.c - each connection that was to be secured, and what came of it (RFC 8460
 * section 4), with who wants to be told of it. Runs in the front.
 *
 * Who wants reports is looked up beside the mail, which waits for nothing here. */
#include "smtpd/relay/results_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "smtpd/relay/lookup_priv.h"
#include "smtpd/relay/sender_priv.h"
#include "trust/tlsrpt.h"

/* A result that waits for the record of who wants reports. */
struct telling {
	struct dns_question question;
	struct front front; /* who asked may be gone */
	struct arena arena;
	struct tls_result_message message;
	struct tls_result result;
};

static void say(const struct front *front, struct tls_result_message *message,
		const struct tls_result *result)
{
	struct buffer payload = { 0 }, encoded = { 0 };
	if (result)
		tls_result_encode(result, &encoded);
	message->has_result = result != NULL;
	message->result = buffer_slice(&encoded);
	tls_result_message_encode(message, &payload);
	link_say(front->link, MESSAGE_TLS_RESULT, 0, buffer_slice(&payload));
	buffer_free(&payload);
	buffer_free(&encoded);
}

static void on_record(struct dns_question *question, const struct dns_answer *answer)
{
	struct telling *telling = CONTAINER_OF(question, struct telling, question);
	struct slice texts[DNS_RECORDS_MAX], uris;
	size_t count = 0;
	for (; answer->outcome == DNS_FOUND && count < answer->count; count++)
		texts[count] = answer->records[count].data;
	if (tlsrpt_records_uris(texts, count, &uris))
		telling->result.report_to = tlsrpt_cut_uris(uris, TLS_RESULT_REPORT_TO_MAX_OCTETS);
	say(&telling->front, &telling->message, &telling->result);
	arena_fini(&telling->arena);
	free(telling);
}

static void tell(const struct front *front, const struct tls_result_message *message,
		 const struct tls_result *result)
{
	struct telling *telling = heap_alloc(sizeof(*telling));
	struct arena *arena = &telling->arena;
	char name[DNS_NAME_MAX_OCTETS + 16];
	telling->front = *front;
	telling->message = *message;
	telling->message.domain = arena_copy(arena, message->domain);
	telling->result = *result;
	telling->result.policy_text = arena_copy(arena, result->policy_text);
	telling->result.host = arena_copy(arena, result->host);
	telling->result.address = arena_copy(arena, result->address);
	telling->result.reason = arena_copy(arena, result->reason);
	int len = snprintf(name, sizeof(name), "_smtp._tls.%.*s", SLICE_ARG(message->domain));
	telling->question.answered = on_record;
	resolver_ask(front->resolver, front->loop, &telling->question, DNS_TXT,
		     slice_of(name, (size_t)len), LOOKUP_MS);
}

/* ---- policies ---- */

static void add_tlsa(const struct dane *dane, struct buffer *out)
{
	for (size_t i = 0; i < dane->record_count; i++) {
		const struct tlsa *record = &dane->records[i];
		buffer_add_format(out, "%s%u %u %u ", i > 0 ? "\n" : "", record->usage,
				  record->selector, record->matching);
		for (size_t k = 0; k < record->data.len; k++)
			buffer_add_format(out, "%02x", record->data.ptr[k]);
	}
}

static void add_sts(const struct sts_policy *policy, struct buffer *out)
{
	static const char *const modes[] = { "none", "testing", "enforce" };
	buffer_add_format(out, "version: STSv1\nmode: %s", modes[policy->mode]);
	for (size_t i = 0; i < policy->mx_count; i++)
		buffer_add_format(out, "\nmx: %.*s", SLICE_ARG(policy->mx[i]));
	buffer_add_format(out, "\nmax_age: %u", policy->max_age_seconds);
}

static void set_policy(const struct outgoing *outgoing, struct buffer *text,
		       struct tls_result *result)
{
	const struct dane *dane = outgoing->exchanger.dane;
	if (dane && (dane->state == DANE_USABLE || dane->state == DANE_UNUSABLE)) {
		result->policy = TLS_POLICY_TLSA;
		add_tlsa(dane, text);
	} else if (outgoing->sts.has_policy && outgoing->sts.policy.mode != STS_NONE) {
		result->policy = TLS_POLICY_STS;
		add_sts(&outgoing->sts.policy, text);
	}
	result->policy_text = buffer_slice(text);
}

/* ---- results ---- */

enum tls_result_kind results_kind(enum tls_refusal refusal)
{
	switch (refusal) {
	case TLS_REFUSED_NAME: return TLS_RESULT_NAME;
	case TLS_REFUSED_EXPIRED: return TLS_RESULT_EXPIRED;
	case TLS_REFUSED_UNTRUSTED: return TLS_RESULT_UNTRUSTED;
	case TLS_REFUSED_DANE:
	case TLS_NOT_REFUSED: break;
	}
	return TLS_RESULT_FAILED;
}

/* What the connection has come to. A proof that fails is no sign that none is to be expected. */
static enum tls_level level_of(const struct connection *connection)
{
	enum tls_level level = connection_level(connection);
	if (level != TLS_LEVEL_NONE)
		return level;
	return demand_proves(&connection->demand) && !connection->client.lacks_tls
		       ? TLS_LEVEL_UNSAID
		       : TLS_LEVEL_NONE;
}

void results_note(struct connection *connection, enum tls_result_kind kind, const char *reason)
{
	const struct outgoing *outgoing = connection->outgoing;
	struct tls_result result = { .kind = kind };
	struct buffer policy = { 0 };
	char address[PEER_TEXT_MAX];
	/* One that is tried once more without TLS was told of already. */
	if (connection->is_noted || !outgoing || outgoing->in_the_clear ||
	    outgoing->route.kind != ROUTE_BY_DNS || connection->demand.is_lax ||
	    outgoing->message.destination.ptr[0] == '[')
		return;
	connection->is_noted = true;
	const struct tls_result_message message = {
		.domain = outgoing->message.destination,
		.level = level_of(connection),
		.proven_by = connection->demand.proven_by,
		.is_renounced = connection->demand.is_renounced,
	};
	set_policy(outgoing, &policy, &result);
	if (kind != TLS_RESULT_GOOD) {
		peer_format(&outgoing->exchanger.address, address);
		result.host = outgoing->exchanger.host;
		result.address = slice_cstr(address);
		result.reason = slice_cstr(reason);
	}
	tell(connection->sender->front, &message, &result);
	buffer_free(&policy);
}

void results_note_refused(const struct outgoing *outgoing, const char *reason)
{
	const struct front *front = outgoing->sender->front;
	struct tls_result result = { .kind = TLS_RESULT_FAILED };
	struct tls_result_message message = { .domain = outgoing->message.destination,
					      .level = TLS_LEVEL_UNSAID };
	struct buffer policy = { 0 };
	if (outgoing->demand.is_downgrade) {
		message.level = TLS_LEVEL_ENCRYPTED;
		say(front, &message, NULL);
		return;
	}
	set_policy(outgoing, &policy, &result);
	result.host = outgoing->exchanger.host;
	result.reason = slice_cstr(reason);
	tell(front, &message, &result);
	buffer_free(&policy);
}

void results_note_policy(const struct front *front, struct slice domain, enum tls_result_kind kind,
			 const char *reason)
{
	const struct tls_result result = { .policy = TLS_POLICY_STS,
					   .kind = kind,
					   .reason = slice_cstr(reason) };
	const struct tls_result_message message = { .domain = domain, .level = TLS_LEVEL_UNSAID };
	tell(front, &message, &result);
}

void results_note_dnssec(const struct front *front, struct slice domain, struct slice host)
{
	const struct tls_result result = { .policy = TLS_POLICY_TLSA,
					   .kind = TLS_RESULT_DNSSEC,
					   .host = host,
					   .reason = SLICE(
						   "the TLSA records' signatures do not hold") };
	const struct tls_result_message message = { .domain = domain, .level = TLS_LEVEL_UNSAID };
	tell(front, &message, &result);
}
