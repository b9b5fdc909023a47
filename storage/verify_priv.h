/* storage/verify_priv.h - what the phases of a check share. */
#pragma once

#include "storage/blob_priv.h"
#include "storage/inspect_priv.h"
#include "storage/verify.h"

struct verify {
	struct store *store;
	bool repair;
	const struct verify_watcher *watcher;
	struct verify_counts *counts;
	struct read *read; /* NULL between two slices */
	uint64_t spent;	   /* of the present slice */
	uint64_t done;	   /* of the phase */
	enum err err;	   /* the store cannot be read: stop */
	uint64_t last_mailbox_id, last_blob_id;
	uint32_t last_account_id, last_uidvalidity;
	uint16_t lost_dictionary; /* that the last such body asked for in vain */
	struct arena arena;	  /* of one problem */
};

/* What a row costs of a slice; a slice is about a millisecond or two. */
enum { VERIFY_SLICE_COST = 1 << 20, VERIFY_ROW_COST = 64 };

/* The present slice's read; begins one where there is none. Never NULL. */
struct read *verify_read(struct verify *v);
/* Ends the slice, if there is one; what was read is gone. */
void verify_pause(struct verify *v);
/* The least number from `from` on that begins a key in one of the databases. False: there is none
 * more, or the store failed. */
bool verify_next_id(struct verify *v, const enum database *dbs, size_t count, uint64_t from,
		    uint64_t *id_out);
/* So much was read; true when the slice should end. */
bool verify_spend(struct verify *v, uint64_t cost);
void verify_advance(struct verify *v, uint64_t more);

/* A walk over all rows of a database, pausing by itself. */
struct verify_walk {
	struct verify *v;
	enum database db;
	struct row row;
	struct key next; /* where to go on */
	bool is_open, is_over;
};
void verify_walk_begin(struct verify_walk *walk, struct verify *v, enum database db);
/* As verify_walk_begin(), from `key` on. */
void verify_walk_begin_at(struct verify_walk *walk, struct verify *v, enum database db,
			  const struct key *key);
/* The next row is in walk->row. False: there are no more, or the store cannot be read. */
bool verify_walk_next(struct verify_walk *walk, uint64_t cost);
/* Goes on at `key`, or behind it, instead of at the next row. */
void verify_walk_skip_to(struct verify_walk *walk, const struct key *key);
/* Lets go of the row and ends the slice, before a write or before telling. */
void verify_walk_pause(struct verify_walk *walk);
void verify_walk_end(struct verify_walk *walk);

/* Where a problem is; names are looked up by verify_tell(). */
struct verify_place {
	uint32_t account_id;
	uint64_t mailbox_id;
	uint32_t uid;
	uint64_t blob_id;
	struct slice login, name; /* known already */
};

/* A repair: a job of its own that looks again before it writes. */
struct fix {
	struct job job;
	enum err (*run)(struct write *write, struct fix *fix);
	struct verify *v;
	struct verify_place place;
	enum database db;
	struct slice key, value; /* copies of the row that is wrong */
	uint64_t number;
	void *more;
};
/* Deletes the row where it still is as it was found. */
enum err fix_delete_row(struct write *write, struct fix *fix);

/* Tells of a problem; in a repairing run, `fix` is applied first (NULL: it cannot be repaired).
 * Ends the slice. */
void verify_tell(struct verify *v, enum verify_kind kind, const struct verify_place *place,
		 struct fix *fix, const char *format, ...) PRINTF_LIKE(5, 6);
/* The same, with the outcome of a repair that was made already. */
void verify_tell_done(struct verify *v, enum verify_kind kind, const struct verify_place *place,
		      enum err repaired, const char *format, ...) PRINTF_LIKE(5, 6);

/* Walks over all rows of a database. `row_wrong` says in words what is wrong with one, or NULL; it is
 * deleted then, unless `fix` is given something else to run. fix->place is where it is, as far as that
 * is known. */
