/* imapd/unauthenticate.c - UNAUTHENTICATE: the client signs out and keeps its connection. In the back.
 *
 * RFC 8437. Nothing of the session is reset: it ends, with all that it holds, and the client goes back to
 * the front (runtime/way_back.h), where it is as it was before it signed in, with what it has typed
 * behind the command. So nothing of one user can be left for the next. What is kept is TLS, and
 * the count of sign-ins that were refused. Clients learn of the command after sign-in only
 * (section 3); [auth] unauthenticate turns it off (section 8). */
#include "imapd/grammar_priv.h"
#include "imapd/session_priv.h"
#include "runtime/way_back.h"

enum step imap_unauthenticate(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!s->back->config->unauthenticate)
		return imap_bad(s, "Unknown command");
	if (!at_end(args))
		return imap_bad(s, "UNAUTHENTICATE has no arguments");
	s->signs_out = true;
	return imap_ok(s, "Signed out");
}

void imap_signed_out(struct imap_session *s, int fd, struct slice unread)
{
	log_info(&s->session.log, EVENT("signed-out"), NUM("account", s->account_id));
	way_back_send(s->way_back, s->conversation, fd, unread);
}
