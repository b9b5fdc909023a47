/* smtpd/reply.c - the replies (RFC 5321 section 4.2) with their enhanced codes (RFC 2034,
 * RFC 3463). Runs in the front.
 *
 * One table for all that has a fixed text; what the back says (enum err, enum
 * recipient_verdict) reaches the wire only through it. Not here: the lists that EHLO and HELP
 * answer, challenges of AUTH, and the reply that names a filed message. */
#include "smtpd/reply_priv.h"

#include <assert.h>

#include "smtpd/session_priv.h"

enum {
	COUNTS = 1,	/* the client's mistake: so many, and the connection ends */
	NAMES_HOST = 2, /* section 4.2.2: the domain is the first word of the text */
	NOTED = 4,	/* the journal hears of it in another way: no refusal is noted */
};

struct reply {
	const char *code;
	const char *enhanced; /* NULL: none, as in 3xx (RFC 2034 section 4) */
	const char *text;
	unsigned flags;
};

static const struct reply replies[REPLY_COUNT] = {
	[REPLY_OK] = { "250", "2.0.0", "OK" },
	[REPLY_MAIL_OK] = { "250", "2.1.0", "Sender OK" },
	[REPLY_RCPT_OK] = { "250", "2.1.5", "Recipient OK" },
	[REPLY_SEND_DATA] = { "354", NULL, "Start mail input; end with <CRLF>.<CRLF>" },
	[REPLY_GOODBYE] = { "221", "2.0.0", "closing connection", NAMES_HOST },
	[REPLY_START_TLS] = { "220", "2.0.0", "Ready to start TLS" },
	[REPLY_SIGNED_IN] = { "235", "2.7.0", "Authentication successful" },
	[REPLY_CANNOT_VERIFY] = { "252", "2.1.5",
				  "Cannot VRFY user, but will accept message and attempt "
				  "delivery" },

	[REPLY_UNKNOWN_COMMAND] = { "500", "5.5.1", "Command not recognized", COUNTS },
	[REPLY_NOT_IMPLEMENTED] = { "502", "5.5.1", "Command not implemented", COUNTS },
	[REPLY_LINE_TOO_LONG] = { "500", "5.5.2", "Line too long", COUNTS },
	[REPLY_COMMAND_BARE] = { "500", "5.5.2", "CR or LF outside of a line end", COUNTS },
	[REPLY_BAD_SEQUENCE] = { "503", "5.5.1", "Bad sequence of commands", COUNTS },
	[REPLY_LHLO_FIRST] = { "503", "5.5.1", "Send LHLO first", COUNTS },
	[REPLY_HELO_FIRST] = { "503", "5.5.1", "Send EHLO or HELO first", COUNTS },
	[REPLY_NEEDS_ARGUMENT] = { "501", "5.5.4", "Argument missing", COUNTS },
	[REPLY_NO_ARGUMENT] = { "501", "5.5.4", "No argument allowed", COUNTS },
	[REPLY_BAD_ARGUMENT] = { "501", "5.5.4", "Syntax error in argument", COUNTS },
	[REPLY_BAD_HELO] = { "501", "5.5.4", "Not a domain name or address literal", COUNTS },
	[REPLY_BAD_REVERSE_PATH] = { "501", "5.1.7", "Syntax: MAIL FROM:<address>", COUNTS },
	[REPLY_BAD_FORWARD_PATH] = { "501", "5.1.3", "Syntax: RCPT TO:<address>", COUNTS },
	[REPLY_UNKNOWN_PARAMETER] = { "555", "5.5.4", "Parameter not recognized", COUNTS },
	[REPLY_BAD_CHUNK_SIZE] = { "501", "5.5.4", "Syntax: BDAT <octets> [LAST]", COUNTS },
	[REPLY_BINARY_NEEDS_BDAT] = { "503", "5.5.1", "A binary message comes by BDAT", COUNTS },
	[REPLY_NO_HELP] = { "504", "5.5.4", "No help on that", COUNTS },

	[REPLY_NO_TLS] = { "454", "4.7.0", "TLS not available" },
	[REPLY_TLS_ACTIVE] = { "503", "5.5.1", "TLS is active already", COUNTS },
	[REPLY_SIGN_IN_FIRST] = { "530", "5.7.0", "Authentication required", COUNTS },
	[REPLY_NO_SIGN_IN] = { "502", "5.5.1", "No AUTH here: submit mail on port 587 or 465",
			       COUNTS },
	/* 538 is history (RFC 4954 section 6); section 4 has 504 where encryption is missing. */
	[REPLY_SIGN_IN_NEEDS_TLS] = { "504", "5.5.4", "Encryption required: issue STARTTLS first",
				      COUNTS },
	[REPLY_SIGNED_IN_ALREADY] = { "503", "5.5.1", "Already authenticated", COUNTS },
	[REPLY_UNKNOWN_MECHANISM] = { "504", "5.5.4", "Mechanism not recognized", COUNTS },
	[REPLY_SASL_CANCELLED] = { "501", "5.7.0", "Authentication cancelled", COUNTS },
	[REPLY_SASL_MALFORMED] = { "501", "5.5.2", "Cannot decode the response", COUNTS },
	[REPLY_SASL_LINE_TOO_LONG] = { "500", "5.5.6", "Authentication exchange line is too long",
				       COUNTS },
	[REPLY_SIGN_IN_DENIED] = { "535", "5.7.8", "Authentication credentials invalid", NOTED },
	[REPLY_SIGN_IN_LATER] = { "454", "4.7.0", "Too many attempts, try again later", NOTED },
	[REPLY_SIGN_IN_FAILED] = { "454", "4.7.0", "Temporary authentication failure", NOTED },

	[REPLY_SENDER_NOT_ASCII] = { "550", "5.6.7", "A sender in UTF-8 wants SMTPUTF8 on MAIL",
				     COUNTS },
	[REPLY_RCPT_NOT_ASCII] = { "553", "5.6.7", "A recipient in UTF-8 wants SMTPUTF8 on MAIL",
				   COUNTS },
	[REPLY_RCPT_UNKNOWN] = { "550", "5.1.1", "No such mailbox here", COUNTS },
	[REPLY_RCPT_RELAY_DENIED] = { "550", "5.7.1", "Relaying denied", COUNTS },
	[REPLY_RCPT_NOT_YOURS] = { "550", "5.7.1", "The sender address is not yours", COUNTS },
	[REPLY_RCPT_POST_DENIED] = { "550", "5.7.2", "You may not post to this list", COUNTS },
	[REPLY_RCPT_SUPPRESSED] = { "550", "5.1.1",
				    "The server there refused this address not long ago; the "
				    "administrator can lift this",
				    COUNTS },
	[REPLY_FROM_NOT_YOURS] = { "550", "5.7.1", "The From address is not yours", COUNTS },
	[REPLY_DAILY_LIMIT] = { "451", "4.7.1",
				"No more messages or new recipients today, try again tomorrow" },
	[REPLY_OVER_QUOTA] = { "452", "4.2.2", "Mailbox full" },
	[REPLY_TOO_MANY_RECIPIENTS] = { "452", "4.5.3", "Too many recipients" },
	[REPLY_TOO_LARGE] = { "552", "5.3.4", "Message size exceeds fixed maximum message size" },
	[REPLY_CONTENT_BARE] = { "554", "5.6.0", "CR or LF outside of a line end in the message",
				 COUNTS },
	[REPLY_TOO_MANY_HOPS] = { "554", "5.4.6", "Too many hops, the message is in a loop" },
	[REPLY_STORE_FULL] = { "452", "4.3.1", "Insufficient system storage" },
	[REPLY_TRY_AGAIN] = { "451", "4.3.0", "Local error in processing, try again later" },
	[REPLY_TOKEN_GONE] = { "451", "4.7.0", "Authentication has expired, connect again" },

	/* Section 4.3.1: a client waits for the greeting; section 3.1 has 554 in its place. */
	[REPLY_SPOKE_FIRST] = { "554", "5.5.1", "You spoke before the greeting",
				COUNTS | NAMES_HOST },
	[REPLY_HELO_NOT_FULL] = { "550", "5.7.1", "Say your full name or your address", COUNTS },
	[REPLY_HELO_IS_OURS] = { "550", "5.7.1", "That name is this server's", COUNTS },
	[REPLY_SENDER_UNRESOLVED] = { "450", "4.1.8",
				      "The domain of the sender address does not exist in DNS; try "
				      "again when it does" },
	/* RFC 7505 section 4.2 */
	[REPLY_SENDER_TAKES_NONE] = { "550", "5.7.27",
				      "The domain of the sender address takes no mail" },
	[REPLY_CLIENT_LISTED] = { "554", "5.7.1", "Mail from you is not taken here:" },
	[REPLY_TOO_SLOW] = { "421", "4.4.2", "Too slow, closing connection", NAMES_HOST },
	[REPLY_TOO_MANY_MESSAGES] = { "450", "4.7.1",
				      "Too many messages from your address, try again later" },
	[REPLY_TOO_MANY_UNKNOWN] = { "450", "4.7.1",
				     "Too many unknown recipients from your address, try again "
				     "later" },
	[REPLY_TOO_FAST] = { "421", "4.7.0", "Too many commands from your address, try again later",
			     NAMES_HOST },
	[REPLY_TOO_MANY_ERRORS] = { "421", "4.7.0", "Too many errors, closing connection",
				    NAMES_HOST | NOTED },
	[REPLY_TOO_MANY_SIGN_INS] = { "421", "4.7.0",
				      "Too many failed attempts, closing connection",
				      NAMES_HOST | NOTED },
	[REPLY_TIMEOUT] = { "421", "4.4.2", "Timeout, closing connection", NAMES_HOST | NOTED },
	[REPLY_SHUTDOWN] = { "421", "4.3.2", "Service shutting down, closing connection",
			     NAMES_HOST | NOTED },
};

