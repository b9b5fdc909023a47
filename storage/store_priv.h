/* storage/store_priv.h - the store inside: environment, transactions, how records are reached.
 *
 * Rows are reached by row.c alone, transactions begin and end in transaction.c; other calls of LMDB
 * ask what the file is like. A value that LMDB gave points into the map: it dies with the transaction,
 * and in a write with the next put as well, so copy first. */
#pragma once

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zstd.h>

#include "base/arena.h"
#include "base/log.h"
#include "storage/layout_priv.h"

enum {
	/* What a batch may find free at least, or nothing that grows is taken: so deletions, which
	 * copy pages before they free others, always find room. */
	STORE_RESERVE_OCTETS = 32 << 20,
	STORE_SLOW_MS = 2000,
	STORE_READERS_MAX = 1024,
	/* How long a body without reference stays readable: a FETCH under way finishes. */
	GARBAGE_DELAY_SECONDS = 15 * 60,
};

struct compressor;
struct dictionaries;
struct redo;
struct dictionary_maker;
struct text_window;
struct watch_table;
struct queue_watch;

/* Which keywords the messages of a mailbox had, as of a MODSEQ (keyword.c). */
struct keyword_look {
	uint64_t mailbox_id, modseq, in_use;
	int64_t looked_unix;
	unsigned last_rows, rows; /* that were looked at: the last time, and in all */
};
enum { KEYWORD_LOOKS = 64 };

struct store {
	enum store_mode mode;
	char *path;   /* of the folder */
	int lock_fd;  /* STORE_SERVE: nobody else serves this store */
	MDB_env *env; /* NULL: could not be opened again after a failure */
	MDB_dbi dbis[DB_COUNT];
	struct redo *redo;	     /* redo_priv.h; NULL: while the file is made */
	_Atomic unsigned generation; /* of env */
	ino_t file;		     /* that was open before the last failure; 0: none failed yet */
	uint32_t page_octets;
	uint64_t reserve_octets;
	int64_t garbage_delay_seconds;
	_Atomic uint32_t undelete_seconds; /* expunged.h */

	/* Transactions: pooled readers, and who is inside the environment. */
	pthread_mutex_t lock;
	pthread_cond_t left; /* `inside` has become 0 */
	unsigned inside;
	struct read *idle_reads;
	struct compressor *idle_compressors;	   /* compress.c */
	struct dictionaries *dictionaries;	   /* dictionary.c */
	struct dictionary_maker *dictionary_maker; /* NULL until store_start_dictionaries() */
	_Atomic uint64_t dictionary_due;	   /* with so many bodies it is to look again */
	_Atomic bool wrote;			   /* a batch was committed by this process */

	_Atomic bool space_low;
	_Atomic uint64_t jobs, batches, failed_batches, slow;
	uint64_t slow_ms;		 /* a commit that takes so long is slow */
	_Atomic uint64_t slow_logged_ms; /* when one was last said so */
	atomic_uint slots_lent;		 /* intake.c: to large messages on their way */
	struct keyword_look keyword_looks[KEYWORD_LOOKS]; /* the writer's, by mailbox */
	struct writer *writer;				  /* NULL until store_start_writer() */
	struct journal *journal;
	struct watch_table *watches;
	struct queue_watch *queue_watch; /* under the lock; NULL: nobody runs the queue */
};

struct read {
	struct store *store;
	MDB_txn *txn;	     /* NULL: the store cannot be read at present */
	struct write *write; /* whose view this is; NULL in a plain read */
	enum err failure;    /* something could not be read: what was found is not all */
	MDB_cursor *cursor;  /* db_get_next(); NULL: none yet */
	enum database cursor_db;
	struct slice cursor_key;     /* where it stands; ptr NULL: that is not known */
	struct read *next;	     /* in the pool */
	ZSTD_DCtx *decompressor;     /* made when needed, kept with the pooled read */
	struct buffer stored, plain; /* of a chunk; as the decompressor */
	struct buffer text, octets;  /* of a chunk with runs of base64 */
	struct text_window *window;  /* text_frame.c; as the decompressor */
	uint16_t lost_dictionary;    /* a text could not be read for want of this one; 0: none */
	const uint8_t *ahead;	     /* from here on, READ_AHEAD_OCTETS were asked for */
};

