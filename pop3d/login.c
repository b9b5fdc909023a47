/* pop3d/login.c - POP3 before sign-in: RFC 1939 section 4 (AUTHORIZATION), CAPA (RFC 2449), STLS
 * (RFC 2595 section 4), AUTH (RFC 5034, formerly 1734). Runs in the front.
 *
 * Left out: APOP, which would want passwords kept in plaintext. USER says yes to every name, so
 * that nobody learns which exist. After sign-in the back answers, in pop3d/session.c. */
#include "pop3d/login_priv.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/heap.h"
#include "pop3d/pop3d.h"
#include "pop3d/reply_priv.h"
#include "runtime/sign_in_limits.h"

static struct pop3_login *login_of(struct session *session)
{
	return CONTAINER_OF(session, struct pop3_login, session);
}

static void set_state(struct pop3_login *l, enum login_state state)
{
	log_debug(&l->session.log, EVENT("state"), NUM("from", l->state), NUM("to", state));
	l->state = state;
}

/* Who he is, and his secret, are needed no longer. */
static void forget(struct pop3_login *l)
{
	arena_wipe(&l->secret_arena);
	l->login = SLICE_NONE;
	sasl_begin(&l->sasl, SASL_NONE);
}

static enum step close_login(struct pop3_login *l, const char *why)
{
	forget(l);
	l->closed_why = why;
	set_state(l, LOGIN_CLOSED);
	return STEP_AGAIN;
}

/* The journal hears of it as well. */
static void say_refused(struct pop3_login *l, const char *text)
{
	size_t from = l->session.out.len;

	pop3_err(&l->session, text);
	sign_in_note_refusal(
		&l->sign_in, l->verb,
		slice_trim(slice_sub(buffer_slice(&l->session.out), from, l->session.out.len)));
}

/* A command that makes no sense, or not here. */
static enum step refuse(struct pop3_login *l, const char *text)
{
	if (++l->errors > l->sign_in.front->config->protocol_errors) {
		say_refused(l, "too many errors");
		return close_login(l, "too-many-errors");
	}
	say_refused(l, text);
	return STEP_AGAIN;
}

static bool can_start_tls(const struct pop3_login *l)
{
	return !l->sign_in.client.secure && l->sign_in.front->tls;
}

static enum step refuse_plaintext(struct pop3_login *l)
{
	return refuse(l, can_start_tls(l) ? "no passwords without TLS: send STLS first"
					  : "no passwords without TLS");
}

static enum step login_capa(struct pop3_login *l, struct cursor *args)
{
	if (!at_end(args))
		return refuse(l, "CAPA takes no arguments");
	pop3_capabilities(&l->session,
			  sign_in_is_allowed(&l->sign_in) ? CAPA_MAY_SIGN_IN : CAPA_FRESH,
			  can_start_tls(l));
	return STEP_AGAIN;
}

static enum step login_stls(struct pop3_login *l, struct cursor *args)
{
	if (!at_end(args))
		return refuse(l, "STLS takes no arguments");
	if (!can_start_tls(l))
		return refuse(l, l->sign_in.client.secure ? "TLS is up already"
							  : "TLS is not to be had here");
	forget(l);
	pop3_ok(&l->session, "begin TLS");
	l->session.wants_tls = true;
	set_state(l, LOGIN_SECURING);
	return STEP_AGAIN;
}

static enum step login_user(struct pop3_login *l, struct cursor *args)
{
	struct slice name = slice_trim(cursor_rest(args));
	if (!sign_in_is_allowed(&l->sign_in))
		return refuse_plaintext(l);
	if (name.len == 0 || name.len > LOGIN_MAX_OCTETS)
		return refuse(l, "USER takes the name of a mailbox");
	forget(l);
	l->login = arena_copy(&l->secret_arena, name);
	set_state(l, LOGIN_NAMED);
	pop3_ok(&l->session, "now the password");
	return STEP_AGAIN;
}

static enum step ask(struct pop3_login *l, struct slice authorize_as, struct slice login,
		     struct slice password)
{
	l->login = login; /* for the log, should it fail */
	set_state(l, LOGIN_ASKED);
	sign_in_ask(&l->sign_in, authorize_as, login, password);
	return STEP_WAIT;
}

static enum step login_pass(struct pop3_login *l, struct cursor *args)
{
	/* One argument only, so blanks are part of it (RFC 1939 section 7). */
	struct slice password = cursor_rest(args);
	if (l->state != LOGIN_NAMED)
		return refuse(l, "USER comes before PASS");
	if (!sign_in_is_askable(SLICE_NONE, l->login, password)) {
		/* RFC 1939 section 7: after a failed PASS comes USER again. */
		set_state(l, LOGIN_FRESH);
		return refuse(l, password.len == 0 ? "PASS takes a password"
						   : "no password is that long");
	}
	return ask(l, SLICE_NONE, l->login, password);
}

