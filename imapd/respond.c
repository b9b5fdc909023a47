/* imapd/respond.c - strings, names, number sets, status lines, capabilities. In both.
 *
 * RFC 9051 sections 4.3, 5.1, 7.1 and 7.2.2; RFC 5530 for the response codes. */
#include "imapd/respond_priv.h"

#include "imapd/grammar_priv.h"
#include "mail/text.h"

enum { QUOTED_MAX_OCTETS = 1000 }; /* longer ones are literals, so that no line grows large */

/* *escapes_out: how many octets need a backslash. */
static bool can_be_quoted(struct slice text, bool utf8, size_t *escapes_out)
{
	enum { PLAIN = 0, ESCAPED = 1, HIGH = 2, NEVER = 4 };
	static const uint8_t kinds[256] = {
		[0] = NEVER,	 ['\r'] = NEVER,   ['\n'] = NEVER,
		['"'] = ESCAPED, ['\\'] = ESCAPED, [128 ... 255] = HIGH,
	};
	unsigned seen = 0;
	size_t escapes = 0;
	if (text.len > QUOTED_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned kind = kinds[text.ptr[i]];
		seen |= kind;
		escapes += kind & ESCAPED;
	}
	*escapes_out = escapes;
	return !(seen & NEVER) && (!(seen & HIGH) || (utf8 && text_is_utf8(text)));
}

void respond_literal_header(struct buffer *out, uint64_t size_octets)
{
	buffer_add_byte(out, '{');
	buffer_add_u64(out, size_octets);
	buffer_add_cstr(out, "}\r\n");
}

/* A FETCH of envelopes is mostly this: nearly all of them need no backslash. */
void respond_string(struct buffer *out, struct slice text, bool utf8)
{
	size_t escapes;
	if (!can_be_quoted(text, utf8, &escapes)) {
		respond_literal_header(out, text.len);
		uint8_t *octets = buffer_reserve(out, text.len);
		for (size_t i = 0; i < text.len; i++)
			octets[i] = text.ptr[i] ? text.ptr[i] : 0x80;
		out->len += text.len;
		return;
	}
	uint8_t *at = buffer_reserve(out, text.len + escapes + 2);
	out->len += text.len + escapes + 2;
	*at++ = '"';
	if (escapes == 0 && text.len > 0)
		at = (uint8_t *)memcpy(at, text.ptr, text.len) + text.len;
	for (size_t i = 0; i < text.len && escapes > 0; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			*at++ = '\\';
		*at++ = text.ptr[i];
	}
	*at = '"';
}

void respond_nstring(struct buffer *out, struct slice text, bool utf8)
{
	if (text.ptr)
		respond_string(out, text, utf8);
	else
		buffer_add_cstr(out, "NIL");
}

static bool can_be_atom(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!is_astring_char(name.ptr[i]))
			return false;
	return name.len > 0 && !slice_eq_nocase(name, SLICE("NIL"));
}

void respond_astring(struct buffer *out, struct slice text, bool utf8)
{
	if (can_be_atom(text))
		buffer_add(out, text);
	else
		respond_string(out, text, utf8);
}

void respond_mailbox(struct buffer *out, struct slice name, bool utf8)
{
	struct buffer encoded = { 0 };
	if (!utf8 && mutf7_encode(name, &encoded))
		name = buffer_slice(&encoded);
	respond_astring(out, name, utf8);
	buffer_free(&encoded);
}

void respond_correlators(struct buffer *out, struct slice name, uint32_t uidvalidity, bool utf8)
{
	buffer_add(out, SLICE(" MAILBOX "));
	respond_mailbox(out, name, utf8);
	buffer_add_format(out, " UIDVALIDITY %u", uidvalidity);
}

void respond_ranges(struct buffer *out, const struct ranges *set)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (i > 0)
			buffer_add_byte(out, ',');
		buffer_add_u64(out, set->runs[i].first);
		if (set->runs[i].last == set->runs[i].first)
			continue;
		buffer_add_byte(out, ':');
		buffer_add_u64(out, set->runs[i].last);
	}
}