/* A record that a batch has looked at; written back once, before the commit. */
struct account_slot {
	struct account_slot *next;
	struct account_row row;
	bool dirty, removed;
	/* What its annotations take; counted when a batch first asks, then kept up to date. */
	bool knows_annotations;
	uint64_t annotation_octets;
};
struct mailbox_slot {
	struct mailbox_slot *next;
	struct mailbox_record record;
	bool dirty, removed;
};
/* Whom to tell after the commit. */
struct change_note {
	struct change_note *next;
	uint32_t account_id;
	uint64_t mailbox_id;	    /* 0: the list, or annotations, only */
	const struct watch *origin; /* is not told what kinds of news there are */
	struct watch_news news;
};
/* A destination for which entries of the queue came or changed. */
struct queue_note {
	struct queue_note *next;
	struct slice destination;
};
#define NOTE_EVERYTHING UINT64_MAX /* as mailbox_id: all of the account */

enum { WRITE_BUCKETS = 64 };
enum space { SPACE_UNKNOWN, SPACE_ENOUGH, SPACE_LOW };

struct write {
	struct store *store;
	struct read read;
	struct head head;
	uint64_t writes;  /* how often anything was changed: tells a job that left traces */
	enum err failure; /* a write to LMDB failed: only abort is left */
	enum space space;
	int64_t garbage_due_unix; /* the first of what this batch adds */
	int64_t now_unix;
	const struct watch *origin; /* of the job that runs */
	struct arena arena;	    /* slots and what they point to */
	struct account_slot *accounts[WRITE_BUCKETS];
	struct mailbox_slot *mailboxes[WRITE_BUCKETS];
	struct change_note *notes, *last_note;
	struct queue_note *queue_notes;
	bool has_looked; /* at keywords: keyword_looks may tell of what never was, if it fails */
	struct buffer events; /* for the journal: each its length (be16) and octets */
	unsigned journal_rows;
	struct buffer told;    /* the part of them that others waited with (journal.c) */
	uint64_t *fresh_blobs; /* committed in this batch, no message refers to them yet */
	size_t fresh_count, fresh_cap;
};

/* store.c: FOLDER/NAME, on the heap. */
char *path_join(const char *folder, const char *name);

/* environment.c */
enum err environment_open(struct store *store, const char **why_out) MUST_USE;
void environment_close(struct store *store);
/* As LMDB knows it; "main" for the unnamed one. */
const char *database_name(enum database db);
/* After a failure that LMDB does not forgive: waits until nobody is inside, closes, opens.
 * `generation` is the one that failed: where another thread was faster, nothing happens. */
enum err environment_reopen(struct store *store, unsigned generation) MUST_USE;
/* Logs what LMDB said and what it means. */
enum err environment_failure(struct store *store, int code, const char *doing);
/* One sentence, kept until this thread's next. */
const char *why_format(const char *format, ...) PRINTF_LIKE(1, 2);

/* space.c: whether jobs that make the store grow may run. */
bool space_is_enough(struct store *store);
/* The file system or the file's size limit leaves less than `octets`. */
bool space_is_short_of(struct store *store, uint64_t octets);
/* ERR_FULL, before anything was written. */
enum err write_may_grow(struct write *write) MUST_USE;

/* transaction.c */
void read_scratch_free(struct read *read); /* what reading bodies has left in it */
bool store_enter(struct store *store);	   /* false: there is no environment */
void store_leave(struct store *store);
enum err write_begin(struct store *store, struct write *write) MUST_USE;
enum err write_commit(struct write *write) MUST_USE; /* the transaction is over in any case */
void write_abort(struct write *write);		     /* nothing to do when it is over */
/* A change is about to be made, in a slot or a database. */
void write_touch(struct write *write);
/* What changed of a mailbox's messages (or, with NOTE_EVERYTHING, of the account); and of the list
 * of mailboxes or their annotations. */
void write_note(struct write *write, uint32_t account_id, uint64_t mailbox_id, unsigned kinds);
void write_note_news(struct write *write, uint32_t account_id, const struct watch_news *news);

/* row.c: reaching records. ERR_NOT_FOUND, or a failure, logged. */
enum err db_get(struct read *read, enum database db, struct slice key,
		struct slice *value_out) MUST_USE;
/* The same for many keys of one database that lie near each other, as those of a mailbox's bodies
 * do: the next one is looked for where the last one was. */
enum err db_get_next(struct read *read, enum database db, struct slice key,
		     struct slice *value_out) MUST_USE;
