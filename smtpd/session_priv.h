/* smtpd/session_priv.h - an SMTP session: its state, and what the files of this room give each
 * other. Runs in the front, on one loop. */
#pragma once

#include "auth/sasl.h"
#include "base/arena.h"
#include "base/line.h"
#include "runtime/front.h"
#include "runtime/session.h"
#include "smtpd/arrival_priv.h"
#include "smtpd/content_priv.h"
#include "smtpd/parameters_priv.h"
#include "smtpd/reply_priv.h"

/* Bits, so that the command table can say where a verb is allowed. */
enum smtp_state {
	SMTP_NEW = 1,	     /* connected; our greeting comes first */
	SMTP_FRESH = 2,	     /* greeted; or after STARTTLS, starting over */
	SMTP_READY = 4,	     /* the client has said who it is; no transaction */
	SMTP_MAIL = 8,	     /* a reverse-path, no recipient yet */
	SMTP_RCPT = 16,	     /* at least one recipient */
	SMTP_DATA = 32,	     /* message content */
	SMTP_SASL = 64,	     /* within AUTH: a response is due */
	SMTP_SECURING = 128, /* STARTTLS was answered; waits for the handshake */
	SMTP_CLOSED = 256,
	SMTP_BDAT = 512,   /* a chunk has come, and was not the last */
	SMTP_CHUNK = 1024, /* the octets of a chunk */
	SMTP_ANY = SMTP_FRESH | SMTP_READY | SMTP_MAIL | SMTP_RCPT | SMTP_BDAT,
};

enum {
	/* RFC 5321 section 4.5.3.1.4 asks for 512 and more for each extension's parameters. */
	COMMAND_MAX_OCTETS = 2048,
	SASL_LINE_MAX_OCTETS = 12288, /* RFC 4954 section 4 */
	/* So that the envelope fits into one message to the back: 1000 recipients, the default of
	 * [limits] recipients, with the longest paths and parameters. */
	RECIPIENTS_MAX_OCTETS = 800 * 1024,
};

/* From MAIL until its final reply. */
struct smtp_transaction {
	struct arena arena;
	struct envelope envelope; /* its recipients are below */
	struct buffer recipients; /* encoded */
	uint32_t new_count;	  /* of them, to whom the account has never written */
	uint64_t size_max_octets; /* the limit as of MAIL */

	/* While content flows. */
	struct smtp_content content;
	struct buffer gathered;	      /* small runs on their way to the back */
	uint32_t window_octets;	      /* what the back will take before its next credit */
	enum smtp_reply_name refusal; /* REPLY_NONE, or what the end of the data will get */
	bool is_begun;		      /* the first octet of content has come */
	bool is_open;		      /* the back holds it: answered() will be called */
	struct buffer outcomes;	      /* LMTP: an enum err of each recipient, or nothing */
	bool is_noted;		      /* the back has told the journal how it ended */
	bool is_committing;	      /* the last octet has gone, answered() is the verdict */
	bool waits_for_credit;	      /* the job that is out */
};

/* Of BDAT, while its octets come. */
struct smtp_chunk {
	uint64_t size_octets, left_octets;
	bool is_last;
	enum smtp_reply_name refusal; /* REPLY_NONE: it is part of the transaction's message */
	enum smtp_state state_before;
};

/* Of MAIL, while DNS is asked about the domain of its address. */
struct smtp_sender {
	struct dns_question question;
	enum dns_type asked;
	struct slice domain;
	enum smtp_reply_name refusal; /* REPLY_NONE: nothing is wrong with it */
};

/* How fast input comes. */
struct smtp_pace {
	uint64_t since_ms; /* 0: nothing is measured */
	uint64_t octets;   /* taken since then */
	bool is_content;   /* of a message; else of an unfinished line */
};

struct smtp_session {
	struct session session; /* first: the binder sees only this */
	struct front *front;
	enum config_service service;
	enum smtp_state state;
	struct client_info client;
	struct peer connected_peer; /* that of client, until XCLIENT says who that is */
	const char *closed_why;	    /* for the log */
	char *client_name;	    /* what EHLO or HELO said; NULL before */
	bool is_extended;	    /* it said EHLO */
	struct line_reader line;
	unsigned errors; /* since the last message that was accepted */
	unsigned failed_logins;
	uint32_t transactions;	      /* begun on this connection: the trace header's id */
	uint32_t accepted;	      /* messages */
	struct token token;	      /* set: signed in */
	bool hides_client;	      /* then: the trace header does not tell where from */
	bool has_arrived;	      /* the first thing of all was done */
	struct smtp_arrival *arrival; /* NULL: nothing is asked about this client */
	struct smtp_sender sender;
	struct smtp_pace pace;

	struct arena command_arena;
	struct smtp_transaction transaction;
	struct smtp_chunk chunk;
	struct sasl sasl;
	struct arena secret_arena; /* of the SASL exchange; wiped after it */

	/* The job: a question to the back, or waiting for its credit. */
	struct question question;
	enum step (*resume)(struct smtp_session *s); /* goes on when the job has come home */
	struct buffer held_out;			     /* replies that wait for the rest of a group */
	struct buffer asked_recipient;		     /* of RCPT, encoded */
	struct slice verb; /* of the command under way, for the journal; a constant */
	enum recipient_verdict verdict;
	enum err outcome; /* of AUTH or of the transaction */
	uint64_t message_id;
};

static inline struct smtp_session *smtp_of(struct session *session)
{
	return CONTAINER_OF(session, struct smtp_session, session);
}

/* session.c */
struct smtp_session *smtp_session_new(struct front *front, enum config_service service,
				      const struct peer *peer, bool secure);