static void say(struct smtp_session *s, enum smtp_reply_name name, struct slice detail)
{
	assert(name > REPLY_NONE && name < REPLY_COUNT);
	const struct reply *reply = &replies[name];
	struct buffer *out = &s->session.out;

	buffer_add_cstr(out, reply->code);
	buffer_add_byte(out, ' ');
	if (reply->enhanced) {
		buffer_add_cstr(out, reply->enhanced);
		buffer_add_byte(out, ' ');
	}
	if (reply->flags & NAMES_HOST) {
		buffer_add_cstr(out, s->front->config->hostname);
		buffer_add_byte(out, ' ');
	}
	buffer_add_cstr(out, reply->text);
	if (detail.len > 0) {
		buffer_add_byte(out, ' ');
		buffer_add(out, detail);
	}
	buffer_add_cstr(out, "\r\n");
	if (reply->flags & COUNTS)
		s->errors++;
	/* Beyond what its address may have in an hour, this one ends the connection. */
	if (reply->flags & COUNTS && !smtp_allows(s, LIMIT_ERRORS))
		s->errors = s->front->config->protocol_errors;
}

void smtp_say(struct smtp_session *s, enum smtp_reply_name name)
{
	say(s, name, SLICE_NONE);
}

void smtp_reply_about(struct smtp_session *s, enum smtp_reply_name name, struct slice detail)
{
	size_t at = s->session.out.len;

	say(s, name, detail);
	if (replies[name].code[0] >= '4' && !(replies[name].flags & NOTED))
		smtp_note_refusal(s, slice_sub(buffer_slice(&s->session.out), at, SIZE_MAX));
}

