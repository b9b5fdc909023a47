/* imapd/login.c - a connection up to sign-in. Runs in the front.
 *
 * RFC 9051 sections 6.1 and 6.2: CAPABILITY, NOOP, LOGOUT, ID, STARTTLS, LOGIN, AUTHENTICATE
 * with PLAIN and LOGIN; RFC 4959 (SASL-IR); RFC 5255 (LANGUAGE). Without TLS no password is taken, unless the
 * configuration allows it on this very machine. Passwords are judged by the back, which also
 * makes guessing slow; here they are counted and their memory is overwritten. After sign-in
 * the back answers the command and serves the client; this process only encrypts, until the
 * client signs out (RFC 8437). */
#include "auth/sasl.h"
#include "imapd/flood_priv.h"
#include "imapd/id_priv.h"
#include "imapd/imapd.h"
#include "imapd/language_priv.h"
#include "imapd/login_priv.h"
#include "imapd/respond_priv.h"
#include "runtime/sign_in.h"
#include "runtime/sign_in_limits.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/heap.h"

enum {
	LOGIN_COMMAND_MAX_OCTETS = 8 * 1024, /* a password of 1024 octets, in base64, and more */
	LITERAL_MINUS_OCTETS = 4096,	     /* RFC 7888 section 5 */
	LOGIN_IDLE_MS = 3 * 60 * 1000,
	LOGIN_TOTAL_MS = 10 * 60 * 1000, /* the idle time begins anew with every octet */
	LOGIN_COMMANDS_MAX = 100,	 /* clients need five */
};

enum login_state {
	LOGIN_GREETING = 1,
	LOGIN_READY = 2,
	LOGIN_SASL = 4,	    /* the next line is a response of the mechanism */
	LOGIN_CHECKING = 8, /* the back is being asked */
	LOGIN_CLOSED = 16,
};

static void take_back(const struct relay_home *home, struct stream *stream);

struct imap_login {
	struct session session; /* first */
	struct front *front;
	struct sign_in sign_in;
	enum login_state state;
	struct framing framing;
	struct arena arena; /* of a command; holds passwords, so it is wiped */
	struct buffer tag;  /* of the command being run */
	struct slice verb;  /* likewise, for the journal; a constant, or empty */
	struct sasl sasl;
	unsigned errors, failures, commands;
	uint64_t began_ms;
	enum language language; /* of what is said to people */
};

static void set_state(struct imap_login *l, enum login_state state)
{
	log_debug(&l->session.log, EVENT("imap-login-state"), NUM("old", l->state),
		  NUM("new", state));
	l->state = state;
}

static enum capability_situation situation(const struct imap_login *l)
{
	if (l->sign_in.client.secure)
		return CAPABILITY_LOGIN;
	return sign_in_is_allowed(&l->sign_in) ? CAPABILITY_LOGIN_CLEARTEXT
					       : CAPABILITY_LOGIN_DISABLED;
}

static void end_command(struct imap_login *l)
{
	buffer_wipe(&l->framing.text);
	framing_reset(&l->framing);
	arena_wipe(&l->arena);
	buffer_free(&l->tag);
	memset(&l->sasl, 0, sizeof(l->sasl));
}

static enum step bye(struct imap_login *l, const char *text)
{
	respond_line(&l->session.out, l->language, SLICE("*"), "BYE", text);
	set_state(l, LOGIN_CLOSED);
	return STEP_CLOSE;
}

static void note_refusal(struct imap_login *l, const char *condition, const char *text)
{
	struct buffer line = { 0 };

	buffer_add_format(&line, "%s %s", condition, text);
	sign_in_note_refusal(&l->sign_in, l->verb, buffer_slice(&line));
	buffer_free(&line);
}

/* The back has told the journal of what it said itself. */
static bool is_the_backs(const struct imap_login *l)
{
	return l->state == LOGIN_CHECKING &&
	       (l->sign_in.outcome == ERR_DENIED || l->sign_in.outcome == ERR_BUSY);
}

