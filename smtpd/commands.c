/* smtpd/commands.c - the verbs of SMTP, and who may say them when (RFC 5321 sections 4.1.1,
 * 4.1.4 and 4.5.1). Runs in the front.
 *
 * The table is the only list of verbs: HELP is made from it. The dispatcher refuses what is
 * unknown, misplaced or missing a need, so a handler runs only where its row allows.
 *
 * Left out: EXPN (answered as section 4.2.4 says), and what RFC 5321 has removed (SEND, SOML,
 * SAML, TURN). */
#include "smtpd/session_priv.h"

enum {
	NEEDS_NOTHING = 0,
	NEEDS_CLEARTEXT = 1,	 /* TLS is not active */
	NEEDS_SIGN_IN_DOOR = 2,	 /* AUTH is offered here, and nobody has signed in yet */
	NEEDS_SENDER_RIGHTS = 4, /* port 25, or somebody who has signed in */
	NEEDS_NO_ARGUMENT = 8,
	IS_UNSUPPORTED = 16, /* recognised, so that the answer is 502 and not 500 */
	BRINGS_OCTETS = 32,  /* its octets follow, even where it is refused */
	ONLY_SMTP = 64,	     /* "MUST NOT" be taken in LMTP (RFC 2033 section 4.1) */
	ONLY_LMTP = 128,
	ONLY_TRUSTED = 256, /* unknown to everybody else */
};

struct smtp_command {
	struct slice verb;
	unsigned allowed_in; /* bits of enum smtp_state */
	unsigned needs;
	enum step (*run)(struct smtp_session *s, struct cursor *args);
	const char *usage; /* what HELP tells */
};

static enum step rset(struct smtp_session *s, struct cursor *args)
{
	smtp_reset(s);
	smtp_reply(s, REPLY_OK);
	return STEP_AGAIN;
}

/* The argument, if any, means nothing (section 4.1.1.9). */
static enum step noop(struct smtp_session *s, struct cursor *args)
{
	smtp_reply(s, REPLY_OK);
	return STEP_AGAIN;
}

/* Gives nothing away (section 7.3): the same words for everybody. */
static enum step vrfy(struct smtp_session *s, struct cursor *args)
{
	smtp_reply(s, at_end(args) ? REPLY_NEEDS_ARGUMENT : REPLY_CANNOT_VERIFY);
	return STEP_AGAIN;
}

static enum step quit(struct smtp_session *s, struct cursor *args)
{
	smtp_reply(s, REPLY_GOODBYE);
	return smtp_close(s, "quit");
}

static enum step help(struct smtp_session *s, struct cursor *args);

#define VERB(word)                                           \
	{                                                    \
		(const uint8_t *)("" word), sizeof(word) - 1 \
	}

/* clang-format off */
static const struct smtp_command commands[] = {
	/* verb              allowed in             also needs                           handler */
	{ VERB("EHLO"),     SMTP_ANY,              ONLY_SMTP,                           smtp_ehlo,
	  "EHLO <domain or [address]>" },
	{ VERB("HELO"),     SMTP_ANY,              ONLY_SMTP,                           smtp_helo,
	  "HELO <domain>" },
	{ VERB("LHLO"),     SMTP_ANY,              ONLY_LMTP,                           smtp_ehlo,
	  "LHLO <domain>" },
	{ VERB("STARTTLS"), SMTP_READY,            NEEDS_CLEARTEXT | NEEDS_NO_ARGUMENT, smtp_starttls,
	  "STARTTLS" },
	{ VERB("AUTH"),     SMTP_READY,            NEEDS_SIGN_IN_DOOR,                  smtp_auth,
	  "AUTH <mechanism> [<initial response>]" },
	{ VERB("MAIL"),     SMTP_READY,            NEEDS_SENDER_RIGHTS,                 smtp_mail,
	  "MAIL FROM:<address> [SIZE=<octets>] [BODY=7BIT|8BITMIME|BINARYMIME]" },
	{ VERB("RCPT"),     SMTP_MAIL | SMTP_RCPT, NEEDS_NOTHING,                       smtp_rcpt,
	  "RCPT TO:<address>" },
	{ VERB("DATA"),     SMTP_RCPT,             NEEDS_NO_ARGUMENT,                   smtp_data,
	  "DATA" },
	{ VERB("BDAT"),     SMTP_RCPT | SMTP_BDAT, NEEDS_SENDER_RIGHTS | BRINGS_OCTETS, smtp_bdat,
	  "BDAT <octets> [LAST]" },
	{ VERB("XCLIENT"),  SMTP_FRESH | SMTP_READY, ONLY_TRUSTED,                      smtp_xclient,
	  "XCLIENT <attribute>=<value> ..." },
	{ VERB("RSET"),     SMTP_ANY,              NEEDS_NO_ARGUMENT,                   rset, "RSET" },
	{ VERB("NOOP"),     SMTP_ANY,              NEEDS_NOTHING,                       noop, "NOOP" },
	{ VERB("VRFY"),     SMTP_ANY,              NEEDS_NOTHING,                       vrfy,
	  "VRFY <string>" },
	{ VERB("HELP"),     SMTP_ANY,              NEEDS_NOTHING,                       help,
	  "HELP [<command>]" },
	{ VERB("QUIT"),     SMTP_ANY,              NEEDS_NO_ARGUMENT,                   quit, "QUIT" },
	{ VERB("EXPN"),     SMTP_ANY,              IS_UNSUPPORTED,                      NULL, NULL },
};
/* clang-format on */

