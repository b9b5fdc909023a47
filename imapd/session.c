/* imapd/session.c - the core of a signed-in session: its feed loop, and how a command ends.
 * In the back.
 *
 * RFC 9051 sections 2.2, 3, 5.4 (autologout), 5.5 (one command at a time: pipelined ones wait
 * their turn) and 7.1. Input is framed here, commands are looked up in commands.c; what is
 * told of the selected mailbox before a tagged reply comes from view.c. */
#include "imapd/session_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "imapd/arrivals_priv.h"
#include "imapd/compression_priv.h"
#include "imapd/flood_priv.h"
#include "imapd/metadata_priv.h"
#include "imapd/notify_priv.h"
#include "imapd/pace_priv.h"
#include "imapd/refusal_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/view_priv.h"
#include "runtime/way_back.h"
#include "storage/account.h"
#include "storage/journal.h"

void imap_set_state(struct imap_session *s, enum imap_state state)
{
	if (s->state == state)
		return;
	log_debug(&s->session.log, EVENT("imap-state"), NUM("old", s->state), NUM("new", state));
	s->state = (uint8_t)state;
}

enum step imap_bye(struct imap_session *s, const char *text)
{
	respond_line(&s->session.out, s->language, SLICE("*"), "BYE", text);
	imap_set_state(s, IMAP_CLOSED);
	s->running = NULL;
	return STEP_CLOSE;
}

/* It was the client's fault: the journal hears of it. */
static enum step send_away(struct imap_session *s, const char *text)
{
	struct buffer reply = { 0 };
	buffer_add_format(&reply, "BYE %s", text);
	struct journal_event event = {
		.kind = JOURNAL_REFUSED,
		.service = SLICE("imap"),
		.conn_id = s->session.conn_id,
		.secure = s->is_secure,
		.reply = buffer_slice(&reply),
	};
	if (s->session.stream)
		event.peer = *stream_peer(s->session.stream);
	journal_tell(s->back->store, &event);
	log_warning(&s->session.log, EVENT("sent-away"), CSTR("why", text));
	buffer_free(&reply);
	return imap_bye(s, text);
}

static void end_command(struct imap_session *s)
{
	if (s->work_fini)
		s->work_fini(s);
	s->work_fini = NULL;
	s->work = NULL;
	s->job_data = NULL;
	s->running = NULL;
	s->command = NULL;
	s->tag = SLICE_NONE;
	memset(&s->reply, 0, sizeof(s->reply));
	pace_forget(s);
	arena_reset(&s->command_arena);
}

void imap_sync_view(struct imap_session *s)
{
	struct read *read = read_begin(s->back->store);
	if (view_sync(s->view, read) != ERR_OK)
		log_warning(&s->session.log, EVENT("view-not-synced"));
	read_end(&read);
}

/* Output may fill up while much has changed, so this is called until all has been told. */
static enum step conclude(struct imap_session *s, struct cursor *in)
{
	enum imap_tell tell = s->command ? s->command->tell : TELL_NOTHING;
	if (s->view && tell != TELL_NOTHING) {
		/* A client that wants to hear nothing of messages hears of those that it expunges. */
		bool syncs = notify_tells_messages(s) || s->reply.tells_modseq;
		if (!s->reply.is_synced && syncs) {
			imap_sync_view(s);
			s->reply.is_synced = true;
		}
		if (!view_tell(s->view, tell == TELL_ALL && !s->reply.keeps_expunges))
			return STEP_WAIT;
	}
	const char *text = s->reply.text;
	if (s->reply.tells_modseq && s->view && imap_has(s, IMAP_ENABLED_QRESYNC))
		text = arena_format(&s->command_arena, "[HIGHESTMODSEQ %llu] %s",
				    (unsigned long long)s->view->told_modseq, text);
	respond_line(&s->session.out, s->language, s->tag, s->reply.condition, text);
	bool slows = s->reply.slows;
	end_command(s);
	if (s->begins_compression) {
		s->begins_compression = false;
		s->compression = compression_new();
		s->plain_octets = s->session.out.len;
	}
	if (s->signs_out) {
		imap_set_state(s, IMAP_CLOSED);
		s->session.releases = !s->compression;
		return STEP_CLOSE;
	}
	unsigned errors = s->errors > s->wrong_names ? s->errors : s->wrong_names;
	if (errors > s->back->config->protocol_errors)
		return send_away(s, "Too many errors");
	if (slows)
		s->session.delay_ms = flood_delay_ms(errors, s->back->config->protocol_errors);
	return s->session.delay_ms > 0 ? STEP_WAIT : STEP_AGAIN;
}

