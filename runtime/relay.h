/* runtime/relay.h - after sign-in the front only encrypts and decrypts: it joins the client's
 * stream with the socket pair of the back's session, in both directions, under back-pressure.
 *
 * Neither side owns a buffer while idle. When one side ends, what the other still has to
 * read is sent first, then both close. When the session signs its client out (runtime/way_back.h),
 * the client is told all that was said and goes home with all that it had typed since. */
#pragma once

#include "runtime/front.h"

/* Who takes a client back that has been signed out, and what he has to know of it. */
struct relay_home {
	/* `client` is the callee's, paused; what was typed is its unread input. */
	void (*take)(const struct relay_home *home, struct stream *client);
	struct front *front;
	uint32_t conn_id;
	unsigned failures; /* sign-ins that were refused on this connection */
};

/* Takes both. `client` may hold unread input: it goes to the back first. `back_fd` is the
 * front's end of the socket pair. Without a `home` (which is copied) the client is not signed out,
 * and NULL is returned; else what MESSAGE_SESSION is to be asked with. */
struct question *relay_start(struct stream *client, int back_fd, const struct relay_home *home);
unsigned relay_count(struct loop *loop);
