/* tests/crash/walk.h - the whole store, held against itself: every count against what it counts,
 * every reference against what it refers to, every body against its checksums. */
#pragma once

#include "storage/store_priv.h"

struct walk_totals {
	uint64_t accounts, mailboxes, messages, blobs, garbage, pending;
};

/* One read transaction. Appends a line to `problems` for each thing that is wrong; nothing when
 * all is well. Keeps no memory. */
void store_walk(struct store *store, struct buffer *problems, struct walk_totals *totals_out);
