/* storage/scrub.h - reading every stored message again, slowly, so that damage is met while a
 * backup still has what was there.
 *
 * One round takes the given time, whatever the size of the store: every few seconds a little of it
 * is read, on the worker pool. Where it stands is kept in the store, so a restart goes on there.
 * What is damaged is logged, once a round. */
#pragma once

#include "storage/store.h"

struct scrub;
/* Nothing happens before scrub_set_days(). On the loop's thread, as all of this. */
struct scrub *scrub_new(struct store *store, struct loop *loop);
/* How many days a round takes; 0: off. */
void scrub_set_days(struct scrub *scrub, unsigned days);
/* Waits until nothing of it uses the store any more; before store_close(). Accepts NULL, leaves
 * NULL. */
void scrub_free(struct scrub **scrub);

struct scrub_status {
	int64_t started_unix;  /* of this round; 0: never */
	int64_t finished_unix; /* of the last one; 0: never */
	uint64_t next_blob_id; /* of this round; UINT64_MAX: it is over */
	uint32_t damaged;      /* found in this round */
};
/* As it was written down last: at each finding, and once an hour. */
enum err scrub_status(struct read *read, struct scrub_status *status_out) MUST_USE;

/* Zero-initialise: it goes on where the store says. */
struct scrub_walk {
	bool is_loaded;
	struct scrub_status status;
	int64_t saved_unix;
};
/* One step, on the calling thread: as much as is due at `now_unix` of a round of `days`, and not
 * more than a few MiB. */
enum err scrub_step(struct store *store, struct scrub_walk *walk, unsigned days,
		    int64_t now_unix) MUST_USE;