bool db_has(struct read *read, enum database db, struct slice key);
enum { PUT_ANY = 0, PUT_APPEND = MDB_APPEND };
enum err db_put(struct write *write, enum database db, struct slice key, struct slice value,
		unsigned flags) MUST_USE;
enum err db_del(struct write *write, enum database db, struct slice key) MUST_USE;

/* How many rows there are, and octets of the pages that hold them. */
void db_extent(struct read *read, enum database db, uint64_t *rows_out, uint64_t *octets_out);

/* A walk over the rows of a database, in order of key. */
struct row {
	struct read *read;
	MDB_cursor *cursor;
	struct slice key, value; /* in the map */
};
/* Where that fails (logged), row_seek() finds nothing. */
void row_open(struct row *row, struct read *read, enum database db);
void row_close(struct row *row);
/* The first row at or after `key`. */
bool row_seek(struct row *row, struct slice key);
bool row_next(struct row *row);
/* The first row after `key`, whether that one is there or not. */
bool row_seek_behind(struct row *row, struct slice key);
/* The last row before `key`, and backwards from there. */
bool row_seek_before(struct row *row, struct slice key);
bool row_previous(struct row *row);
/* Writes in place: `value` is as long as the one that is there. */
enum err row_replace(struct row *row, struct slice value) MUST_USE;
/* row_next() goes on behind it. */
enum err row_delete(struct row *row) MUST_USE;

/* slots.c: records through the batch's slots. `slot_out` may be changed after mailbox_slot_dirty(), or
 * account_slot_dirty(). ERR_NOT_FOUND. */
enum err mailbox_load(struct read *read, uint64_t mailbox_id, struct arena *arena,
		      struct mailbox_record *record_out) MUST_USE;
enum err mailbox_slot_get(struct write *write, uint64_t mailbox_id,
			  struct mailbox_slot **slot_out) MUST_USE;
struct mailbox_slot *mailbox_slot_new(struct write *write, uint64_t mailbox_id);
void mailbox_slot_dirty(struct write *write, struct mailbox_slot *slot);
enum err mailbox_slots_flush(struct write *write) MUST_USE;
enum err account_slot_get(struct write *write, uint32_t account_id,
			  struct account_slot **slot_out) MUST_USE;
void account_slot_dirty(struct write *write, struct account_slot *slot);
enum err account_slots_flush(struct write *write) MUST_USE;

/* The account's next MODSEQ. */
uint64_t account_next_modseq(struct write *write, struct account_slot *slot);
enum err account_load(struct read *read, uint32_t account_id, struct arena *arena,
		      struct account_row *row_out) MUST_USE;
struct account_slot *account_slot_new(struct write *write, uint32_t account_id);

/* mailbox.c: something about the mailbox itself has changed (RFC 7162 section 3.2). */
enum err mailbox_raise_modseq(struct write *write, uint64_t mailbox_id) MUST_USE;
/* all of an account, when the account goes. */
enum err mailbox_remove_all(struct write *write, struct account_slot *account) MUST_USE;

/* keyword.c: the bits of keyword names in a mailbox. With `add`, names without a bit are given
 * one; ERR_LIMIT and ERR_BAD_INPUT come before anything has changed. */
enum err keyword_bits(struct write *write, struct mailbox_slot *slot, const struct slice *names,
		      size_t count, bool add, uint64_t *bits_out) MUST_USE;
/* What was seen in a batch that is lost was perhaps never so. */
void keyword_looks_forget(struct store *store);

/* change.c. `change` without its runs, which are those of `uids`. */
enum err change_add(struct write *write, struct mailbox_slot *slot, uint64_t modseq,
		    const struct change *change, const struct ranges *uids) MUST_USE;
/* No row of it is left; who was away compares with the messages themselves. The caller sees to
 * pruned_modseq. */
enum err change_log_empty(struct write *write, struct mailbox_slot *slot) MUST_USE;
/* The UIDs of messages that arrived after a MODSEQ or whose flags of these changed (of some rows
 * it is known only for all of their messages together, so rather too many). ERR_GONE: the log does
 * not reach back so far. */
enum err change_conflicts(struct read *read, const struct mailbox *mailbox, uint64_t since_modseq,
			  uint8_t flags, uint64_t keywords, struct ranges *uids_out) MUST_USE;

/* watch.c: after a commit. */
void watch_publish(struct store *store, const struct change_note *notes);
struct watch_table *watch_table_new(void);
void watch_table_free(struct watch_table **table);
