/* runtime/relay.h - after sign-in the front only encrypts and decrypts: it joins the client's
 * stream with the socket pair of the back's session, in both directions, under back-pressure.
 *
 * Neither side owns a buffer while idle. When one side ends, what the other still has to
 * read is sent first, then both close. */
#pragma once

#include "runtime/stream.h"

/* Takes both. `client` may hold unread input: it goes to the back first. `back_fd` is the
 * front's end of the socket pair. */
void relay_start(struct stream *client, int back_fd);
unsigned relay_count(struct loop *loop);
/* Ends every relay of the loop without a goodbye: the back has said it. */
void relay_end_all(struct loop *loop);