void smtp_reply(struct smtp_session *s, enum smtp_reply_name name)
{
	smtp_reply_about(s, name, SLICE_NONE);
}

unsigned smtp_reply_code(enum smtp_reply_name name)
{
	assert(name > REPLY_NONE && name < REPLY_COUNT);
	const char *code = replies[name].code;
	return (unsigned)(100 * (code[0] - '0') + 10 * (code[1] - '0') + (code[2] - '0'));
}

enum smtp_reply_name smtp_reply_of_filing(enum err outcome)
{
	switch (outcome) {
	case ERR_OK: return REPLY_OK;
	case ERR_LIMIT: return REPLY_TOO_LARGE;
	case ERR_QUOTA: return REPLY_OVER_QUOTA;
	case ERR_LOOP: return REPLY_TOO_MANY_HOPS;
	case ERR_RATE: return REPLY_DAILY_LIMIT;
	case ERR_BAD_INPUT: return REPLY_FROM_NOT_YOURS;
	case ERR_DENIED: return REPLY_TOKEN_GONE;
	case ERR_FULL: return REPLY_STORE_FULL;
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_BUSY:
	case ERR_GONE:
	case ERR_DAMAGED:
	case ERR_UNAVAILABLE:
	case ERR_REFUSED:
	case ERR_CANCELLED:
	case ERR_LINE_END: /* the front has looked itself */
	case ERR_DISK:
	case ERR_VERSION: break;
	}
	return REPLY_TRY_AGAIN;
}

enum smtp_reply_name smtp_reply_of_verdict(enum recipient_verdict verdict)
{
	switch (verdict) {
	case RECIPIENT_OK:
	case RECIPIENT_OK_NEW: return REPLY_RCPT_OK;
	case RECIPIENT_UNKNOWN: return REPLY_RCPT_UNKNOWN;
	case RECIPIENT_RELAY_DENIED: return REPLY_RCPT_RELAY_DENIED;
	case RECIPIENT_SENDER_DENIED: return REPLY_RCPT_NOT_YOURS;
	case RECIPIENT_POST_DENIED: return REPLY_RCPT_POST_DENIED;
	case RECIPIENT_SUPPRESSED: return REPLY_RCPT_SUPPRESSED;
	case RECIPIENT_DAILY_LIMIT: return REPLY_DAILY_LIMIT;
	case RECIPIENT_OVER_QUOTA: return REPLY_OVER_QUOTA;
	case RECIPIENT_TEMPORARY:
	case RECIPIENT_VERDICT_COUNT: break;
	}
	return REPLY_TRY_AGAIN;
}
