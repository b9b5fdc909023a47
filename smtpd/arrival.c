/* smtpd/arrival.c - a strange client arrives: a short wait before the greeting, its name in DNS,
 * and what lists say of it (RFC 5321 section 4.3.1, RFC 5782, RFC 8601 section 3 for "iprev").
 * Runs in the front.
 *
 * All questions go out at once when it connects; the answers are needed only at its first
 * recipient, so the client seldom waits for them. Who has sent good mail before does not wait for
 * the greeting either; who is exempt, of this machine, or on a submission service is asked
 * nothing. Where DNS gives no answer nothing is held against anybody. */
#include "smtpd/arrival_priv.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/heap.h"
#include "smtpd/dns_list_priv.h"
#include "smtpd/session_priv.h"

enum {
	PATIENCE_MS = 5000, /* for each answer */
	NAMES_MAX = 4,	    /* PTR records that are tried; RFC 7208 section 4.6.4 has 10 */
	REASON_MAX_OCTETS = 200,
};

struct list_question {
	struct dns_question question;
	struct smtp_arrival *arrival;
	struct dns_list list;
	unsigned place; /* among the lists of the configuration */
};

struct smtp_arrival {
	struct smtp_session *s;
	struct timer *wait; /* NULL: the greeting may come */
	unsigned open_count;
	bool is_awaited; /* the session's job is out for the answers */
	bool is_judged;

	struct dns_question pointer, forward;
	char *names[NAMES_MAX];
	unsigned name_count, name_at;
	bool is_confirmed;

	struct list_question *lists; /* until they are judged */
	size_t list_count;
	int score, heaviest;
	struct slice against; /* the zone of the heaviest list that it is on; empty: none */
	struct dns_question reason;
	struct buffer refusal; /* empty: none */
};

static void ask(struct smtp_arrival *arrival, struct dns_question *question, enum dns_type type,
		const char *name)
{
	const struct front *front = arrival->s->front;
	arrival->open_count++;
	question->stranger = &arrival->s->client.peer;
	resolver_ask(front->resolver, front->loop, question, type, slice_cstr(name), PATIENCE_MS);
}

static void judge(struct smtp_arrival *arrival);

/* One question less. */
static void settle(struct smtp_arrival *arrival)
{
	if (--arrival->open_count == 0 && !arrival->is_judged)
		judge(arrival);
	if (arrival->open_count > 0 || !arrival->is_awaited)
		return;
	arrival->is_awaited = false;
	session_job_end(&arrival->s->session); /* may free it all */
}

/* ---- its name ---- */

static void ask_forward(struct smtp_arrival *arrival)
{
	enum dns_type type = arrival->s->client.peer.family == 4 ? DNS_A : DNS_AAAA;
	if (arrival->name_at < arrival->name_count)
		ask(arrival, &arrival->forward, type, arrival->names[arrival->name_at]);
}

static void on_forward(struct dns_question *question, const struct dns_answer *answer)
{
	struct smtp_arrival *arrival = CONTAINER_OF(question, struct smtp_arrival, forward);
	const struct peer *peer = &arrival->s->client.peer;

	for (size_t i = 0; i < answer->count; i++)
		if (memcmp(answer->records[i].address.address, peer->address,
			   peer->family == 4 ? 4 : 16) == 0)
			arrival->is_confirmed = true;
	if (!arrival->is_confirmed) {
		arrival->name_at++;
		ask_forward(arrival);
	}
	settle(arrival);
}

static void on_pointer(struct dns_question *question, const struct dns_answer *answer)
{
	struct smtp_arrival *arrival = CONTAINER_OF(question, struct smtp_arrival, pointer);

	for (size_t i = 0; i < answer->count && arrival->name_count < NAMES_MAX; i++)
		arrival->names[arrival->name_count++] = heap_string(answer->records[i].name);
	ask_forward(arrival);
	settle(arrival);
}

/* ---- the lists ---- */

/* Once for each zone: else every client would bring the same line. */
static void tell_of_refusal(const struct list_question *list)
{
	static atomic_bool told[DNS_LISTS_MAX];
	if (!atomic_exchange(&told[list->place], true))
		log_warning(NULL, EVENT("dns-list-refuses-us"), TEXT("zone", list->list.zone),
			    CSTR("advice", "the list answers no questions that come by this "
					   "resolver; it counts for nothing"));
}

static void on_list(struct dns_question *question, const struct dns_answer *answer)
{
	struct list_question *list = CONTAINER_OF(question, struct list_question, question);
	struct smtp_arrival *arrival = list->arrival;

	switch (dns_list_meaning(&list->list, answer->records, answer->count)) {
	case DNS_LIST_SAYS_NO: break;
	case DNS_LIST_REFUSES_US: tell_of_refusal(list); break;
	case DNS_LIST_SAYS_YES:
		arrival->score += list->list.weight;
		if (list->list.weight > arrival->heaviest) {
			arrival->heaviest = list->list.weight;
			arrival->against = list->list.zone; /* the configuration's own text */
		}
		break;
	}
	settle(arrival);
}

static void ask_lists(struct smtp_arrival *arrival)
{
	struct slice rest = slice_cstr(arrival->s->front->config->dns_lists);
	char name[DNS_NAME_MAX_OCTETS + 1];
	struct dns_list list;

	if (rest.len == 0)
		return;
	arrival->lists = heap_alloc_array(DNS_LISTS_MAX, sizeof(*arrival->lists));
	while (arrival->list_count < DNS_LISTS_MAX && dns_list_next(&rest, &list)) {
		struct list_question *question = &arrival->lists[arrival->list_count];
		if (!dns_reverse_name(&arrival->s->client.peer, list.zone, name))
			continue;
		*question = (struct list_question){
			.question = { .answered = on_list, .is_to_list = true },
			.arrival = arrival,
			.list = list,
			.place = (unsigned)arrival->list_count++,
		};
		ask(arrival, &question->question, DNS_A, name);
	}
}

