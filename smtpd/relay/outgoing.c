/* smtpd/relay/outgoing.c - messages on their way out: given by the back, brought to the first of
 * their exchangers that speaks to us, answered to the back. Runs in the front.
 *
 * A message's content waits here only as far as the back was given credit for it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/octets.h"
#include "runtime/tls_sessions.h"
#include "smtpd/relay/sender_priv.h"

enum { CREDIT_OCTETS = 64 * 1024 };

static void outgoing_free(struct outgoing *outgoing)
{
	struct relay_sender *sender = outgoing->sender;
	if (outgoing->previous)
		outgoing->previous->next = outgoing->next;
	else
		sender->outgoings = outgoing->next;
	if (outgoing->next)
		outgoing->next->previous = outgoing->previous;
	sender->count--;
	exchangers_free(&outgoing->exchangers);
	sts_lookup_cancel(&outgoing->sts);
	race_cancel(&outgoing->race);
	buffer_free(&outgoing->content);
	buffer_free(&outgoing->trouble);
	arena_fini(&outgoing->arena);
	free(outgoing);
}

/* ---- answering ---- */

static void say(struct outgoing *outgoing, const struct delivered_message *message,
		const struct delivered_recipient *recipients)
{
	struct buffer payload = { 0 };
	delivered_encode(message, &payload);
	for (uint32_t i = 0; i < message->recipient_count; i++)
		delivered_encode_recipient(&recipients[i], &payload);
	link_say(outgoing->sender->front->link, MESSAGE_DELIVERED, outgoing->conversation,
		 buffer_slice(&payload));
	buffer_free(&payload);
	outgoing_free(outgoing);
}

void outgoing_note_answer(struct outgoing *outgoing)
{
	if (!outgoing->message.is_probe)
		return;
	outgoing->message.is_probe = false;
	link_say(outgoing->sender->front->link, MESSAGE_DELIVERY_ANSWERED, outgoing->conversation,
		 SLICE_NONE);
}

void outgoing_report(struct outgoing *outgoing, const struct client *client, const char *remote)
{
	const struct delivered_message message = {
		.is_down = client->is_down,
		.is_uncertain = client->is_uncertain,
		.passed_dsn = client->features & FEATURE_DSN,
		.passed_deliver_by = client->features & FEATURE_DELIVERBY,
		.is_final = client->options.is_lmtp,
		.remote = slice_cstr(remote),
		.recipient_count = (uint32_t)client->recipient_count,
	};
	say(outgoing, &message, client->results);
}

/* Nobody has taken it, and nobody was asked. */
static void report_unsent(struct outgoing *outgoing, enum delivery_verdict verdict,
			  const char *status, struct slice words, bool is_down)
{
	uint32_t count = outgoing->message.envelope.recipient_count;
	struct delivered_recipient *recipients =
		arena_alloc_array(&outgoing->arena, count, sizeof(*recipients));
	const struct delivered_message message = {
		.is_down = is_down,
		.remote = slice_cstr(outgoing->remote),
		.recipient_count = count,
	};
	words = arena_copy(&outgoing->arena, slice_sub(words, 0, DELIVERY_WORDS_MAX_OCTETS));
	for (uint32_t i = 0; i < count; i++)
		recipients[i] = (struct delivered_recipient){
			.verdict = verdict,
			.status = slice_cstr(status),
			.words = words,
		};
	say(outgoing, &message, recipients);
}

/* Another server would do no better, and waiting would not help; unless it is not known which servers
 * there are, or one of them may be another tomorrow. */
static void report_all_unfit(struct outgoing *outgoing)
{
	const char *status =
		exchangers_are_doubtful(outgoing->exchangers) ? "4.4.3" : outgoing->unfit_status;
	report_unsent(outgoing, status[0] == '4' ? DELIVERY_LATER : DELIVERY_REFUSED, status,
		      slice_cstr(outgoing->unfit_words), false);
}

