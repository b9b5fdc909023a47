/* storage/store.h - the store as a whole: opening, reading, the writer and its jobs.
 *
 * One LMDB environment in STATE_DIR/store. Reads run on any thread in short read
 * transactions, closed before the caller returns to its loop. Writes are jobs: the writer
 * thread runs all that wait in one transaction, syncs once, then reports each result on the
 * loop of who asked. Sessions never see LMDB. */
#pragma once

#include "base/attributes.h"
#include "base/err.h"
#include "runtime/loop.h"

struct store;
struct watch; /* storage/mailbox.h */
struct read;  /* a read transaction */
struct write; /* the batch being written; only inside job->run() */

enum store_mode {
	STORE_SERVE,  /* with a writer thread; at most one process at a time: ERR_BUSY */
	STORE_ADMIN,  /* beside a running server: store_write_now(), or a writer for one filing */
	STORE_CREATE, /* as STORE_ADMIN, and made where it is not there yet */
};
/* Opens STATE_DIR/store. On failure `why_out` gets one sentence for people ("the store in X was
 * written by a newer Bode (version 3, this one reads 1): ..."), which lives until this thread's
 * next; a server's is logged as well. ERR_NOT_FOUND, ERR_VERSION, ERR_BUSY, ERR_DISK,
 * ERR_DENIED, ERR_FULL; nothing is changed then. What root creates gets the owner of STATE_DIR. */
enum err store_open(const char *state_dir, enum store_mode mode, struct store **store_out,
		    const char **why_out) MUST_USE;
/* The writer's start is separate: threads come after the sandbox. */
void store_start_writer(struct store *store);
/* Runs what waits, then closes. Accepts NULL, leaves NULL. */
void store_close(struct store **store);

/* Reading: what the store held at this moment. Slices returned by read functions point into
 * the map and end with read_end(). Not to be held while waiting for anything. */
struct read *read_begin(struct store *store);
void read_end(struct read **read); /* accepts NULL, leaves NULL */
/* ERR_OK as long as the store could answer all that this read asked. Functions that say yes or
 * no, and walks, say "no" and "no more" of a store that fails: who tells a client that something
 * is not there asks this first. */
enum err read_failure(const struct read *read) MUST_USE;

/* A job is embedded in the asker's structure; its memory stays the asker's and untouched until
 * done() is called. run() may be called more than once: when a batch fails, its jobs are run
 * again one by one, each time from the start, so run() sets all its results anew. A job that
 * is refused leaves no trace: best it decides that before its first write, since otherwise the
 * batch is rolled back and runs again without it. ERR_FULL may be such a refusal, while jobs
 * that free room still go well. */
struct job {
	enum err (*run)(struct write *write, struct job *job);
	void (*done)(struct job *job); /* on `loop`; job->outcome is final: ERR_OK is on disk */
	struct loop *loop;
	const struct watch *origin; /* is not told what this job does; may be NULL */
	enum err outcome;
	struct task task; /* store's */
	struct job *next; /* store's */
};
/* Hands the job to the writer. Any thread. */
void store_submit(struct store *store, struct job *job);
/* Runs the job alone, on the calling thread, and syncs; done() is not called. For the admin
 * process and tests; with a server running beside, waits for its batch. */
enum err store_write_now(struct store *store, struct job *job) MUST_USE;
/* A write may read what it wrote: gives the read functions the batch's own view. */
struct read *write_read(struct write *write);

struct store_counters {
	uint64_t jobs, batches, failed_batches; /* one sync pair each */
	uint64_t slow; /* waits for the disk or another writer, each logged */
};
void store_counters(struct store *store, struct store_counters *counters_out);

/* How large it is, and what room there is. */
struct store_figures {
	uint64_t file_octets;	   /* without the holes in it */
	uint64_t free_octets;	   /* inside of these, to be used again */
	uint64_t disk_free_octets; /* what the file may still grow by */
	uint64_t commits;	   /* since it was made */
};
void store_figures(struct store *store, struct store_figures *figures_out);