/* The client's response, or its initial one. */
static enum step take_response(struct pop3_login *l, struct slice text)
{
	struct slice challenge;
	switch (sasl_answer_base64(&l->sasl, text, &l->secret_arena, &challenge)) {
	case SASL_CHALLENGE:
		buffer_add_cstr(&l->session.out, "+ ");
		base64_encode(challenge, &l->session.out);
		buffer_add_cstr(&l->session.out, "\r\n");
		set_state(l, LOGIN_SASL);
		return STEP_AGAIN;
	case SASL_COMPLETE: return ask(l, l->sasl.authorize_as, l->sasl.login, l->sasl.password);
	case SASL_MALFORMED: break;
	}
	forget(l);
	set_state(l, LOGIN_FRESH);
	return refuse(l, slice_eq(text, SLICE("*")) ? "cancelled"
						    : "that is no response of this mechanism");
}

static bool is_mechanism_octet(uint8_t c)
{
	return c > ' ' && c < 0x7f;
}

/* "AUTH" SP mechanism [SP initial-response] */
static enum step login_auth(struct pop3_login *l, struct cursor *args)
{
	struct slice name;
	if (!sign_in_is_allowed(&l->sign_in))
		return refuse_plaintext(l);
	if (!take_while(args, is_mechanism_octet, &name))
		return refuse(l, "AUTH takes a mechanism: PLAIN or LOGIN");
	enum sasl_mechanism mechanism = sasl_mechanism_of(name);
	if (mechanism == SASL_NONE)
		return refuse(l, "no such mechanism here: PLAIN or LOGIN");
	forget(l);
	sasl_begin(&l->sasl, mechanism);
	skip_blanks(args);
	if (!at_end(args))
		return take_response(l, slice_trim(cursor_rest(args)));
	buffer_add_cstr(&l->session.out, "+ ");
	base64_encode(sasl_first_challenge(&l->sasl), &l->session.out);
	buffer_add_cstr(&l->session.out, "\r\n");
	set_state(l, LOGIN_SASL);
	return STEP_AGAIN;
}

static enum step login_quit(struct pop3_login *l, struct cursor *args)
{
	(void)args; /* whatever stands behind it, he wants to go */
	pop3_ok(&l->session, "goodbye");
	return close_login(l, "quit");
}

struct login_command {
	const char *verb;
	unsigned allowed_in; /* enum login_state */
	enum step (*run)(struct pop3_login *l, struct cursor *args);
};

static const struct login_command commands[] = {
	/* verb   allowed in                 handler     */
	{ "CAPA", LOGIN_FRESH | LOGIN_NAMED, login_capa },
	{ "STLS", LOGIN_FRESH | LOGIN_NAMED, login_stls },
	{ "USER", LOGIN_FRESH | LOGIN_NAMED, login_user },
	{ "PASS", LOGIN_FRESH | LOGIN_NAMED, login_pass },
	{ "AUTH", LOGIN_FRESH | LOGIN_NAMED, login_auth },
	{ "QUIT", LOGIN_FRESH | LOGIN_NAMED, login_quit },
};

static bool is_verb_octet(uint8_t c)
{
	return c > ' ' && c < 0x7f;
}

static enum step dispatch(struct pop3_login *l, struct slice line)
{
	struct cursor args = cursor_of(line);
	struct slice verb = SLICE_NONE;
	(void)take_while(&args, is_verb_octet, &verb);
	(void)take_byte(&args, ' ');
	l->verb = SLICE_NONE;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!slice_eq_nocase(verb, slice_cstr(commands[i].verb)))
			continue;
		l->verb = slice_cstr(commands[i].verb);
		if (commands[i].allowed_in & (unsigned)l->state)
			return commands[i].run(l, &args);
	}
	return refuse(l, "no such command, or not before sign-in");
}

static enum step take_line(struct pop3_login *l, struct cursor *in)
{
	struct slice line;
	switch (line_take(&l->line, in, POP3_LINE_MAX_OCTETS, &line)) {
	case LINE_PARTIAL: return STEP_INPUT;
	case LINE_TAKEN: break;
	case LINE_TOO_LONG:
		forget(l);
		set_state(l, LOGIN_FRESH);
		return refuse(l, "too long");
	case LINE_BARE:
		forget(l);
		set_state(l, LOGIN_FRESH);
		return refuse(l, "lines end in CRLF and in nothing else");
	}
	return l->state == LOGIN_SASL ? take_response(l, line) : dispatch(l, line);
}

