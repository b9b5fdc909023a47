/* runtime/stream.c - a socket with a queue, an idle timer and callbacks. TLS is in stream_tls.c.
 *
 * Reads go into a buffer that the loop lends; only what the owner leaves is copied. Writes go
 * to the socket at once; only what it does not take is copied, or kept where it is if that is much.
 * So an idle stream owns nothing but its structure. Callbacks come from the poll or from a later
 * turn, never from inside a call of the owner. */
#include "runtime/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "runtime/stream_priv.h"

enum {
	/* A handshake may take this long, whatever it dribbles; likewise a record that has begun,
	 * since it pins 16 KiB. */
	TLS_PATIENCE_MS = 60 * 1000,
	/* A closed stream ends when its queue made no progress for so long... */
	CLOSE_STALL_MS = 5 * 1000,
	/* ...or after this time with progress: the tail of a large message on a slow line. */
	CLOSE_TOTAL_MS = 120 * 1000,
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void stream_later(struct task *task);
static void on_deadline(struct deadline *deadline);

/* ---- small state ---- */

void stream_schedule(struct stream *stream)
{
	if (stream->later_queued)
		return;
	stream->later_queued = true;
	stream->later.run = stream_later;
	loop_later(stream->loop, &stream->later);
}

/* What we would like uv to look for. */
static int wanted_events(const struct stream *stream)
{
	bool closing = !stream->events;
	bool reads = !stream->input_over && !stream->paused;
	if (!closing && stream->in.len >= STREAM_READ_OCTETS)
		reads = false;
	return (reads ? UV_READABLE : 0) | (stream->out.len ? UV_WRITABLE : 0);
}

static void set_poll(struct stream *stream, int wanted)
{
	stream->polled = (uint8_t)wanted;
	if (wanted)
		uv_poll_start(&stream->poll, wanted, on_poll);
	else
		uv_poll_stop(&stream->poll);
}

/* Each change costs system calls. So a session that pauses for a job goes on being polled for
 * input; only if some comes meanwhile, on_poll() gives the poll up. */
void stream_update_poll(struct stream *stream)
{
	if (stream->destroyed)
		return;
	int wanted = wanted_events(stream);
	int missing = wanted & ~stream->polled, surplus = stream->polled & ~wanted;
	if (missing || surplus & UV_WRITABLE)
		set_poll(stream, wanted);
}

static uint64_t now_of(const struct stream *stream)
{
	return loop_now_ms(stream->loop);
}

static bool is_handshaking(const struct stream *stream)
{
	return stream->ssl && !stream->secured && !stream->input_over;
}

/* When something is due if nothing happens until then; UINT64_MAX: never. */
static uint64_t next_deadline_ms(const struct stream *stream)
{
	uint64_t at_ms = UINT64_MAX;
	if (!stream->events) {
		uint64_t total_ms = stream->since_ms + CLOSE_TOTAL_MS;
		at_ms = stream->active_ms + CLOSE_STALL_MS;
		return at_ms < total_ms ? at_ms : total_ms;
	}
	uint64_t patience_ms = TLS_PATIENCE_MS;
	if (is_handshaking(stream)) {
		if (stream->idle_ms && stream->idle_ms < patience_ms)
			patience_ms = stream->idle_ms;
		return stream->since_ms + patience_ms;
	}
	if (stream->idle_ms)
		at_ms = stream->active_ms + stream->idle_ms;
	if (stream->since_ms && stream->since_ms + patience_ms < at_ms)
		at_ms = stream->since_ms + patience_ms;
	return at_ms;
}

void stream_arm(struct stream *stream)
{
	uint64_t at_ms = next_deadline_ms(stream);
	if (at_ms == UINT64_MAX || stream->destroyed)
		return;
	if (stream->deadline.place == 0 || at_ms < stream->deadline.at_ms)
		deadline_set(stream->loop, &stream->deadline, at_ms);
}

/* ---- life ---- */

static void free_if_unused(struct stream *stream)
{
	if (stream->poll_closed && !stream->later_queued)
		free(stream);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct stream *stream = CONTAINER_OF((uv_poll_t *)handle, struct stream, poll);
	stream->poll_closed = true;
	free_if_unused(stream);
}

static void destroy(struct stream *stream)
{
	if (stream->destroyed)
		return;
	stream->destroyed = true;
	stream->events = NULL;
	if (stream->freed)
		stream->freed(stream->freed_user);
	deadline_clear(stream->loop, &stream->deadline);
	stream_tls_fini(stream);
	buffer_wipe(&stream->in);
	buffer_free(&stream->out);
	buffer_wipe(&stream->early);
	uv_close((uv_handle_t *)&stream->poll, on_poll_closed);
	if (stream->fd >= 0)
		close(stream->fd);
}

struct stream *stream_new(struct loop *loop, int fd, const struct stream_events *events, void *user)
{
	struct stream *stream = heap_alloc(sizeof(*stream));
	stream->loop = loop;
	stream->fd = fd;
	stream->events = events;
	stream->user = user;
	stream->active_ms = loop_now_ms(loop);
	stream->deadline.passed = on_deadline;
	int failed = uv_poll_init(&loop->uv, &stream->poll, fd);
	assert(!failed);

	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);
	if (getpeername(fd, (struct sockaddr *)&address, &len) == 0)
		peer_from_sockaddr((const struct sockaddr *)&address, &stream->peer);
	if (stream->peer.family != 0) {
		/* We write in batches already; waiting for more would only cost time. */
		int on = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	stream_update_poll(stream);
	return stream;
}

void stream_set_events(struct stream *stream, const struct stream_events *events, void *user)
{
	assert(stream->events && events);
	stream->events = events;
	stream->user = user;
	stream->offer = true;
	stream->end_told = false; /* the new owner has not heard of it */
	stream_schedule(stream);
}

void *stream_user(const struct stream *stream)
{
	return stream->user;
}

struct loop *stream_loop(const struct stream *stream)
{
	return stream->loop;
}

const struct peer *stream_peer(const struct stream *stream)
{
	return &stream->peer;
}

void stream_set_peer(struct stream *stream, const struct peer *peer)
{
	stream->peer = *peer;
}

void stream_set_freed(struct stream *stream, void (*freed)(void *user), void *user)
{
	stream->freed = freed;
	stream->freed_user = user;
}

/* ---- input ---- */

ssize_t stream_recv(struct stream *stream, uint8_t *into, size_t room)
{
	ssize_t got;
	do
		got = recv(stream->fd, into, room, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EWOULDBLOCK)
		errno = EAGAIN;
	return got;
}

void stream_input_over(struct stream *stream, enum stream_end how)
{
	if (stream->input_over)
		return;
	stream->input_over = true;
	stream->how = (uint8_t)(stream->broken && how == STREAM_EOF ? STREAM_RESET : how);
	stream->since_ms = 0;
}

/* Puts back what the owner left of `all`, of which he took `taken`. `held` is the memory of
 * `all` if it is our own. */
static void keep_rest(struct stream *stream, struct buffer *held, struct slice all, size_t taken)
{
	if (taken == all.len) {
		buffer_wipe(held);
	} else if (held->data) {
		buffer_drop_front(held, taken);
		stream->in = *held;
	} else {
		buffer_add(&stream->in, slice_sub(all, taken, all.len));
	}
}

/* Shows the owner what was left and, behind it, what was `got` now. While he looks, what was
 * left is not the stream's, so he may close the stream without pulling it from under his feet. */
static void show_input(struct stream *stream, struct slice got)
{
	bool more = true;
	stream->offer = false;
	while (more && stream->events && !stream->paused) {
		struct buffer held = stream->in;
		stream->in = (struct buffer){ 0 };
		struct slice all = got;
		if (held.len) {
			buffer_add(&held, got);
			all = buffer_slice(&held);
		}
		if (!all.ptr)
			all.ptr = loop_plain(stream->loop);
		struct slice shown = slice_sub(all, 0, STREAM_READ_OCTETS);
		struct cursor in = cursor_of(shown);
		stream->kick = false;
		stream->drop_input = false;
		stream->events->input(stream, &in);
		size_t taken = (size_t)(in.at - shown.ptr);
		assert(in.at >= shown.ptr && taken <= shown.len);
		if (!stream->events || stream->drop_input) {
			buffer_wipe(&held);
			return;
		}
		keep_rest(stream, &held, all, taken);
		got = SLICE_NONE;
		more = taken > 0 && all.len > shown.len && !stream->offer;
	}
	if (stream->events && got.len)
		buffer_add(&stream->in, got);
}

static void tell_end(struct stream *stream)
{
	if (!stream->events || !stream->input_over || stream->paused || stream->end_told ||
	    stream->offer)
		return;
	stream->end_told = true;
	stream->events->ended(stream, (enum stream_end)stream->how);
}

/* A closed stream reads only to hear the peer's goodbye: unread octets at close() would make
 * TCP reset the connection and destroy what we sent last (RFC 2525 section 2.17). */
static void receive_after_close(struct stream *stream)
{
	ssize_t got = stream_recv(stream, loop_plain(stream->loop), STREAM_READ_OCTETS);
	if (got > 0 || (got < 0 && errno == EAGAIN))
		return;
	stream_input_over(stream, STREAM_EOF);
	if (got < 0 || stream->fin_sent)
		destroy(stream);
}

static void receive(struct stream *stream)
{
	if (stream->paused || stream->input_over || stream->in.len >= STREAM_READ_OCTETS)
		return;
	size_t room = STREAM_READ_OCTETS - stream->in.len;
	struct slice got = SLICE_NONE;
	if (stream->ssl) {
		if (stream_tls_receive(stream, room, &got)) {
			struct buffer early = stream->early;
			stream->early = (struct buffer){ 0 };
			stream_tls_write(stream, buffer_slice(&early));
			buffer_wipe(&early);
			if (stream->drained_wanted)
				stream_schedule(stream);
			stream->events->secured(stream);
		}
	} else {
		uint8_t *plain = loop_plain(stream->loop);
		ssize_t count = stream_recv(stream, plain, room);
		if (count > 0)
			got = slice_of(plain, (size_t)count);
		else if (count == 0)
			stream_input_over(stream, STREAM_EOF);
		else if (errno != EAGAIN)
			stream_input_over(stream, STREAM_RESET);
	}
	if (got.len) {
		stream->active_ms = now_of(stream);
		show_input(stream, got);
	}
	tell_end(stream);
}

void stream_pause(struct stream *stream)
{
	stream->paused = true;
	stream_update_poll(stream);
}

void stream_resume(struct stream *stream)
{
	stream->paused = false;
	stream->offer = true;
	if (stream->since_ms && !is_handshaking(stream) && stream->events)
		stream->since_ms = now_of(stream); /* the pause was not the peer's fault */
	stream_schedule(stream);
	stream_update_poll(stream);
}

void stream_kick(struct stream *stream)
{
	stream->kick = true;
	stream_schedule(stream);
}

/* ---- time ---- */

void stream_set_idle_ms(struct stream *stream, uint64_t idle_ms)
{
	stream->idle_ms = idle_ms;
	stream->active_ms = now_of(stream);
	stream_arm(stream);
}

static void on_deadline(struct deadline *deadline)
{
	struct stream *stream = CONTAINER_OF(deadline, struct stream, deadline);
	uint64_t now_ms = now_of(stream);
	bool due = next_deadline_ms(stream) <= now_ms;
	if (due && !stream->events) {
		destroy(stream);
		return;
	}
	bool idle_due = due && stream->idle_ms && now_ms >= stream->active_ms + stream->idle_ms;
	if (due && (is_handshaking(stream) || (stream->since_ms && !stream->paused && !idle_due))) {
		stream_tls_log_failure(stream, "timeout");
		stream_input_over(stream, STREAM_TLS);
		stream->active_ms = now_ms;
		stream_arm(stream);
		tell_end(stream);
	} else if (due) {
		if (stream->since_ms)
			stream->since_ms = now_ms;
		if (idle_due)
			stream->active_ms =
				now_ms; /* the next time-out is a whole idle time away */
		stream_arm(stream);
		if (idle_due)
			stream->events->timeout(stream);
	} else {
		stream_arm(stream);
	}
	stream_update_poll(stream);
}

/* ---- events ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct stream *stream = CONTAINER_OF(poll, struct stream, poll);
	if (status < 0) {
		/* An error stands on the socket, and uv has stopped the poll: read what came
		 * before the error, then the error itself. */
		stream->polled = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	if (events & UV_WRITABLE)
		stream_flush(stream);
	if (stream->destroyed)
		return;
	bool over = stream->broken || (stream->input_over && stream->fin_sent);
	if (!stream->events && over)
		destroy(stream);
	else if (!stream->events && !stream->input_over)
		receive_after_close(stream);
	else if (!(wanted_events(stream) & UV_READABLE) && stream->polled & UV_READABLE)
		set_poll(stream, wanted_events(stream));
	else if (events & UV_READABLE)
		receive(stream);
	stream_update_poll(stream);
}

