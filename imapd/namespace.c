/* imapd/namespace.c - NAMESPACE, and LANGUAGE after sign-in, which changes what it says. In the back.
 *
 * RFC 2342 and RFC 9051 section 6.3.10; RFC 5255 sections 3.2 and 3.4 (TRANSLATION: what a client may
 * call the prefixes; in modified UTF-7, whatever the client has enabled). */
#include "imapd/access_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/language_priv.h"
#include "imapd/respond_priv.h"
#include "mail/text.h"

/* Where there is none for a language the prefix is what it is called. */
static const struct translations {
	const char *others, *shared;
} translations[LANGUAGES] = {
	[LANGUAGE_GERMAN] = { "Andere Benutzer/", "Gemeinsame Postfächer/" },
};

static void respond_prefix(struct buffer *out, const char *prefix, const char *translation)
{
	struct buffer encoded = { 0 };
	buffer_add_format(out, " ((\"%s\" \"/\"", prefix);
	if (translation && mutf7_encode(slice_cstr(translation), &encoded)) {
		buffer_add_cstr(out, " \"TRANSLATION\" (");
		respond_string(out, buffer_slice(&encoded), false);
		buffer_add_byte(out, ')');
	}
	buffer_add_cstr(out, "))");
	buffer_free(&encoded);
}

static void respond_namespace(struct imap_session *s)
{
	struct buffer *out = &s->session.out;
	const struct translations *translation = &translations[s->language];
	buffer_add_cstr(out, "* NAMESPACE ((\"\" \"/\"))");
	respond_prefix(out, NAMESPACE_OTHERS "/", translation->others);
	respond_prefix(out, NAMESPACE_SHARED "/", translation->shared);
	buffer_add_cstr(out, "\r\n");
}

enum step imap_namespace(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!at_end(args))
		return imap_bad(s, "NAMESPACE has no arguments");
	respond_namespace(s);
	return imap_ok(s, "NAMESPACE completed");
}

enum step imap_language(struct imap_session *s, struct cursor *args, bool uid)
{
	enum language chosen, before = s->language;
	switch (take_language_command(args, &s->command_arena, &chosen)) {
	case LANGUAGE_COMMAND_BAD: return imap_bad(s, "LANGUAGE wants ranges of languages");
	case LANGUAGE_COMMAND_CANNOT: return imap_no(s, "None of these languages is spoken here");
	case LANGUAGE_COMMAND_ASKS: respond_languages(&s->session.out); break;
	case LANGUAGE_COMMAND_CHOOSES:
		s->language = chosen;
		respond_language(&s->session.out, chosen);
		/* With the names in the language, or without those of the one before. */
		if (translations[chosen].others || translations[before].others)
			respond_namespace(s);
		break;
	}
	return imap_ok(s, "LANGUAGE completed");
}
