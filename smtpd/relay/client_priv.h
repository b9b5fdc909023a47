/* smtpd/relay/client_priv.h - the core of the sending client: one connection to a server, and one
 * transaction on it at a time. Does no I/O: octets go in, commands and one wish come out. */
#pragma once

#include "base/arena.h"
#include "base/log.h"
#include "runtime/delivery.h"
#include "smtpd/relay/reply_priv.h"

enum client_state {
	CLIENT_GREETING, /* nothing was heard yet */
	CLIENT_EHLO,	 /* or LHLO */
	CLIENT_HELO,	 /* EHLO was refused */
	CLIENT_STARTTLS,
	CLIENT_SECURING, /* the handshake is under way */
	CLIENT_AUTH,
	CLIENT_READY, /* nothing is under way */
	CLIENT_FORM,  /* a transaction is, of which the server has heard nothing yet */
	CLIENT_ENVELOPE,
	CLIENT_GO, /* DATA was said, alone */
	CLIENT_CONTENT,
	CLIENT_END,   /* the content has gone out; its reply decides */
	CLIENT_RESET, /* RSET after a transaction that came to nothing */
	CLIENT_QUIT,
	CLIENT_OVER, /* no further word */
};

enum client_wish {
	CLIENT_WANTS_INPUT,
	CLIENT_WANTS_TLS, /* send what is in `out`, then secure the stream, then client_secured() */
	CLIENT_IS_READY,  /* client_begin() may come */
	CLIENT_WANTS_FORM,    /* the content as client_form() has it, then client_formed() */
	CLIENT_WANTS_CONTENT, /* client_content() may come; also while it goes on */
	CLIENT_HAS_RESULT,    /* the transaction is over: `results`; then client_next() */
	CLIENT_IS_OVER,	      /* close; where a transaction was under way, its results are there */
};

enum client_tls { CLIENT_TLS_NONE, CLIENT_TLS_MAY, CLIENT_TLS_MUST };

struct client_options {
	const char *hostname;
	bool is_lmtp;
	enum client_tls tls;
	bool is_secure; /* TLS from the start */
	/* NULL: without signing in. The password is wiped by its owner. */
	const char *user, *password;
};

enum {
	FEATURE_STARTTLS = 1 << 0,
	FEATURE_PIPELINING = 1 << 1,
	FEATURE_CHUNKING = 1 << 2,
	FEATURE_8BITMIME = 1 << 3,
	FEATURE_BINARYMIME = 1 << 4,
	FEATURE_SMTPUTF8 = 1 << 5,
	FEATURE_DSN = 1 << 6,
	FEATURE_SIZE = 1 << 7,
	FEATURE_ENHANCED = 1 << 8,
	FEATURE_PRIORITY = 1 << 9,
	FEATURE_AUTH_PLAIN = 1 << 10,
	FEATURE_AUTH_LOGIN = 1 << 11,
	FEATURE_AUTH_SCRAM = 1 << 12,
	FEATURE_DELIVERBY = 1 << 13,
	FEATURE_REQUIRETLS = 1 << 14,
};

struct scram_client;

struct client {
	struct client_options options;
	struct log *log; /* the connection's */
	enum client_state state;
	uint64_t steps; /* whole replies that came, and pieces of content that went */
	struct reply_reader reader;
	struct buffer out;
	uint32_t features;
	uint64_t size_max_octets; /* with FEATURE_SIZE; 0: no limit told */
	uint32_t by_min_seconds;  /* with FEATURE_DELIVERBY: the shortest time it agrees to */
	bool is_secure;
	bool is_proven; /* and the server is the one that was meant; set by who has checked that */
	bool is_signed_in;
	bool was_greeted; /* the server has said that it serves */
	bool lacks_tls;	  /* and ended it, since TLS is demanded: not offered, or refused */
	struct scram_client *scram;
	unsigned auth_step;

	struct buffer trouble; /* why it ended, in words */

	/* The transaction. */
	struct arena arena;
	struct delivery_message delivery;
	struct envelope_recipient *recipients;
	struct delivered_recipient *results; /* as many as recipients */
	size_t recipient_count, accepted_count;
	size_t ask_count; /* of recipients that may be asked for, the first */
	size_t asked;	  /* RCPTs that were sent */
	size_t answered;  /* replies to MAIL, the RCPTs and DATA that came */
	size_t lmtp_at;	  /* LMTP: whose reply comes next after the content */
	bool is_busy;	  /* a transaction is under way */
	bool heard;	  /* any reply in this transaction */
	bool mail_refused, uses_bdat, data_asked;
	bool is_uncertain; /* it ended between the content's end and the reply */
	bool is_down;	   /* the trouble is the server's, not this message's */
	bool must_reset;
	bool has_surplus;	 /* more has come than was asked for */
	uint64_t content_octets; /* that were given to the server */
	uint8_t line_state;	 /* of the dot-stuffing */
};

void client_init(struct client *client, const struct client_options *options, struct log *log);
void client_fini(struct client *client);
enum client_wish client_feed(struct client *client, struct cursor *in);
/* After CLIENT_WANTS_TLS. */
enum client_wish client_secured(struct client *client);
/* Whether it may be sent here, as far as REQUIRETLS goes (RFC 8689 section 4.2.1). In CLIENT_READY.
 * If not, `status_out` and the words say why. NULL: it may. */
const char *client_lacks_tls(const struct client *client, const struct delivery_message *delivery,
			     const char **status_out);
/* In CLIENT_READY. The message is copied. `form_comes`: it is being converted already, for a server that
 * has gone; this one waits for client_formed(), too. */
enum client_wish client_begin(struct client *client, const struct delivery_message *delivery,
			      bool form_comes);
/* The most that the server takes, binary content or 8 bits or neither. */
enum envelope_body client_form(const struct client *client);
/* After CLIENT_WANTS_FORM: the form that the message has now, and its size. CLIENT_WANTS_FORM again where that
 * is still more than the server takes, as after an answer to what another server needed. */
enum client_wish client_formed(struct client *client, const struct delivery_message *delivery);
/* Octets of the message, in order; all of size_octets, then it ends by itself. */
enum client_wish client_content(struct client *client, struct slice octets);
/* In CLIENT_ENVELOPE: time is over for recipients that the server was not asked for yet. They are for later;
 * what it was asked it may answer still, and those whom it takes get the message. */
enum client_wish client_ask_no_more(struct client *client);
/* The transaction's result was taken. */
enum client_wish client_next(struct client *client);
/* QUIT, in CLIENT_READY. */
void client_quit(struct client *client);
/* The connection is gone, or is not to be waited for any longer: `why` in words. */
void client_abandon(struct client *client, const char *why);
/* How long the server may take for what is under way (RFC 5321 section 4.5.3.2), from when it began
 * or from the last of client->steps. */
uint64_t client_timeout_ms(const struct client *client);

/* ---- inside ---- */

/* client_mail.c: the transaction's part of client_feed() and its results. */
enum client_wish client_mail_reply(struct client *client, const struct reply *reply);
/* All recipients that have no result yet. */
void client_fail_rest(struct client *client, enum delivery_verdict verdict, uint16_t code,
		      const char *status, struct slice words);
enum client_wish client_close(struct client *client, const char *why, const struct reply *reply);
/* sign_in.c: AUTH. */
enum client_wish client_auth_begin(struct client *client);
enum client_wish client_auth_reply(struct client *client, const struct reply *reply);
enum client_wish client_set_ready(struct client *client);
