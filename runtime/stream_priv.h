/* runtime/stream_priv.h - the inside of a stream, for this room alone.
 *
 * stream.c owns the socket, the input and the callbacks; stream_output.c the queue;
 * stream_tls.c turns octets into records and back. A destroyed stream's memory stays until the loop's
 * closing phase, so code that has called back may look at stream->events: NULL means that the owner has
 * closed it. */
#pragma once

#include "base/buffer.h"
#include "runtime/loop_priv.h"
#include "runtime/stream.h"

struct ssl_st;

struct stream {
	uv_poll_t poll;
	struct loop *loop;
	const struct stream_events *events; /* NULL: the owner has closed it */
	void *user;
	struct ssl_st *ssl; /* NULL: plaintext */
	struct buffer in;   /* read, and left by the owner */
	struct buffer out;  /* for the socket, from out_at on; with TLS these are records */
	size_t out_at;
	struct buffer early; /* written during the handshake */
	struct deadline deadline;
	uint64_t idle_ms;
	uint64_t active_ms;	   /* when the last progress was made */
	uint64_t since_ms;	   /* handshake, partial record or close: when it began; 0: none */
	void (*freed)(void *user); /* stream_set_freed() */
	void *freed_user;
	struct task later;
	struct peer peer;
	int fd;
	uint16_t record_left;  /* octets of a begun TLS record still to come */
	uint8_t record_header; /* octets of its header that came */
	uint8_t polled;	       /* what uv looks for now: UV_READABLE, UV_WRITABLE */
	uint8_t how;	       /* enum stream_end, once input_over */
	bool later_queued : 1;
	bool poll_closed : 1;
	bool destroyed : 1;
	bool paused : 1;
	bool drop_input : 1;
	bool offer : 1; /* show the owner again what was left */
	bool kick : 1;	/* call input() even with nothing to show */
	bool input_over : 1;
	bool end_told : 1;
	bool drained_wanted : 1;
	bool broken : 1; /* a write failed: output is dropped */
	bool secured : 1;
	bool fin_wanted : 1;
	bool fin_sent : 1;
};

/* Calls input() in a later turn (once resumed), even if nothing was left: how the binder of
 * sessions goes on after a job or after a full output. */
void stream_kick(struct stream *stream);
/* Has what is put off done in a later turn: callbacks that must not come from inside a call. */
void stream_schedule(struct stream *stream);
/* Has uv look for what we want now. */
void stream_update_poll(struct stream *stream);
/* No more input comes; the owner is told when everything read was shown to him. */
void stream_input_over(struct stream *stream, enum stream_end how);
/* Sees to it that the deadline is not later than it has to be. */
void stream_arm(struct stream *stream);
/* One recv(); -1 with errno EAGAIN where there is nothing, 0 at the end. */
ssize_t stream_recv(struct stream *stream, uint8_t *into, size_t room);

/* At the end of the loop: frees what still says goodbye. */
void stream_abort_closing(struct loop *loop);

/* ---- stream_output.c ---- */

/* Sends now what the socket takes and queues the rest; no TLS. */
void stream_send_raw(struct stream *stream, struct slice octets);
/* The socket is writable. */
void stream_flush(struct stream *stream);
/* Sends FIN, if it is wanted and nothing waits before it. */
void stream_send_fin(struct stream *stream);

/* ---- stream_tls.c ---- */

/* Reads from the socket at most `room` octets and decrypts them into the loop's buffer. True:
 * the handshake has become complete by it. */
bool stream_tls_receive(struct stream *stream, size_t room, struct slice *plain_out);
void stream_tls_write(struct stream *stream, struct slice octets);
void stream_tls_goodbye(struct stream *stream); /* close_notify */
void stream_tls_fini(struct stream *stream);
void stream_tls_log_failure(const struct stream *stream, const char *why);
/* Frees what the loop's TLS streams shared. */
void stream_tls_loop_fini(struct loop *loop);
