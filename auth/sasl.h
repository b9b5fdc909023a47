/* auth/sasl.h - the server's side of SASL exchanges that end in a login and a password:
 * PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login). Values only: base64 and the
 * protocol's framing are its callers', and so is the check. Any thread. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"

enum sasl_mechanism { SASL_NONE, SASL_PLAIN, SASL_LOGIN };
/* "PLAIN", in any case. */
enum sasl_mechanism sasl_mechanism_of(struct slice name);

struct sasl {
	enum sasl_mechanism mechanism;
	unsigned round;
	struct slice authorize_as, login, password; /* in the arena of sasl_answer() */
};
enum sasl_step {
	SASL_CHALLENGE, /* send `challenge_out`, then sasl_answer() with what comes back */
	SASL_COMPLETE,	/* login and password are there to be checked */
	SASL_MALFORMED,
};
void sasl_begin(struct sasl *sasl, enum sasl_mechanism mechanism);
/* The first challenge, for a client that sent no initial response. */
struct slice sasl_first_challenge(const struct sasl *sasl);
/* A response, decoded from base64; `arena` should be wiped when it ends. */
enum sasl_step sasl_answer(struct sasl *sasl, struct slice response, struct arena *arena,
			   struct slice *challenge_out);
/* The base64 text of one line on top: what SMTP, IMAP and POP3 all do. "=" is an empty
 * response (RFC 4954 section 4). */
enum sasl_step sasl_answer_base64(struct sasl *sasl, struct slice text, struct arena *arena,
				  struct slice *challenge_out);
