/* smtpd/relay/sts.c - discovery of MTA-STS policies (RFC 8461 sections 3.3 and 5.1): the TXT record
 * says which policy is the present one; where the back has that, and it is fresh, nothing is fetched.
 * Runs in the front.
 *
 * One fetch serves all who wait for it, and is not begun again within some minutes. Whatever goes
 * wrong with it, a policy that was known before and has not expired stays in force; without one, mail
 * goes as if the domain had none, for who can swallow the first fetch could as well swallow the record.
 *
 * Left out: fetching policies anew when no mail goes there. One that expires in that time is fetched
 * with the next mail. */
#include "smtpd/relay/sts_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "runtime/https.h"
#include "smtpd/relay/lookup_priv.h"
#include "smtpd/relay/results_priv.h"

enum {
	FETCH_MS = 20 * 1000,	   /* so long mail may wait for a web server */
	KEPT_MS = 5 * 60 * 1000,   /* section 3.3: no attempts more often than this */
	FRESH_SECONDS = 24 * 3600, /* likewise: fetched anew once a day */
	FETCHES_MAX = 1000,
};

struct sts_fetch {
	struct sts_fetches *fetches;
	struct sts_fetch *next;
	struct slice domain, id; /* on the heap */
	struct https_call *call; /* NULL: it is over */
	struct sts_lookup *waiting;
	bool is_good;
	struct buffer text;
	int64_t fetched_unix, expires_unix;
	uint64_t until_ms; /* that it is remembered */
};

/* ---- answers ---- */

static void finish(struct sts_lookup *lookup, struct slice text)
{
	lookup->has_policy =
		text.len > 0 && sts_policy_parse(arena_copy(lookup->arena, text), &lookup->policy);
	lookup->is_doubtful &= !lookup->has_policy;
	lookup->found(lookup);
}

/* What the back knows, as long as it is in force. */
static void finish_with_known(struct sts_lookup *lookup, bool is_doubtful)
{
	lookup->is_doubtful = is_doubtful;
	finish(lookup, lookup->known.expires_unix > clock_unix() ? lookup->known.text : SLICE_NONE);
}

/* ---- fetches ---- */

static void forget(struct sts_fetch **at)
{
	struct sts_fetch *fetch = *at;
	*at = fetch->next;
	fetch->fetches->count--;
	free((void *)(uintptr_t)fetch->domain.ptr);
	free((void *)(uintptr_t)fetch->id.ptr);
	buffer_free(&fetch->text);
	free(fetch);
}

/* Those that are past their time are forgotten on the way. An empty `id`: any. */
static struct sts_fetch *find(struct sts_fetches *fetches, struct slice domain, struct slice id)
{
	uint64_t now_ms = loop_now_ms(fetches->front->loop);
	struct sts_fetch *found = NULL;
	for (struct sts_fetch **at = &fetches->newest; *at;) {
		struct sts_fetch *fetch = *at;
		if (!fetch->call && fetch->until_ms <= now_ms) {
			forget(at);
			continue;
		}
		if (!found && slice_eq(fetch->domain, domain) &&
		    (id.len == 0 || slice_eq(fetch->id, id)))
			found = fetch;
		at = &fetch->next;
	}
	return found;
}

static void tell_back(const struct sts_fetch *fetch)
{
	struct buffer payload = { 0 };
	const struct policy_message message = {
		.domain = fetch->domain,
		.id = fetch->id,
		.text = buffer_slice(&fetch->text),
		.fetched_unix = fetch->fetched_unix,
		.expires_unix = fetch->expires_unix,
	};
	policy_encode(&message, &payload);
	link_say(fetch->fetches->front->link, MESSAGE_POLICY, 0, buffer_slice(&payload));
	buffer_free(&payload);
}

static void take_policy(struct sts_fetch *fetch, const struct https_answer *answer)
{
	struct sts_policy policy;
	const char *why = answer->why;
	uint64_t kept_ms = KEPT_MS;
	fetch->is_good = !why && sts_policy_parse(answer->body, &policy);
	if (fetch->is_good) {
		fetch->fetched_unix = clock_unix();
		fetch->expires_unix = fetch->fetched_unix + policy.max_age_seconds;
		buffer_add(&fetch->text, answer->body);
		tell_back(fetch);
		if (kept_ms > (uint64_t)policy.max_age_seconds * 1000)
			kept_ms = (uint64_t)policy.max_age_seconds * 1000;
		log_info(NULL, EVENT("policy-fetched"), TEXT("domain", fetch->domain),
			 TEXT("id", fetch->id));
	} else {
		log_warning(NULL, EVENT("policy-not-fetched"), TEXT("domain", fetch->domain),
			    TEXT("id", fetch->id),
			    CSTR("why", why ? why : "what came is no policy (RFC 8461)"));
		results_note_policy(fetch->fetches->front, fetch->domain,
				    !why	     ? TLS_RESULT_POLICY_INVALID
				    : answer->is_tls ? TLS_RESULT_POLICY_HOST_UNTRUSTED
						     : TLS_RESULT_POLICY_NOT_FETCHED,
				    why ? why : "no policy of RFC 8461");
	}
	fetch->until_ms = loop_now_ms(fetch->fetches->front->loop) + kept_ms;
}

