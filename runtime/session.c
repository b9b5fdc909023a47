/* runtime/session.c - binds the core of a protocol session to a stream: feeds it, sends its
 * output under back-pressure, waits for its job, brings it news, frees it in the end. */
#include "runtime/session.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/random.h"
#include "runtime/stream_priv.h"

/* ---- names and the loop's list ---- */

static uint32_t next_conn_id(void)
{
	/* Starts anywhere, so that a restarted front does not repeat what the log has seen. */
	static atomic_uint next;
	unsigned unset = 0;
	if (atomic_load(&next) == 0)
		atomic_compare_exchange_strong(&next, &unset, (random_u32() & 0xffffff) | 1);
	uint32_t conn_id = atomic_fetch_add(&next, 1);
	return conn_id ? conn_id : next_conn_id();
}

void session_init(struct session *session, const struct session_class *class, struct loop *loop,
		  uint32_t conn_id)
{
	session->class = class;
	session->loop = loop;
	session->conn_id = conn_id ? conn_id : next_conn_id();
	snprintf(session->log.conn, sizeof(session->log.conn), "%.12s-%x", class->name,
		 session->conn_id);
}

static void list_add(struct session *session)
{
	struct loop *loop = session->loop;
	session->older = loop->newest_session;
	if (session->older)
		session->older->newer = session;
	loop->newest_session = session;
	loop->session_count++;
	session->listed = true;
}

static void list_remove(struct session *session)
{
	if (!session->listed)
		return;
	struct loop *loop = session->loop;
	if (session->newer)
		session->newer->older = session->older;
	else
		loop->newest_session = session->older;
	if (session->older)
		session->older->newer = session->newer;
	loop->session_count--;
	session->listed = false;
}

unsigned session_count(struct loop *loop)
{
	return loop->session_count;
}

/* ---- doing what the core wishes ---- */

/* Frees the session, once its job has come home. */
static void end(struct session *session)
{
	session->closing = true;
	timer_free(&session->delay);
	if (session->job_out || session->in_core)
		return;
	list_remove(session);
	buffer_free(&session->out);
	tls_context_release(&session->tls);
	session->class->free(session);
}

static void send_out(struct session *session)
{
	if (session->out.len && !stream_write_buffer(session->stream, &session->out)) {
		session->out_waits = true;
		stream_pause(session->stream);
	}
}

static void close_stream(struct session *session)
{
	struct stream *stream = session->stream;
	session->stream = NULL;
	stream_close(stream);
	end(session);
}

static void on_delay_over(void *user)
{
	struct session *session = user;
	timer_free(&session->delay);
	if (session->out_waits || session->job_out)
		return;
	stream_resume(session->stream);
	stream_kick(session->stream);
}

static void begin_delay(struct session *session)
{
	stream_pause(session->stream);
	if (session->delay) /* what happens meanwhile does not make it longer */
		return;
	session->delay = timer_new(session->loop, on_delay_over, session);
	timer_start(session->delay, session->delay_ms);
}

/* In a turn of its own, when all output has gone. */
static void release(struct session *session)
{
	struct buffer unread = { 0 }, unsent = { 0 };
	int fd = stream_give_up(session->stream, &unread, &unsent);
	session->stream = NULL;
	session->class->released(session, fd, buffer_slice(&unread));
	buffer_wipe(&unread);
	buffer_free(&unsent);
	end(session);
}

/* Does what the core wished for. The session may be gone afterwards. */
static void obey(struct session *session, enum step step)
{
	if (!session->stream) { /* detached */
		end(session);
		return;
	}
	send_out(session);
	if (session->job_out && step != STEP_CLOSE)
		step = STEP_WAIT;
	if (step == STEP_INPUT && session->ended && !session->has_news)
		step = STEP_CLOSE; /* it would wait for ever */
	switch (step) {
	case STEP_CLOSE:
		if (!session->releases) {
			close_stream(session);
			return;
		}
		stream_pause(session->stream);
		stream_want_drained(session->stream);
		return;
	case STEP_WAIT:
		if (session->delay_ms > 0)
			begin_delay(session);
		else if (session->job_out)
			stream_pause(session->stream);
		else if (!session->out_waits)
			stream_kick(session->stream); /* in its turn, so that others have theirs */
		return;
	case STEP_AGAIN:
	case STEP_INPUT: break;
	}
	buffer_free(&session->out); /* an idle session owns none */
	if (session->wants_tls) {
		session->wants_tls = false;
		assert(session->tls);
		stream_start_tls(session->stream, session->tls);
	}
	if (session->has_news && !session->out_waits)
		stream_kick(session->stream);
}

static enum step call_notify(struct session *session, enum news news)
{
	session->in_core = true;
	enum step step = session->class->notify(session, news);
	session->in_core = false;
	return step;
}

static enum step call_feed(struct session *session, struct cursor *in)
{
	session->in_core = true;
	session->delay_ms = 0;
	enum step step = session->class->feed(session, in);
	session->in_core = false;
	return step;
}