static void give_up(struct outgoing *outgoing, enum exchangers_end end)
{
	static const struct {
		enum exchangers_end end;
		const char *status;
	} for_good[] = {
		{ EXCHANGERS_NO_SUCH_DOMAIN, "5.1.2" },
		{ EXCHANGERS_NO_MAIL, "5.1.10" },
		{ EXCHANGERS_OURSELVES, "5.4.6" },
		{ EXCHANGERS_NO_ADDRESS, "5.4.4" },
	};
	struct slice words = slice_cstr(exchangers_words(end));
	/* Who runs this server has named it, and can put it right, or its name in DNS. */
	if (outgoing->route.kind != ROUTE_BY_DNS && end == EXCHANGERS_NO_ADDRESS) {
		log_error(NULL, EVENT("route-unresolved"), TEXT("host", outgoing->route.host));
		report_unsent(outgoing, DELIVERY_LATER, "4.4.4",
			      SLICE("the server that its mail is to go by has no address"), true);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(for_good); i++)
		if (for_good[i].end == end) {
			report_unsent(outgoing, DELIVERY_REFUSED, for_good[i].status, words, false);
			return;
		}
	if (outgoing->trouble.len > 0)
		words = buffer_slice(&outgoing->trouble);
	if (end == EXCHANGERS_NO_MORE && outgoing->unfit > 0 &&
	    outgoing->unfit == outgoing->tried) {
		report_all_unfit(outgoing);
		return;
	}
	/* One that cannot be given this message may be given others, whatever is with the rest. */
	report_unsent(outgoing, DELIVERY_LATER, end == EXCHANGERS_DNS_FAILED ? "4.4.3" : "4.4.1",
		      words, outgoing->unfit == 0);
}

/* ---- the way there ---- */

static void set_remote(struct outgoing *outgoing)
{
	const struct exchanger *exchanger = &outgoing->exchanger;
	char address[PEER_TEXT_MAX];
	peer_format(&exchanger->address, address);
	snprintf(outgoing->remote, sizeof(outgoing->remote), "%.*s%s[%s]:%u",
		 SLICE_ARG(exchanger->host), exchanger->host.len ? " " : "", address,
		 exchanger->address.port);
}

static void on_raced(void *user, const struct race_result *result)
{
	struct outgoing *outgoing = user;
	struct exchanger *exchanger = &outgoing->exchanger;
	uint32_t tried = result->failed;
	char why[128];
	outgoing->race = NULL;
	if (result->fd >= 0)
		tried |= UINT32_C(1) << result->at;
	if (result->fd >= 0 && result->at > 0)
		exchanger->address = exchanger->rivals[result->at - 1];
	/* The first has been given already. Afterwards the rivals are others, or elsewhere. */
	exchangers_drop(outgoing->exchangers, tried >> 1);
	exchanger->rival_count = 0;
	set_remote(outgoing);
	if (result->fd >= 0) {
		connection_begin(outgoing->sender, result->fd, outgoing);
		return;
	}
	snprintf(why, sizeof(why), "the server could not be reached (%s)",
		 log_errno_name(result->error));
	outgoing_try_next(outgoing, slice_cstr(why));
}

/* Exchanger and policy are there. */
static void go_on(struct outgoing *outgoing)
{
	const char *why, *status;
	if (outgoing->found_end != EXCHANGERS_NEXT) {
		give_up(outgoing, outgoing->found_end);
		return;
	}
	outgoing->in_the_clear = false;
	outgoing->tried++;
	if (demand_find(outgoing, &outgoing->demand, &why, &status)) {
		outgoing_start(outgoing);
	} else if (status) {
		/* There may be a policy that would prove it. */
		outgoing_try_fitter(outgoing, outgoing->sts.is_doubtful ? "4.7.10" : status, why);
	} else {
		set_remote(outgoing);
		log_info(NULL, EVENT("exchanger-refused"), CSTR("to", outgoing->remote),
			 CSTR("why", why));
		results_note_refused(outgoing, why);
		outgoing_try_next(outgoing, slice_cstr(why));
	}
}

static void on_found(void *user, enum exchangers_end end, const struct exchanger *exchanger)
{
	struct outgoing *outgoing = user;
	outgoing->exchanger = *exchanger;
	outgoing->exchanger.host = arena_copy(&outgoing->arena, exchanger->host);
	outgoing->found_end = end;
	outgoing->has_found = true;
	if (!outgoing->waits_for_policy)
		go_on(outgoing);
}

static void on_policy(struct sts_lookup *lookup)
{
	struct outgoing *outgoing = CONTAINER_OF(lookup, struct outgoing, sts);
	outgoing->waits_for_policy = false;
	if (outgoing->has_found)
		go_on(outgoing);
}

/* To the exchanger that was found. */
void outgoing_start(struct outgoing *outgoing)
{
	const struct exchanger *exchanger = &outgoing->exchanger;
	struct peer addresses[RACE_ADDRESSES_MAX] = { exchanger->address };
	size_t count = 1;
	for (; count <= exchanger->rival_count && count < RACE_ADDRESSES_MAX; count++)
		addresses[count] = exchanger->rivals[count - 1];
	set_remote(outgoing);
	outgoing->race = race_new(outgoing->sender->front->loop, addresses, count, CONNECT_MS,
				  on_raced, outgoing);
}