static enum step reply(struct imap_session *s, const char *condition, const char *text)
{
	s->reply.condition = condition;
	s->reply.text = text;
	s->reply.is_synced = false;
	s->reply.tells_modseq = false;
	s->reply.slows = condition[0] == 'B';
	s->running = conclude;
	return STEP_AGAIN;
}

enum step imap_ok(struct imap_session *s, const char *text)
{
	s->errors = 0;
	return reply(s, "OK", text);
}

enum step imap_ok_expunged(struct imap_session *s, const char *text)
{
	enum step step = imap_ok(s, text);
	s->reply.tells_modseq = true;
	return step;
}

enum step imap_no(struct imap_session *s, const char *text)
{
	return reply(s, "NO", text);
}

enum step imap_bad(struct imap_session *s, const char *text)
{
	s->errors++;
	return reply(s, "BAD", text);
}

enum step imap_no_such_user(struct imap_session *s)
{
	s->wrong_names++;
	enum step step = imap_no(s, "[CANNOT] No user here has that name");
	s->reply.slows = true;
	return step;
}

enum step imap_refuse(struct imap_session *s, enum err err)
{
	log_info(&s->session.log, EVENT("refused"),
		 CSTR("command", s->command ? s->command->verb : "?"), WORD("why", err_word(err)));
	return imap_no(s, respond_refusal(err));
}

/* ---- jobs ---- */

static void job_done(struct job *job)
{
	session_job_end(&imap_session_of_job(job)->session);
}

static enum step after_job(struct imap_session *s, struct cursor *in)
{
	s->running = NULL;
	return s->job_then(s, s->job.outcome);
}

enum step imap_write(struct imap_session *s, enum err (*run)(struct write *write, struct job *job),
		     void *data, enum step (*then)(struct imap_session *s, enum err outcome))
{
	s->job = (struct job){
		.run = run, .done = job_done, .loop = s->session.loop, .origin = notify_origin(s)
	};
	s->job_data = data;
	s->job_then = then;
	s->running = after_job;
	session_job_begin(&s->session);
	store_submit(s->back->store, &s->job);
	return STEP_WAIT;
}

/* ---- framing ---- */

void imap_ask_for_literal(struct imap_session *s)
{
	s->literal_octets += s->framing.literal.size_octets;
	if (s->framing.literal.client_waits)
		buffer_add_cstr(&s->session.out, "+ OK\r\n");
}

static enum step meet_literal(struct imap_session *s)
{
	enum step step;
	if (imap_append_meets_literal(s, &step))
		return step;
	const char *why_not = NULL;
	bool is_metadata = imap_metadata_meets_literal(s, &why_not);
	if (why_not)
		return imap_refuse_literal(s, "NO", why_not);
	if (s->framing.literal.is_literal8 && !is_metadata)
		return imap_refuse_literal(s, "BAD",
					   "A literal8 is only for a message or an annotation");
	if (!framing_literal_fits(&s->framing, IMAP_COMMAND_MAX_OCTETS))
		return imap_refuse_literal(s, "BAD", refusal_too_long);
	imap_ask_for_literal(s);
	framing_accept(&s->framing);
	return STEP_AGAIN;
}

static enum step take_command(struct imap_session *s, struct cursor *in)
{
	switch (framing_next(&s->framing, in, IMAP_COMMAND_MAX_OCTETS)) {
	case FRAMED_NOTHING: return STEP_INPUT;
	case FRAMED_COMMAND:
		if (imap_account_is_gone(s))
			return imap_bye(s, IMAP_ACCOUNT_GONE_TEXT);
		return imap_dispatch(s);
	case FRAMED_LITERAL: return meet_literal(s);
	case FRAMED_REFUSED: return refusal_end(s);
	}
	return STEP_CLOSE;
}

/* Whatever a client sends at once, the loop's other sessions have their turn in between: a turn
 * ends with the command, the step of one or the piece of inflated input after which it has lasted
 * for about a millisecond or has seen many of them. */
