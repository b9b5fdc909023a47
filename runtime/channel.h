/* runtime/channel.h - framed messages between two of our processes, over a socket pair.
 *
 * One stream socket carries small questions, bulk and descriptors in one order, and many
 * frames in one system call. Frame: be32 payload length, be16 type, be16 flags (bit 0: a
 * descriptor belongs to it), be32 conversation, payload. Descriptors come in the order of
 * the frames that carry them. A frame above the limit, or one that announces a descriptor
 * that did not come, ends the channel: the peer is broken or hostile. */
#pragma once

#include "base/slice.h"
#include "runtime/loop.h"

struct channel;

enum { CHANNEL_PAYLOAD_MAX_OCTETS = 1024 * 1024 };
/* In place of a descriptor that came when this process had no number free for it: the kernel
 * has closed it. */
enum { CHANNEL_FD_LOST = -2 };

struct channel_events {
	/* `payload` is valid during the call. `fd` is -1 (none), CHANNEL_FD_LOST, or the callee's
	 * from now on. */
	void (*message)(struct channel *channel, uint16_t type, uint32_t conversation,
			struct slice payload, int fd);
	/* The other end is gone or broke the rules (logged). The owner calls channel_free(). */
	void (*closed)(struct channel *channel);
	/* What was queued has gone out after channel_send() had returned false. May be NULL. */
	void (*drained)(struct channel *channel);
};

/* Takes `fd`, one end of a socketpair(AF_UNIX, SOCK_STREAM). */
struct channel *channel_new(struct loop *loop, int fd, const struct channel_events *events,
			    void *user);
void *channel_user(const struct channel *channel);
/* In closed(): whether the other end broke the rules, and may be there still. */
bool channel_is_foul(const struct channel *channel);
/* Queues a frame; all frames of one turn of the loop leave together. `fd` is -1 or is closed
 * by the channel once sent. False: more than 1 MiB is queued; send bulk again only after
 * drained(). The frame is taken in either case. */
bool channel_send(struct channel *channel, uint16_t type, uint32_t conversation,
		  struct slice payload, int fd);
/* For the back's end: reads nothing while more than 1 MiB is queued, so that a front that asks
 * and never listens cannot grow the back. One end only, or both could wait for each other. */
void channel_throttle(struct channel *channel);
/* Writes what is queued now, as far as the socket takes it. */
void channel_flush(struct channel *channel);
void channel_free(struct channel **channel);
