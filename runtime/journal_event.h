/* runtime/journal_event.h - one thing that happened to a message or a connection, as the journal
 * keeps it (storage/journal.h) and as the front tells the back of it (MESSAGE_EVENT). Values
 * only; any thread.
 *
 *   link_note(front->link, &(struct journal_event){
 *       .kind = JOURNAL_REFUSED, .conn_id = s->client.conn_id, .peer = s->client.peer,
 *       .recipient = forward_path, .reply = SLICE("550 5.1.1 No such mailbox here") });
 *
 * What is not known stays zero. A slice with ptr NULL is absent; an empty sender is the null
 * sender. Addresses are as SMTP has them, without angle brackets. No content, no credentials. */
#pragma once

#include "base/buffer.h"
#include "runtime/peer.h"

enum journal_kind {
	/* What anybody can do to us; the front may tell of it. */
	JOURNAL_TURNED_AWAY = 1, /* a client was not let in */
	JOURNAL_LEFT,	 /* a connection is over that brought no message, or not well: why */
	JOURNAL_REFUSED, /* a command, a recipient, a message: `reply` says why */
	/* What only the back knows. */
	JOURNAL_SIGNED_IN,
	JOURNAL_SIGN_IN_REFUSED,
	JOURNAL_NOT_FILED, /* a message that came whole was not taken */
	JOURNAL_RECEIVED,  /* a message has come: where from, how large */
	JOURNAL_FILED,	   /* for one recipient, into a mailbox */
	JOURNAL_QUEUED,	   /* for one recipient elsewhere */
	JOURNAL_RELAYED,   /* `host` has taken it */
	JOURNAL_DEFERRED,  /* not now: `why` or `reply`; `next_unix_ms` is when it is tried again */
	JOURNAL_BOUNCED,   /* not at all: `why` or `reply` */
	JOURNAL_NOTIFIED,  /* the sender was told (RFC 3464): `notice` is that message's blob */
	JOURNAL_KIND_COUNT,
};

enum { JOURNAL_TEXT_MAX_OCTETS = 400 }; /* of each slice; what is longer is cut */

struct journal_event {
	enum journal_kind kind;
	int64_t time_unix_ms; /* 0: when it is noted */
	uint64_t more;	      /* how many others were like it, and are not noted one by one */
	/* The connection. */
	struct slice service;	  /* "smtp", "submission", "imap", "lmtp", "sendmail", ... */
	uint32_t conn_id;	  /* as in the log's conn= */
	struct peer peer;	  /* family 0: none, or of this machine */
	bool secure;		  /* TLS */
	struct slice client_name; /* what EHLO said */
	struct slice login;	  /* who has signed in, or tried to */
	/* The message. */
	uint64_t blob_id;	 /* the log's msg= */
	struct slice message_id; /* the header field, with or without its angle brackets */
	struct slice sender;	 /* the reverse-path; empty: the null sender */
	struct slice recipient;	 /* a forward-path */
	uint64_t size_octets;
	/* Where it went: here, */
	uint32_t account_id;
	uint64_t mailbox_id;
	uint32_t uid;
	/* or elsewhere. */
	uint64_t queue_id;
	struct slice host; /* the other server's name */
	int64_t next_unix_ms;
	uint64_t notice;
	/* Why. */
	struct slice command; /* the verb that was refused */
	struct slice reply;   /* as it was said: "550 5.1.1 No such mailbox here" */
	struct slice why;     /* in words, where the reply does not say it all */
};

/* Appends the event. */
void journal_event_encode(const struct journal_event *event, struct buffer *out);
/* Takes nothing but what journal_event_encode() writes; slices point into `octets`. */
bool journal_event_decode(struct slice octets, struct journal_event *event_out);
/* Whether a front may tell of such a thing. */
bool journal_kind_is_strangers(enum journal_kind kind);
