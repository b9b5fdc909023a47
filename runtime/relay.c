/* runtime/relay.c - joins a client's stream with the socket pair of its session in the back.
 *
 * Octets go straight from the buffer that one side's read was lent into the other's socket; only
 * what that does not take is copied, and then the first side is not read until it has gone. */
#include "runtime/relay.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"
#include "runtime/stream_priv.h"

/* A client that takes nothing for so long is gone, though TCP may not know it (a closed window
 * is kept open for ever). The back cannot see it: its socket pair is full. */
enum { STALL_MS = 10 * 60 * 1000 };

struct relay {
	struct loop *loop;
	struct stream *client;
	struct stream *back;
	struct relay_home home;
	struct question question;
};

/* Both sides get what is queued for them, then the relay is gone. */
static void end(struct relay *relay)
{
	relay->loop->relay_count--;
	link_forget(&relay->question);
	stream_close(relay->client);
	stream_close(relay->back);
	free(relay);
}

/* ---- client to back ---- */

static void client_input(struct stream *client, struct cursor *in)
{
	struct relay *relay = stream_user(client);
	stream_write(relay->back, cursor_rest(in));
	in->at = in->end;
	if (stream_queued(relay->back) > 0) {
		stream_pause(client);
		stream_want_drained(relay->back);
	}
}

static void back_drained(struct stream *back)
{
	struct relay *relay = stream_user(back);
	stream_resume(relay->client);
}

static void client_ended(struct stream *client, enum stream_end how)
{
	struct relay *relay = stream_user(client);
	if (how == STREAM_EOF)
		stream_end_output(relay->back); /* it may still have something to say */
	else
		end(relay);
}

/* ---- back to client ---- */

static void back_input(struct stream *back, struct cursor *in)
{
	struct relay *relay = stream_user(back);
	stream_write(relay->client, cursor_rest(in));
	in->at = in->end;
	if (stream_queued(relay->client) > 0) {
		stream_pause(back);
		stream_want_drained(relay->client);
		stream_set_idle_ms(relay->client, STALL_MS);
	}
}

static void client_drained(struct stream *client)
{
	struct relay *relay = stream_user(client);
	stream_set_idle_ms(client, 0);
	stream_resume(relay->back);
}

static void client_timeout(struct stream *client)
{
	struct relay *relay = stream_user(client);
	if (stream_queued(client) > 0)
		end(relay);
}

static void back_ended(struct stream *back, enum stream_end how)
{
	end(stream_user(back));
}

static void no_event(struct stream *stream)
{
}

static const struct stream_events client_events = {
	.input = client_input,
	.drained = client_drained,
	.secured = no_event,
	.timeout = client_timeout,
	.ended = client_ended,
};

static const struct stream_events back_events = {
	.input = back_input,
	.drained = back_drained,
	.secured = no_event,
	.timeout = no_event,
	.ended = back_ended,
};

/* ---- signed out ---- */

/* All that has arrived at a socket, without waiting for more: whoever wrote to it has stopped. */
static void drain(int fd, struct buffer *into)
{
	enum { PIECE_OCTETS = 64 * 1024 };
	ssize_t got;
	do {
		got = recv(fd, buffer_reserve(into, PIECE_OCTETS), PIECE_OCTETS, MSG_DONTWAIT);
		into->len += got > 0 ? (size_t)got : 0;
	} while (got > 0);
}

/* With the back's end of the pair, which nobody reads or writes any more, both directions are at
 * hand: what the session said and we have not passed on, and what the client typed that the session
 * has not taken, in the order of its way there. */
static void signed_out(struct question *question, struct slice unread, int back_end)
{
	struct relay *relay = CONTAINER_OF(question, struct relay, question);
	struct relay_home home = relay->home;
	struct stream *client = relay->client;
	struct buffer said = { 0 }, typed = { 0 }, unsent = { 0 };
	if (back_end < 0) {
		log_error(NULL, EVENT("sign-out-failed"), WORD("why", "no-descriptors"));
		end(relay);
		return;
	}
	int own_end = stream_give_up(relay->back, &said, &unsent);
	drain(own_end, &said);
	buffer_add(&typed, unread);
	drain(back_end, &typed);
	buffer_add(&typed, buffer_slice(&unsent));
	close(own_end);
	close(back_end);
	relay->loop->relay_count--;
	free(relay);
	stream_write(client, buffer_slice(&said));
	stream_pause(client);
	stream_put_back(client, buffer_slice(&typed));
	buffer_free(&said);
	buffer_free(&unsent);
	buffer_wipe(&typed);
	home.take(&home, client);
}

/* The back is gone, and with it its end of the pair: back_ended() sees to that. */
static void back_is_gone(struct question *question, enum err err, struct slice payload)
{
}

struct question *relay_start(struct stream *client, int back_fd, const struct relay_home *home)
{
	struct relay *relay = heap_alloc(sizeof(*relay));
	relay->loop = stream_loop(client);
	relay->client = client;
	relay->back = stream_new(relay->loop, back_fd, &back_events, relay);
	relay->loop->relay_count++;
	stream_set_idle_ms(client, 0); /* the back's session keeps the time */
	stream_set_events(client, &client_events, relay);
	stream_resume(client);
	if (!home)
		return NULL;
	relay->home = *home;
	relay->question = (struct question){ .answered = back_is_gone, .signed_out = signed_out };
	return &relay->question;
}

unsigned relay_count(struct loop *loop)
{
	return loop->relay_count;
}
