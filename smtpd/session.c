/* smtpd/session.c - the SMTP session: states, the feed loop, what happens besides input (RFC
 * 5321 sections 3 and 4.1.4). Runs in the front.
 *
 * The core does no I/O. It asks the back one question at a time, over front->link; its answer
 * is the job of runtime/session.h, and input waits for it, so pipelined commands stay in
 * order (RFC 2920). */
#include "smtpd/session_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/random.h"

static const char *state_name(enum smtp_state state)
{
	switch (state) {
	case SMTP_NEW: return "new";
	case SMTP_FRESH: return "fresh";
	case SMTP_READY: return "ready";
	case SMTP_MAIL: return "mail";
	case SMTP_RCPT: return "rcpt";
	case SMTP_DATA: return "data";
	case SMTP_SASL: return "sasl";
	case SMTP_SECURING: return "securing";
	case SMTP_CLOSED: return "closed";
	case SMTP_BDAT: return "bdat";
	case SMTP_CHUNK: return "chunk";
	case SMTP_ANY: break;
	}
	return "none";
}

void smtp_set_state(struct smtp_session *s, enum smtp_state state)
{
	if (state == s->state)
		return;
	log_debug(&s->session.log, EVENT("state"), WORD("from", state_name(s->state)),
		  WORD("to", state_name(state)));
	s->state = state;
}

bool smtp_is_submission(const struct smtp_session *s)
{
	return s->service == SERVICE_SUBMISSION || s->service == SERVICE_SUBMISSIONS;
}

bool smtp_is_lmtp(const struct smtp_session *s)
{
	return s->service == SERVICE_LMTP;
}

bool smtp_is_signed_in(const struct smtp_session *s)
{
	return token_is_set(&s->token);
}

bool smtp_allows(struct smtp_session *s, enum limit what)
{
	return smtp_is_signed_in(s) || limits_take(s->front->limits, &s->client.peer, what);
}

void smtp_reset(struct smtp_session *s)
{
	smtp_transaction_abandon(s);
	arena_fini(&s->transaction.arena);
	buffer_free(&s->transaction.recipients);
	buffer_free(&s->transaction.gathered);
	buffer_free(&s->transaction.outcomes);
	s->transaction = (struct smtp_transaction){ .refusal = REPLY_NONE };
	if (s->state & (SMTP_MAIL | SMTP_RCPT | SMTP_DATA | SMTP_BDAT | SMTP_CHUNK))
		smtp_set_state(s, SMTP_READY);
}

enum step smtp_close(struct smtp_session *s, const char *why)
{
	smtp_reset(s);
	smtp_set_state(s, SMTP_CLOSED);
	s->closed_why = why;
	return STEP_CLOSE;
}

enum step smtp_wait(struct smtp_session *s, enum step (*resume)(struct smtp_session *s))
{
	assert(!s->resume);
	s->resume = resume;
	session_job_begin(&s->session);
	return STEP_WAIT;
}

static enum step go_on_after_job(struct smtp_session *s)
{
	enum step (*resume)(struct smtp_session * s) = s->resume;
	s->resume = NULL;
	return resume(s);
}

static enum step take_command(struct smtp_session *s, struct cursor *in)
{
	struct slice line;
	/* AUTH may carry the first response of its exchange. */
	size_t max_octets = slice_starts_nocase(cursor_rest(in), SLICE("AUTH "))
				    ? SASL_LINE_MAX_OCTETS
				    : COMMAND_MAX_OCTETS;

	switch (line_take(&s->line, in, max_octets, &line)) {
	case LINE_PARTIAL: return STEP_INPUT;
	case LINE_TAKEN: return smtp_dispatch(s, line);
	case LINE_TOO_LONG: smtp_reply(s, REPLY_LINE_TOO_LONG); break;
	case LINE_BARE: smtp_reply(s, REPLY_COMMAND_BARE); break;
	}
	return STEP_AGAIN;
}