void respond_line(struct buffer *out, enum language language, struct slice tag,
		  const char *condition, const char *text)
{
	buffer_add(out, tag);
	buffer_add_byte(out, ' ');
	buffer_add_cstr(out, condition);
	buffer_add_byte(out, ' ');
	respond_text(out, language, text);
	buffer_add_cstr(out, "\r\n");
}

const char *respond_refusal(enum err err)
{
	switch (err) {
	case ERR_NOT_FOUND: return "[NONEXISTENT] No such mailbox";
	case ERR_EXISTS: return "[ALREADYEXISTS] That name is taken";
	case ERR_BAD_INPUT: return "[CANNOT] That is no name for a mailbox";
	case ERR_DENIED: return "[NOPERM] Not allowed";
	case ERR_BUSY: return "[INUSE] In use; try again later";
	case ERR_LIMIT: return "[LIMIT] A limit of this server is reached";
	case ERR_QUOTA: return "[OVERQUOTA] The account is full";
	case ERR_GONE: return "[NONEXISTENT] The mailbox has been deleted";
	case ERR_DAMAGED: return "[CORRUPTION] Stored data is damaged";
	case ERR_UNAVAILABLE:
	case ERR_REFUSED:
	case ERR_RATE:
	case ERR_LOOP:
	case ERR_CANCELLED:
	case ERR_LINE_END:
	case ERR_FULL:
	case ERR_DISK:
	case ERR_VERSION: return "[UNAVAILABLE] The store cannot do that now; try again later";
	case ERR_OK: break;
	}
	return "[SERVERBUG] Not done";
}

/* RFC 7888 section 5 forbids both of LITERAL's at the same time. */
#define BOTH_REVISIONS(literal) "IMAP4rev1 IMAP4rev2 " literal " SASL-IR ID ENABLE LANGUAGE "
#define BEFORE_SIGN_IN BOTH_REVISIONS("LITERAL-")
#define SIGN_IN "AUTH=PLAIN AUTH=LOGIN"
/* What IMAP4rev2 has folded in is named too, for clients that know only IMAP4rev1. */
#define OF_SESSION "IDLE UNSELECT COMPRESS=DEFLATE INPROGRESS "
#define OF_MAILBOXES                                                                   \
	"NAMESPACE SPECIAL-USE CREATE-SPECIAL-USE CHILDREN LIST-EXTENDED LIST-STATUS " \
	"STATUS=SIZE MULTIAPPEND REPLACE CATENATE URL-PARTIAL "                        \
	"QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE QUOTA=RES-MAILBOX "                 \
	"METADATA LIST-METADATA ACL RIGHTS=kxte LIST-MYRIGHTS OBJECTID UTF8=ACCEPT UIDONLY "
#define OF_MESSAGES                                                                            \
	"UIDPLUS MOVE BINARY ESEARCH SEARCHRES CONDSTORE QRESYNC WITHIN SAVEDATE "             \
	"SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES PARTIAL I18NLEVEL=1 " \
	"I18NLEVEL=2 "                                                                         \
	"PREVIEW MULTISEARCH CONTEXT=SEARCH CONTEXT=SORT FILTERS NOTIFY"

const char *capability_text(enum capability_situation situation)
{
	switch (situation) {
	case CAPABILITY_LOGIN_DISABLED: return BEFORE_SIGN_IN "STARTTLS LOGINDISABLED";
	case CAPABILITY_LOGIN_CLEARTEXT: return BEFORE_SIGN_IN "STARTTLS " SIGN_IN;
	case CAPABILITY_LOGIN: return BEFORE_SIGN_IN SIGN_IN;
	case CAPABILITY_SIGNED_IN: break;
	}
	return BOTH_REVISIONS("LITERAL+") OF_SESSION OF_MAILBOXES OF_MESSAGES;
}
