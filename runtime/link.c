/* runtime/link.c - questions from the front to the back: numbered, kept in a hash table until
 * they are answered, and all answered with ERR_UNAVAILABLE when the back dies. */
#include "runtime/link.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "base/log.h"
#include "runtime/known_clients.h"
#include "runtime/loop_priv.h"

enum { BUCKETS = 4096 }; /* a power of two; each signed-in client has a question, too */

/* Lists are rings through question->next and ->prev; the head is a question of no meaning. */
struct link {
	struct loop *loop;
	struct channel *channel; /* NULL: the back is away */
	struct question buckets[BUCKETS];
	struct question failed;	    /* to be told in a later turn */
	struct link_worker *worker; /* NULL: none */
	struct limits *limits;	    /* NULL: none */
	uint32_t last_conversation;
	struct task tell_task;
	bool tell_queued;
	bool freed;
	bool is_behind; /* the back reads slowly: events are dropped, so that nothing grows */
};

/* ---- rings ---- */

static void ring_init(struct question *head)
{
	head->next = head->prev = head;
}

static void ring_add(struct question *head, struct question *question)
{
	question->prev = head->prev;
	question->next = head;
	head->prev->next = question;
	head->prev = question;
}

static void ring_remove(struct question *question)
{
	question->prev->next = question->next;
	question->next->prev = question->prev;
	question->next = question->prev = NULL;
}

static bool is_in_ring(const struct question *question)
{
	return question->next != NULL;
}

static struct question *bucket_of(struct link *link, uint32_t conversation)
{
	return &link->buckets[conversation & (BUCKETS - 1)];
}

static struct question *find(struct link *link, uint32_t conversation)
{
	struct question *head = bucket_of(link, conversation);
	for (struct question *q = head->next; q != head; q = q->next)
		if (q->conversation == conversation)
			return q;
	return NULL;
}

/* ---- failing ---- */

static void on_tell(struct task *task)
{
	struct link *link = CONTAINER_OF(task, struct link, tell_task);
	link->tell_queued = false;
	if (link->freed) {
		free(link);
		return;
	}
	/* Only those of now: one that asks again at once has its turn later. */
	struct question ring;
	ring_init(&ring);
	while (link->failed.next != &link->failed) {
		struct question *question = link->failed.next;
		ring_remove(question);
		ring_add(&ring, question);
	}
	while (ring.next != &ring) {
		struct question *question = ring.next;
		ring_remove(question);
		question->answered(question, ERR_UNAVAILABLE, SLICE_NONE);
	}
}

static void fail(struct link *link, struct question *question)
{
	question->conversation = 0; /* what the asker goes on to send is dropped */
	ring_add(&link->failed, question);
	if (link->tell_queued)
		return;
	link->tell_queued = true;
	link->tell_task.run = on_tell;
	loop_later(link->loop, &link->tell_task);
}

static void fail_all(struct link *link)
{
	if (link->worker)
		link->worker->lost(link->worker);
	for (size_t i = 0; i < BUCKETS; i++) {
		struct question *head = &link->buckets[i];
		while (head->next != head) {
			struct question *question = head->next;
			ring_remove(question);
			fail(link, question);
		}
	}
}

/* ---- the channel ---- */

static void note_known(struct link *link, struct slice clients)
{
	struct peer peer;
	while (known_clients_next(&clients, &peer))
		if (link->limits)
			limits_note_good(link->limits, &peer);
}

static void on_signed_out(struct link *link, uint32_t conversation, struct slice unread, int fd)
{
	struct question *question = find(link, conversation);
	if (!question || !question->signed_out) { /* the client has left meanwhile */
		if (fd >= 0)
			close(fd);
		return;
	}
	ring_remove(question);
	question->conversation = 0;
	question->signed_out(question, unread, fd);
}

static void on_message(struct channel *channel, uint16_t type, uint32_t conversation,
		       struct slice payload, int fd)
{
	struct link *link = channel_user(channel);
	if (type == MESSAGE_SIGNED_OUT && fd != -1) {
		on_signed_out(link, conversation, payload, fd);
		return;
	}
	if (fd >= 0)
		close(fd); /* the back sends us no others */
	if (type == MESSAGE_DELIVER || type == MESSAGE_DELIVERY_CONTENT ||
	    type == MESSAGE_DELIVERY_FORM || type == MESSAGE_REPORT) {
		if (link->worker)
			link->worker->message(link->worker, (enum message_type)type, conversation,
					      payload);
		return;
	}
	if (type == MESSAGE_KNOWN_CLIENTS) {
		note_known(link, payload);
		return;
	}
	/* Not there: the asker has abandoned it meanwhile. */
	struct question *question = find(link, conversation);
	if (!question)
		return;
	if (type == MESSAGE_CREDIT) {
		uint32_t octets;
		if (question->credit && credit_decode(payload, &octets))
			question->credit(question, octets);
		return;
	}
	ring_remove(question);
	question->conversation = 0;
	question->answered(question, ERR_OK, payload);
}