static enum step reply(struct imap_login *l, const char *condition, const char *text)
{
	if (strcmp(condition, "OK") != 0 && !is_the_backs(l))
		note_refusal(l, condition, text);
	l->verb = SLICE_NONE;
	respond_line(&l->session.out, l->language, buffer_slice(&l->tag), condition, text);
	end_command(l);
	set_state(l, LOGIN_READY);
	return STEP_AGAIN;
}

static enum step send_away(struct imap_login *l, const char *text)
{
	note_refusal(l, "BYE", text);
	return bye(l, text);
}

static enum step slow(struct imap_login *l, uint64_t delay_ms)
{
	if (delay_ms > l->session.delay_ms)
		l->session.delay_ms = delay_ms;
	return l->session.delay_ms > 0 ? STEP_WAIT : STEP_AGAIN;
}

static enum step bad(struct imap_login *l, const char *text)
{
	unsigned limit = l->front->config->protocol_errors;
	reply(l, "BAD", text);
	if (++l->errors > limit)
		return send_away(l, "Too many errors");
	return slow(l, flood_delay_ms(l->errors, limit));
}

static enum step greet(struct imap_login *l)
{
	buffer_add_format(&l->session.out, "* OK [CAPABILITY %s] %s ready\r\n",
			  capability_text(situation(l)), l->front->config->hostname);
	set_state(l, LOGIN_READY);
	return STEP_AGAIN;
}

/* ---- asking the back ---- */

static enum step ask(struct imap_login *l, struct slice authorize_as, struct slice login,
		     struct slice password)
{
	if (!sign_in_is_askable(authorize_as, login, password)) {
		l->failures++;
		return reply(l, "NO", "[AUTHENTICATIONFAILED] Wrong name or password");
	}
	set_state(l, LOGIN_CHECKING);
	sign_in_ask(&l->sign_in, authorize_as, login, password);
	return STEP_WAIT;
}

static enum step after_failure(struct imap_login *l)
{
	if (l->sign_in.outcome == ERR_DENIED) {
		reply(l, "NO", "[AUTHENTICATIONFAILED] Wrong name or password");
		if (++l->failures >= l->front->config->failed_logins)
			return send_away(l, "Too many failed attempts");
		return STEP_AGAIN;
	}
	if (l->sign_in.outcome == ERR_BUSY)
		return reply(l, "NO", "[UNAVAILABLE] Too many failed attempts; try again later");
	return reply(l, "NO", "[UNAVAILABLE] Signing in is not possible now; try again later");
}

static enum step after_check(struct imap_login *l)
{
	if (l->sign_in.outcome != ERR_OK)
		return after_failure(l);
	struct relay_home home = { .take = take_back, .failures = l->failures };
	const struct sign_in_command command = { .tag = buffer_slice(&l->tag),
						 .language = (uint8_t)l->language };
	if (!sign_in_hand_over(&l->sign_in, &command, &home)) {
		l->sign_in.outcome = ERR_UNAVAILABLE;
		return after_failure(l);
	}
	set_state(l, LOGIN_CLOSED);
	return STEP_CLOSE;
}

/* ---- verbs ---- */

static enum step login_capability(struct imap_login *l, struct cursor *args)
{
	buffer_add_format(&l->session.out, "* CAPABILITY %s\r\n", capability_text(situation(l)));
	return reply(l, "OK", "CAPABILITY completed");
}

static enum step login_noop(struct imap_login *l, struct cursor *args)
{
	return reply(l, "OK", "NOOP completed");
}

static enum step login_logout(struct imap_login *l, struct cursor *args)
{
	respond_line(&l->session.out, l->language, SLICE("*"), "BYE", "Goodbye");
	reply(l, "OK", "LOGOUT completed");
	set_state(l, LOGIN_CLOSED);
	return STEP_CLOSE;
}

static enum step login_id(struct imap_login *l, struct cursor *args)
{
	if (!take_id_parameters(args, &l->arena) || !at_end(args))
		return bad(l, "ID needs NIL or a list of names and values");
	buffer_add_cstr(&l->session.out, IMAP_ID_LINE);
	return reply(l, "OK", "ID completed");
}