/* News first, since it may end the session; then the input. */
static enum step drive(struct session *session, struct cursor *in)
{
	if (session->has_news) {
		session->has_news = false;
		enum step step = call_notify(session, session->pending_news);
		if (step == STEP_CLOSE || session->job_out || session->closing)
			return step;
	}
	return call_feed(session, in);
}

enum step session_drive(struct session *session, struct cursor *in)
{
	return session->job_out ? STEP_WAIT : drive(session, in);
}

/* ---- what the stream says ---- */

static void on_input(struct stream *stream, struct cursor *in)
{
	struct session *session = stream_user(stream);
	if (session->job_out || session->out_waits || session->releases || session->delay) {
		stream_pause(stream);
		return;
	}
	obey(session, drive(session, in));
}

static void on_drained(struct stream *stream)
{
	struct session *session = stream_user(stream);
	session->out_waits = false;
	if (session->releases) {
		release(session);
		return;
	}
	if (session->job_out || session->delay)
		return;
	stream_resume(stream);
	stream_kick(stream);
}

static void on_secured(struct stream *stream)
{
	struct session *session = stream_user(stream);
	obey(session, call_notify(session, NEWS_SECURED));
}

static void on_timeout(struct stream *stream)
{
	struct session *session = stream_user(stream);
	if (!session->job_out) /* else it is us who are slow */
		session_wake_news(session, NEWS_TIMEOUT);
}

static void on_ended(struct stream *stream, enum stream_end how)
{
	struct session *session = stream_user(stream);
	session->ended = true;
	if (how == STREAM_EOF) {
		session_wake_news(session, NEWS_ENDED);
		return;
	}
	session->stream = NULL;
	stream_abort(stream);
	end(session);
}

static const struct stream_events events = {
	.input = on_input,
	.drained = on_drained,
	.secured = on_secured,
	.timeout = on_timeout,
	.ended = on_ended,
};

/* ---- what the core and its surroundings say ---- */

void session_start(struct session *session, struct stream *stream, struct tls_context *tls)
{
	struct cursor nothing = cursor_of(SLICE(""));
	assert(session->class && !session->stream);
	session->stream = stream;
	session->tls = tls_context_hold(tls);
	list_add(session);
	stream_set_events(stream, &events, session);
	if (session->loop->sessions_end) /* it came too late to hear of it with the others */
		obey(session, call_notify(session, NEWS_SHUTDOWN));
	else
		obey(session, call_feed(session, &nothing));
}

static void detached_input(struct stream *stream, struct cursor *in)
{
}

static void detached_event(struct stream *stream)
{
}

static void detached_ended(struct stream *stream, enum stream_end how)
{
}

/* Between two owners. The stream is paused meanwhile, so it tells the next one of its end. */
static const struct stream_events detached_events = {
	.input = detached_input,
	.drained = detached_event,
	.secured = detached_event,
	.timeout = detached_event,
	.ended = detached_ended,
};

struct stream *session_detach_stream(struct session *session)
{
	struct stream *stream = session->stream;
	assert(stream);
	if (session->out.len)
		stream_write(stream, buffer_slice(&session->out));
	session->stream = NULL;
	session->closing = true;
	stream_set_idle_ms(stream, 0);
	stream_pause(stream);
	stream_set_events(stream, &detached_events, NULL);
	return stream;
}

void session_job_begin(struct session *session)
{
	assert(!session->job_out);
	session->job_out = true;
}

void session_job_end(struct session *session)
{
	assert(session->job_out);
	session->job_out = false;
	if (session->closing) {
		end(session);
	} else if (session->stream && !session->out_waits) {
		stream_resume(session->stream);
		stream_kick(session->stream);
	} else if (session->stream && session->has_news) {
		/* They waited for the job alone; now perhaps they wait for the output. */
		session->has_news = false;
		session_wake_news(session, session->pending_news);
	} else if (!session->stream && session->woken) {
		session->woken(session);
	}
}

/* One place holds what waits: what ends the session goes before what does not. */
static void keep_news(struct session *session, enum news news)
{
	if (!session->has_news || news < session->pending_news)
		session->pending_news = news;
	session->has_news = true;
}

void session_wake_news(struct session *session, enum news news)
{
	if (session->closing || session->releases)
		return;
	if (!session->stream) {
		keep_news(session, news);
		if (session->woken && !session->job_out)
			session->woken(session);
		return;
	}
	/* Changes, and the end of a client that has not read its replies yet, wait for it. */
	bool patient = news == NEWS_CHANGED || news == NEWS_ENDED;
	if (session->job_out || session->in_core || (session->out_waits && patient)) {
		keep_news(session, news);
		if (session->in_core)
			stream_kick(session->stream);
		return;
	}
	obey(session, call_notify(session, news));
}

unsigned session_shutdown_all(struct loop *loop)
{
	struct session *session = loop->newest_session;
	loop->sessions_end = true;
	while (session) {
		struct session *older = session->older; /* the news may free the session */
		session_wake_news(session, NEWS_SHUTDOWN);
		session = older;
	}
	return loop->session_count;
}
