/* imapd/enable.c - ENABLE: the client asks for what changes the server's answers. In the back.
 *
 * RFC 9051 section 6.3.1, RFC 5161; RFC 7162 sections 3.1 and 3.2.3 (CONDSTORE, QRESYNC);
 * RFC 6855 section 3 (UTF8=ACCEPT); RFC 9586 (UIDONLY). What is not known is not an error, what has
 * been enabled already is not named again. */
#include "imapd/grammar_priv.h"
#include "imapd/session_priv.h"
#include "imapd/view_priv.h"

static const struct {
	const char *name;
	unsigned enables; /* enum imap_enabled */
} extensions[] = {
	{ "IMAP4rev2", IMAP_ENABLED_REV2 },
	{ "CONDSTORE", IMAP_ENABLED_CONDSTORE },
	{ "UTF8=ACCEPT", IMAP_ENABLED_UTF8 },
	{ "UIDONLY", IMAP_ENABLED_UIDONLY },
	{ "QRESYNC", IMAP_ENABLED_CONDSTORE | IMAP_ENABLED_QRESYNC },
};

enum step imap_enable(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice name;
	bool is_asked[ARRAY_LEN(extensions)] = { false };
	do {
		if (!take_atom(args, &name))
			return imap_bad(s, "ENABLE needs names of capabilities");
		for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
			is_asked[i] |= slice_eq_nocase(name, slice_cstr(extensions[i].name));
	} while (take_space(args));
	if (!at_end(args))
		return imap_bad(s, "ENABLE needs names of capabilities");
	buffer_add_cstr(&s->session.out, "* ENABLED");
	unsigned enabled = s->enabled;
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
		if (!is_asked[i] || (s->enabled & extensions[i].enables) == extensions[i].enables)
			continue;
		buffer_add_byte(&s->session.out, ' ');
		buffer_add_cstr(&s->session.out, extensions[i].name);
		enabled |= extensions[i].enables;
	}
	s->enabled = (uint8_t)enabled;
	buffer_add_cstr(&s->session.out, "\r\n");
	return imap_ok(s, "ENABLE completed");
}

void imap_enable_condstore(struct imap_session *s)
{
	if (imap_has(s, IMAP_ENABLED_CONDSTORE))
		return;
	s->enabled |= IMAP_ENABLED_CONDSTORE;
	if (s->view)
		view_tell_highest_modseq(s->view);
}
