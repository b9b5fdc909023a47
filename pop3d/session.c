/* pop3d/session.c - a POP3 session after sign-in: RFC 1939 sections 5 (TRANSACTION) and 6
 * (UPDATE). Runs in the back.
 *
 * One command at a time, in order; a client may send many at once (PIPELINING, RFC 2449 section
 * 6.6). Nothing of a message is held but the piece on its way out. Flags are left alone: that a
 * message was fetched by POP3 does not make it \Seen. */
#include "pop3d/session_priv.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/heap.h"
#include "storage/account.h"

void pop3_set_state(struct pop3_session *s, enum pop3_state state)
{
	log_debug(&s->session.log, EVENT("state"), NUM("from", s->state), NUM("to", state));
	s->state = state;
}

enum step pop3_close(struct pop3_session *s, const char *why)
{
	s->closed_why = why;
	/* Before the reply is sent: who has read it may sign in again at once. */
	maildrop_unlock(&s->lock);
	pop3_set_state(s, POP3_CLOSED);
	return STEP_AGAIN;
}

enum step pop3_refuse(struct pop3_session *s, const char *text)
{
	if (++s->errors > s->back->config->protocol_errors) {
		pop3_err(&s->session, "too many errors");
		return pop3_close(s, "too-many-errors");
	}
	pop3_err(&s->session, text);
	return STEP_AGAIN;
}

enum step pop3_fail(struct pop3_session *s, enum err err)
{
	switch (err) {
	case ERR_NOT_FOUND:
	case ERR_GONE: pop3_err(&s->session, "that message has been removed meanwhile"); break;
	case ERR_DAMAGED: pop3_err(&s->session, "[SYS/PERM] that message is damaged"); break;
	default: pop3_err(&s->session, "[SYS/TEMP] the store does not answer, try again later");
	}
	return STEP_AGAIN;
}

enum step pop3_begin_answer(struct pop3_session *s, enum step (*answer)(struct pop3_session *s))
{
	s->answer = answer;
	pop3_set_state(s, POP3_ANSWERING);
	return STEP_AGAIN;
}

enum step pop3_end_answer(struct pop3_session *s)
{
	s->answer = NULL;
	pop3_set_state(s, POP3_TRANSACTION);
	return STEP_AGAIN;
}

/* The reply to PASS or AUTH: lock, then look. */
static enum step open_maildrop(struct pop3_session *s)
{
	if (!maildrop_lock(&s->lock, s->account_id)) {
		pop3_err(&s->session, "[IN-USE] another POP3 session has this maildrop open");
		return pop3_close(s, "in-use");
	}
	struct read *read = read_begin(s->back->store);
	enum err err = maildrop_open(&s->drop, read, s->account_id);
	read_end(&read);
	if (err != ERR_OK) {
		log_error(&s->session.log, EVENT("maildrop-not-opened"),
			  WORD("why", err_word(err)));
		pop3_err(&s->session, "[SYS/TEMP] the maildrop cannot be opened");
		return pop3_close(s, "no-maildrop");
	}
	log_info(&s->session.log, EVENT("maildrop-opened"), NUM("messages", s->drop.count),
		 NUM("size_octets", s->drop.size_octets));
	buffer_add_format(&s->session.out,
			  "+OK maildrop has %" PRIu32 " messages (%" PRIu64 " octets)\r\n",
			  s->drop.count, s->drop.size_octets);
	pop3_set_state(s, POP3_TRANSACTION);
	return STEP_AGAIN;
}

static enum step take_command(struct pop3_session *s, struct cursor *in)
{
	struct slice line;
	switch (line_take(&s->line, in, POP3_LINE_MAX_OCTETS, &line)) {
	case LINE_PARTIAL: return STEP_INPUT;
	case LINE_TAKEN: return pop3_dispatch(s, line);
	case LINE_TOO_LONG: return pop3_refuse(s, "too long");
	case LINE_BARE: break;
	}
	return pop3_refuse(s, "lines end in CRLF and in nothing else");
}

