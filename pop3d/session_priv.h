/* pop3d/session_priv.h - a signed-in POP3 session: its state, and what the files of this room
 * give each other. Runs in the back, on one loop. */
#pragma once

#include "base/line.h"
#include "pop3d/maildrop_priv.h"
#include "pop3d/reply_priv.h"
#include "pop3d/stuffing_priv.h"
#include "runtime/messages.h"
#include "storage/back.h"

enum pop3_state {
	POP3_OPENING,	  /* the sign-in command still waits for its reply */
	POP3_TRANSACTION, /* a command is due */
	POP3_ANSWERING,	  /* a multi-line response is under way: s->answer goes on with it */
	POP3_UPDATE,	  /* QUIT: the deletions are with the writer */
	POP3_CLOSED,
};

struct pop3_session {
	struct session session; /* first: the binder sees only this */
	struct back *back;
	uint32_t account_id;
	struct client_info client;
	enum pop3_state state;
	const char *closed_why; /* for the log */
	struct line_reader line;
	unsigned errors;

	struct maildrop_lock lock;
	struct maildrop drop;
	struct watch watch; /* of the account: is it still there? */

	/* The multi-line response under way. Adds to session.out until that is full or there is
	 * no more; STEP_AGAIN then. */
	enum step (*answer)(struct pop3_session *s);
	uint32_t next_number; /* LIST, UIDL */
	struct {	      /* RETR, TOP */
		uint64_t blob_id, offset, size_octets;
		struct stuffing stuffing;
	} body;

	struct { /* QUIT */
		struct job job;
		struct ranges uids, expunged;
	} update;

	uint32_t retrieved; /* messages, for the log */
	uint64_t retrieved_octets;
};

static inline struct pop3_session *pop3_of(struct session *session)
{
	return CONTAINER_OF(session, struct pop3_session, session);
}

/* session.c. The core for a stream, a test or a fuzzer to drive; the first feed() opens the
 * maildrop and answers the sign-in command. Slices of `message` are copied. */
struct session *pop3_session_new(struct back *back, const struct session_message *message,
				 uint32_t account_id);
void pop3_set_state(struct pop3_session *s, enum pop3_state state);
/* The last reply is queued: closes after it. `why` is a word for the log. */
enum step pop3_close(struct pop3_session *s, const char *why);
/* A command that makes no sense: counts towards the limit of protocol errors. */
enum step pop3_refuse(struct pop3_session *s, const char *text);
/* The store failed us; the command did nothing. */
enum step pop3_fail(struct pop3_session *s, enum err err);
/* The first line of a multi-line response is queued; `answer` has the rest. */
enum step pop3_begin_answer(struct pop3_session *s, enum step (*answer)(struct pop3_session *s));
enum step pop3_end_answer(struct pop3_session *s);

/* commands.c: finds the row of the verb, takes its arguments, runs its handler. */
enum step pop3_dispatch(struct pop3_session *s, struct slice line);

/* What a handler is given: the dispatcher has checked that the message is there and not
 * deleted. */
struct pop3_arguments {
	uint32_t number; /* message-number; 0: none was given */
	uint64_t lines;	 /* TOP */
};
/* listing.c */
enum step pop3_stat(struct pop3_session *s, const struct pop3_arguments *args);
enum step pop3_list(struct pop3_session *s, const struct pop3_arguments *args);
enum step pop3_uidl(struct pop3_session *s, const struct pop3_arguments *args);
/* retrieve.c */
enum step pop3_retr(struct pop3_session *s, const struct pop3_arguments *args);
enum step pop3_top(struct pop3_session *s, const struct pop3_arguments *args);
/* update.c */
enum step pop3_dele(struct pop3_session *s, const struct pop3_arguments *args);
enum step pop3_rset(struct pop3_session *s, const struct pop3_arguments *args);
enum step pop3_quit(struct pop3_session *s, const struct pop3_arguments *args);
enum step pop3_updated(struct pop3_session *s);
