/* imapd/imapd.h - all that outsiders see of IMAP. */
#pragma once

#include "runtime/front.h"

/* In the front: a connection to imap or imaps up to sign-in (a front_start). */
void imapd_login_start(struct front *front, struct stream *stream, enum config_service service);

/* In the back: the session of a signed-in client on its socket pair `fd`, which it takes.
 * Answers the sign-in command (`message->tag`) itself, then serves `message->typed`. */
struct back; /* storage/back.h */
void imapd_session_start(struct back *back, int fd, const struct session_message *message,
			 uint32_t account_id);
