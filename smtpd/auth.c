/* smtpd/auth.c - AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN. Runs in the front; the back
 * checks the password, lets guesses wait, and answers with a token.
 *
 * Offered on the submission services only, and only where nobody can listen: under TLS, or,
 * where [auth] plaintext says so, from this machine.
 *
 * An initial response for LOGIN, which RFC 4954 section 4 would refuse, is taken: clients send
 * the login so. */
#include "smtpd/session_priv.h"

#include "base/base64.h"
#include "base/heap.h"

bool smtp_may_sign_in(const struct smtp_session *s)
{
	if (!smtp_is_submission(s))
		return false;
	return s->client.secure || (s->front->config->plaintext == PLAINTEXT_LOOPBACK &&
				    peer_is_loopback(&s->client.peer));
}

void smtp_sign_out(struct smtp_session *s)
{
	arena_wipe(&s->secret_arena);
	wipe(&s->sasl, sizeof(s->sasl));
	if (!token_is_set(&s->token))
		return;
	struct buffer payload = { 0 };
	forget_token_encode(&s->token, &payload);
	link_tell(s->front->link, MESSAGE_FORGET_TOKEN, buffer_slice(&payload), -1);
	buffer_wipe(&payload);
	wipe(&s->token, sizeof(s->token));
	s->hides_client = false;
}

/* The exchange is over, for better or worse. */
static void end_exchange(struct smtp_session *s)
{
	arena_wipe(&s->secret_arena);
	wipe(&s->sasl, sizeof(s->sasl));
	smtp_set_state(s, SMTP_READY);
}

static enum step fail_exchange(struct smtp_session *s, enum smtp_reply_name reply)
{
	end_exchange(s);
	smtp_reply(s, reply);
	return STEP_AGAIN;
}

static enum step challenge(struct smtp_session *s, struct slice text)
{
	buffer_add_cstr(&s->session.out, "334 ");
	base64_encode(text, &s->session.out);
	buffer_add_cstr(&s->session.out, "\r\n");
	smtp_set_state(s, SMTP_SASL);
	return STEP_AGAIN;
}

static enum step authenticated(struct smtp_session *s)
{
	smtp_set_state(s, SMTP_READY);
	switch (s->outcome) {
	case ERR_OK: smtp_reply(s, REPLY_SIGNED_IN); return STEP_AGAIN;
	case ERR_DENIED: smtp_reply(s, REPLY_SIGN_IN_DENIED); break;
	case ERR_BUSY: smtp_reply(s, REPLY_SIGN_IN_LATER); break;
	default: smtp_reply(s, REPLY_SIGN_IN_FAILED); return STEP_AGAIN;
	}
	if (++s->failed_logins < s->front->config->failed_logins)
		return STEP_AGAIN;
	smtp_reply(s, REPLY_TOO_MANY_SIGN_INS);
	return smtp_close(s, "too-many-sign-ins");
}

static void on_authenticated(struct question *question, enum err err, struct slice payload)
{
	struct smtp_session *s = CONTAINER_OF(question, struct smtp_session, question);
	struct authenticated_message message;

	if (err != ERR_OK || !authenticated_decode(payload, &message))
		message = (struct authenticated_message){ .outcome = ERR_UNAVAILABLE };
	s->outcome = message.outcome;
	if (message.outcome == ERR_OK) {
		s->token = message.token;
		s->hides_client = message.hides_client;
		if (!token_is_set(&s->token))
			s->outcome = ERR_UNAVAILABLE;
	}
	session_job_end(&s->session);
}

static enum step ask(struct smtp_session *s)
{
	struct authenticate_message message = {
		.client = s->client,
		.protocol = PROTOCOL_SMTP,
		.authorize_as = s->sasl.authorize_as,
		.login = s->sasl.login,
		.password = s->sasl.password,
	};
	struct buffer payload = { 0 };

	authenticate_encode(&message, &payload);
	s->question = (struct question){ .answered = on_authenticated };
	link_ask(s->front->link, &s->question, MESSAGE_AUTHENTICATE, buffer_slice(&payload));
	buffer_wipe(&payload);
	end_exchange(s);
	return smtp_wait(s, authenticated);
}

static enum step answer(struct smtp_session *s, struct slice text)
{
	struct slice next;

	switch (sasl_answer_base64(&s->sasl, text, &s->secret_arena, &next)) {
	case SASL_CHALLENGE: return challenge(s, next);
	case SASL_COMPLETE: return ask(s);
	case SASL_MALFORMED: break;
	}
	return fail_exchange(s, REPLY_SASL_MALFORMED);
}

enum step smtp_auth(struct smtp_session *s, struct cursor *args)
{
	struct slice rest = cursor_rest(args);
	size_t name_len = slice_find_byte(rest, 0, ' ');
	enum sasl_mechanism mechanism = sasl_mechanism_of(slice_sub(rest, 0, name_len));
	struct slice initial_response = slice_trim(slice_sub(rest, name_len, rest.len));

	if (rest.len == 0 || mechanism == SASL_NONE) {
		smtp_reply(s, rest.len == 0 ? REPLY_NEEDS_ARGUMENT : REPLY_UNKNOWN_MECHANISM);
		return STEP_AGAIN;
	}
	sasl_begin(&s->sasl, mechanism);
	if (initial_response.len > 0)
		return answer(s, initial_response);
	return challenge(s, sasl_first_challenge(&s->sasl));
}

enum step smtp_take_sasl(struct smtp_session *s, struct cursor *in)
{
	struct slice line;

	switch (line_take(&s->line, in, SASL_LINE_MAX_OCTETS, &line)) {
	case LINE_PARTIAL: return STEP_INPUT;
	case LINE_TAKEN: break;
	case LINE_TOO_LONG: return fail_exchange(s, REPLY_SASL_LINE_TOO_LONG);
	case LINE_BARE: return fail_exchange(s, REPLY_COMMAND_BARE);
	}
	if (slice_eq(line, SLICE("*")))
		return fail_exchange(s, REPLY_SASL_CANCELLED);
	return answer(s, line);
}
