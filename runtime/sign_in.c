/* runtime/sign_in.c - from a password to the back's session. Runs in the front. */
#include "runtime/sign_in.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/sign_in_limits.h"

void sign_in_init(struct sign_in *sign_in, struct session *session, struct front *front,
		  enum mail_protocol protocol, struct stream *stream)
{
	*sign_in = (struct sign_in){ .session = session, .front = front, .protocol = protocol };
	sign_in->client.conn_id = session->conn_id;
	if (stream) {
		sign_in->client.peer = *stream_peer(stream);
		sign_in->client.secure = stream_is_secure(stream);
	}
}

bool sign_in_is_allowed(const struct sign_in *sign_in)
{
	return sign_in->client.secure || (sign_in->front->config->plaintext == PLAINTEXT_LOOPBACK &&
					  peer_is_loopback(&sign_in->client.peer));
}

void sign_in_note_refusal(const struct sign_in *sign_in, struct slice verb, struct slice reply)
{
	const struct journal_event event = {
		.kind = JOURNAL_REFUSED,
		.service = sign_in->protocol == PROTOCOL_IMAP ? SLICE("imap") : SLICE("pop3"),
		.conn_id = sign_in->client.conn_id,
		.peer = sign_in->client.peer,
		.secure = sign_in->client.secure,
		.command = verb,
		.reply = reply,
	};
	link_note(sign_in->front->link, &event);
}

static void answered(struct question *question, enum err err, struct slice payload)
{
	struct sign_in *sign_in = CONTAINER_OF(question, struct sign_in, question);
	struct authenticated_message answer = { .outcome = ERR_UNAVAILABLE };
	if (err == ERR_OK && !authenticated_decode(payload, &answer))
		answer = (struct authenticated_message){ .outcome = ERR_UNAVAILABLE };
	sign_in->outcome = answer.outcome;
	if (answer.outcome == ERR_OK)
		sign_in->token = answer.token;
	if (answer.outcome == ERR_OK && !sign_in->session->stream) {
		/* The client has left meanwhile: nobody will spend this token. */
		struct buffer forget = { 0 };
		forget_token_encode(&answer.token, &forget);
		link_tell(sign_in->front->link, MESSAGE_FORGET_TOKEN, buffer_slice(&forget), -1);
		buffer_free(&forget);
	}
	session_job_end(sign_in->session); /* may free the session, and this in it */
}

bool sign_in_is_askable(struct slice authorize_as, struct slice login, struct slice password)
{
	return authorize_as.len <= AUTHORIZE_AS_MAX_OCTETS && login.len > 0 &&
	       login.len <= LOGIN_MAX_OCTETS && password.len > 0 &&
	       password.len <= PASSWORD_MAX_OCTETS;
}

void sign_in_ask(struct sign_in *sign_in, struct slice authorize_as, struct slice login,
		 struct slice password)
{
	struct authenticate_message m = { .client = sign_in->client,
					  .protocol = sign_in->protocol,
					  .authorize_as = authorize_as,
					  .login = login,
					  .password = password };
	struct buffer payload = { 0 };
	assert(sign_in_is_askable(authorize_as, login, password));
	authenticate_encode(&m, &payload);
	sign_in->question = (struct question){ .answered = answered };
	session_job_begin(sign_in->session);
	link_ask(sign_in->front->link, &sign_in->question, MESSAGE_AUTHENTICATE,
		 buffer_slice(&payload));
	buffer_wipe(&payload);
}

/* What a session in the back makes at once of a long answer, a FETCH's slice at most, goes into its
 * end of the socket pair in one piece. */
enum { SESSION_SOCKET_OCTETS = 512 * 1024 };

bool sign_in_hand_over(struct sign_in *sign_in, const struct sign_in_command *command,
		       struct relay_home *home)
{
	struct session_message m = { .client = sign_in->client,
				     .protocol = sign_in->protocol,
				     .token = sign_in->token,
				     .tag = command->tag,
				     .language = command->language };
	struct buffer payload = { 0 };
	int pair[2];

	sign_in->token = (struct token){ { 0 } };
	if (!link_is_up(sign_in->front->link))
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
		log_error(&sign_in->session->log, EVENT("socketpair-failed"), ERRNO(errno));
		return false;
	}
	/* The system's default would cut it in two; where less is allowed, it is less. */
	int octets = SESSION_SOCKET_OCTETS;
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
	if (home) {
		home->front = sign_in->front;
		home->conn_id = sign_in->client.conn_id;
	}
	struct stream *stream = session_detach_stream(sign_in->session);
	stream_set_idle_ms(stream, 0); /* the back's session knows what idling is */
	struct question *question = relay_start(stream, pair[0], home);
	struct link *link = sign_in->front->link;
	session_message_encode(&m, &payload);
	if (question)
		link_ask_with(link, question, MESSAGE_SESSION, buffer_slice(&payload), pair[1]);
	else
		link_tell(link, MESSAGE_SESSION, buffer_slice(&payload), pair[1]);
	buffer_free(&payload);
	return true;
}