void outgoing_try_next(struct outgoing *outgoing, struct slice why)
{
	buffer_clear(&outgoing->trouble);
	buffer_add(&outgoing->trouble, why);
	exchangers_next(outgoing->exchangers);
}

void outgoing_try_fitter(struct outgoing *outgoing, const char *status, const char *why)
{
	/* What may pass counts more than what stays. */
	if (outgoing->unfit++ == 0 || outgoing->unfit_status[0] != '4') {
		outgoing->unfit_status = status;
		outgoing->unfit_words = why;
	}
	outgoing_try_next(outgoing, slice_cstr(why));
}

void outgoing_retry(struct outgoing *outgoing)
{
	const struct relay_sender *sender = outgoing->sender;
	uint8_t avoided =
		outgoing->route.kind == ROUTE_BY_DNS ? families_avoided(&sender->families) : 0;
	outgoing->exchangers =
		exchangers_new(sender->front, &outgoing->route, outgoing->message.destination,
			       avoided, on_found, outgoing);
	exchangers_next(outgoing->exchangers);
	/* Beside the first lookup of these. An address has no policy. */
	if (outgoing->route.kind != ROUTE_BY_DNS || outgoing->message.destination.ptr[0] == '[')
		return;
	outgoing->waits_for_policy = true;
	outgoing->sts = (struct sts_lookup){
		.fetches = &outgoing->sender->fetches,
		.arena = &outgoing->arena,
		.domain = outgoing->message.destination,
		.known = outgoing->message.policy,
		.found = on_policy,
	};
	sts_lookup_begin(&outgoing->sts);
}

/* ---- content ---- */

struct slice outgoing_content(struct outgoing *outgoing)
{
	return slice_sub(buffer_slice(&outgoing->content), 0, CONTENT_PIECE_OCTETS);
}

void outgoing_content_done(struct outgoing *outgoing, size_t octets)
{
	struct buffer payload = { 0 };
	buffer_drop_front(&outgoing->content, octets);
	outgoing->uncredited_octets += (uint32_t)octets;
	if (outgoing->uncredited_octets < CREDIT_OCTETS)
		return;
	credit_encode(outgoing->uncredited_octets, &payload);
	outgoing->uncredited_octets = 0;
	link_say(outgoing->sender->front->link, MESSAGE_DELIVERY_CREDIT, outgoing->conversation,
		 buffer_slice(&payload));
	buffer_free(&payload);
}

/* A connection that was kept may end meanwhile; the next one waits for the same answer, and asks again
 * where that is not enough. */
void outgoing_want_form(struct outgoing *outgoing, enum envelope_body form)
{
	struct buffer payload = { 0 };
	if (outgoing->waits_for_form)
		return;
	outgoing->waits_for_form = true;
	outgoing->wanted_form = form;
	form_wanted_encode(form, &payload);
	link_say(outgoing->sender->front->link, MESSAGE_FORM_WANTED, outgoing->conversation,
		 buffer_slice(&payload));
	buffer_free(&payload);
}

bool outgoing_lacks_form(const struct outgoing *outgoing, enum envelope_body form)
{
	return outgoing->lacking_status && form <= outgoing->lacking_form;
}

/* ---- from the back ---- */

static struct outgoing *find(struct relay_sender *sender, uint32_t conversation)
{
	for (struct outgoing *o = sender->outgoings; o; o = o->next)
		if (o->conversation == conversation)
			return o;
	return NULL;
}

static void on_deliver(struct relay_sender *sender, uint32_t conversation, struct slice payload)
{
	struct outgoing *outgoing = heap_alloc(sizeof(*outgoing));
	outgoing->sender = sender;
	outgoing->conversation = conversation;
	outgoing->next = sender->outgoings;
	if (outgoing->next)
		outgoing->next->previous = outgoing;
	sender->outgoings = outgoing;
	sender->count++;
	if (!delivery_decode(arena_copy(&outgoing->arena, payload), &outgoing->message)) {
		log_error(NULL, EVENT("bad-message"), NUM("type", MESSAGE_DELIVER));
		outgoing_free(outgoing);
		return;
	}
	route_find(sender->front->config, outgoing->message.destination, &outgoing->arena,
		   &outgoing->route);
	/* The configuration may be another by the time it is needed. */
	outgoing->route.key = arena_copy(&outgoing->arena, outgoing->route.key);
	outgoing->route.host = arena_copy(&outgoing->arena, outgoing->route.host);
	struct connection *connection = connection_find(outgoing);
	if (connection)
		connection_assign(connection, outgoing);
	else
		outgoing_retry(outgoing);
}