static enum step login_language(struct imap_login *l, struct cursor *args)
{
	enum language chosen;
	switch (take_language_command(args, &l->arena, &chosen)) {
	case LANGUAGE_COMMAND_BAD: return bad(l, "LANGUAGE wants ranges of languages");
	case LANGUAGE_COMMAND_CANNOT:
		return reply(l, "NO", "None of these languages is spoken here");
	case LANGUAGE_COMMAND_ASKS: respond_languages(&l->session.out); break;
	case LANGUAGE_COMMAND_CHOOSES:
		l->language = chosen;
		respond_language(&l->session.out, chosen);
		break;
	}
	return reply(l, "OK", "LANGUAGE completed");
}

static enum step login_starttls(struct imap_login *l, struct cursor *args)
{
	if (l->sign_in.client.secure)
		return bad(l, "TLS is on already");
	reply(l, "OK", "Begin TLS now");
	/* What has been typed behind it is thrown away (RFC 9051 section 6.2.1). */
	l->session.wants_tls = true;
	return STEP_INPUT;
}

static enum step login_login(struct imap_login *l, struct cursor *args)
{
	struct slice login, password;
	if (!take_astring(args, &l->arena, &login) || !take_space(args) ||
	    !take_astring(args, &l->arena, &password) || !at_end(args))
		return bad(l, "LOGIN needs a name and a password");
	return ask(l, SLICE_NONE, login, password);
}

static enum step after_sasl(struct imap_login *l, enum sasl_step step, struct slice challenge)
{
	struct buffer text = { 0 };
	switch (step) {
	case SASL_COMPLETE: return ask(l, l->sasl.authorize_as, l->sasl.login, l->sasl.password);
	case SASL_MALFORMED: return bad(l, "That is no answer of this mechanism");
	case SASL_CHALLENGE: break;
	}
	base64_encode(challenge, &text);
	buffer_add_cstr(&l->session.out, "+ ");
	buffer_add(&l->session.out, buffer_slice(&text));
	buffer_add_cstr(&l->session.out, "\r\n");
	buffer_free(&text);
	set_state(l, LOGIN_SASL);
	return STEP_AGAIN;
}

static enum step login_authenticate(struct imap_login *l, struct cursor *args)
{
	struct slice name, challenge = SLICE_NONE;
	if (!take_atom(args, &name))
		return bad(l, "AUTHENTICATE needs a mechanism");
	enum sasl_mechanism mechanism = sasl_mechanism_of(name);
	if (mechanism == SASL_NONE)
		return reply(l, "NO", "[CANNOT] Unknown mechanism");
	sasl_begin(&l->sasl, mechanism);
	if (at_end(args))
		return after_sasl(l, SASL_CHALLENGE, sasl_first_challenge(&l->sasl));
	if (!take_space(args))
		return bad(l, "AUTHENTICATE needs a mechanism");
	enum sasl_step step =
		sasl_answer_base64(&l->sasl, cursor_rest(args), &l->arena, &challenge);
	return after_sasl(l, step, challenge);
}

enum login_needs {
	NEEDS_NOTHING,
	NEEDS_PASSWORDS, /* allowed on this connection */
	NEEDS_TLS_CONTEXT,
};

static const struct {
	const char *verb;
	bool has_arguments;
	enum login_needs needs;
	enum step (*run)(struct imap_login *l, struct cursor *args);
} login_commands[] = {
	{ "CAPABILITY", false, NEEDS_NOTHING, login_capability },
	{ "NOOP", false, NEEDS_NOTHING, login_noop },
	{ "LOGOUT", false, NEEDS_NOTHING, login_logout },
	{ "ID", true, NEEDS_NOTHING, login_id },
	{ "LANGUAGE", true, NEEDS_NOTHING, login_language },
	{ "STARTTLS", false, NEEDS_TLS_CONTEXT, login_starttls },
	{ "LOGIN", true, NEEDS_PASSWORDS, login_login },
	{ "AUTHENTICATE", true, NEEDS_PASSWORDS, login_authenticate },
};

