/* runtime/sign_in.h - what the logins of IMAP and POP3 share, in the front: ask the back about
 * a password, then hand the client over to the session that the back opens for it. */
#pragma once

#include "runtime/front.h"
#include "runtime/relay.h"
#include "runtime/session.h"

/* Embedded in a login session. */
struct sign_in {
	struct session *session;
	struct front *front;
	enum mail_protocol protocol;
	struct client_info client; /* the login keeps `secure` true to the stream */
	enum err outcome;	   /* of sign_in_ask(), once the job has come home */
	struct token token;	   /* set while the outcome is ERR_OK */
	struct question question;
};

/* After session_init(), whose conn_id names the connection in the logs of both processes.
 * `stream` NULL: a test drives the session, from a local client without TLS. */
void sign_in_init(struct sign_in *sign_in, struct session *session, struct front *front,
		  enum mail_protocol protocol, struct stream *stream);
/* May a password travel on this connection? */
bool sign_in_is_allowed(const struct sign_in *sign_in);

/* For the journal: a command was refused, `reply` as it was said. What became of a password that the
 * back was asked about, it notes itself. No slice holds anything that the client typed. */
void sign_in_note_refusal(const struct sign_in *sign_in, struct slice verb, struct slice reply);

/* False: nobody signs in with these, which are empty or longer than can be (runtime/sign_in_limits.h);
 * the back is not to be asked. */
bool sign_in_is_askable(struct slice authorize_as, struct slice login, struct slice password);
/* A job of the session: the core returns STEP_WAIT and finds `outcome` at its next feed().
 * ERR_OK, ERR_DENIED, ERR_BUSY (throttled), or a failure of ours. The slices may go away. */
void sign_in_ask(struct sign_in *sign_in, struct slice authorize_as, struct slice login,
		 struct slice password);
/* What the back has to know to answer it; all zero for POP3. */
struct sign_in_command {
	struct slice tag;
	uint8_t language; /* as in struct session_message */
};
/* After ERR_OK: the back answers the sign-in command on the client's stream and
 * takes over; input not yet taken goes there first. With a `home` (runtime/relay.h; `front` and
 * `conn_id` are filled in) it may come back. True: the core returns STEP_CLOSE at once.
 * False: the back is away; the client is still ours and has had no answer. */
bool sign_in_hand_over(struct sign_in *sign_in, const struct sign_in_command *command,
		       struct relay_home *home);
