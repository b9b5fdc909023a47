/* smtpd/parameters.c - parameters of MAIL and RCPT (RFC 5321 section 4.1.2): SIZE (RFC 1870),
 * BODY (RFC 6152, RFC 3030), AUTH (RFC 4954 section 5), SMTPUTF8 (RFC 6531), REQUIRETLS (RFC
 * 8689); those with a grammar of their own are in files of their own. Runs in the front.
 *
 * AUTH names an identity on the word of somebody whom we have no cause to trust: section 5
 * allows to parse it and forget it. */
#include "mail/address.h"
#include "mail/text.h"
#include "mail/xtext.h"
#include "smtpd/session_priv.h"

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool is_keyword_octet(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-';
}

/* esmtp-value = 1*(%d33-60 / %d62-126), and UTF8-non-ascii (RFC 6531 section 3.3) */
static bool is_value_octet(uint8_t c)
{
	return (c >= 33 && c <= 126 && c != '=') || c >= 0x80;
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value]; without one, `value_out` is empty. */
static bool take_parameter(struct cursor *line, struct slice *keyword_out, struct slice *value_out)
{
	struct cursor c = *line;

	*value_out = SLICE_NONE;
	if (next_is(&c, '-') || !take_while(&c, is_keyword_octet, keyword_out))
		return false;
	if (take_byte(&c, '=') &&
	    (!take_while(&c, is_value_octet, value_out) || !text_is_utf8(*value_out)))
		return false;
	if (!at_end(&c) && !next_is(&c, ' '))
		return false;
	*line = c;
	return true;
}

/* size-value = 1*20DIGIT (RFC 1870 section 5); more than we can count is more than we take. */
static bool take_size(struct slice value, struct arena *arena, void *into)
{
	struct mail_parameters *parameters = into;

	if (value.len == 0 || value.len > 20)
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (!ascii_is_digit(value.ptr[i]))
			return false;
	if (!slice_to_u64(value, UINT64_MAX, &parameters->size_octets))
		parameters->size_octets = UINT64_MAX;
	return true;
}

static bool take_body(struct slice value, struct arena *arena, void *into)
{
	static const char *const words[ENVELOPE_BODY_COUNT] = {
		[ENVELOPE_7BIT] = "7BIT",
		[ENVELOPE_8BITMIME] = "8BITMIME",
		[ENVELOPE_BINARYMIME] = "BINARYMIME",
	};
	struct mail_parameters *parameters = into;

	for (unsigned i = 0; i < ENVELOPE_BODY_COUNT; i++)
		if (slice_eq_nocase(value, slice_cstr(words[i]))) {
			parameters->envelope.body = (enum envelope_body)i;
			return true;
		}
	return false;
}

/* xtext that holds a mailbox, or "<>". */
static bool take_identity(struct slice value, struct arena *arena, void *into)
{
	struct address ignored;
	struct slice decoded;

	return value.len > 0 && xtext_decode(value, arena, &decoded) &&
	       (slice_eq(decoded, SLICE("<>")) || address_parse(decoded, arena, &ignored));
}

static bool take_utf8(struct slice value, struct arena *arena, void *into)
{
	((struct mail_parameters *)into)->envelope.is_utf8 = true;
	return value.len == 0;
}

static bool take_require_tls(struct slice value, struct arena *arena, void *into)
{
	((struct mail_parameters *)into)->envelope.requires_tls = true;
	return value.len == 0;
}

#define KEYWORD(word)                                        \
	{                                                    \
		(const uint8_t *)("" word), sizeof(word) - 1 \
	}

struct parameter {
	struct slice keyword;
	enum smtp_extension extension;
	/* `into`: struct mail_parameters, or struct envelope_recipient. */
	bool (*take)(struct slice value, struct arena *arena, void *into);
};

static const struct parameter of_mail[] = {
	{ KEYWORD("SIZE"), SMTP_SIZE, take_size },
	{ KEYWORD("BODY"), SMTP_8BITMIME, take_body },
	/* A server that knows AUTH at all takes it from everybody. */
	{ KEYWORD("AUTH"), SMTP_PIPELINING, take_identity },
	{ KEYWORD("SMTPUTF8"), SMTP_SMTPUTF8, take_utf8 },
	{ KEYWORD("REQUIRETLS"), SMTP_REQUIRETLS, take_require_tls },
	{ KEYWORD("RET"), SMTP_DSN, take_dsn_ret },
	{ KEYWORD("ENVID"), SMTP_DSN, take_dsn_envid },
	{ KEYWORD("HOLDFOR"), SMTP_FUTURERELEASE, take_hold_for },
	{ KEYWORD("HOLDUNTIL"), SMTP_FUTURERELEASE, take_hold_until },
	{ KEYWORD("BY"), SMTP_DELIVERBY, take_deliver_by },
	{ KEYWORD("MT-PRIORITY"), SMTP_MT_PRIORITY, take_priority },
};

static const struct parameter of_rcpt[] = {
	{ KEYWORD("NOTIFY"), SMTP_DSN, take_dsn_notify },
	{ KEYWORD("ORCPT"), SMTP_DSN, take_dsn_orcpt },
};

/* Takes parameters to the end of the line, each once, those of the table that are offered. */
static enum smtp_reply_name take_parameters(const struct smtp_session *s, struct cursor *args,
					    const struct parameter *known, size_t known_count,
					    struct arena *arena, void *into)
{
	unsigned seen = 0;

	while (!at_end(args)) {
		struct slice keyword, value;
		size_t i = 0;

		if (!take_byte(args, ' '))
			return REPLY_BAD_ARGUMENT;
		skip_blanks(args);
		if (!take_parameter(args, &keyword, &value))
			return REPLY_BAD_ARGUMENT;
		while (i < known_count && !slice_eq_nocase(keyword, known[i].keyword))
			i++;
		if (i == known_count || !smtp_offers(s, known[i].extension))
			return REPLY_UNKNOWN_PARAMETER;
		if ((seen & 1u << i) || !known[i].take(value, arena, into))
			return REPLY_BAD_ARGUMENT;
		seen |= 1u << i;
	}
	return REPLY_NONE;
}

enum smtp_reply_name take_mail_parameters(const struct smtp_session *s, struct cursor *args,
					  struct arena *arena,
					  struct mail_parameters *parameters_out)
{
	*parameters_out = (struct mail_parameters){ 0 };
	return take_parameters(s, args, of_mail, ARRAY_LEN(of_mail), arena, parameters_out);
}

enum smtp_reply_name take_rcpt_parameters(const struct smtp_session *s, struct cursor *args,
					  struct arena *arena,
					  struct envelope_recipient *recipient_out)
{
	*recipient_out = (struct envelope_recipient){ .notify = DSN_UNSAID };
	enum smtp_reply_name refusal =
		take_parameters(s, args, of_rcpt, ARRAY_LEN(of_rcpt), arena, recipient_out);
	/* An original address in UTF-8 belongs to a message that may be (RFC 6533 section 3). */
	if (refusal == REPLY_NONE && !s->transaction.envelope.is_utf8 &&
	    !text_is_ascii(recipient_out->orcpt))
		return REPLY_BAD_ARGUMENT;
	return refusal;
}