static enum step dispatch(struct imap_login *l)
{
	struct cursor c = cursor_of(framing_command(&l->framing));
	struct slice tag, verb;
	if (!take_tag(&c, &tag) || tag.len > TAG_MAX_OCTETS) {
		buffer_add_byte(&l->tag, '*');
		return bad(l, "A command begins with a tag");
	}
	buffer_add(&l->tag, tag);
	if (!take_space(&c) || !take_atom(&c, &verb))
		return bad(l, "A command is missing");
	for (size_t i = 0; i < ARRAY_LEN(login_commands); i++) {
		if (!slice_eq_nocase(verb, slice_cstr(login_commands[i].verb)))
			continue;
		l->verb = slice_cstr(login_commands[i].verb);
		if (login_commands[i].needs == NEEDS_PASSWORDS && !sign_in_is_allowed(&l->sign_in))
			return reply(l, "NO", "[PRIVACYREQUIRED] Only under TLS");
		if (login_commands[i].needs == NEEDS_TLS_CONTEXT && !l->front->tls)
			return bad(l, "TLS is not available");
		if (take_space(&c) ? !login_commands[i].has_arguments : !at_end(&c))
			return bad(l, "Wrong arguments");
		return login_commands[i].run(l, &c);
	}
	return bad(l, "Unknown command, or not before signing in");
}

/* ---- the loop ---- */

/* Who does not come to the point either. */
static enum step dispatch_slowly(struct imap_login *l)
{
	if (++l->commands > LOGIN_COMMANDS_MAX)
		return send_away(l, "Too many commands before signing in");
	enum step step = dispatch(l);
	uint64_t delay_ms = flood_delay_ms(l->commands, LOGIN_COMMANDS_MAX);
	return step == STEP_AGAIN ? slow(l, delay_ms) : step;
}

static void begin_refusal(struct imap_login *l)
{
	buffer_clear(&l->tag);
	buffer_add(&l->tag, framing_tag(&l->framing));
}

/* LITERAL-: who has not signed in asks before he sends much. */
static bool literal_is_welcome(const struct imap_login *l)
{
	const struct literal *literal = &l->framing.literal;
	return !literal->is_literal8 &&
	       (literal->client_waits || literal->size_octets <= LITERAL_MINUS_OCTETS) &&
	       framing_literal_fits(&l->framing, LOGIN_COMMAND_MAX_OCTETS);
}

static enum step take_command(struct imap_login *l, struct cursor *in)
{
	switch (framing_next(&l->framing, in, LOGIN_COMMAND_MAX_OCTETS)) {
	case FRAMED_NOTHING: return STEP_INPUT;
	case FRAMED_COMMAND: return dispatch_slowly(l);
	case FRAMED_LITERAL:
		if (literal_is_welcome(l)) {
			if (l->framing.literal.client_waits)
				buffer_add_cstr(&l->session.out, "+ OK\r\n");
			framing_accept(&l->framing);
			return STEP_AGAIN;
		}
		begin_refusal(l);
		return framing_refuse(&l->framing) ? bad(l, "[TOOBIG] The command is too long")
						   : STEP_AGAIN;
	case FRAMED_REFUSED:
		begin_refusal(l);
		return bad(l, l->framing.why == FRAMING_BARE_LINE_FEED
				      ? "Lines end in CRLF"
				      : "[TOOBIG] The command is too long");
	}
	return STEP_CLOSE;
}

static enum step take_sasl(struct imap_login *l, struct cursor *in)
{
	struct slice challenge = SLICE_NONE;
	switch (framing_next(&l->framing, in, LOGIN_COMMAND_MAX_OCTETS)) {
	case FRAMED_NOTHING: return STEP_INPUT;
	case FRAMED_COMMAND: break;
	case FRAMED_LITERAL: /* no base64 */
		return framing_refuse(&l->framing) ? bad(l, "No answer to AUTHENTICATE")
						   : STEP_AGAIN;
	case FRAMED_REFUSED: return bad(l, "No answer to AUTHENTICATE");
	}
	struct slice line = framing_command(&l->framing);
	if (slice_eq(line, SLICE("*")))
		return bad(l, "AUTHENTICATE cancelled");
	enum sasl_step step = sasl_answer_base64(&l->sasl, line, &l->arena, &challenge);
	return after_sasl(l, step, challenge);
}

