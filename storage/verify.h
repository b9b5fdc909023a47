/* storage/verify.h - checking the whole store while it is in use, and repairing it.
 *
 * Works from any process that has the store open, beside a server or without one, in many short
 * read transactions and in memory that does not grow with the store. What one transaction shows
 * is consistent; what was counted over several is counted again in one before it is called
 * wrong. On the calling thread. */
#pragma once

#include "storage/store.h"

enum verify_phase {
	VERIFY_NAMES,	   /* domains, addresses, accounts, names: each index against its records */
	VERIFY_BODIES,	   /* every chunk's checksum; digests against bodies */
	VERIFY_MAILBOXES,  /* counts, UIDs, MODSEQs, keywords, change logs, entries; the queue */
	VERIFY_REFERENCES, /* who refers to each body; what nobody refers to */
	VERIFY_ACCOUNTS,   /* usage */
	VERIFY_PHASES,
};

enum verify_kind {
	WRONG_HEAD,
	WRONG_DOMAIN,
	WRONG_ADDRESS,
	WRONG_ACCOUNT,
	WRONG_INBOX,
	WRONG_USAGE,
	WRONG_NAME,
	WRONG_MAILBOX,
	WRONG_OWNER,
	WRONG_COUNTS,
	WRONG_NUMBERS,
	WRONG_KEYWORDS,
	WRONG_LOG,
	WRONG_GAPS,
	WRONG_ENTRY,
	WRONG_SIZE,
	WRONG_EXPUNGED,
	WRONG_QUEUE,
	WRONG_SUBMISSION,
	WRONG_ANNOTATION,
	WRONG_ACL,
	WRONG_REMOTE,
	WRONG_JOURNAL,
	WRONG_DICTIONARY,
	LOST_DICTIONARY,
	LOST_BODY,
	DAMAGED_BODY,
	WRONG_DIGEST,
	STRAY_CHUNKS,
	ORPHAN,
	WRONG_REFERENCES,
	WRONG_GARBAGE,
	WRONG_PENDING,
	UNREADABLE, /* the database's own pages: only a backup helps */
	VERIFY_KINDS,
};
/* "damaged-body", ...: for programs. */
const char *verify_kind_word(enum verify_kind kind);

enum verify_outcome {
	VERIFY_FOUND,	 /* nothing was changed */
	VERIFY_REPAIRED, /* rebuilt, or put aside into lost+found */
	VERIFY_LEFT,	 /* could not be repaired */
};

struct verify_problem {
	enum verify_kind kind;
	enum verify_outcome outcome;
	/* Where; empty or 0 where it does not apply. */
	struct slice login, mailbox;
	uint32_t uid;
	uint64_t blob_id;
	const char *what;   /* a sentence without its full stop */
	const char *advice; /* what to do, or what was done */
};

struct verify_counts {
	uint64_t accounts, mailboxes, messages, bodies;
	uint64_t body_octets; /* as the messages have them */
	uint64_t problems, repaired;
};

/* All are called on the calling thread, outside of any transaction. */
struct verify_watcher {
	/* `total` is an estimate: octets for VERIFY_BODIES, rows otherwise. */
	void (*phase)(void *user, enum verify_phase phase, uint64_t total);
	void (*progress)(void *user, uint64_t done);
	void (*problem)(void *user, const struct verify_problem *problem);
	/* A repair changed mailboxes of the account: sessions should hear of it. */
	void (*changed)(void *user, uint32_t account_id);
	void *user;
};

#define LOST_AND_FOUND "lost+found"

/* Looks at everything. With `repair`, damaged messages move to the mailbox lost+found of their
 * account, with what can be read of them, and derived records are rebuilt, each in a small write
 * of its own: run it again afterwards, without, to see that all is well.
 *
 * ERR_OK whatever was found; ERR_DISK: the store cannot be read to its end, ERR_DAMAGED: it is of no use to
 * go on, what was found so far was told. */
enum err verify_run(struct store *store, bool repair, const struct verify_watcher *watcher,
		    struct verify_counts *counts_out) MUST_USE;
