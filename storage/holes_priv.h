/* storage/holes_priv.h - free pages inside the store's file, given back to the file system. */
#pragma once

#include "storage/store_priv.h"

/* Zero-initialise. */
struct holes_walk {
	uint64_t txn_id;     /* of the list's record that comes next */
	uint64_t below_page; /* in it; 0: all of it */
	uint64_t octets;     /* given back, or given back before */
	bool is_over;
};
/* A few milliseconds' worth of it, with the writers kept out. ERR_UNAVAILABLE: this file system
 * takes nothing back. */
enum err holes_step(struct store *store, struct holes_walk *walk) MUST_USE;

/* How many transactions have been committed since the oldest that anybody still reads began: what
 * they freed cannot be used again yet. */
uint64_t readers_lag(struct store *store);