static enum step feed(struct session *session, struct cursor *in)
{
	struct imap_login *l = CONTAINER_OF(session, struct imap_login, session);
	enum step step = STEP_AGAIN;
	while (step == STEP_AGAIN) {
		if (session_out_is_full(session))
			return STEP_WAIT;
		if ((l->state == LOGIN_READY || l->state == LOGIN_SASL) && !at_end(in) &&
		    clock_monotonic_ms() - l->began_ms > LOGIN_TOTAL_MS)
			return send_away(l, "Signing in takes too long");
		switch (l->state) {
		case LOGIN_GREETING: step = greet(l); break;
		case LOGIN_READY: step = take_command(l, in); break;
		case LOGIN_SASL: step = take_sasl(l, in); break;
		case LOGIN_CHECKING: step = after_check(l); break;
		case LOGIN_CLOSED: step = STEP_CLOSE; break;
		}
	}
	return step;
}

static enum step notify(struct session *session, enum news news)
{
	struct imap_login *l = CONTAINER_OF(session, struct imap_login, session);
	switch (news) {
	case NEWS_TIMEOUT: return bye(l, "Idle for too long");
	case NEWS_SHUTDOWN: return bye(l, "[UNAVAILABLE] The server is stopping");
	case NEWS_ENDED: return STEP_WAIT; /* what has come is still answered */
	case NEWS_SECURED: /* the client starts over; we have kept nothing it said */
		l->sign_in.client.secure = true;
		l->language =
			LANGUAGE_DEFAULT; /* an attacker may have chosen it (RFC 5255 section 7) */
		end_command(l);
		set_state(l, LOGIN_READY);
		return STEP_INPUT;
	case NEWS_CHANGED: break;
	}
	return STEP_INPUT;
}

static void login_free(struct session *session)
{
	struct imap_login *l = CONTAINER_OF(session, struct imap_login, session);
	end_command(l);
	buffer_free(&session->out);
	free(l);
}

static const struct session_class login_class = {
	.name = "imap",
	.feed = feed,
	.notify = notify,
	.free = login_free,
};

static struct imap_login *login_new(struct front *front, struct stream *stream, uint32_t conn_id)
{
	struct imap_login *l = heap_alloc(sizeof(*l));
	session_init(&l->session, &login_class, front->loop, conn_id);
	sign_in_init(&l->sign_in, &l->session, front, PROTOCOL_IMAP, stream);
	l->front = front;
	l->state = LOGIN_GREETING;
	l->began_ms = clock_monotonic_ms();
	return l;
}

struct session *imap_login_new(struct front *front, struct stream *stream)
{
	return &login_new(front, stream, 0)->session;
}

/* The client has said UNAUTHENTICATE and has had its answer (RFC 8437): it may sign in again, but no
 * more often in vain than one that never could. */
static void take_back(const struct relay_home *home, struct stream *stream)
{
	struct imap_login *l = login_new(home->front, stream, home->conn_id);
	log_info(&l->session.log, EVENT("signed-out"));
	l->failures = home->failures;
	l->state = LOGIN_READY;
	stream_set_idle_ms(stream, LOGIN_IDLE_MS);
	stream_resume(stream);
	session_start(&l->session, stream, home->front->tls);
}

void imapd_login_start(struct front *front, struct stream *stream, enum config_service service)
{
	struct session *session = imap_login_new(front, stream);
	char peer[PEER_TEXT_MAX];
	peer_format(stream_peer(stream), peer);
	log_info(&session->log, EVENT("connected"), CSTR("peer", peer),
		 WORD("service", config_service_name(service)));
	stream_set_idle_ms(stream, LOGIN_IDLE_MS);
	session_start(session, stream, front->tls);
}
