/* smtpd/relay/posting.c - reports about TLS on their way to the web servers that want them (RFC 8460
 * section 5.4), as the back gives them. Runs in the front.
 *
 * The server's certificate is checked, though the standard would let us not: a report tells whom this
 * host writes to. */
#include <stdlib.h>

#include "base/heap.h"
#include "base/log.h"
#include "runtime/https.h"
#include "runtime/report_message.h"
#include "smtpd/relay/sender_priv.h"

enum { POST_MS = 60 * 1000 };

/* One of them, until the answer to it. */
struct posting {
	struct relay_sender *sender;
	struct posting *next, *previous;
	uint32_t conversation;
	bool is_orphan; /* who gave it is gone */
};

static void answer(struct relay_sender *sender, uint32_t conversation, const char *why)
{
	struct buffer payload = { 0 };
	reported_message_encode(
		&(struct reported_message){ .is_taken = !why, .why = slice_cstr(why ? why : "") },
		&payload);
	link_say(sender->front->link, MESSAGE_REPORTED, conversation, buffer_slice(&payload));
	buffer_free(&payload);
}

static void on_answered(void *user, const struct https_answer *https)
{
	struct posting *posting = user;
	if (!posting->is_orphan)
		answer(posting->sender, posting->conversation, https->why);
	if (posting->previous)
		posting->previous->next = posting->next;
	else
		posting->sender->postings = posting->next;
	if (posting->next)
		posting->next->previous = posting->previous;
	free(posting);
}

void posting_begin(struct relay_sender *sender, uint32_t conversation, struct slice payload)
{
	const struct front *front = sender->front;
	struct report_message report;
	struct arena arena = { 0 };
	if (!report_message_decode(payload, &report)) {
		log_error(NULL, EVENT("bad-message"), NUM("type", MESSAGE_REPORT));
		return;
	}
	if (!sender->trust.authorities) {
		answer(sender, conversation,
		       "this server has no list of authorities to check the web server's "
		       "certificate against");
		return;
	}
	const struct https_request request = {
		.resolver = front->resolver,
		.tls = sender->trust.authorities,
		.host = report.host,
		.port = report.port,
		.path = arena_string(&arena, report.path),
		.body_type = "application/tlsrpt+gzip",
		.body = report.body,
		.timeout_ms = POST_MS,
		.may_stay_inside = front->config->relay_loopback,
	};
	struct posting *posting = heap_alloc(sizeof(*posting));
	posting->sender = sender;
	posting->conversation = conversation;
	posting->next = sender->postings;
	if (posting->next)
		posting->next->previous = posting;
	sender->postings = posting;
	(void)https_call_new(front->loop, &request, on_answered, posting);
	arena_fini(&arena);
}

void postings_lose(struct relay_sender *sender)
{
	for (struct posting *posting = sender->postings; posting; posting = posting->next)
		posting->is_orphan = true;
}