void smtp_set_state(struct smtp_session *s, enum smtp_state state);
/* Forgets the transaction, here and in the back; the session is ready for the next. */
void smtp_reset(struct smtp_session *s);
/* The last reply is queued: closes after it. `why` is a word for the log. */
enum step smtp_close(struct smtp_session *s, const char *why);
/* A job is out: `resume` goes on after session_job_end(). */
enum step smtp_wait(struct smtp_session *s, enum step (*resume)(struct smtp_session *s));
/* Is mail submitted here, by users, rather than received from strangers? */
bool smtp_is_submission(const struct smtp_session *s);
/* LMTP (RFC 2033): each recipient of a message gets an answer of its own. */
bool smtp_is_lmtp(const struct smtp_session *s);
bool smtp_is_signed_in(const struct smtp_session *s);
/* Takes one of what the client's address may have; who has signed in has no such limit. */
bool smtp_allows(struct smtp_session *s, enum limit what);

/* extensions.c: in the order of EHLO's answer. */
enum smtp_extension {
	SMTP_PIPELINING,
	SMTP_8BITMIME,
	SMTP_SMTPUTF8,
	SMTP_CHUNKING,
	SMTP_BINARYMIME,
	SMTP_ENHANCEDSTATUSCODES,
	SMTP_SIZE,
	SMTP_DSN,
	SMTP_FUTURERELEASE,
	SMTP_DELIVERBY,
	SMTP_MT_PRIORITY,
	SMTP_LIMITS,
	SMTP_REQUIRETLS,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_XCLIENT,
	SMTP_EXTENSION_COUNT,
};
bool smtp_offers(const struct smtp_session *s, enum smtp_extension extension);
/* The lines of EHLO's answer between the first and the last. */
void smtp_announce(const struct smtp_session *s, struct buffer *out);

/* note.c: what the journal is told. `reply` is the line as it is sent. */
void smtp_note_refusal(struct smtp_session *s, struct slice reply);
/* The connection is over. */
void smtp_note_end(struct smtp_session *s);

/* commands.c */
enum step smtp_dispatch(struct smtp_session *s, struct slice line);

/* One file per verb family; `args` is what follows the verb and its space, without trailing
 * blanks. */
enum step smtp_greet(struct smtp_session *s); /* hello.c */
enum step smtp_helo(struct smtp_session *s, struct cursor *args);
enum step smtp_ehlo(struct smtp_session *s, struct cursor *args);
enum step smtp_mail(struct smtp_session *s, struct cursor *args); /* mail.c */
enum step smtp_rcpt(struct smtp_session *s, struct cursor *args);
enum step smtp_data(struct smtp_session *s, struct cursor *args); /* data.c */
enum step smtp_take_content(struct smtp_session *s, struct cursor *in);
enum step smtp_bdat(struct smtp_session *s, struct cursor *args); /* bdat.c */
/* BDAT where it may not be: its chunk is read, and then refused. */
enum step smtp_bdat_refused(struct smtp_session *s, struct cursor *args,
			    enum smtp_reply_name refusal);
enum step smtp_take_chunk(struct smtp_session *s, struct cursor *in);
enum step smtp_starttls(struct smtp_session *s, struct cursor *args); /* starttls.c */
enum step smtp_secured(struct smtp_session *s);
enum step smtp_xclient(struct smtp_session *s, struct cursor *args); /* xclient.c */
/* Is it one that may say on whose behalf it speaks? */
bool smtp_may_claim(const struct smtp_session *s);
bool smtp_may_start_tls(const struct smtp_session *s);
enum step smtp_auth(struct smtp_session *s, struct cursor *args); /* auth.c */
enum step smtp_take_sasl(struct smtp_session *s, struct cursor *in);
void smtp_sign_out(struct smtp_session *s);
/* Is AUTH offered on this service, and may a password travel on this connection? */
bool smtp_may_sign_in(const struct smtp_session *s);

/* The message on its way to the back (transfer.c). */
/* Passes on what it can of `in`: all of it, or up to CONTENT_END; else a job is out (STEP_WAIT). */
enum step smtp_transfer_take(struct smtp_session *s, struct cursor *in,
			     enum content_event *event_out);
/* Refuses the message where what has come is reason enough: the rest of it is then thrown away. */
void smtp_transfer_check(struct smtp_session *s);
/* What was gathered goes out, before more is waited for. */
void smtp_transfer_flush(struct smtp_session *s);
/* The whole message has come: commits it, or tells why not. */
enum step smtp_transfer_finish(struct smtp_session *s);
void smtp_transaction_abandon(struct smtp_session *s);

/* Asks DNS about the domain of MAIL's address (sender.c); `sender.refusal` is the answer when the
 * job comes home. False: there is nothing to ask, no job is out. */
bool smtp_sender_ask(struct smtp_session *s, struct slice domain);

/* pace.c: before and after each piece of input. */
bool smtp_is_too_slow(const struct smtp_session *s);
void smtp_pace_note(struct smtp_session *s, size_t taken_octets, size_t left_octets);

/* Parameters of MAIL and RCPT (parameters.c). */
/* Takes them to the end of the line. REPLY_NONE, or the reply that refuses them. */
enum smtp_reply_name take_mail_parameters(const struct smtp_session *s, struct cursor *args,
					  struct arena *arena,
					  struct mail_parameters *parameters_out);
/* All but the path. */
enum smtp_reply_name take_rcpt_parameters(const struct smtp_session *s, struct cursor *args,
					  struct arena *arena,
					  struct envelope_recipient *recipient_out);
