/* smtpd/extensions.c - the extensions of SMTP that this server has, and where each is offered
 * (RFC 5321 section 2.2). Runs in the front.
 *
 * The table is the only list: EHLO announces what it says, and a parameter is taken where its
 * extension is offered and refused elsewhere, so that nobody relies on what was not announced. */
#include "base/clock.h"
#include "mail/date.h"
#include "smtpd/session_priv.h"

static bool everywhere(const struct smtp_session *s)
{
	return true;
}

/* Strangers' mail comes when it comes, and is not more urgent than others (RFC 6710 section 4.1). */
static bool to_users(const struct smtp_session *s)
{
	return smtp_is_submission(s);
}

/* "The session itself MUST employ TLS transmission" (RFC 8689 section 2). */
static bool under_tls(const struct smtp_session *s)
{
	return s->client.secure;
}

/* Not after it was done once (RFC 4954 section 4); AUTH= on MAIL is taken wherever it stands. */
static bool to_sign_in(const struct smtp_session *s)
{
	return smtp_may_sign_in(s) && !smtp_is_signed_in(s);
}

/* ---- what stands behind a keyword ---- */

/* The limit as of now (RFC 1870 section 3). */
static void add_size(const struct smtp_session *s, struct buffer *out)
{
	buffer_add_byte(out, ' ');
	buffer_add_u64(out, s->front->config->message_size_octets);
}

static void add_mechanisms(const struct smtp_session *s, struct buffer *out)
{
	buffer_add_cstr(out, " PLAIN LOGIN");
}

static void add_claims(const struct smtp_session *s, struct buffer *out)
{
	buffer_add_cstr(out, " NAME ADDR PORT PROTO HELO");
}

/* RFC 9422: only limits that really are there. Transactions of a connection and domains of a
 * transaction have none. */
static void add_limits(const struct smtp_session *s, struct buffer *out)
{
	buffer_add_cstr(out, " RCPTMAX=");
	buffer_add_u64(out, s->front->config->recipients);
}

/* RFC 4865 section 4: the longest wait, and its end. */
static void add_longest_hold(const struct smtp_session *s, struct buffer *out)
{
	char until[DATE_TEXT_OCTETS];

	internet_date_format(clock_unix() + HOLD_MAX_SECONDS, until);
	buffer_add_format(out, " %d %s", HOLD_MAX_SECONDS, until);
}

/* ---- the table ---- */

#define KEYWORD(word)                                        \
	{                                                    \
		(const uint8_t *)("" word), sizeof(word) - 1 \
	}

struct extension {
	struct slice keyword;
	bool (*is_offered)(const struct smtp_session *s);
	void (*add_parameters)(const struct smtp_session *s, struct buffer *out); /* or NULL */
};

static const struct extension extensions[SMTP_EXTENSION_COUNT] = {
	[SMTP_PIPELINING] = { KEYWORD("PIPELINING"), everywhere, NULL },
	[SMTP_8BITMIME] = { KEYWORD("8BITMIME"), everywhere, NULL },
	[SMTP_SMTPUTF8] = { KEYWORD("SMTPUTF8"), everywhere, NULL },
	[SMTP_CHUNKING] = { KEYWORD("CHUNKING"), everywhere, NULL },
	[SMTP_BINARYMIME] = { KEYWORD("BINARYMIME"), everywhere, NULL },
	[SMTP_ENHANCEDSTATUSCODES] = { KEYWORD("ENHANCEDSTATUSCODES"), everywhere, NULL },
	[SMTP_SIZE] = { KEYWORD("SIZE"), everywhere, add_size },
	[SMTP_DSN] = { KEYWORD("DSN"), everywhere, NULL },
	[SMTP_FUTURERELEASE] = { KEYWORD("FUTURERELEASE"), to_users, add_longest_hold },
	[SMTP_DELIVERBY] = { KEYWORD("DELIVERBY"), to_users, NULL },
	[SMTP_MT_PRIORITY] = { KEYWORD("MT-PRIORITY"), to_users, NULL },
	[SMTP_LIMITS] = { KEYWORD("LIMITS"), everywhere, add_limits },
	[SMTP_REQUIRETLS] = { KEYWORD("REQUIRETLS"), under_tls, NULL },
	[SMTP_STARTTLS] = { KEYWORD("STARTTLS"), smtp_may_start_tls, NULL },
	[SMTP_XCLIENT] = { KEYWORD("XCLIENT"), smtp_may_claim, add_claims },
	[SMTP_AUTH] = { KEYWORD("AUTH"), to_sign_in, add_mechanisms },
};

bool smtp_offers(const struct smtp_session *s, enum smtp_extension extension)
{
	return extensions[extension].is_offered(s);
}

void smtp_announce(const struct smtp_session *s, struct buffer *out)
{
	for (size_t i = 0; i < SMTP_EXTENSION_COUNT; i++) {
		const struct extension *extension = &extensions[i];
		if (!extension->is_offered(s))
			continue;
		buffer_add_cstr(out, "250-");
		buffer_add(out, extension->keyword);
		if (extension->add_parameters)
			extension->add_parameters(s, out);
		buffer_add_cstr(out, "\r\n");
	}
}
