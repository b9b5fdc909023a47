/* pop3d/reply.c - CAPA and one-line replies: RFC 2449 sections 5, 6 and 8, RFC 3206.
 * Runs in both.
 *
 * Left out: LOGIN-DELAY (a sign-in that was right before costs nothing), and LANG and UTF8
 * (RFC 6856). */
#include "pop3d/reply_priv.h"

void pop3_capabilities(struct session *session, enum capa_state state, bool with_stls)
{
	struct buffer *out = &session->out;
	buffer_add_cstr(out, "+OK what this server can do follows\r\n"
			     "TOP\r\n"
			     "UIDL\r\n"
			     "RESP-CODES\r\n"
			     "AUTH-RESP-CODE\r\n"
			     "PIPELINING\r\n"
			     "EXPIRE NEVER\r\n");
	/* RFC 2595 section 2.5 and RFC 4616 section 5: passwords are not even announced where
	 * they must not travel. */
	if (state == CAPA_MAY_SIGN_IN)
		buffer_add_cstr(out, "USER\r\n"
				     "SASL PLAIN LOGIN\r\n");
	if (with_stls)
		buffer_add_cstr(out, "STLS\r\n");
	buffer_add_cstr(out, "IMPLEMENTATION Bode\r\n"
			     ".\r\n");
}

void pop3_ok(struct session *session, const char *text)
{
	buffer_add_format(&session->out, "+OK %s\r\n", text);
}

void pop3_err(struct session *session, const char *text)
{
	buffer_add_format(&session->out, "-ERR %s\r\n", text);
}
