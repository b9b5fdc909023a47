/* smtpd/transfer.c - a message on its way to the back, whether DATA brings it or BDAT (RFC 5321
 * section 4.2.5). Runs in the front.
 *
 * Content goes to the back while it arrives, never more than the window of
 * runtime/messages.h ahead of it, so a connection holds a few chunks whatever the message's
 * size. The envelope travels with the first octets, not with DATA: one write for both. What is
 * refused on the way is read to its end, and then told so. */
#include "smtpd/session_priv.h"

#include <stdio.h>

#include "base/clock.h"
#include "smtpd/trace.h"

enum {
	/* Runs between doubled dots are gathered to this; longer ones go as they are. */
	GATHER_OCTETS = 16 * 1024,
	/* Most that a piece of input can grow by: the CR that was held before it. */
	HELD_OCTETS = 1,
};

void smtp_transaction_abandon(struct smtp_session *s)
{
	if (s->transaction.is_open)
		link_transaction_abandon(s->front->link, &s->question);
	s->transaction.is_open = false;
}

/* From here on the content is only read to its end. */
static void refuse(struct smtp_session *s, enum smtp_reply_name refusal)
{
	smtp_transaction_abandon(s);
	buffer_free(&s->transaction.gathered);
	s->transaction.refusal = refusal;
}

void smtp_transfer_check(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;

	if (t->refusal != REPLY_NONE)
		return;
	if (t->content.has_bare)
		refuse(s, REPLY_CONTENT_BARE);
	else if (t->content.size_octets > t->size_max_octets)
		refuse(s, REPLY_TOO_LARGE);
	else if (t->content.hops > CONTENT_HOPS_MAX)
		refuse(s, REPLY_TOO_MANY_HOPS);
}

/* MESSAGE_FILED, after the commit or, where the back saw no sense in going on, before it; or
 * the back has died. */
static void on_filed(struct question *question, enum err err, struct slice payload)
{
	struct smtp_session *s = CONTAINER_OF(question, struct smtp_session, question);
	struct filed_message message;

	if (err != ERR_OK || !filed_decode(payload, &message))
		message = (struct filed_message){ .outcome = ERR_UNAVAILABLE };
	s->outcome = message.outcome;
	/* The back tells the journal of what it has looked at. */
	s->transaction.is_noted = message.outcome != ERR_UNAVAILABLE && message.outcome != ERR_BUSY;
	buffer_clear(&s->transaction.outcomes);
	if (err == ERR_OK && message.outcomes.len == s->transaction.envelope.recipient_count)
		buffer_add(&s->transaction.outcomes, message.outcomes);
	s->message_id = message.message_id;
	s->transaction.is_open = false;
	if (!s->transaction.is_committing) {
		enum smtp_reply_name refusal = smtp_reply_of_filing(message.outcome);
		refuse(s, refusal == REPLY_OK ? REPLY_TRY_AGAIN : refusal);
	}
	if (s->session.job_out)
		session_job_end(&s->session); /* may free s */
}

static void on_credit(struct question *question, uint32_t octets)
{
	struct smtp_session *s = CONTAINER_OF(question, struct smtp_session, question);
	struct smtp_transaction *t = &s->transaction;

	t->window_octets = octets < CONTENT_WINDOW_OCTETS - t->window_octets
				   ? t->window_octets + octets
				   : CONTENT_WINDOW_OCTETS;
	if (t->waits_for_credit) {
		t->waits_for_credit = false;
		session_job_end(&s->session); /* may free s */
	}
}

static enum step credit_came(struct smtp_session *s)
{
	return STEP_AGAIN;
}

static enum trace_transport transport_of(const struct smtp_session *s)
{
	if (smtp_is_lmtp(s))
		return TRACE_LMTP;
	return s->is_extended ? TRACE_ESMTP : TRACE_SMTP;
}

static void add_trace(struct smtp_session *s, struct buffer *out)
{
	struct smtp_transaction *t = &s->transaction;
	struct slice recipients = buffer_slice(&t->recipients);
	struct envelope_recipient only = { .notify = DSN_UNSAID };
	struct stream *stream = s->session.stream;
	char id[24];

	snprintf(id, sizeof(id), "%x-%x", (unsigned)s->client.conn_id, (unsigned)s->transactions);
	if (t->envelope.recipient_count == 1 && !envelope_next_recipient(&recipients, &only))
		only.forward_path = SLICE_NONE;
	struct trace trace = {
		.reverse_path = t->envelope.reverse_path,
		.client_name = s->hides_client ? SLICE_NONE : slice_cstr(s->client_name),
		.host = smtp_arrival_host(s),
		.peer = &s->client.peer,
		.hostname = slice_cstr(s->front->config->hostname),
		.protocol = trace_protocol(transport_of(s), t->envelope.is_utf8, s->client.secure,
					   smtp_is_signed_in(s)),
		.tls_version = stream ? stream_tls_version(stream) : NULL,
		.tls_cipher = stream ? stream_tls_cipher(stream) : NULL,
		.id = slice_cstr(id),
		.forward_path = only.forward_path,
		.priority = t->envelope.priority,
		.arrived_unix = clock_unix(),
	};
	trace_format(&trace, out);
}

