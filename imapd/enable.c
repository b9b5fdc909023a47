/* imapd/enable.c - ENABLE: the client asks for what changes the server's answers. In the back.
 *
 * RFC 9051 section 6.3.1, RFC 5161. What is not known is not an error. Left out: CONDSTORE,
 * QRESYNC, UTF8=ACCEPT, which are not announced. */
#include "imapd/grammar_priv.h"
#include "imapd/session_priv.h"

enum step imap_enable(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice name;
	bool enables_rev2 = false;
	do {
		if (!take_atom(args, &name))
			return imap_bad(s, "ENABLE needs names of capabilities");
		enables_rev2 |= slice_eq_nocase(name, SLICE("IMAP4rev2"));
	} while (take_space(args));
	if (!at_end(args))
		return imap_bad(s, "ENABLE needs names of capabilities");
	/* Only what is newly enabled is named (RFC 5161 section 3.2). */
	buffer_add_cstr(&s->session.out, "* ENABLED");
	if (enables_rev2 && !imap_is_rev2(s))
		buffer_add_cstr(&s->session.out, " IMAP4rev2");
	buffer_add_cstr(&s->session.out, "\r\n");
	if (enables_rev2)
		s->enabled |= IMAP_ENABLED_REV2;
	return imap_ok(s, "ENABLE completed");
}
