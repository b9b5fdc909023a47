/* storage/garbage_priv.h - what nothing refers to any more, and how it goes. */
#pragma once

#include "storage/store_priv.h"

/* Notes a blob or a mailbox's rows for removal, not before the time. */
enum err garbage_add(struct write *write, enum garbage_kind kind, uint64_t id,
		     int64_t not_before_unix) MUST_USE;
/* Blobs that came with this batch and that no message refers to. */
enum err garbage_add_fresh(struct write *write) MUST_USE;

/* Where the removal stands: it walks around. Zero-initialise. */
struct garbage_walk {
	uint8_t kind;
	uint64_t id;
	int64_t next_unix; /* the earliest that was not due yet in this round */
};
/* One small transaction's worth. `wait_ms_out` is when to look again: 0 for at once, UINT64_MAX
 * where there is nothing. */
enum err garbage_step(struct store *store, struct garbage_walk *walk,
		      uint64_t *wait_ms_out) MUST_USE;
/* A blob that was begun will not be finished. Nothing happens where it is not pending. */
enum err pending_abandon(struct write *write, uint64_t blob_id) MUST_USE;
/* Blobs that were never finished: what a crash left behind. At the server's start. */
enum err pending_sweep(struct store *store) MUST_USE;