static void on_content(struct relay_sender *sender, uint32_t conversation, struct slice octets)
{
	struct outgoing *outgoing = find(sender, conversation);
	if (!outgoing) /* it has an end already */
		return;
	if (octets.len > outgoing->message.size_octets - outgoing->content_came) {
		log_error(NULL, EVENT("bad-message"), NUM("type", MESSAGE_DELIVERY_CONTENT));
		return;
	}
	outgoing->content_came += octets.len;
	buffer_add(&outgoing->content, octets);
	if (outgoing->connection)
		connection_go_on(outgoing->connection);
}

static void on_form(struct relay_sender *sender, uint32_t conversation, struct slice payload)
{
	struct outgoing *outgoing = find(sender, conversation);
	struct delivery_form_message answer;
	if (!outgoing)
		return;
	if (!outgoing->waits_for_form || !delivery_form_decode(payload, &answer)) {
		log_error(NULL, EVENT("bad-message"), NUM("type", MESSAGE_DELIVERY_FORM));
		return;
	}
	outgoing->waits_for_form = false;
	buffer_clear(&outgoing->content);
	outgoing->content_came = 0;
	outgoing->uncredited_octets = 0;
	outgoing->message.size_octets = answer.size_octets;
	outgoing->message.form = answer.form;
	if (answer.status.len > 0) {
		outgoing->lacking_form = outgoing->wanted_form;
		outgoing->lacking_status = arena_string(&outgoing->arena, answer.status);
		outgoing->lacking_words = arena_string(&outgoing->arena, answer.words);
	}
	/* Where it cannot be had it is what came, of which the envelope has its own word. */
	if (answer.status.len == 0 || answer.form == ENVELOPE_BINARYMIME)
		outgoing->message.envelope.body = answer.form;
	if (outgoing->connection)
		connection_formed(outgoing->connection);
}

static void on_message(struct link_worker *worker, enum message_type type, uint32_t conversation,
		       struct slice payload)
{
	struct relay_sender *sender = CONTAINER_OF(worker, struct relay_sender, worker);
	if (type == MESSAGE_REPORT)
		posting_begin(sender, conversation, payload);
	else if (type == MESSAGE_DELIVER)
		on_deliver(sender, conversation, payload);
	else if (type == MESSAGE_DELIVERY_FORM)
		on_form(sender, conversation, payload);
	else
		on_content(sender, conversation, payload);
}

static void on_lost(struct link_worker *worker)
{
	struct relay_sender *sender = CONTAINER_OF(worker, struct relay_sender, worker);
	for (struct outgoing *outgoing = sender->outgoings, *next; outgoing; outgoing = next) {
		next = outgoing->next;
		if (outgoing->connection)
			connection_abort(outgoing->connection);
		outgoing_free(outgoing);
	}
	postings_lose(sender);
}

/* ---- from outside ---- */

struct relay_sender *relay_sender_new(struct front *front, const struct relay_trust *trust)
{
	struct relay_sender *sender = heap_alloc(sizeof(*sender));
	sender->worker = (struct link_worker){ .message = on_message, .lost = on_lost };
	sender->front = front;
	sender->trust = *trust;
	sender->sessions = tls_sessions_new(SESSIONS_MAX);
	sender->fetches = (struct sts_fetches){ .front = front, .authorities = trust->authorities };
	link_set_worker(front->link, &sender->worker);
	families_begin(&sender->families, front);
	return sender;
}

void relay_sender_set_password(struct relay_sender *sender, struct slice password)
{
	buffer_wipe(&sender->password);
	if (password.len == 0)
		return;
	buffer_add(&sender->password, password);
	buffer_add_byte(&sender->password, 0);
}

unsigned relay_sender_count(const struct relay_sender *sender)
{
	return sender->count;
}

void relay_sender_stop(struct relay_sender *sender)
{
	struct connection *next;
	sender->is_stopping = true;
	families_end(&sender->families);
	for (struct connection *c = sender->connections; c; c = next) {
		next = c->next;
		if (!c->outgoing)
			connection_quit(c);
	}
}
