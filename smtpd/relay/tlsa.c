/* smtpd/relay/tlsa.c - TLSA records of an exchanger (RFC 7672 sections 2.2.2 and 2.2.3), which is
 * asked for only where DNSSEC secures the way to its name. Runs in the front.
 *
 * What cannot be looked up is no "there is none": an attacker who swallows the answer would have won
 * then (RFC 7672 section 2.1.2). */
#include "smtpd/relay/tlsa_priv.h"

#include <stdio.h>

#include "smtpd/relay/lookup_priv.h"

static void ask_candidate(struct tlsa_lookup *lookup);

static void finish(struct tlsa_lookup *lookup, enum dane_state state)
{
	lookup->dane.state = state;
	lookup->found(lookup);
}

static void fail(struct tlsa_lookup *lookup, const struct dns_answer *answer)
{
	lookup->dane.is_bogus = answer->outcome == DNS_BOGUS;
	finish(lookup, DANE_FAILED);
}

static void take_records(struct tlsa_lookup *lookup, const struct dns_answer *answer)
{
	struct dane *dane = &lookup->dane;
	dane->base = arena_string(lookup->arena, lookup->candidates[lookup->candidate_at]);
	dane->records = arena_alloc_array(lookup->arena, TLSA_RECORDS_MAX, sizeof(*dane->records));
	for (size_t i = 0; i < answer->count && dane->record_count < TLSA_RECORDS_MAX; i++) {
		const struct dns_record *from = &answer->records[i];
		struct tlsa record = { from->usage, from->selector, from->matching, from->data };
		if (!tlsa_is_usable(&record))
			continue;
		record.data = arena_copy(lookup->arena, record.data);
		dane->records[dane->record_count++] = record;
	}
	finish(lookup, dane->record_count > 0 ? DANE_USABLE : DANE_UNUSABLE);
}

static void on_records(struct tlsa_lookup *lookup, const struct dns_answer *answer)
{
	switch (answer->outcome) {
	case DNS_FAILED:
	case DNS_BOGUS: fail(lookup, answer); return;
	case DNS_FOUND:
		if (answer->secure) {
			take_records(lookup, answer);
			return;
		}
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN: break;
	}
	lookup->is_denied &= answer->secure;
	if (++lookup->candidate_at < lookup->candidate_count)
		ask_candidate(lookup);
	else
		finish(lookup, lookup->is_denied ? DANE_DENIED : DANE_NONE);
}

/* The addresses are not secure, but the name's own CNAME may be: then records stand under the name
 * as it was given. */
static void on_alias(struct tlsa_lookup *lookup, const struct dns_answer *answer)
{
	lookup->is_about_alias = false;
	if (answer->outcome == DNS_FAILED || answer->outcome == DNS_BOGUS)
		fail(lookup, answer);
	else if (answer->outcome == DNS_FOUND && answer->secure)
		ask_candidate(lookup);
	else
		finish(lookup, DANE_NONE);
}

static void on_answer(struct dns_question *question, const struct dns_answer *answer)
{
	struct tlsa_lookup *lookup = CONTAINER_OF(question, struct tlsa_lookup, question);
	if (lookup->is_about_alias)
		on_alias(lookup, answer);
	else
		on_records(lookup, answer);
}

static void ask(struct tlsa_lookup *lookup, enum dns_type type, struct slice name)
{
	lookup->question = (struct dns_question){ .answered = on_answer };
	resolver_ask(lookup->front->resolver, lookup->front->loop, &lookup->question, type, name,
		     LOOKUP_MS);
}

static void ask_candidate(struct tlsa_lookup *lookup)
{
	char name[DNS_NAME_MAX_OCTETS + 16];
	int len = snprintf(name, sizeof(name), "_%u._tcp.%.*s", lookup->port,
			   SLICE_ARG(lookup->candidates[lookup->candidate_at]));
	ask(lookup, DNS_TLSA, slice_of(name, (size_t)len));
}

void tlsa_lookup_begin(struct tlsa_lookup *lookup)
{
	lookup->dane = (struct dane){ .state = DANE_NONE };
	lookup->candidate_count = lookup->candidate_at = 0;
	lookup->is_about_alias = !lookup->is_secure;
	lookup->is_denied = true;
	if (lookup->is_secure && lookup->canonical.len > 0)
		lookup->candidates[lookup->candidate_count++] = lookup->canonical;
	lookup->candidates[lookup->candidate_count++] = lookup->host;
	if (lookup->is_secure)
		ask_candidate(lookup);
	else if (lookup->canonical.len > 0)
		ask(lookup, DNS_CNAME, lookup->host);
	else
		finish(lookup, DANE_NONE);
}

void tlsa_lookup_cancel(struct tlsa_lookup *lookup)
{
	resolver_cancel(&lookup->question);
}
