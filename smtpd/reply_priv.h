/* smtpd/reply_priv.h - every reply with a fixed text, by what has happened. */
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "runtime/messages.h"

struct smtp_session;

enum smtp_reply_name {
	REPLY_NONE,
	REPLY_OK,
	REPLY_MAIL_OK,
	REPLY_RCPT_OK,
	REPLY_SEND_DATA,
	REPLY_GOODBYE,
	REPLY_START_TLS,
	REPLY_SIGNED_IN,
	REPLY_CANNOT_VERIFY,

	REPLY_UNKNOWN_COMMAND,
	REPLY_NOT_IMPLEMENTED,
	REPLY_LINE_TOO_LONG,
	REPLY_COMMAND_BARE,
	REPLY_BAD_SEQUENCE,
	REPLY_HELO_FIRST,
	REPLY_LHLO_FIRST,
	REPLY_NEEDS_ARGUMENT,
	REPLY_NO_ARGUMENT,
	REPLY_BAD_ARGUMENT,
	REPLY_BAD_HELO,
	REPLY_BAD_REVERSE_PATH,
	REPLY_BAD_FORWARD_PATH,
	REPLY_UNKNOWN_PARAMETER,
	REPLY_BAD_CHUNK_SIZE,
	REPLY_BINARY_NEEDS_BDAT,
	REPLY_NO_HELP,

	REPLY_NO_TLS,
	REPLY_TLS_ACTIVE,
	REPLY_SIGN_IN_FIRST,
	REPLY_NO_SIGN_IN,
	REPLY_SIGN_IN_NEEDS_TLS,
	REPLY_SIGNED_IN_ALREADY,
	REPLY_UNKNOWN_MECHANISM,
	REPLY_SASL_CANCELLED,
	REPLY_SASL_MALFORMED,
	REPLY_SASL_LINE_TOO_LONG,
	REPLY_SIGN_IN_DENIED,
	REPLY_SIGN_IN_LATER,
	REPLY_SIGN_IN_FAILED,

	REPLY_SENDER_NOT_ASCII,
	REPLY_RCPT_NOT_ASCII,
	REPLY_RCPT_UNKNOWN,
	REPLY_RCPT_RELAY_DENIED,
	REPLY_RCPT_NOT_YOURS,
	REPLY_RCPT_POST_DENIED,
	REPLY_RCPT_SUPPRESSED,
	REPLY_FROM_NOT_YOURS,
	REPLY_DAILY_LIMIT,
	REPLY_OVER_QUOTA,
	REPLY_TOO_MANY_RECIPIENTS,
	REPLY_TOO_LARGE,
	REPLY_CONTENT_BARE,
	REPLY_TOO_MANY_HOPS,
	REPLY_STORE_FULL,
	REPLY_TRY_AGAIN,
	REPLY_TOKEN_GONE,

	REPLY_SPOKE_FIRST,
	REPLY_HELO_NOT_FULL,
	REPLY_HELO_IS_OURS,
	REPLY_SENDER_UNRESOLVED,
	REPLY_SENDER_TAKES_NONE,
	REPLY_CLIENT_LISTED,
	REPLY_TOO_SLOW,
	REPLY_TOO_MANY_MESSAGES,
	REPLY_TOO_MANY_UNKNOWN,
	REPLY_TOO_FAST,
	REPLY_TOO_MANY_ERRORS,
	REPLY_TOO_MANY_SIGN_INS,
	REPLY_TIMEOUT,
	REPLY_SHUTDOWN,
	REPLY_COUNT,
};

/* Queues the reply; one that is the client's mistake is counted, and a refusal is told to the
 * journal. */
void smtp_reply(struct smtp_session *s, enum smtp_reply_name name);
/* With `detail` behind its text, printable. */
void smtp_reply_about(struct smtp_session *s, enum smtp_reply_name name, struct slice detail);
/* The same without a word to the journal. */
void smtp_say(struct smtp_session *s, enum smtp_reply_name name);
/* The code alone: for the log. */
unsigned smtp_reply_code(enum smtp_reply_name name);

/* What became of a message or of a recipient, in SMTP's words. */
enum smtp_reply_name smtp_reply_of_filing(enum err outcome);
enum smtp_reply_name smtp_reply_of_verdict(enum recipient_verdict verdict);