static void drop_lists(struct smtp_arrival *arrival)
{
	for (size_t i = 0; i < arrival->list_count; i++)
		resolver_cancel(&arrival->lists[i].question);
	free(arrival->lists);
	arrival->lists = NULL;
	arrival->list_count = 0;
}

/* ---- the verdict ---- */

static void add_refusal(struct smtp_arrival *arrival, struct slice reason)
{
	char peer[PEER_TEXT_MAX];

	peer_format(&arrival->s->client.peer, peer);
	buffer_add_format(&arrival->refusal, "%s is listed by %.*s", peer,
			  SLICE_ARG(arrival->against));
	if (reason.len == 0)
		return;
	buffer_add_cstr(&arrival->refusal, ": ");
	for (size_t i = 0; i < reason.len && i < REASON_MAX_OCTETS; i++) {
		uint8_t c = reason.ptr[i];
		buffer_add_byte(&arrival->refusal, c >= ' ' && c < 0x7f ? c : '?');
	}
}

/* The list's own words on why (RFC 5782 section 2.1). */
static void on_reason(struct dns_question *question, const struct dns_answer *answer)
{
	struct smtp_arrival *arrival = CONTAINER_OF(question, struct smtp_arrival, reason);

	add_refusal(arrival, answer->count > 0 ? answer->records[0].data : SLICE_NONE);
	settle(arrival);
}

static void judge(struct smtp_arrival *arrival)
{
	struct smtp_session *s = arrival->s;
	struct slice host = smtp_arrival_host(s);
	char name[DNS_NAME_MAX_OCTETS + 1];

	arrival->is_judged = true;
	log_info(&s->session.log, EVENT("client-judged"),
		 TEXT("host", host.len > 0 ? host : SLICE("-")), NUM("score", arrival->score),
		 TEXT("list", arrival->against.len > 0 ? arrival->against : SLICE("-")));
	drop_lists(arrival);
	if (arrival->against.len == 0 || arrival->score < (int)s->front->config->dns_list_score ||
	    !dns_reverse_name(&s->client.peer, arrival->against, name))
		return;
	ask(arrival, &arrival->reason, DNS_TXT, name);
}

bool smtp_arrival_is_complete(const struct smtp_session *s)
{
	return !s->arrival || s->arrival->open_count == 0;
}

void smtp_arrival_await(struct smtp_session *s)
{
	s->arrival->is_awaited = true;
}

struct slice smtp_arrival_refusal(const struct smtp_session *s)
{
	return s->arrival ? buffer_slice(&s->arrival->refusal) : SLICE_NONE;
}

struct slice smtp_arrival_host(const struct smtp_session *s)
{
	if (!s->arrival || !s->arrival->is_confirmed)
		return SLICE_NONE;
	return slice_cstr(s->arrival->names[s->arrival->name_at]);
}

/* ---- the wait ---- */

static void on_waited(void *user)
{
	struct smtp_arrival *arrival = user;
	timer_free(&arrival->wait);
	session_wake_news(&arrival->s->session, NEWS_CHANGED);
}

static void begin(struct smtp_session *s)
{
	const struct peer *peer = &s->client.peer;
	const struct front *front = s->front;
	char name[DNS_NAME_MAX_OCTETS + 1];

	if (s->service != SERVICE_SMTP || !front->resolver || limits_trusts(front->limits, peer) ||
	    !dns_reverse_name(peer, SLICE_NONE, name))
		return;
	struct smtp_arrival *arrival = s->arrival = heap_alloc(sizeof(*arrival));
	arrival->s = s;
	arrival->pointer.answered = on_pointer;
	arrival->forward.answered = on_forward;
	arrival->reason.answered = on_reason;
	arrival->reason.is_to_list = true;
	ask(arrival, &arrival->pointer, DNS_PTR, name);
	ask_lists(arrival);
	if (front->config->greet_wait_seconds > 0 && !limits_knows(front->limits, peer)) {
		arrival->wait = timer_new(front->loop, on_waited, arrival);
		timer_start(arrival->wait, front->config->greet_wait_seconds * UINT64_C(1000));
	}
}

enum step smtp_arrive(struct smtp_session *s, struct cursor *in)
{
	if (!s->has_arrived) {
		s->has_arrived = true;
		begin(s);
	}
	if (!s->arrival || !s->arrival->wait)
		return smtp_greet(s);
	if (at_end(in))
		return STEP_INPUT;
	in->at = in->end;
	smtp_reply(s, REPLY_SPOKE_FIRST);
	return smtp_close(s, "spoke-first");
}

enum step smtp_arrival_look(struct smtp_session *s)
{
	if (s->state == SMTP_NEW && s->arrival && !s->arrival->wait)
		(void)smtp_greet(s);
	return STEP_INPUT;
}

void smtp_arrival_free(struct smtp_arrival **at)
{
	struct smtp_arrival *arrival = *at;

	*at = NULL;
	if (!arrival)
		return;
	timer_free(&arrival->wait);
	resolver_cancel(&arrival->pointer);
	resolver_cancel(&arrival->forward);
	resolver_cancel(&arrival->reason);
	drop_lists(arrival);
	for (size_t i = 0; i < arrival->name_count; i++)
		free(arrival->names[i]);
	buffer_free(&arrival->refusal);
	free(arrival);
}