static void on_closed(struct channel *channel)
{
	struct link *link = channel_user(channel);
	assert(channel == link->channel);
	log_warning(NULL, EVENT("back-away"));
	channel_free(&link->channel);
	fail_all(link);
}

static void on_drained(struct channel *channel)
{
	struct link *link = channel_user(channel);
	link->is_behind = false;
}

static const struct channel_events events = { .message = on_message,
					      .closed = on_closed,
					      .drained = on_drained };

struct link *link_new(struct loop *loop)
{
	struct link *link = heap_alloc(sizeof(*link));
	link->loop = loop;
	for (size_t i = 0; i < BUCKETS; i++)
		ring_init(&link->buckets[i]);
	ring_init(&link->failed);
	return link;
}

void link_free(struct link **at)
{
	struct link *link = *at;
	*at = NULL;
	if (!link)
		return;
	channel_free(&link->channel);
	link->freed = true;
	if (!link->tell_queued)
		free(link);
}

void link_connect(struct link *link, int fd)
{
	if (link->channel) {
		channel_free(&link->channel);
		fail_all(link);
	}
	link->channel = channel_new(link->loop, fd, &events, link);
	link->is_behind = false;
}

void link_set_limits(struct link *link, struct limits *limits)
{
	link->limits = limits;
}

void link_set_worker(struct link *link, struct link_worker *worker)
{
	link->worker = worker;
}

void link_say(struct link *link, enum message_type type, uint32_t conversation,
	      struct slice payload)
{
	if (link->channel)
		channel_send(link->channel, (uint16_t)type, conversation, payload, -1);
}

bool link_is_up(const struct link *link)
{
	return link->channel != NULL;
}

/* ---- asking ---- */

static void register_question(struct link *link, struct question *question)
{
	do
		link->last_conversation++;
	while (link->last_conversation == 0 || find(link, link->last_conversation));
	question->conversation = link->last_conversation;
	ring_add(bucket_of(link, question->conversation), question);
}

void link_ask_with(struct link *link, struct question *question, enum message_type type,
		   struct slice payload, int fd)
{
	if (!link->channel || payload.len > CHANNEL_PAYLOAD_MAX_OCTETS) {
		if (fd >= 0)
			close(fd);
		fail(link, question);
		return;
	}
	register_question(link, question);
	channel_send(link->channel, (uint16_t)type, question->conversation, payload, fd);
}

void link_ask(struct link *link, struct question *question, enum message_type type,
	      struct slice payload)
{
	link_ask_with(link, question, type, payload, -1);
}

void link_forget(struct question *question)
{
	question->conversation = 0;
	if (is_in_ring(question))
		ring_remove(question);
}

bool link_tell(struct link *link, enum message_type type, struct slice payload, int fd)
{
	if (!link->channel || payload.len > CHANNEL_PAYLOAD_MAX_OCTETS) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	channel_send(link->channel, (uint16_t)type, 0, payload, fd);
	return true;
}

void link_note(struct link *link, const struct journal_event *event)
{
	struct buffer payload = { 0 };
	if (!link->channel || link->is_behind)
		return;
	journal_event_encode(event, &payload);
	link->is_behind =
		!channel_send(link->channel, MESSAGE_EVENT, 0, buffer_slice(&payload), -1);
	buffer_free(&payload);
}

void link_transaction_open(struct link *link, struct question *question, struct slice payload)
{
	link_ask(link, question, MESSAGE_TRANSACTION, payload);
}

void link_transaction_content(struct link *link, struct question *question, struct slice octets)
{
	if (question->conversation == 0)
		return;
	for (size_t at = 0; at < octets.len; at += CONTENT_FRAME_OCTETS)
		channel_send(link->channel, MESSAGE_CONTENT, question->conversation,
			     slice_sub(octets, at, CONTENT_FRAME_OCTETS), -1);
}

void link_transaction_commit(struct link *link, struct question *question)
{
	if (question->conversation != 0)
		channel_send(link->channel, MESSAGE_COMMIT, question->conversation, SLICE_NONE, -1);
}

void link_transaction_abandon(struct link *link, struct question *question)
{
	if (question->conversation != 0)
		channel_send(link->channel, MESSAGE_ABANDON, question->conversation, SLICE_NONE,
			     -1);
	link_forget(question);
}