void verify_rows(struct verify *v, enum database db, uint64_t cost, enum verify_kind kind,
		 const char *(*row_wrong)(struct verify *v, const struct row *row,
					  struct fix *fix));

void verify_names(struct verify *v);
/* verify_addresses.c: parts of it. */
void verify_domains(struct verify *v);
void verify_addresses(struct verify *v);
void verify_account_records(struct verify *v);
/* Whose address leads to the account: for one whose record cannot be read. In v's arena. */
struct slice verify_login_of(struct verify *v, uint32_t account_id);
void verify_bodies(struct verify *v);
/* Before the bodies that are read with them. */
void verify_dictionaries(struct verify *v);
/* A body is read with one that is not there: damage where it is the first, more than that where the next
 * one says the same. */
void verify_lost_dictionary(struct verify *v, uint16_t number);
void verify_mailboxes(struct verify *v);
void verify_references(struct verify *v);
void verify_accounts(struct verify *v);

/* What the entries and the change log of one mailbox add up to. */
struct tally {
	uint32_t messages, unseen, deleted;
	uint64_t size_octets;
	uint32_t last_uid;
	uint64_t last_modseq;
	uint64_t keywords; /* bits in use */
	uint32_t log_rows;
	uint64_t log_octets;
	const char *log_wrong;	/* NULL: the log is as it should be */
	struct ranges vanished; /* from the log, which is bounded */
};
/* verify_tally.c: first the log, then any number of entries, each added. */
void tally_log(struct tally *tally, struct read *read, const struct mailbox_record *record);
void tally_entry(struct tally *tally, struct read *read, const struct mailbox_record *record,
		 const struct message_entry *entry);
void tally_fini(struct tally *tally);
/* NULL, or what is wrong with the record, in words. */
const char *tally_counts_wrong(const struct tally *tally, const struct mailbox *mailbox,
			       struct arena *arena);
const char *tally_numbers_wrong(const struct tally *tally, const struct mailbox *mailbox,
				uint64_t account_modseq, struct arena *arena);
uint64_t tally_nameless_keywords(const struct tally *tally, const struct mailbox *mailbox);

/* repair.c: brings a mailbox's record in line with its rows; makes it anew where it is lost and
 * a name still leads to it. */
enum err repair_mailbox(struct write *write, uint64_t mailbox_id) MUST_USE;
enum err repair_account(struct write *write, uint32_t account_id) MUST_USE;

/* verify_queue.c: the body that a row of DB_QUEUE refers to. False: none. */
bool queue_row_body(struct slice key, struct slice value, uint64_t *blob_id_out,
		    uint64_t *size_octets_out);
void verify_queue(struct verify *v);
void verify_submission(struct verify *v);
void verify_annotations(struct verify *v);
void verify_acls(struct verify *v);
void verify_remote(struct verify *v);
void verify_journal(struct verify *v);

/* verify_expunged.c: the body that a row of DB_MAILBOX, DB_EXPUNGED or DB_QUEUE refers to. False:
 * none. */
bool row_blob(struct slice key, struct slice value, enum database db, uint64_t *blob_id_out);
/* Whose the mailbox was that was deleted as a whole and is kept for some time.
 * False: none such. */
bool deleted_mailbox_find(struct read *read, uint64_t mailbox_id, uint32_t *account_id_out);
void verify_expunged(struct verify *v);

/* lost.c: puts one message aside. ERR_OK also where it is no longer there. */
enum lost_from {
	LOST_FROM_MAILBOX,
	LOST_FROM_DELETED,  /* a mailbox that was deleted as a whole */
	LOST_FROM_EXPUNGED, /* the account's expunged messages */
};
struct lost_place {
	enum lost_from from;
	uint32_t account_id; /* not needed for LOST_FROM_MAILBOX */
	uint64_t mailbox_id;
	uint32_t uid;
	int64_t expunged_unix; /* LOST_FROM_EXPUNGED */
};
enum err lost_put_aside(struct store *store, const struct lost_place *place,
			uint32_t *account_id_out) MUST_USE;
