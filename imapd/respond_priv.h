/* imapd/respond_priv.h - putting values on the wire. In both.
 *
 * They append to `out`, usually &s->session.out. */
#pragma once

#include "base/buffer.h"
#include "base/err.h"
#include "base/ranges.h"
#include "imapd/texts_priv.h"

/* string: quoted where possible, else a literal. `utf8` allows octets above 127 in a quoted
 * string (RFC 9051); without it they make a literal. NUL, which no string may hold
 * (CHAR8), is sent as 0x80, as RFC 3516 does not help outside BINARY. */
void respond_string(struct buffer *out, struct slice text, bool utf8);
/* nstring: NIL where text.ptr is NULL. */
void respond_nstring(struct buffer *out, struct slice text, bool utf8);
/* astring: an atom where it can be one. */
void respond_astring(struct buffer *out, struct slice text, bool utf8);
/* "{" size "}" CRLF; the octets follow. */
void respond_literal_header(struct buffer *out, uint64_t size_octets);
/* A mailbox name of the store in the wire's form: an atom where it can be one. */
void respond_mailbox(struct buffer *out, struct slice name, bool utf8);
/* Which mailbox an ESEARCH response is about (RFC 7377 section 2.1). */
void respond_correlators(struct buffer *out, struct slice name, uint32_t uidvalidity, bool utf8);
/* uid-set or sequence-set: 1:5,7 */
void respond_ranges(struct buffer *out, const struct ranges *set);
/* "tag OK text" CRLF, "* OK text" CRLF. `text` is English, and is said in the `language`. */
void respond_line(struct buffer *out, enum language language, struct slice tag,
		  const char *condition, const char *text);

/* What NO says for an outcome of the store: "[OVERQUOTA] the mailbox is full", ... */
const char *respond_refusal(enum err err);

/* The capability list without "CAPABILITY": in the front before TLS or sign-in, and after. */
enum capability_situation {
	CAPABILITY_LOGIN_DISABLED,  /* cleartext: STARTTLS LOGINDISABLED */
	CAPABILITY_LOGIN_CLEARTEXT, /* cleartext sign-in is allowed here: STARTTLS and AUTH= */
	CAPABILITY_LOGIN,	    /* TLS, not signed in: AUTH= */
	CAPABILITY_SIGNED_IN,
};
const char *capability_text(enum capability_situation situation);