static void on_answered(void *user, const struct https_answer *answer)
{
	struct sts_fetch *fetch = user;
	fetch->call = NULL;
	take_policy(fetch, answer);
	while (fetch->waiting) {
		struct sts_lookup *lookup = fetch->waiting;
		fetch->waiting = lookup->next;
		lookup->fetch = NULL;
		if (fetch->is_good)
			finish(lookup, buffer_slice(&fetch->text));
		else
			finish_with_known(lookup, true);
	}
}

static struct slice heap_slice(struct slice s)
{
	return slice_of(heap_copy(s.ptr, s.len), s.len);
}

/* NULL: nothing can be fetched now. */
static struct sts_fetch *begin_fetch(struct sts_fetches *fetches, struct slice domain,
				     struct slice id)
{
	const struct config *config = fetches->front->config;
	char host[DNS_NAME_MAX_OCTETS + 16];
	if (!fetches->authorities || fetches->count >= FETCHES_MAX)
		return NULL;
	int len = snprintf(host, sizeof(host), "mta-sts.%.*s", SLICE_ARG(domain));
	const struct https_request request = {
		.resolver = fetches->front->resolver,
		.tls = fetches->authorities,
		.host = slice_of(host, (size_t)len),
		.port = (uint16_t)config->policy_port,
		.path = "/.well-known/mta-sts.txt",
		.media_type = "text/plain",
		.answer_max_octets = STS_TEXT_MAX_OCTETS,
		.timeout_ms = FETCH_MS,
		.may_stay_inside = config->relay_loopback,
	};
	struct sts_fetch *fetch = heap_alloc(sizeof(*fetch));
	fetch->fetches = fetches;
	fetch->domain = heap_slice(domain);
	fetch->id = heap_slice(id);
	fetch->next = fetches->newest;
	fetches->newest = fetch;
	fetches->count++;
	fetch->call = https_call_new(fetches->front->loop, &request, on_answered, fetch);
	return fetch;
}

/* ---- the record ---- */

static bool take_id(const struct dns_answer *answer, struct slice *id_out)
{
	struct slice texts[DNS_RECORDS_MAX];
	if (answer->outcome != DNS_FOUND)
		return false;
	for (size_t i = 0; i < answer->count; i++)
		texts[i] = answer->records[i].data;
	return sts_records_id(texts, answer->count, id_out);
}

static bool is_fresh(const struct policy_message *known, struct slice id)
{
	int64_t now_unix = clock_unix();
	return known->text.len > 0 && slice_eq(known->id, id) && known->expires_unix > now_unix &&
	       known->fetched_unix > now_unix - FRESH_SECONDS;
}

static void on_record(struct dns_question *question, const struct dns_answer *answer)
{
	struct sts_lookup *lookup = CONTAINER_OF(question, struct sts_lookup, question);
	struct slice id = SLICE_NONE;
	bool has_record = take_id(answer, &id);
	struct sts_fetch *fetch = find(lookup->fetches, lookup->domain, id);
	if (!fetch && has_record && !is_fresh(&lookup->known, id))
		fetch = begin_fetch(lookup->fetches, lookup->domain, id);
	if (fetch && fetch->call && has_record) {
		lookup->fetch = fetch;
		lookup->next = fetch->waiting;
		fetch->waiting = lookup;
	} else if (fetch && fetch->is_good) {
		finish(lookup, buffer_slice(&fetch->text));
	} else {
		/* There is a record, but not what it speaks of; or nobody knows. */
		finish_with_known(lookup, has_record || answer->outcome == DNS_FAILED ||
						  answer->outcome == DNS_BOGUS);
	}
}

/* ---- from outside ---- */

void sts_lookup_begin(struct sts_lookup *lookup)
{
	const struct front *front = lookup->fetches->front;
	char name[DNS_NAME_MAX_OCTETS + 16];
	int len = snprintf(name, sizeof(name), "_mta-sts.%.*s", SLICE_ARG(lookup->domain));
	lookup->question = (struct dns_question){ .answered = on_record };
	resolver_ask(front->resolver, front->loop, &lookup->question, DNS_TXT,
		     slice_of(name, (size_t)len), LOOKUP_MS);
}

void sts_lookup_cancel(struct sts_lookup *lookup)
{
	resolver_cancel(&lookup->question);
	if (!lookup->fetch)
		return;
	struct sts_lookup **at = &lookup->fetch->waiting;
	while (*at != lookup)
		at = &(*at)->next;
	*at = lookup->next;
	lookup->fetch = NULL;
}
