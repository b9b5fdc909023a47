/* runtime/stream_output.c - what a stream sends: at once as far as the socket takes it, the rest
 * from a queue that exists only while there is a rest. */
#include <errno.h>
#include <sys/socket.h>

#include "runtime/stream_priv.h"

static bool out_is_empty(const struct stream *stream)
{
	return stream->out.len == 0;
}

static void output_broken(struct stream *stream)
{
	stream->broken = true;
	buffer_free(&stream->out);
	stream->out_at = 0;
	if (stream->drained_wanted)
		stream_schedule(stream);
}

void stream_send_fin(struct stream *stream)
{
	if (!stream->fin_wanted || stream->fin_sent || !out_is_empty(stream))
		return;
	stream->fin_sent = true;
	stream->active_ms = loop_now_ms(stream->loop);
	shutdown(stream->fd, SHUT_WR);
}

/* How many octets the socket took; what goes wrong is noted. */
static size_t send_some(struct stream *stream, struct slice octets)
{
	ssize_t sent;
	do
		sent = send(stream->fd, octets.ptr, octets.len, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0) {
		if (sent > 0)
			stream->active_ms = loop_now_ms(stream->loop);
		return (size_t)sent;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		output_broken(stream);
	return 0;
}

void stream_send_raw(struct stream *stream, struct slice octets)
{
	if (stream->broken || octets.len == 0)
		return;
	size_t sent = out_is_empty(stream) ? send_some(stream, octets) : 0;
	if (sent == octets.len || stream->broken)
		return;
	if (stream->out_at > stream->out.len / 2) {
		buffer_drop_front(&stream->out, stream->out_at);
		stream->out_at = 0;
	}
	buffer_add(&stream->out, slice_sub(octets, sent, octets.len));
	stream_update_poll(stream);
}

void stream_flush(struct stream *stream)
{
	if (!out_is_empty(stream)) {
		struct slice rest =
			slice_sub(buffer_slice(&stream->out), stream->out_at, stream->out.len);
		stream->out_at += send_some(stream, rest);
		if (stream->broken || stream->out_at < stream->out.len)
			return;
		buffer_free(&stream->out);
		stream->out_at = 0;
	}
	stream_send_fin(stream);
	if (stream->events && stream->drained_wanted && stream_queued(stream) == 0) {
		stream->drained_wanted = false;
		stream->events->drained(stream);
	}
}

size_t stream_queued(const struct stream *stream)
{
	return stream->out.len - stream->out_at + stream->early.len;
}

bool stream_is_broken(const struct stream *stream)
{
	return stream->broken;
}

bool stream_write(struct stream *stream, struct slice octets)
{
	if (!stream->events || stream->broken || stream->fin_wanted || octets.len == 0)
		return true;
	if (!stream->ssl)
		stream_send_raw(stream, octets);
	else if (stream->secured)
		stream_tls_write(stream, octets);
	else
		buffer_add(&stream->early, octets);
	if (stream_queued(stream) <= STREAM_HIGH_WATER_OCTETS)
		return true;
	stream->drained_wanted = true;
	return false;
}

bool stream_write_buffer(struct stream *stream, struct buffer *octets)
{
	bool is_idle =
		stream->events && !stream->broken && !stream->fin_wanted && out_is_empty(stream);
	if (octets->len <= STREAM_HIGH_WATER_OCTETS || stream->ssl || !is_idle) {
		bool is_low = stream_write(stream, buffer_slice(octets));
		buffer_clear(octets);
		return is_low;
	}
	size_t sent = send_some(stream, buffer_slice(octets));
	if (sent == octets->len || stream->broken) {
		buffer_clear(octets);
		return true;
	}
	stream->out = *octets;
	stream->out_at = sent;
	*octets = (struct buffer){ 0 };
	stream->drained_wanted = true;
	stream_update_poll(stream);
	return false;
}

void stream_want_drained(struct stream *stream)
{
	stream->drained_wanted = true;
	if (stream_queued(stream) == 0)
		stream_schedule(stream);
}

void stream_end_output(struct stream *stream)
{
	if (stream->fin_wanted)
		return;
	if (stream->secured)
		stream_tls_goodbye(stream);
	stream->fin_wanted = true;
	stream_send_fin(stream);
}