/* The first octet of content is here: tells the back of the envelope and what goes on top. */
static void begin(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;
	struct transaction_message message = {
		.client = s->client,
		.service = s->service,
		.client_name = slice_cstr(s->client_name),
		.token = s->token,
		.envelope = t->envelope,
	};
	struct buffer payload = { 0 };

	message.envelope.recipients = buffer_slice(&t->recipients);
	transaction_encode(&message, &payload);
	s->question = (struct question){ .answered = on_filed, .credit = on_credit };
	t->is_begun = t->is_open = true;
	t->window_octets = CONTENT_WINDOW_OCTETS;
	link_transaction_open(s->front->link, &s->question, buffer_slice(&payload));
	buffer_free(&payload);
	add_trace(s, &t->gathered);
	t->window_octets -= (uint32_t)t->gathered.len;
}

static void send_gathered(struct smtp_session *s)
{
	link_transaction_content(s->front->link, &s->question,
				 buffer_slice(&s->transaction.gathered));
	/* Given back: a client that pauses here pins no memory. */
	buffer_free(&s->transaction.gathered);
}

static void take_run(struct smtp_session *s, struct slice run)
{
	struct smtp_transaction *t = &s->transaction;

	t->window_octets -= (uint32_t)run.len;
	if (t->gathered.len + run.len <= GATHER_OCTETS) {
		buffer_add(&t->gathered, run);
		return;
	}
	send_gathered(s);
	link_transaction_content(s->front->link, &s->question, run);
}

/* One, or in LMTP one for each recipient once the whole message has come (RFC 2033 section 4.2;
 * 4.3 for BDAT). */
static uint32_t answers_due(const struct smtp_session *s)
{
	const struct smtp_transaction *t = &s->transaction;
	bool is_over = !t->content.is_chunked || s->chunk.is_last;

	return smtp_is_lmtp(s) && is_over ? t->envelope.recipient_count : 1;
}

/* However many have to hear it, it is one mistake. */
static void refuse_all(struct smtp_session *s, enum smtp_reply_name refusal)
{
	uint32_t due = answers_due(s);

	if (s->transaction.is_noted)
		smtp_say(s, refusal);
	else
		smtp_reply(s, refusal);
	unsigned errors = s->errors;
	while (--due > 0)
		smtp_say(s, refusal);
	s->errors = errors;
}

static void say_accepted(struct smtp_session *s)
{
	buffer_add_format(&s->session.out, "250 2.0.0 Message %llx accepted\r\n",
			  (unsigned long long)s->message_id);
}

/* Each recipient's own answer (RFC 2033 section 4.2); the back has told the journal of each. */
static void answer_each(struct smtp_session *s)
{
	struct slice outcomes = buffer_slice(&s->transaction.outcomes);

	for (size_t i = 0; i < outcomes.len; i++) {
		if (outcomes.ptr[i] == ERR_OK)
			say_accepted(s);
		else
			smtp_say(s, smtp_reply_of_filing((enum err)outcomes.ptr[i]));
	}
}

static enum step filed(struct smtp_session *s)
{
	bool has_each = smtp_is_lmtp(s) && s->transaction.outcomes.len > 0;
	enum smtp_reply_name reply = smtp_reply_of_filing(s->outcome);

	if (s->outcome != ERR_OK)
		log_info(&s->session.log, EVENT("message-refused"),
			 NUM("code", smtp_reply_code(reply)), WORD("why", err_word(s->outcome)));
	if (has_each)
		answer_each(s);
	else if (s->outcome != ERR_OK)
		refuse_all(s, reply);
	else
		for (uint32_t due = answers_due(s); due > 0; due--)
			say_accepted(s);
	if (s->outcome == ERR_OK) {
		s->accepted++;
		limits_note_good(s->front->limits, &s->client.peer);
		s->errors = 0;
	}
	smtp_reset(s);
	return STEP_AGAIN;
}

/* What was refused on its way is told so now that it is over. */
static enum step tell_refusal(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;

	log_info(&s->session.log, EVENT("message-refused"),
		 NUM("code", smtp_reply_code(t->refusal)),
		 NUM("size_octets", t->content.size_octets));
	refuse_all(s, t->refusal);
	smtp_reset(s);
	return STEP_AGAIN;
}

enum step smtp_transfer_finish(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;

	if (t->refusal != REPLY_NONE)
		return tell_refusal(s);
	if (!t->is_begun) /* not one octet came */
		begin(s);
	send_gathered(s);
	t->is_committing = true;
	link_transaction_commit(s->front->link, &s->question);
	return smtp_wait(s, filed);
}

void smtp_transfer_flush(struct smtp_session *s)
{
	if (s->transaction.is_open)
		send_gathered(s);
}

enum step smtp_transfer_take(struct smtp_session *s, struct cursor *in,
			     enum content_event *event_out)
{
	struct smtp_transaction *t = &s->transaction;
	enum content_event event = CONTENT_MORE;

	if (!t->is_begun && !at_end(in))
		begin(s);
	while (event != CONTENT_END && !at_end(in)) {
		struct cursor piece = *in;
		struct slice run = SLICE_NONE;

		if (t->is_open) {
			if (t->window_octets <= HELD_OCTETS) {
				send_gathered(s);
				t->waits_for_credit = true;
				return smtp_wait(s, credit_came);
			}
			if (cursor_left(&piece) > t->window_octets - HELD_OCTETS)
				piece.end = piece.at + t->window_octets - HELD_OCTETS;
		}
		event = smtp_content_next(&t->content, &piece, &run);
		in->at = piece.at;
		smtp_transfer_check(s);
		if (t->refusal == REPLY_NONE && event == CONTENT_RUN)
			take_run(s, run);
	}
	*event_out = event;
	return STEP_AGAIN;
}
