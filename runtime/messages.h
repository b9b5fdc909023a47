/* runtime/messages.h - everything that front and back say to each other. One list.
 *
 * The back does not trust the front: decoding checks every bound, and a message that does
 * not decode ends the channel. Slices point into the payload. Encoders append to `out`.
 * Every question carries a conversation number, its answer the same. */
#pragma once

#include "base/buffer.h"
#include "base/config.h"
#include "base/err.h"
#include "runtime/envelope.h"
#include "runtime/peer.h"

enum message_type {
	/* front -> back                      answered by */
	MESSAGE_AUTHENTICATE = 1, /* MESSAGE_AUTHENTICATED */
	MESSAGE_SESSION, /* the session speaks on its own socket (fd); MESSAGE_SIGNED_OUT, if ever */
	MESSAGE_FORGET_TOKEN, /* nothing; the SMTP connection with this token is over */
	MESSAGE_RECIPIENT,    /* MESSAGE_RECIPIENT_VERDICT */
	MESSAGE_TRANSACTION,  /* nothing: opens conversation N as a transaction */
	MESSAGE_CONTENT,      /* MESSAGE_CREDIT, from time to time */
	MESSAGE_COMMIT,	      /* MESSAGE_FILED */
	MESSAGE_ABANDON,      /* nothing: the transaction is forgotten */
	MESSAGE_EVENT, /* nothing: what happened (runtime/journal_event.h), for the journal */
	MESSAGE_DELIVERY_CREDIT, /* nothing: be32, octets of a message that leaves were dealt with */
	MESSAGE_DELIVERED,	 /* nothing: what came of a delivery (runtime/delivery.h) */
	MESSAGE_POLICY,		 /* nothing: a domain's policy was fetched (runtime/delivery.h) */
	MESSAGE_TLS_RESULT,	 /* nothing: how a connection was secured (runtime/tls_result.h) */
	MESSAGE_FORM_WANTED,	 /* MESSAGE_DELIVERY_FORM: its content in a lesser form */
	MESSAGE_REPORTED,	 /* nothing: what came of a report (runtime/report_message.h) */
	MESSAGE_DELIVERY_ANSWERED, /* nothing: a recipient of a probe was taken (runtime/delivery.h) */
	/* back -> front */
	MESSAGE_AUTHENTICATED = 100,
	MESSAGE_RECIPIENT_VERDICT,
	MESSAGE_CREDIT,
	MESSAGE_FILED,
	MESSAGE_DELIVER,	  /* MESSAGE_DELIVERED; runtime/delivery.h */
	MESSAGE_DELIVERY_CONTENT, /* MESSAGE_DELIVERY_CREDIT, from time to time */
	MESSAGE_KNOWN_CLIENTS,	  /* nothing: runtime/known_clients.h */
	MESSAGE_SIGNED_OUT,	  /* nothing: the client is the front's again; runtime/way_back.h */
	MESSAGE_DELIVERY_FORM,	  /* nothing: runtime/delivery.h */
	MESSAGE_REPORT,		  /* MESSAGE_REPORTED; runtime/report_message.h */
};

enum { TOKEN_OCTETS = 16 };
/* Issued by the back at sign-in; proves to the back that this front was told the password.
 * All zero: nobody is signed in. */
struct token {
	uint8_t octets[TOKEN_OCTETS];
};
bool token_is_set(const struct token *token);

enum mail_protocol { PROTOCOL_SMTP, PROTOCOL_IMAP, PROTOCOL_POP3 };

/* Who is asking: enough for the log, the throttle and the trace header. */
struct client_info {
	struct peer peer;
	bool secure;	  /* TLS */
	uint32_t conn_id; /* conn=smtp-4f2a in both processes' logs */
};

struct authenticate_message {
	struct client_info client;
	enum mail_protocol protocol;
	struct slice authorize_as; /* SASL authzid, may be empty */
	struct slice login;	   /* at most 255 octets */
	struct slice password;	   /* at most 1024 octets; wipe the buffers it passes through */
};
void authenticate_encode(const struct authenticate_message *m, struct buffer *out);
bool authenticate_decode(struct slice payload, struct authenticate_message *m_out);