static enum step pop3_feed(struct session *session, struct cursor *in)
{
	struct pop3_session *s = pop3_of(session);
	enum step step = STEP_AGAIN;
	while (step == STEP_AGAIN) {
		if (session_out_is_full(session))
			return STEP_WAIT;
		switch (s->state) {
		case POP3_OPENING: step = open_maildrop(s); break;
		case POP3_TRANSACTION: step = take_command(s, in); break;
		case POP3_ANSWERING: step = s->answer(s); break;
		case POP3_UPDATE: step = pop3_updated(s); break;
		case POP3_CLOSED: step = STEP_CLOSE; break;
		}
	}
	return step;
}

static void account_changed(struct watch *watch)
{
	struct pop3_session *s = CONTAINER_OF(watch, struct pop3_session, watch);
	session_wake_news(&s->session, NEWS_CHANGED);
}

/* New mail and other sessions' doings are no concern of ours, the account's removal is. */
static enum step check_account(struct pop3_session *s)
{
	struct arena arena = { NULL };
	struct account account;
	struct read *read = read_begin(s->back->store);
	enum err err = account_get(read, s->account_id, &arena, &account);
	read_end(&read);
	arena_fini(&arena);
	if (err != ERR_NOT_FOUND || s->state == POP3_UPDATE)
		return STEP_WAIT;
	if (s->state == POP3_TRANSACTION)
		pop3_err(&s->session, "[SYS/PERM] the account has been removed");
	(void)pop3_close(s, "account-removed");
	return STEP_CLOSE;
}

static enum step pop3_notify(struct session *session, enum news news)
{
	struct pop3_session *s = pop3_of(session);
	switch (news) {
	case NEWS_TIMEOUT: /* RFC 1939 section 3: without a word, and without deleting anything */
		(void)pop3_close(s, "timeout");
		return STEP_CLOSE;
	case NEWS_SHUTDOWN:
		if (s->state ==
		    POP3_UPDATE) /* done already: it gets its reply, which is the last */
			return STEP_WAIT;
		/* Between two commands it can be read as a reply; within one it cannot. */
		if (s->state == POP3_TRANSACTION)
			pop3_err(session, "[SYS/TEMP] the server is stopping");
		(void)pop3_close(s, "shutdown");
		return STEP_CLOSE;
	case NEWS_ENDED: /* what has been read is still answered; then feed() finds no more */
		s->closed_why = "client-left";
		return s->state == POP3_CLOSED ? STEP_CLOSE : STEP_WAIT;
	case NEWS_CHANGED: return check_account(s);
	case NEWS_SECURED: break;
	}
	return STEP_INPUT;
}

static void pop3_free(struct session *session)
{
	struct pop3_session *s = pop3_of(session);
	maildrop_unlock(&s->lock);
	watch_end(s->back->store, &s->watch);
	log_info(&session->log, EVENT("closed"),
		 WORD("why", s->closed_why ? s->closed_why : "reset"),
		 NUM("retrieved", s->retrieved), NUM("retrieved_octets", s->retrieved_octets),
		 NUM("deleted", ranges_total(&s->update.expunged)));
	maildrop_close(&s->drop);
	ranges_free(&s->update.uids);
	ranges_free(&s->update.expunged);
	buffer_free(&session->out);
	free(s);
}

static const struct session_class pop3_class = {
	.name = "pop3",
	.feed = pop3_feed,
	.notify = pop3_notify,
	.free = pop3_free,
};

struct session *pop3_session_new(struct back *back, const struct session_message *message,
				 uint32_t account_id)
{
	struct pop3_session *s = heap_alloc(sizeof(*s));
	session_init(&s->session, &pop3_class, back->loop, message->client.conn_id);
	s->back = back;
	s->account_id = account_id;
	s->client = message->client;
	s->state = POP3_OPENING;
	s->watch = (struct watch){
		.changed = account_changed,
		.loop = back->loop,
		.account_id = account_id,
	};
	watch_begin(back->store, &s->watch);
	return &s->session;
}
