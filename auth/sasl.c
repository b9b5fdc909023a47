/* auth/sasl.c - PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00), the server's side.
 * Runs in the front.
 *
 * Left out: every mechanism without a password (they come with their verifiers), and the
 * preparation of strings (see auth/password.c). */
#include "auth/sasl.h"

#include "auth/password.h"
#include "base/base64.h"

enum {
	ANSWER_MAX_OCTETS = AUTHORIZE_AS_MAX_OCTETS + 1 + LOGIN_MAX_OCTETS + 1 + PASSWORD_MAX_OCTETS
};

enum sasl_mechanism sasl_mechanism_of(struct slice name)
{
	if (slice_eq_nocase(name, SLICE("PLAIN")))
		return SASL_PLAIN;
	if (slice_eq_nocase(name, SLICE("LOGIN")))
		return SASL_LOGIN;
	return SASL_NONE;
}

void sasl_begin(struct sasl *sasl, enum sasl_mechanism mechanism)
{
	*sasl = (struct sasl){ .mechanism = mechanism };
}

struct slice sasl_first_challenge(const struct sasl *sasl)
{
	/* The draft has "User Name" with a NUL behind it; what every client that looks at the
	 * text has learnt to expect is this. PLAIN's client speaks first: nothing to say. */
	return sasl->mechanism == SASL_LOGIN ? SLICE("Username:") : SLICE_NONE;
}

static bool is_credential(struct slice s, size_t max_octets)
{
	return s.len > 0 && s.len <= max_octets && slice_find_byte(s, 0, '\0') == s.len;
}

/* message = [authzid] NUL authcid NUL passwd */
static enum sasl_step answer_plain(struct sasl *sasl, struct slice response)
{
	struct cursor c = cursor_of(response);
	struct slice authorize_as, login;

	if (sasl->round > 0 || !take_until_byte(&c, '\0', &authorize_as) || !take_byte(&c, '\0') ||
	    !take_until_byte(&c, '\0', &login) || !take_byte(&c, '\0'))
		return SASL_MALFORMED;
	struct slice password = cursor_rest(&c);
	if (authorize_as.len > AUTHORIZE_AS_MAX_OCTETS || !is_credential(login, LOGIN_MAX_OCTETS) ||
	    !is_credential(password, PASSWORD_MAX_OCTETS))
		return SASL_MALFORMED;
	sasl->authorize_as = authorize_as;
	sasl->login = login;
	sasl->password = password;
	return SASL_COMPLETE;
}

/* The login, then the password. A login that came as initial response is the first round. */
static enum sasl_step answer_login(struct sasl *sasl, struct slice response,
				   struct slice *challenge_out)
{
	if (sasl->round == 0) {
		if (!is_credential(response, LOGIN_MAX_OCTETS))
			return SASL_MALFORMED;
		sasl->login = response;
		*challenge_out = SLICE("Password:");
		return SASL_CHALLENGE;
	}
	if (sasl->round > 1 || !is_credential(response, PASSWORD_MAX_OCTETS))
		return SASL_MALFORMED;
	sasl->password = response;
	return SASL_COMPLETE;
}

enum sasl_step sasl_answer(struct sasl *sasl, struct slice response, struct arena *arena,
			   struct slice *challenge_out)
{
	enum sasl_step step = SASL_MALFORMED;

	*challenge_out = SLICE_NONE;
	if (response.len <= ANSWER_MAX_OCTETS) {
		response = arena_copy(arena, response);
		switch (sasl->mechanism) {
		case SASL_PLAIN: step = answer_plain(sasl, response); break;
		case SASL_LOGIN: step = answer_login(sasl, response, challenge_out); break;
		case SASL_NONE: break;
		}
	}
	sasl->round++;
	if (step == SASL_MALFORMED)
		sasl_begin(sasl, SASL_NONE);
	return step;
}

enum sasl_step sasl_answer_base64(struct sasl *sasl, struct slice text, struct arena *arena,
				  struct slice *challenge_out)
{
	struct buffer response = { 0 };
	enum sasl_step step = SASL_MALFORMED;

	*challenge_out = SLICE_NONE;
	if (slice_eq(text, SLICE("=")))
		text = SLICE_NONE;
	/* The size meets its limit before it meets the decoder. */
	if (text.len <= (ANSWER_MAX_OCTETS + 2) / 3 * 4 && base64_decode(text, &response))
		step = sasl_answer(sasl, buffer_slice(&response), arena, challenge_out);
	else
		sasl_begin(sasl, SASL_NONE);
	buffer_wipe(&response);
	return step;
}