enum { TURN_MS = 1, TURN_STEPS_MAX = 100 };

static void begin_turn(struct imap_session *s)
{
	s->turn_began_ms = clock_monotonic_ms();
	s->turn_steps = 0;
}

static bool turn_is_over(const struct imap_session *s)
{
	return s->turn_steps >= TURN_STEPS_MAX || clock_monotonic_ms() > s->turn_began_ms + TURN_MS;
}

static enum step go_on(struct imap_session *s, struct cursor *in)
{
	enum step step = STEP_AGAIN;
	while (step == STEP_AGAIN) {
		if (session_out_is_full(&s->session))
			return STEP_WAIT;
		if ((s->running || !at_end(in)) && turn_is_over(s))
			return STEP_WAIT;
		s->turn_steps++;
		if (s->state == IMAP_CLOSED)
			step = STEP_CLOSE;
		else if (s->running)
			step = s->running(s, in);
		else
			step = take_command(s, in);
	}
	if (step == STEP_INPUT && pace_dribbles(s)) {
		refusal_tell(s);
		step = send_away(s, "The command takes too long");
	}
	return step;
}

/* The client's compressed stream ends behind UNAUTHENTICATE (RFC 8437 section 4.1), ours behind its
 * answer; what follows is not for us. */
static enum step end_compression(struct imap_session *s, struct cursor *in)
{
	switch (compression_take_end(s->compression, in)) {
	case COMPRESSION_GOES_ON: return STEP_INPUT;
	case COMPRESSION_ENDED: s->session.releases = true; return STEP_CLOSE;
	case COMPRESSION_BROKEN: break;
	}
	log_info(&s->session.log, EVENT("compression-not-ended"));
	return STEP_CLOSE;
}

static enum step feed_compressed(struct imap_session *s, struct cursor *in)
{
	struct buffer *plain = compression_plain(s->compression);
	do {
		struct cursor c = cursor_of(buffer_slice(plain));
		enum step step = go_on(s, &c);
		buffer_drop_front(plain, plain->len - cursor_left(&c));
		if (step == STEP_CLOSE && s->signs_out)
			return end_compression(s, in);
		if (step != STEP_INPUT)
			return step;
		if (!compression_take(s->compression, in))
			return imap_bye(s, "The compressed data is damaged");
		s->turn_steps++;
		if ((plain->len > 0 || !at_end(in)) && turn_is_over(s))
			return STEP_WAIT;
	} while (plain->len > 0 || !at_end(in));
	return STEP_INPUT;
}

/* What the core has queued since there were `from` octets is for a client that inflates. */
static void deflate_out(struct imap_session *s, size_t from, enum step step)
{
	if (!s->compression || s->output_ended)
		return;
	if (s->plain_octets > from)
		from = s->plain_octets;
	s->plain_octets = 0;
	s->output_ended = s->signs_out && s->state == IMAP_CLOSED;
	compression_send(s->compression, &s->session.out, from, s->output_ended);
	if (s->output_ended)
		return;
	if (step == STEP_INPUT && (!s->running || imap_is_idle(s)))
		compression_rest(s->compression);
}

/* Behind all that the client has said, so what there is to tell keeps none of its commands waiting: news
 * that takes longer than a turn goes on behind what it says meanwhile. */
static enum step tell_due(struct imap_session *s)
{
	struct cursor nothing = cursor_of(SLICE_NONE);
	enum step step = STEP_INPUT;
	while (step == STEP_INPUT && (!s->running || imap_is_idle(s)) && notify_is_due(s)) {
		if (turn_is_over(s))
			return STEP_WAIT;
		s->turn_steps++;
		if (imap_is_idle(s)) {
			step = imap_idle_news(s);
			continue;
		}
		s->running = notify_tell;
		step = notify_tell(s, &nothing);
		if (step == STEP_AGAIN)
			step = STEP_INPUT;
	}
	return step;
}

/* An idle session owns neither input nor arena. */
static void rest(struct imap_session *s)
{
	arena_fini(&s->command_arena);
	if (s->framing.text.len == 0 || s->framing.is_whole)
		framing_reset(&s->framing);
}