static const struct smtp_command *find_command(struct slice verb)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (slice_eq_nocase(commands[i].verb, verb))
			return &commands[i];
	return NULL;
}

static bool is_known(const struct smtp_session *s, const struct smtp_command *command)
{
	if ((command->needs & ONLY_TRUSTED) && !smtp_may_claim(s))
		return false;
	return !(command->needs & (smtp_is_lmtp(s) ? ONLY_SMTP : ONLY_LMTP));
}

static void help_line(struct smtp_session *s, char separator, const char *lead, const char *text)
{
	struct buffer *out = &s->session.out;

	buffer_add_cstr(out, "214");
	buffer_add_byte(out, (uint8_t)separator);
	buffer_add_cstr(out, "2.0.0 ");
	buffer_add_cstr(out, lead);
	buffer_add_cstr(out, text);
	buffer_add_cstr(out, "\r\n");
}

/* Section 4.1.1.8: all verbs, or one. */
static enum step help(struct smtp_session *s, struct cursor *args)
{
	if (at_end(args)) {
		help_line(s, '-', "", "Commands:");
		for (size_t i = 0; i < ARRAY_LEN(commands); i++)
			if (commands[i].usage && is_known(s, &commands[i]))
				help_line(s, '-', "  ", commands[i].usage);
		help_line(s, ' ', "", "End of HELP");
		return STEP_AGAIN;
	}
	const struct smtp_command *command = find_command(cursor_rest(args));
	if (command && command->usage && is_known(s, command))
		help_line(s, ' ', "Syntax: ", command->usage);
	else
		smtp_reply(s, REPLY_NO_HELP);
	return STEP_AGAIN;
}

/* REPLY_NONE: the client may give this command now. */
static enum smtp_reply_name refusal_of(const struct smtp_session *s,
				       const struct smtp_command *command, bool has_argument)
{
	if (command->needs & IS_UNSUPPORTED)
		return REPLY_NOT_IMPLEMENTED;
	if ((command->needs & NEEDS_NO_ARGUMENT) && has_argument)
		return REPLY_NO_ARGUMENT;
	if ((command->needs & NEEDS_CLEARTEXT) && s->client.secure)
		return REPLY_TLS_ACTIVE;
	if (command->needs & NEEDS_SIGN_IN_DOOR) {
		if (!smtp_is_submission(s))
			return REPLY_NO_SIGN_IN;
		if (smtp_is_signed_in(s))
			return REPLY_SIGNED_IN_ALREADY;
		if (!smtp_may_sign_in(s))
			return REPLY_SIGN_IN_NEEDS_TLS;
	}
	if ((command->needs & NEEDS_SENDER_RIGHTS) && smtp_is_submission(s) &&
	    !smtp_is_signed_in(s))
		return REPLY_SIGN_IN_FIRST;
	if (!(command->allowed_in & s->state))
		return s->state != SMTP_FRESH ? REPLY_BAD_SEQUENCE
		       : smtp_is_lmtp(s)      ? REPLY_LHLO_FIRST
					      : REPLY_HELO_FIRST;
	return REPLY_NONE;
}

enum step smtp_dispatch(struct smtp_session *s, struct slice line)
{
	/* Receivers should tolerate white space at the end (section 4.1.1). */
	while (line.len > 0 && (line.ptr[line.len - 1] == ' ' || line.ptr[line.len - 1] == '\t'))
		line.len--;
	size_t verb_len = slice_find_byte(line, 0, ' ');
	struct cursor args = cursor_of(slice_sub(line, verb_len, line.len));
	const struct smtp_command *command = find_command(slice_sub(line, 0, verb_len));
	skip_blanks(&args);
	s->verb = command ? command->verb : SLICE_NONE;
	if (!smtp_allows(s, LIMIT_COMMANDS)) {
		smtp_reply(s, REPLY_TOO_FAST);
		return smtp_close(s, "too-fast");
	}
	if (!command || !is_known(s, command)) {
		smtp_reply(s, REPLY_UNKNOWN_COMMAND);
		return STEP_AGAIN;
	}
	enum smtp_reply_name refusal = refusal_of(s, command, !at_end(&args));
	if (refusal != REPLY_NONE) {
		log_debug(&s->session.log, EVENT("command-refused"), TEXT("verb", command->verb),
			  NUM("code", smtp_reply_code(refusal)));
		if (command->needs & BRINGS_OCTETS)
			return smtp_bdat_refused(s, &args, refusal);
		smtp_reply(s, refusal);
		return STEP_AGAIN;
	}
	return command->run(s, &args);
}
