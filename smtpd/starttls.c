/* smtpd/starttls.c - STARTTLS (RFC 3207). Runs in the front.
 *
 * What was learnt before the handshake is forgotten after it (section 4.2): name, transaction
 * and sign-in. Commands that came behind STARTTLS in plaintext are dropped, here and by the
 * stream. */
#include "smtpd/session_priv.h"

#include <stdlib.h>

bool smtp_may_start_tls(const struct smtp_session *s)
{
	return !s->client.secure && s->session.tls != NULL && !smtp_is_lmtp(s);
}

enum step smtp_starttls(struct smtp_session *s, struct cursor *args)
{
	if (!smtp_may_start_tls(s)) {
		smtp_reply(s, REPLY_NO_TLS);
		return STEP_AGAIN;
	}
	smtp_reply(s, REPLY_START_TLS);
	s->session.wants_tls = true;
	smtp_set_state(s, SMTP_SECURING);
	return STEP_AGAIN;
}

/* The handshake is complete: as after the greeting, but without one. */
enum step smtp_secured(struct smtp_session *s)
{
	smtp_sign_out(s);
	smtp_reset(s);
	free(s->client_name);
	s->client_name = NULL;
	s->is_extended = false;
	s->line = (struct line_reader){ .is_skipping = false };
	s->client.secure = true;
	smtp_set_state(s, SMTP_FRESH);
	return STEP_INPUT;
}
