/* runtime/channel.c - frames and descriptors over one stream socket, with raw sendmsg() and
 * recvmsg() under a uv_poll.
 *
 * A descriptor travels with the first octet of its frame, and alone: a sendmsg() never carries
 * two. The kernel drops a descriptor for which the receiver has no number free (MSG_CTRUNC), and
 * does not say how many; so it was exactly one, its place in the order is kept, and no later
 * frame takes a descriptor that was another's. */
#include "runtime/channel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/octets.h"
#include "runtime/loop_priv.h"
#include "runtime/messages.h"

enum {
	HEADER_OCTETS = 12,
	FLAG_FD = 1,
	FDS_WAITING_MAX = 16,
	MARKS_FIRST = 16,
	READ_OCTETS = 128 * 1024,
	EAGER_OCTETS = 128 * 1024, /* so much is written at once, in the middle of a turn */
	HIGH_WATER_OCTETS = 1024 * 1024,
};

/* A frame in the queue that carries a descriptor. */
struct mark {
	uint64_t at; /* where it begins, counted from the first octet ever sent */
	int fd;
};

struct channel {
	uv_poll_t poll;
	struct loop *loop;
	const struct channel_events *events; /* NULL: freed */
	void *user;
	int fd;
	int polled;

	struct buffer out;
	size_t out_at;	/* sent of it */
	uint64_t total; /* octets ever sent */
	struct mark *marks;
	size_t mark_count, mark_cap;

	struct buffer in;
	int fds[FDS_WAITING_MAX]; /* came, their frames did not yet */
	size_t fd_count;

	struct task flush_task;
	bool flush_queued;
	bool blocked; /* the socket takes no more: wait until it is writable */
	bool mute;    /* a write failed: output is dropped, but what the peer said last is read */
	bool broken;  /* it is over */
	bool foul;    /* because the peer broke the rules */
	bool closed_told;
	bool wants_drained;
	bool throttled;
	bool out_is_secret; /* a password is in the queue */
	bool poll_closed;
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_flush(struct task *task);

static size_t queued(const struct channel *channel)
{
	return channel->out.len - channel->out_at;
}

static void schedule(struct channel *channel)
{
	if (channel->flush_queued)
		return;
	channel->flush_queued = true;
	channel->flush_task.run = on_flush;
	loop_flush_later(channel->loop, &channel->flush_task);
}

static void update_poll(struct channel *channel)
{
	int wanted = 0;
	if (!channel->events)
		return;
	if (!channel->broken) {
		bool reads = !channel->throttled || queued(channel) <= HIGH_WATER_OCTETS;
		wanted = (reads ? UV_READABLE : 0) | (channel->blocked ? UV_WRITABLE : 0);
	}
	if (wanted == channel->polled)
		return;
	channel->polled = wanted;
	if (wanted)
		uv_poll_start(&channel->poll, wanted, on_poll);
	else
		uv_poll_stop(&channel->poll);
}

static void break_off(struct channel *channel, const char *why)
{
	if (channel->broken)
		return;
	channel->broken = true;
	channel->foul = why != NULL;
	if (why)
		log_error(NULL, EVENT("channel-broken"), WORD("why", why));
	schedule(channel); /* where closed() is called */
}

/* ---- out ---- */

/* How many octets may go now, and which descriptor with them, or -1. */
static size_t octets_to_send(const struct channel *channel, int *fd_out)
{
	const struct mark *mark = channel->marks, *end = mark + channel->mark_count;
	*fd_out = -1;
	if (mark != end && mark->at == channel->total)
		*fd_out = mark++->fd;
	return mark != end ? (size_t)(mark->at - channel->total) : queued(channel);
}

/* Nobody will read what is queued. */
static void drop_output(struct channel *channel)
{
	for (size_t i = 0; i < channel->mark_count; i++)
		close(channel->marks[i].fd);
	channel->mark_count = 0;
	buffer_wipe(&channel->out);
	channel->out_at = 0;
	channel->blocked = false;
}

/* `sent` octets have gone, and with them the descriptor that went along. */
static void note_sent(struct channel *channel, size_t sent)
{
	if (channel->mark_count > 0 && channel->marks[0].at == channel->total) {
		close(channel->marks[0].fd);
		channel->mark_count--;
		memmove(channel->marks, channel->marks + 1,
			channel->mark_count * sizeof(struct mark));
	}
	channel->out_at += sent;
	channel->total += sent;
}

static ssize_t send_some(struct channel *channel)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char octets[CMSG_SPACE(sizeof(int))];
	} control;
	int fd;
	size_t limit = octets_to_send(channel, &fd);
	struct iovec part = { channel->out.data + channel->out_at, limit };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.octets;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	ssize_t sent;
	do
		sent = sendmsg(channel->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent;
}

