/* imapd/imapd.h - all that outsiders see of IMAP. */
#pragma once

#include "runtime/front.h"

/* In the front: a connection to imap or imaps up to sign-in (a front_start). */
void imapd_login_start(struct front *front, struct stream *stream, enum config_service service);

/* In the back: the session of a signed-in client on its socket pair `fd`, which it takes.
 * Answers the sign-in command (`message->tag`) itself. A client that signs out goes the `way_back`
 * (runtime/way_back.h; held; NULL: its connection ends). */
struct back; /* storage/back.h */
struct way_back;
void imapd_session_start(struct back *back, int fd, const struct session_message *message,
			 uint32_t account_id, struct way_back *way_back, uint32_t conversation);
