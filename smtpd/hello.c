/* smtpd/hello.c - the greeting, HELO and EHLO (RFC 5321 sections 3.1, 3.2 and 4.1.1.1). Runs in
 * the front. LHLO is EHLO by another name (RFC 2033 section 4.1).
 *
 * Left out: any check of the name against the client's address. Section 4.1.4 forbids to
 * refuse mail for it. */
#include "smtpd/session_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "mail/address.h"

enum step smtp_greet(struct smtp_session *s)
{
	buffer_add_format(&s->session.out, "220 %s %s Bode\r\n", s->front->config->hostname,
			  smtp_is_lmtp(s) ? "LMTP" : "ESMTP");
	smtp_set_state(s, SMTP_FRESH);
	return STEP_AGAIN;
}

/* The client's name, and perhaps words behind it: older clients were told to add them, and a
 * server is "to be prepared for this string to occur". False: refused, nothing has changed. */
static bool take_client_name(struct smtp_session *s, struct cursor *args)
{
	struct slice name;

	if (at_end(args)) {
		smtp_reply(s, REPLY_NEEDS_ARGUMENT);
		return false;
	}
	if (!take_domain_or_literal(args, &name) || !(at_end(args) || next_is(args, ' '))) {
		smtp_reply(s, REPLY_BAD_HELO);
		return false;
	}
	free(s->client_name);
	s->client_name = heap_string(name);
	/* As if RSET had been said (section 4.1.4). */
	smtp_reset(s);
	smtp_set_state(s, SMTP_READY);
	return true;
}

enum step smtp_helo(struct smtp_session *s, struct cursor *args)
{
	if (take_client_name(s, args)) {
		s->is_extended = false;
		buffer_add_format(&s->session.out, "250 %s\r\n", s->front->config->hostname);
	}
	return STEP_AGAIN;
}

/* Exactly what works on this connection now. HELP must be named, since section 4.5.1 does not
 * list it as required. */
enum step smtp_ehlo(struct smtp_session *s, struct cursor *args)
{
	struct buffer *out = &s->session.out;

	if (!take_client_name(s, args))
		return STEP_AGAIN;
	s->is_extended = true;
	buffer_add_format(out, "250-%s\r\n", s->front->config->hostname);
	smtp_announce(s, out);
	buffer_add_cstr(out, "250 HELP\r\n");
	return STEP_AGAIN;
}