/* One step of the loop below. */
static enum step advance(struct smtp_session *s, struct cursor *in)
{
	if (s->resume)
		return go_on_after_job(s);
	if (s->state != SMTP_CLOSED && s->errors >= s->front->config->protocol_errors) {
		smtp_reply(s, REPLY_TOO_MANY_ERRORS);
		return smtp_close(s, "too-many-errors");
	}
	if (session_out_is_full(&s->session))
		return STEP_WAIT;
	switch (s->state) {
	case SMTP_NEW: return smtp_arrive(s, in);
	case SMTP_FRESH:
	case SMTP_READY:
	case SMTP_MAIL:
	case SMTP_RCPT:
	case SMTP_BDAT: return take_command(s, in);
	case SMTP_SASL: return smtp_take_sasl(s, in);
	case SMTP_DATA: return smtp_take_content(s, in);
	case SMTP_CHUNK: return smtp_take_chunk(s, in);
	case SMTP_SECURING:
		/* Sent before the handshake, so perhaps an attacker's: drop it (RFC 3207 section
		 * 4.2). */
		in->at = in->end;
		return STEP_INPUT;
	case SMTP_CLOSED:
	case SMTP_ANY: break;
	}
	return STEP_CLOSE;
}

/* While more commands of a group wait to be read, their replies need not go out one by one
 * (RFC 2920 section 3.2): they are held while a question is out. */
static void hold_replies(struct smtp_session *s)
{
	assert(s->held_out.len == 0);
	struct buffer empty = s->held_out;
	s->held_out = s->session.out;
	s->session.out = empty;
}

static void release_replies(struct smtp_session *s)
{
	if (s->held_out.len == 0)
		return;
	buffer_add(&s->held_out, buffer_slice(&s->session.out));
	buffer_free(&s->session.out);
	s->session.out = s->held_out;
	s->held_out = (struct buffer){ 0 };
}

/* Consumes what it can of `in`, queues replies, says what to wait for. */
static enum step feed(struct session *session, struct cursor *in)
{
	struct smtp_session *s = smtp_of(session);
	enum step step;
	size_t offered_octets = cursor_left(in);

	assert(!session->job_out);
	release_replies(s);
	if (s->state != SMTP_CLOSED && smtp_is_too_slow(s)) {
		smtp_reply(s, REPLY_TOO_SLOW);
		return smtp_close(s, "too-slow");
	}
	do {
		step = advance(s, in);
		arena_reset(&s->command_arena);
	} while (step == STEP_AGAIN);
	arena_fini(&s->command_arena);
	smtp_pace_note(s, offered_octets - cursor_left(in), cursor_left(in));
	if (session->job_out && !at_end(in))
		hold_replies(s);
	return step;
}

/* RFC 5321 sections 3.8 and 4.5.3.2.7. A job that has come home is heard out first: a message
 * that was filed must not be told of as if it were not. */
static enum step notify(struct session *session, enum news news)
{
	struct smtp_session *s = smtp_of(session);

	release_replies(s);
	if (s->state == SMTP_CLOSED)
		return STEP_CLOSE;
	if (s->resume && go_on_after_job(s) == STEP_CLOSE)
		return STEP_CLOSE;
	/* Between STARTTLS and its handshake the client expects no plaintext any more. */
	bool may_speak = s->state != SMTP_SECURING;
	switch (news) {
	case NEWS_TIMEOUT:
		if (may_speak)
			smtp_reply(s, REPLY_TIMEOUT);
		return smtp_close(s, "timeout");
	case NEWS_SHUTDOWN:
		if (may_speak)
			smtp_reply(s, REPLY_SHUTDOWN);
		return smtp_close(s, "shutdown");
	case NEWS_SECURED: return smtp_secured(s);
	case NEWS_CHANGED: return smtp_arrival_look(s);
	case NEWS_ENDED: break; /* what it said before is still served; then the binder closes */
	}
	return STEP_INPUT;
}

static void free_session(struct session *session)
{
	struct smtp_session *s = smtp_of(session);

	smtp_reset(s);
	smtp_note_end(s);
	smtp_sign_out(s);
	log_info(&session->log, EVENT("closed"), WORD("why", s->closed_why),
		 NUM("accepted", s->accepted));
	arena_fini(&s->command_arena);
	buffer_free(&s->held_out);
	buffer_free(&s->asked_recipient);
	smtp_arrival_free(&s->arrival);
	free(s->client_name);
	free(s);
}

static const struct session_class smtp_class = {
	.name = "smtp",
	.feed = feed,
	.notify = notify,
	.free = free_session,
};

struct smtp_session *smtp_session_new(struct front *front, enum config_service service,
				      const struct peer *peer, bool secure)
{
	struct smtp_session *s = heap_alloc(sizeof(*s));

	s->front = front;
	s->service = service;
	s->state = SMTP_NEW;
	s->closed_why = "client-left";
	s->client.peer = s->connected_peer = *peer;
	s->client.secure = secure;
	do
		s->client.conn_id = random_u32();
	while (s->client.conn_id == 0);
	session_init(&s->session, &smtp_class, front->loop, s->client.conn_id);
	return s;
}
