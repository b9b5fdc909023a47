/* runtime/session.h - binds the core of a protocol session to a stream.
 *
 * The core does no I/O: octets go in, replies and one wish come out. Stream, test and
 * fuzzer drive it alike: they call class->feed(), send what stands in session->out, and do
 * what the wish says. A session embeds a struct session as its first member.
 *
 * A job (a store write, a password check, a question over the channel) runs elsewhere. A
 * core that starts one calls session_job_begin() and returns STEP_WAIT; the job's done
 * callback, on the session's loop, notes the result in the session and calls
 * session_job_end(), which leads to feed() again with the input that waits. The session is
 * freed only after its job has come home: where the client left meanwhile, session_job_end()
 * frees it, so nothing of it may be touched afterwards. */
#pragma once

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/log.h"
#include "runtime/stream.h"

struct session;

enum step {
	STEP_AGAIN, /* only inside a core: go on */
	STEP_INPUT, /* more octets, please */
	STEP_WAIT,  /* a job is out, or session->out is full: feed() again after that */
	STEP_CLOSE, /* send what is in session->out, then close */
};

enum news {
	NEWS_TIMEOUT,  /* the idle time has passed: say goodbye */
	NEWS_SHUTDOWN, /* the server stops: 421, * BYE */
	NEWS_SECURED,  /* TLS is up; the protocol starts over (RFC 3207 section 4.2) */
	NEWS_ENDED,    /* the client has closed its side; input is over */
	NEWS_CHANGED,  /* something the session watches has changed (session_wake_news) */
};

struct session_class {
	const char *name; /* "smtp": conn ids begin with it */
	/* Takes what it can of `in`, queues replies on session->out, says what to wait for. */
	enum step (*feed)(struct session *session, struct cursor *in);
	/* Something happened that is not input. May queue output. */
	enum step (*notify)(struct session *session, enum news news);
	/* After `releases`: everything that was said is on its way. `fd` is the stream's socket, the
	 * callee's; `unread` what came from it and was not taken. free() follows. May be NULL. */
	void (*released)(struct session *session, int fd, struct slice unread);
	/* Frees the session and all it holds; the stream is gone already. */
	void (*free)(struct session *session);
};

struct session {
	const struct session_class *class;
	struct loop *loop;
	struct stream *stream; /* NULL in tests, and after the client has left */
	struct buffer out;     /* what the core wants sent */
	struct log log;
	uint32_t conn_id; /* as in log.conn; for messages to the back */
	/* Set by the core with STEP_WAIT: what is in session->out goes, then it is fed nothing for so long.
	 * Each feed() begins without. */
	uint64_t delay_ms;
	bool wants_tls; /* set by the core with its last plaintext reply: start TLS after it */
	bool releases;	/* set by the core with STEP_CLOSE: its client goes on elsewhere */
	bool job_out;
	bool closing; /* no more input is fed */
	/* How a driver without a stream (a test) hears of session_job_end() and news. */
	void (*woken)(struct session *session);
	/* The binder's own. */
	struct session *newer, *older; /* all sessions of the loop */
	struct tls_context *tls;
	struct timer *delay; /* NULL: none */
	enum news pending_news;
	bool out_waits, has_news, in_core, ended, listed;
};

enum { SESSION_OUT_HIGH_OCTETS = 64 * 1024 };

/* True when the core should return STEP_WAIT and go on producing only after the next feed(). */
static inline bool session_out_is_full(const struct session *session)
{
	return session->out.len >= SESSION_OUT_HIGH_OCTETS;
}

/* Names the session's log (conn=smtp-4f2a) and sets class and loop. `conn_id` 0 picks one. */
void session_init(struct session *session, const struct session_class *class, struct loop *loop,
		  uint32_t conn_id);
/* Takes the stream and starts: feed() is called at once with no input, so that the core can
 * queue its greeting. `tls` is what STARTTLS will use; held. May be NULL. */
void session_start(struct session *session, struct stream *stream, struct tls_context *tls);
/* The session lets go of its stream without closing it (the login hands it to the relay) and
 * is freed. Unread input is kept by the stream, which is paused until its next owner resumes it. Only from within feed() or a job's end; the
 * core must return STEP_CLOSE right after. */
struct stream *session_detach_stream(struct session *session);

void session_job_begin(struct session *session);
void session_job_end(struct session *session);
/* From the session's own loop: notify(news) in this turn or, while a job is out, after it. */
void session_wake_news(struct session *session, enum news news);

/* For a driver without a stream, after woken() and with each input: gives the news that wait to
 * notify() and the input to feed(), unless a job is out (then STEP_WAIT). Returns the last wish. */
enum step session_drive(struct session *session, struct cursor *in);

/* NEWS_SHUTDOWN to every session of this loop. Returns how many there are. */
unsigned session_shutdown_all(struct loop *loop);
unsigned session_count(struct loop *loop);