/* RFC 3206: AUTH says that the credentials are wrong, SYS that they may be right. */
static const char *failure_text(enum err err)
{
	switch (err) {
	case ERR_DENIED: return "[AUTH] wrong name or password";
	case ERR_BUSY: return "[SYS/TEMP] too many failures, try again later";
	default: return "[SYS/TEMP] cannot look at passwords now, try again later";
	}
}

/* The back has answered. */
static enum step take_verdict(struct pop3_login *l)
{
	enum err outcome = l->sign_in.outcome;
	if (outcome == ERR_OK) {
		if (sign_in_hand_over(&l->sign_in, &(struct sign_in_command){ 0 }, NULL)) {
			(void)close_login(l, "signed-in");
			return STEP_CLOSE;
		}
		outcome = ERR_UNAVAILABLE;
	}
	log_info(&l->session.log, EVENT("sign-in-failed"), TEXT("login", l->login),
		 WORD("why", err_word(outcome)));
	/* Of what the back was asked, it has told the journal itself. */
	if (outcome == ERR_DENIED || outcome == ERR_BUSY)
		pop3_err(&l->session, failure_text(outcome));
	else
		say_refused(l, failure_text(outcome));
	forget(l);
	if (outcome == ERR_DENIED && ++l->failed_logins >= l->sign_in.front->config->failed_logins)
		return close_login(l, "too-many-failed-logins");
	set_state(l, LOGIN_FRESH);
	return STEP_AGAIN;
}

static enum step login_feed(struct session *session, struct cursor *in)
{
	struct pop3_login *l = login_of(session);
	enum step step = STEP_AGAIN;
	while (step == STEP_AGAIN) {
		if (session_out_is_full(session))
			return STEP_WAIT;
		switch (l->state) {
		case LOGIN_NEW:
			buffer_add_format(&session->out, "+OK %s POP3 ready\r\n",
					  l->sign_in.front->config->hostname);
			set_state(l, LOGIN_FRESH);
			break;
		case LOGIN_FRESH:
		case LOGIN_NAMED:
		case LOGIN_SASL: step = take_line(l, in); break;
		case LOGIN_SECURING: step = STEP_INPUT; break;
		case LOGIN_ASKED: step = take_verdict(l); break;
		case LOGIN_CLOSED: step = STEP_CLOSE; break;
		}
	}
	return step;
}

static enum step login_notify(struct session *session, enum news news)
{
	struct pop3_login *l = login_of(session);
	switch (news) {
	case NEWS_SECURED:
		/* All over again, without a second greeting (RFC 2595 section 4). */
		l->sign_in.client.secure = true;
		l->line = (struct line_reader){ 0 };
		set_state(l, LOGIN_FRESH);
		return STEP_INPUT;
	case NEWS_TIMEOUT: /* RFC 1939 section 3: without a word */
		(void)close_login(l, "timeout");
		return STEP_CLOSE;
	case NEWS_SHUTDOWN:
		if (l->state & (LOGIN_FRESH | LOGIN_NAMED | LOGIN_SASL | LOGIN_ASKED))
			pop3_err(session, "[SYS/TEMP] the server is stopping");
		(void)close_login(l, "shutdown");
		return STEP_CLOSE;
	case NEWS_ENDED: /* what has been read is still answered; then feed() finds no more */
		l->closed_why = "client-left";
		return l->state == LOGIN_CLOSED ? STEP_CLOSE : STEP_WAIT;
	case NEWS_CHANGED: break;
	}
	return STEP_INPUT;
}

static void login_free(struct session *session)
{
	struct pop3_login *l = login_of(session);
	log_info(&session->log, EVENT("closed"),
		 WORD("why", l->closed_why ? l->closed_why : "reset"));
	forget(l);
	buffer_free(&session->out);
	free(l);
}

static const struct session_class login_class = {
	.name = "pop3",
	.feed = login_feed,
	.notify = login_notify,
	.free = login_free,
};

struct session *pop3_login_new(struct front *front, struct stream *stream)
{
	char peer[PEER_TEXT_MAX];
	struct pop3_login *l = heap_alloc(sizeof(*l));
	session_init(&l->session, &login_class, front->loop, 0);
	sign_in_init(&l->sign_in, &l->session, front, PROTOCOL_POP3, stream);
	l->state = LOGIN_NEW;
	peer_format(&l->sign_in.client.peer, peer);
	log_info(&l->session.log, EVENT("connected"), CSTR("peer", peer),
		 WORD("tls", l->sign_in.client.secure ? "yes" : "no"));
	return &l->session;
}

void pop3d_login_start(struct front *front, struct stream *stream, enum config_service service)
{
	(void)service; /* pop3s differs only in that the stream is secure already */
	struct session *session = pop3_login_new(front, stream);
	stream_set_idle_ms(stream, (uint64_t)front->config->idle_pop3_seconds * 1000);
	session_start(session, stream, front->tls);
}
