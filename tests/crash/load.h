/* tests/crash/load.h - a mixed load on a store, through its writer, and what the store must hold
 * after each job: written down apart from the store, by what the jobs were asked to do. */
#pragma once

#include "storage/store_priv.h"

enum { LOAD_BOXES = 8, LOAD_MESSAGES_MAX = 60 };

struct expected_message {
	uint32_t uid;
	unsigned seed; /* of its text */
	uint8_t flags;
};

struct expected_box {
	uint64_t mailbox_id; /* 0: there is none */
	uint32_t uidvalidity, uidnext;
	unsigned count;
	struct expected_message messages[LOAD_MESSAGES_MAX];
};

/* The store after a job; of two users, the second of whom has only an INBOX. */
struct expected {
	uint64_t modseq; /* of the first user: tells which state it is */
	struct expected_box boxes[LOAD_BOXES], other;
};

struct load {
	struct expected *states; /* states[n]: after n jobs */
	struct buffer *texts;	 /* by seed, which is the number of the job that filed it */
	unsigned jobs;
	uint32_t account_id, other_id;
};

/* Makes two users in STATE_DIR/store, then lets `jobs` jobs run, several at a time. Each is noted
 * with record_ack() when it has been reported done: its number is that of jobs done so far. */
void load_prepare(const char *state_dir, struct load *load_out);
void load_run(const char *state_dir, struct load *load, unsigned jobs, unsigned seed);
void load_free(struct load *load);

/* Whether the store holds exactly one of the states, and not one before `least` jobs. Appends to
 * `problems` what is wrong. */
void load_check(const struct load *load, struct store *store, unsigned least,
		struct buffer *problems);