static enum step feed(struct session *session, struct cursor *in)
{
	struct imap_session *s = CONTAINER_OF(session, struct imap_session, session);
	size_t from = session->out.len;
	begin_turn(s);
	enum step step = s->compression ? feed_compressed(s, in) : go_on(s, in);
	if (step == STEP_INPUT && s->state != IMAP_CLOSED)
		step = tell_due(s);
	if (step == STEP_INPUT && !s->running)
		rest(s);
	deflate_out(s, from, step);
	s->waits_for_turn = step == STEP_WAIT;
	return step;
}

static enum step tell_news(struct imap_session *s)
{
	begin_turn(s);
	enum step step = imap_is_idle(s) ? imap_idle_news(s) : STEP_INPUT;
	return step == STEP_INPUT ? tell_due(s) : step;
}

static enum step take_news(struct imap_session *s, enum news news)
{
	/* Not in the middle of a response. */
	bool may_speak = (!s->running || imap_is_idle(s) || imap_append_is_receiving(s)) &&
			 !(s->view && arrival_is_answering(s->view));
	/* It ends; one that has signed out only waits for the end of its client's stream. */
	if (s->state == IMAP_CLOSED)
		return news == NEWS_CHANGED ? STEP_INPUT : STEP_CLOSE;
	switch (news) {
	case NEWS_TIMEOUT:
		if (!may_speak)
			return STEP_CLOSE;
		refusal_tell(s);
		return imap_bye(s, "Idle for too long");
	case NEWS_SHUTDOWN:
		return may_speak ? imap_bye(s, "[UNAVAILABLE] The server is stopping") : STEP_CLOSE;
	case NEWS_ENDED: /* what has come is still answered */
		s->input_ended = true;
		return STEP_WAIT;
	case NEWS_CHANGED: return tell_news(s);
	case NEWS_SECURED: break;
	}
	return STEP_INPUT;
}

static enum step notify(struct session *session, enum news news)
{
	struct imap_session *s = CONTAINER_OF(session, struct imap_session, session);
	size_t from = session->out.len;
	enum step step = take_news(s, news);
	deflate_out(s, from, step);
	/* Commands that have come already are not done because there is news between their turns. */
	return step == STEP_INPUT && s->waits_for_turn ? STEP_WAIT : step;
}

static void released(struct session *session, int fd, struct slice unread)
{
	imap_signed_out(CONTAINER_OF(session, struct imap_session, session), fd, unread);
}

static void session_free(struct session *session)
{
	struct imap_session *s = CONTAINER_OF(session, struct imap_session, session);
	end_command(s);
	notify_free(s);
	view_free(&s->view);
	framing_reset(&s->framing);
	compression_free(&s->compression);
	way_back_release(&s->way_back);
	buffer_free(&s->session.out);
	arena_fini(&s->command_arena);
	free(s);
}

bool imap_account_is_gone(struct imap_session *s)
{
	struct arena arena = { NULL };
	struct account account;
	/* An account goes with its mailboxes, so one that is still there tells enough. */
	if (s->view && !s->view->is_gone && s->view->owner_id == s->account_id)
		return false;
	struct read *read = read_begin(s->back->store);
	bool is_gone = account_get(read, s->account_id, &arena, &account) == ERR_NOT_FOUND;
	read_end(&read);
	arena_fini(&arena);
	return is_gone;
}

static const struct session_class imap_class = {
	.name = "imap",
	.feed = feed,
	.notify = notify,
	.released = released,
	.free = session_free,
};

/* The client has been waiting for the answer to LOGIN or AUTHENTICATE since the front took it
 * (RFC 9051 sections 6.2.2 and 6.2.3). */
static enum step answer_sign_in(struct imap_session *s, struct cursor *in)
{
	return imap_ok(s, arena_format(&s->command_arena, "[CAPABILITY %s] Signed in",
				       imap_capabilities(s)));
}

struct session *imap_session_new(struct back *back, const struct session_message *message,
				 uint32_t account_id)
{
	struct imap_session *s = heap_alloc(sizeof(*s));
	session_init(&s->session, &imap_class, back->loop, message->client.conn_id);
	s->back = back;
	s->account_id = account_id;
	s->state = IMAP_AUTHENTICATED;
	s->tag = arena_copy(&s->command_arena, message->tag);
	s->is_secure = message->client.secure;
	if (message->language < LANGUAGES)
		s->language = (enum language)message->language;
	s->running = answer_sign_in;
	return &s->session;
}
