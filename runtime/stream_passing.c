/* runtime/stream_passing.c - a socket that changes hands between processes with all that was read
 * from it, and not yet taken, or written to it, and not yet sent. In both. */
#include <assert.h>

#include "runtime/stream_priv.h"

int stream_give_up(struct stream *stream, struct buffer *unread, struct buffer *unsent)
{
	int fd = stream->fd;
	assert(!stream->ssl && !stream->destroyed);
	buffer_add(unread, buffer_slice(&stream->in));
	buffer_add(unsent, slice_sub(buffer_slice(&stream->out), stream->out_at, stream->out.len));
	/* Closing the poll takes the socket out of it at once. */
	stream->fd = -1;
	stream_abort(stream);
	return fd;
}

void stream_put_back(struct stream *stream, struct slice octets)
{
	struct buffer all = { 0 };
	buffer_add(&all, octets);
	buffer_add(&all, buffer_slice(&stream->in));
	buffer_wipe(&stream->in);
	stream->in = all;
	stream->offer = true;
	stream_schedule(stream);
}