struct authenticated_message {
	enum err outcome; /* ERR_OK, ERR_DENIED, ERR_BUSY (throttled), or a failure of ours */
	struct token token;
	bool hides_client; /* mail that is submitted shall not tell where from */
};
void authenticated_encode(const struct authenticated_message *m, struct buffer *out);
bool authenticated_decode(struct slice payload, struct authenticated_message *m_out);

/* Carries one end of a socket pair. The back answers the client's sign-in command itself on
 * that socket (IMAP: with `tag`), then serves it. The token is spent by this. */
struct session_message {
	struct client_info client;
	enum mail_protocol protocol;
	struct token token;
	struct slice tag; /* IMAP: the tag of LOGIN or AUTHENTICATE (runtime/sign_in_limits.h) */
	uint8_t language; /* IMAP: enum language of imapd/, which checks its bounds */
};
void session_message_encode(const struct session_message *m, struct buffer *out);
bool session_message_decode(struct slice payload, struct session_message *m_out);

/* forget-token: the token alone. */
void forget_token_encode(const struct token *token, struct buffer *out);
bool forget_token_decode(struct slice payload, struct token *token_out);

/* RCPT: may mail from `reverse_path` go to `forward_path`? Paths without angle brackets and
 * source routes, at most ENVELOPE_PATH_MAX_OCTETS each. */
struct recipient_message {
	struct token token;
	struct slice reverse_path; /* empty: the null sender */
	struct slice forward_path;
	uint32_t new_count; /* recipients before it in the transaction that were RECIPIENT_OK_NEW */
};
void recipient_encode(const struct recipient_message *m, struct buffer *out);
bool recipient_decode(struct slice payload, struct recipient_message *m_out);

enum recipient_verdict {
	RECIPIENT_OK,		 /* 250 2.1.5 */
	RECIPIENT_OK_NEW,	 /* likewise; the account has never written to it */
	RECIPIENT_UNKNOWN,	 /* 550 5.1.1 no such mailbox here */
	RECIPIENT_RELAY_DENIED,	 /* 550 5.7.1 not local, and nobody is signed in */
	RECIPIENT_SENDER_DENIED, /* 550 5.7.1 signed in, but reverse_path is somebody else's here */
	RECIPIENT_POST_DENIED,	 /* 550 5.7.2 a list, to which this sender may not post */
	RECIPIENT_SUPPRESSED,	 /* 550 5.1.1 signed in, and it came back from there before */
	RECIPIENT_DAILY_LIMIT,	 /* 451 4.7.1 signed in, and no more today */
	RECIPIENT_OVER_QUOTA,	 /* 452 4.2.2 */
	RECIPIENT_TEMPORARY,	 /* 451 4.3.0 the store failed; try again */
	RECIPIENT_VERDICT_COUNT,
};
void recipient_verdict_encode(enum recipient_verdict verdict, struct buffer *out);
bool recipient_verdict_decode(struct slice payload, enum recipient_verdict *verdict_out);

/* A message is about to come. Its recipients were asked about with RCPT before, and are looked
 * up again by the back. */
struct transaction_message {
	struct client_info client;
	enum config_service service;
	struct slice client_name; /* what EHLO or HELO said; at most 255 octets */
	struct token token;
	struct envelope envelope;
};
/* With the envelope's recipients. */
void transaction_encode(const struct transaction_message *m, struct buffer *out);
bool transaction_decode(struct slice payload, struct transaction_message *m_out);

/* MESSAGE_CONTENT's payload is octets of the message, trace headers first. The front may have
 * CONTENT_WINDOW_OCTETS of one transaction on the way without a credit; each credit is a be32
 * count of octets that the back has dealt with. So a transaction never holds more memory. */
enum { CONTENT_WINDOW_OCTETS = 256 * 1024, CONTENT_FRAME_OCTETS = 64 * 1024 };

void credit_encode(uint32_t octets, struct buffer *out);
bool credit_decode(struct slice payload, uint32_t *octets_out);

struct filed_message {
	enum err outcome;    /* ERR_OK: on disk, for every recipient (RFC 5321 section 6.1) */
	uint64_t message_id; /* the blob's id: msg= in the log and in the 250 reply */
	/* LMTP (RFC 2033 section 4.2): an octet for each recipient, an enum err. Empty: the outcome is
	 * that of all. */
	struct slice outcomes;
};
void filed_encode(const struct filed_message *m, struct buffer *out);
bool filed_decode(struct slice payload, struct filed_message *m_out);