static void write_out(struct channel *channel)
{
	while (queued(channel) > 0) {
		ssize_t sent = send_some(channel);
		if (sent > 0) {
			channel->blocked = false;
			note_sent(channel, (size_t)sent);
		} else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK ||
					errno == ETOOMANYREFS /* descriptors under way */)) {
			channel->blocked = true;
			break;
		} else {
			channel->mute = true;
			drop_output(channel);
		}
	}
	if (queued(channel) == 0) {
		if (channel->out_is_secret)
			wipe(channel->out.data, channel->out.len);
		channel->out_is_secret = false;
		if (channel->out.cap > HIGH_WATER_OCTETS)
			buffer_free(&channel->out);
		buffer_clear(&channel->out);
		channel->out_at = 0;
		channel->blocked = false;
	}
	update_poll(channel);
}

static void tell_drained(struct channel *channel)
{
	if (!channel->events || !channel->wants_drained || queued(channel) > 0 || channel->broken)
		return;
	channel->wants_drained = false;
	if (channel->events->drained)
		channel->events->drained(channel);
}

bool channel_send(struct channel *channel, uint16_t type, uint32_t conversation,
		  struct slice payload, int fd)
{
	assert(payload.len <= CHANNEL_PAYLOAD_MAX_OCTETS);
	if (channel->broken || channel->mute) {
		if (fd >= 0)
			close(fd);
		return true;
	}
	if (channel->out_at > channel->out.len / 2) {
		buffer_drop_front(&channel->out, channel->out_at);
		channel->out_at = 0;
	}
	if (fd >= 0) {
		if (channel->mark_count == channel->mark_cap) {
			channel->mark_cap = channel->mark_cap ? channel->mark_cap * 2 : MARKS_FIRST;
			channel->marks = heap_resize(channel->marks,
						     channel->mark_cap * sizeof(struct mark));
		}
		channel->marks[channel->mark_count++] =
			(struct mark){ channel->total + queued(channel), fd };
	}
	buffer_add_be32(&channel->out, (uint32_t)payload.len);
	buffer_add_be16(&channel->out, type);
	buffer_add_be16(&channel->out, fd >= 0 ? FLAG_FD : 0);
	buffer_add_be32(&channel->out, conversation);
	buffer_add(&channel->out, payload);
	channel->out_is_secret |= type == MESSAGE_AUTHENTICATE;

	if (queued(channel) >= EAGER_OCTETS && !channel->blocked)
		write_out(channel);
	else
		schedule(channel);
	if (queued(channel) <= HIGH_WATER_OCTETS)
		return true;
	channel->wants_drained = true;
	update_poll(channel);
	return false;
}

void channel_flush(struct channel *channel)
{
	write_out(channel);
	if (channel->wants_drained)
		schedule(channel);
}

/* ---- in ---- */

/* Takes the descriptors of a message. False: more than we would ever be sent. */
static bool keep_fds(struct channel *channel, struct msghdr *message)
{
	bool good = true, cut = (message->msg_flags & MSG_CTRUNC) != 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
			if (channel->fd_count < FDS_WAITING_MAX) {
				channel->fds[channel->fd_count++] = fd;
			} else {
				close(fd);
				good = false;
			}
			good &= !cut;
		}
	}
	if (!good || !cut)
		return good;
	log_error(NULL, EVENT("descriptor-lost"), WORD("why", "no-descriptors"));
	if (channel->fd_count == FDS_WAITING_MAX)
		return false;
	channel->fds[channel->fd_count++] = CHANNEL_FD_LOST;
	return true;
}

static int take_fd(struct channel *channel)
{
	int fd = channel->fds[0];
	channel->fd_count--;
	memmove(channel->fds, channel->fds + 1, channel->fd_count * sizeof(int));
	return fd;
}