/* What was put off to a later turn. */
static void stream_later(struct task *task)
{
	struct stream *stream = CONTAINER_OF(task, struct stream, later);
	stream->later_queued = false;
	if (stream->destroyed) {
		free_if_unused(stream);
		return;
	}
	if (stream->events && stream->drained_wanted && stream_queued(stream) == 0) {
		stream->drained_wanted = false;
		stream->events->drained(stream);
	}
	if (stream->events && !stream->paused) {
		if (stream->kick || (stream->offer && stream->in.len))
			show_input(stream, SLICE_NONE);
		else
			stream->offer = false;
	}
	tell_end(stream);
	stream_update_poll(stream);
}

/* ---- the end ---- */

void stream_close(struct stream *stream)
{
	if (!stream->events)
		return;
	if (stream->secured && !(stream->input_over && stream->how == STREAM_TLS))
		stream_end_output(stream);
	stream->events = NULL;
	stream->paused = false;
	buffer_wipe(&stream->in);
	buffer_wipe(&stream->early);
	stream->since_ms = stream->active_ms = now_of(stream);
	stream->fin_wanted = true;
	stream_send_fin(stream);
	if (stream->broken || (stream->input_over && stream->fin_sent)) {
		destroy(stream);
		return;
	}
	stream_arm(stream);
	stream_update_poll(stream);
}

void stream_abort(struct stream *stream)
{
	destroy(stream);
}

void stream_abort_closing(struct loop *loop)
{
	/* Every stream that says goodbye has a deadline. */
	for (uint32_t at = 1; at <= loop->deadline_count;) {
		struct deadline *deadline = loop->deadlines[at];
		struct stream *stream = CONTAINER_OF(deadline, struct stream, deadline);
		if (deadline->passed == on_deadline && !stream->events) {
			destroy(stream);
			at = 1; /* the heap has changed */
		} else {
			at++;
		}
	}
}
