/* pop3d/login_priv.h - the AUTHORIZATION state, as the front has it. */
#pragma once

#include "auth/sasl.h"
#include "base/arena.h"
#include "base/line.h"
#include "runtime/sign_in.h"

/* Bits, so that a row of the table can name several. */
enum login_state {
	LOGIN_NEW = 1,	     /* connected; our greeting comes first */
	LOGIN_FRESH = 2,     /* greeted; nobody has said who he is */
	LOGIN_NAMED = 4,     /* after USER: PASS is due */
	LOGIN_SASL = 8,	     /* within AUTH: a response is due */
	LOGIN_SECURING = 16, /* STLS was answered; waits for the handshake */
	LOGIN_ASKED = 32,    /* the back has been asked */
	LOGIN_CLOSED = 64,
};

struct pop3_login {
	struct session session; /* first: the binder sees only this */
	struct sign_in sign_in;
	enum login_state state;
	const char *closed_why; /* for the log */
	struct slice verb;	/* of the last command, for the journal; a constant, or empty */
	struct line_reader line;
	unsigned errors;
	unsigned failed_logins;
	struct sasl sasl;
	/* USER's name or the SASL exchange, until it has failed or succeeded; wiped then. */
	struct arena secret_arena;
	struct slice login; /* in secret_arena */
};

/* `stream` NULL: a test or a fuzzer drives the core. */
struct session *pop3_login_new(struct front *front, struct stream *stream);