/* Hands on one frame of `in`. False: it is not there yet, or the channel is at its end. */
static bool take_frame(struct channel *channel, struct cursor *in, bool *secret_out)
{
	struct cursor c = *in;
	uint32_t len, conversation;
	uint16_t type, flags;
	struct slice payload;
	if (!take_be32(&c, &len) || !take_be16(&c, &type) || !take_be16(&c, &flags) ||
	    !take_be32(&c, &conversation))
		return false;
	if (len > CHANNEL_PAYLOAD_MAX_OCTETS || (flags & ~FLAG_FD)) {
		break_off(channel, "frame-header");
		return false;
	}
	if (!take_octets(&c, len, &payload))
		return false;
	if (flags & FLAG_FD && channel->fd_count == 0) {
		break_off(channel, "descriptor-missing");
		return false;
	}
	*in = c;
	*secret_out |= type == MESSAGE_AUTHENTICATE;
	int fd = flags & FLAG_FD ? take_fd(channel) : -1;
	channel->events->message(channel, type, conversation, payload, fd);
	return channel->events != NULL;
}

/* The octets are taken out of the channel while they are looked at, since the callee may free
 * the channel. */
static void take_frames(struct channel *channel)
{
	struct buffer held = channel->in;
	struct cursor in = cursor_of(buffer_slice(&held));
	channel->in = (struct buffer){ 0 };
	bool secret = false;
	while (!channel->broken && take_frame(channel, &in, &secret))
		;
	size_t taken = held.len - cursor_left(&in);
	if (secret)
		wipe(held.data, taken);
	if (!channel->events) {
		buffer_wipe(&held);
		return;
	}
	buffer_drop_front(&held, taken);
	if (held.len == 0 && held.cap > 4 * READ_OCTETS)
		buffer_free(&held); /* after an unusually large frame */
	channel->in = held;
}

static void receive(struct channel *channel)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char octets[CMSG_SPACE(FDS_WAITING_MAX * sizeof(int))];
	} control;
	uint8_t *into = buffer_reserve(&channel->in, READ_OCTETS);
	struct iovec part = { into, READ_OCTETS };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.octets,
		.msg_controllen = sizeof(control.octets),
	};
	ssize_t got;
	do
		got = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			break_off(channel, NULL);
		return;
	}
	if (!keep_fds(channel, &message)) {
		break_off(channel, "too-many-descriptors");
		return;
	}
	if (got == 0) {
		break_off(channel, NULL);
		return;
	}
	channel->in.len += (size_t)got;
	take_frames(channel);
}

/* ---- events ---- */

static void tell_closed(struct channel *channel)
{
	if (!channel->events || !channel->broken || channel->closed_told)
		return;
	channel->closed_told = true;
	channel->events->closed(channel);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel *channel = CONTAINER_OF(poll, struct channel, poll);
	if (status < 0) {
		channel->polled = 0; /* uv has stopped it; reading tells what is wrong */
		events = UV_READABLE;
	}
	if (events & UV_WRITABLE) {
		write_out(channel);
		tell_drained(channel);
	}
	if (channel->events && !channel->broken && events & UV_READABLE)
		receive(channel);
	update_poll(channel);
}

static void free_if_unused(struct channel *channel)
{
	if (channel->poll_closed && !channel->flush_queued)
		free(channel);
}

static void on_flush(struct task *task)
{
	struct channel *channel = CONTAINER_OF(task, struct channel, flush_task);
	channel->flush_queued = false;
	if (!channel->events) {
		free_if_unused(channel);
		return;
	}
	if (!channel->blocked)
		write_out(channel);
	tell_drained(channel);
	tell_closed(channel);
}

/* ---- life ---- */

struct channel *channel_new(struct loop *loop, int fd, const struct channel_events *events,
			    void *user)
{
	struct channel *channel = heap_alloc(sizeof(*channel));
	channel->loop = loop;
	channel->fd = fd;
	channel->events = events;
	channel->user = user;
	int failed = uv_poll_init(&loop->uv, &channel->poll, fd);
	assert(!failed);
	update_poll(channel);
	return channel;
}

bool channel_is_foul(const struct channel *channel)
{
	return channel->foul;
}

void *channel_user(const struct channel *channel)
{
	return channel->user;
}

void channel_throttle(struct channel *channel)
{
	channel->throttled = true;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct channel *channel = CONTAINER_OF((uv_poll_t *)handle, struct channel, poll);
	channel->poll_closed = true;
	free_if_unused(channel);
}

void channel_free(struct channel **at)
{
	struct channel *channel = *at;
	*at = NULL;
	if (!channel)
		return;
	channel->events = NULL;
	drop_output(channel);
	for (size_t i = 0; i < channel->fd_count; i++)
		if (channel->fds[i] >= 0)
			close(channel->fds[i]);
	channel->fd_count = 0;
	free(channel->marks);
	channel->marks = NULL;
	buffer_wipe(&channel->in);
	uv_close((uv_handle_t *)&channel->poll, on_poll_closed);
	close(channel->fd);
}
