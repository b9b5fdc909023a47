/* pop3d/pop3d.h - all that outsiders see of POP3. */
#pragma once

#include "runtime/front.h"

/* In the front: a connection to pop3 or pop3s up to sign-in (a front_start). */
void pop3d_login_start(struct front *front, struct stream *stream, enum config_service service);

/* In the back: the session of a signed-in client on its socket pair `fd`, which it takes.
 * Locks the maildrop and answers PASS or AUTH itself. */
struct back; /* storage/back.h */
void pop3d_session_start(struct back *back, int fd, const struct session_message *message,
			 uint32_t account_id);
