/* runtime/stream.h - the only socket that sessions know: TCP, TLS or a local socket pair,
 * upgraded in place.
 *
 * An idle stream owns no read buffer (the loop lends one per read) and no write buffer.
 * Writes go out at once as far as the socket takes them; the rest waits in a queue with a
 * high-water mark: who writes more than that stops and is called again when it has drained.
 * All calls and callbacks on the stream's loop. No callback comes after stream_close(). */
#pragma once

#include "base/buffer.h"
#include "base/cursor.h"
#include "runtime/loop.h"
#include "runtime/peer.h"
#include "runtime/tls.h"
#include "runtime/tls_demand.h"

struct stream;

enum {
	STREAM_HIGH_WATER_OCTETS = 128 * 1024,
	STREAM_READ_OCTETS = 64 * 1024, /* most that one input callback sees at a time */
};

enum stream_end {
	STREAM_EOF,   /* the peer has sent all it wanted to (TLS: close_notify) */
	STREAM_RESET, /* the connection broke */
	STREAM_TLS,   /* the handshake or a record failed; already logged */
};

struct stream_events {
	/* Octets have come. The callee takes what it can from `in`; what it leaves is kept
	 * (at most STREAM_READ_OCTETS: more than that is read only after some was taken) and
	 * offered again, in front of what follows. Never called while paused. */
	void (*input)(struct stream *stream, struct cursor *in);
	/* All that was queued is on its way, after a stream_write() that returned false. */
	void (*drained)(struct stream *stream);
	/* The TLS handshake is complete. */
	void (*secured)(struct stream *stream);
	/* Nothing was read or written for the time set. */
	void (*timeout)(struct stream *stream);
	/* No more input will come. Called once; the owner closes the stream in it or later. */
	void (*ended)(struct stream *stream, enum stream_end how);
};

/* Takes `fd`, a connected stream socket, and makes it non-blocking. Reading starts at once;
 * the first callback comes in a later turn of the loop. */
struct stream *stream_new(struct loop *loop, int fd, const struct stream_events *events,
			  void *user);
/* Another owner from now on: the relay takes over from a login session so. */
void stream_set_events(struct stream *stream, const struct stream_events *events, void *user);
void *stream_user(const struct stream *stream);
struct loop *stream_loop(const struct stream *stream);
const struct peer *stream_peer(const struct stream *stream);
/* After a PROXY header: the client's own address. */
void stream_set_peer(struct stream *stream, const struct peer *peer);

/* Starts TLS as a server. Everything queued before goes out in plaintext first; everything
 * read before and not yet taken is thrown away, since it may be an attacker's (RFC 3207
 * section 4.2, RFC 9051 section 6.2.1). Holds `context` for itself. */
void stream_start_tls(struct stream *stream, struct tls_context *context);
/* Starts TLS as a client: secured() comes only when the peer has proven what is demanded, under a
 * context of runtime/tls_verify.h; `demand` is copied. As above, what was read before and not taken
 * is thrown away. */
void stream_start_tls_client(struct stream *stream, struct tls_context *context,
			     const struct tls_demand *demand);
/* After ended(STREAM_TLS), or after secured() where the demand was lenient: why the peer's
 * certificate was refused, in words; NULL where it was not, or something else failed. */
const char *stream_tls_refusal(const struct stream *stream, enum tls_refusal *kind_out);
/* The session was an earlier one's. */
bool stream_tls_is_resumed(const struct stream *stream);
bool stream_is_secure(const struct stream *stream); /* the handshake is complete */
/* "TLSv1.3", "TLS_AES_128_GCM_SHA256"; NULL without TLS. */
const char *stream_tls_version(const struct stream *stream);
const char *stream_tls_cipher(const struct stream *stream);

/* False: the queue is above the high-water mark; stop until drained(). The octets are taken
 * in either case. After the peer is gone they are dropped. */
bool stream_write(struct stream *stream, struct slice octets);
/* The same; `octets` is empty afterwards. Where it holds more than the high-water mark and nothing waits
 * before it, what the socket does not take stays where it is: the buffer becomes the queue, false. */
bool stream_write_buffer(struct stream *stream, struct buffer *octets);
size_t stream_queued(const struct stream *stream);
/* Whether a write has failed. The owner hears of that only by the end of the input, or not at all
 * where that came before. */
bool stream_is_broken(const struct stream *stream);
/* Calls drained() once the queue is empty, though no stream_write() returned false. */
void stream_want_drained(struct stream *stream);
/* After what is queued the peer reads the end (close_notify, FIN); reading goes on. */
void stream_end_output(struct stream *stream);
/* No more input callbacks until stream_resume(), which also offers again what was left (in a
 * later turn of the loop). */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);
/* timeout() after this long without progress; 0: never. */
void stream_set_idle_ms(struct stream *stream, uint64_t idle_ms);
/* Sends what is queued, says goodbye (close_notify, FIN), waits briefly for the peer's, and
 * frees the stream. For at most a few seconds; then it ends all the same. */
void stream_close(struct stream *stream);
/* Frees it now; what is queued is lost. */
void stream_abort(struct stream *stream);
/* Frees the stream, but not its socket, which goes on elsewhere: returned, and the caller's. Without
 * TLS only. What was read and not taken, and what was written and not sent, is added to both. Not
 * from within input(). */
int stream_give_up(struct stream *stream, struct buffer *unread, struct buffer *unsent);
/* Octets that were read elsewhere are offered before all that has not been taken yet. Not from within
 * input(). */
void stream_put_back(struct stream *stream, struct slice octets);
/* Called once, right before the stream is freed, whoever owns it then: for what counts
 * connections. */
void stream_set_freed(struct stream *stream, void (*freed)(void *user), void *user);
