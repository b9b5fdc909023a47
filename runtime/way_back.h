/* runtime/way_back.h - from a session in the back to the front's loop that handed it over: how a client
 * that signs out (RFC 8437) gets there again.
 *
 * MESSAGE_SIGNED_OUT carries the session's own end of the socket pair, so that nothing is on its way
 * between the two any more, and what the session had read from it and not taken. It has the
 * conversation number of the MESSAGE_SESSION that it ends. All calls on the loop of the channel,
 * which is the session's. */
#pragma once

#include "runtime/channel.h"

struct way_back;
/* One for each channel, held by who made it and by each session. */
struct way_back *way_back_new(struct channel *channel);
struct way_back *way_back_hold(struct way_back *way); /* NULL stays NULL */
/* Accepts NULL, leaves NULL. */
void way_back_release(struct way_back **way);
/* The channel is gone. */
void way_back_cut(struct way_back *way);
/* Takes `fd`. Where the way is cut, or NULL, so is the client: its connection ends. */
void way_back_send(struct way_back *way, uint32_t conversation, int fd, struct slice unread);
