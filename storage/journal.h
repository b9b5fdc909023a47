/* storage/journal.h - what happened to messages and connections, for `bode why`.
 *
 * An event (runtime/journal_event.h) that belongs to a write goes into its transaction: when the
 * client reads "250", the journal says so, too. What changes nothing in the store, refusals above
 * all, is gathered and goes along with the next commit, at the latest a second later; a crash may
 * lose it. The journal is bounded by age and size: the oldest goes first. */
#pragma once

#include "runtime/journal_event.h"
#include "storage/store.h"

/* How long events are kept, and how much room they may take with their index. 0 days: nothing is
 * noted and what there is goes, which is how a store is opened. Any thread. */
void store_set_journal(struct store *store, unsigned days, uint64_t size_octets);

/* What events can be found by. */
enum journal_term_kind {
	JOURNAL_BY_ADDRESS = 1, /* text: of the sender, a recipient, or who signed in */
	JOURNAL_BY_DOMAIN,	/* text: of one of these */
	JOURNAL_BY_MESSAGE_ID,	/* text: with or without angle brackets */
	JOURNAL_BY_ACCOUNT,	/* number */
	JOURNAL_BY_BLOB,	/* number: the message, as in the log's msg= */
	JOURNAL_BY_CONNECTION,	/* number: as in the log's conn= */
	JOURNAL_BY_NETWORK,	/* network: of the client */
};
struct journal_term {
	enum journal_term_kind kind;
	struct slice text; /* without regard to ASCII case, but for a Message-ID */
	uint64_t number;
	struct network network;
};
/* Calls found() for each event for which one of the terms is true, from the newest to the oldest
 * that is not older than `since_unix_ms`, until it returns false. The event has its time, and lives
 * until found() returns. */
void journal_find(struct read *read, const struct journal_term *terms, size_t count,
		  int64_t since_unix_ms,
		  bool (*found)(void *user, const struct journal_event *event), void *user);

/* Since when it knows. False: it is empty. */
bool journal_reach(struct read *read, int64_t *oldest_unix_ms_out);

/* In a job, once nothing can refuse it any more. The slices may go away. */
void journal_note(struct write *write, const struct journal_event *event);
/* On any thread of the server: what strangers do, and what was refused. */
void journal_tell(struct store *store, const struct journal_event *event);
/* The same with an event that a front has told, as octets. False: it is none, or none that a front
 * may tell. */
bool journal_tell_strangers(struct store *store, struct slice octets);
