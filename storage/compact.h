/* storage/compact.h - making the store's file as small as its mail, while it is in use.
 *
 * Works from any process that has the store open, beside a server or without one, in small write
 * transactions like anybody else's, with pauses between them. Nothing of what the store holds
 * changes, and whenever it is interrupted, in whatever way, the store is whole and another run
 * goes on. On the calling thread. */
#pragma once

#include "storage/store.h"

enum compact_phase {
	COMPACT_ROWS, /* half-empty pages are put together */
	COMPACT_FREE, /* pages that hold nothing are given back to the file system */
	COMPACT_PHASES,
};

struct compact_watcher {
	/* A phase begins; `total` is an estimate, in octets. */
	void (*phase)(void *user, enum compact_phase phase, uint64_t total);
	void (*progress)(void *user, uint64_t done);
	/* Somebody has been reading the same for long, and nothing can be used again until he is done.
	 * False: do not wait. */
	bool (*wait)(void *user);
	void *user;
};

struct compact_result {
	uint64_t before_octets, after_octets; /* that the file takes on its disk */
	uint64_t rewritten_octets;
	uint64_t free_octets; /* unused inside what it takes now */
	bool gives_back; /* false: this file system takes nothing back; the room is used again */
};
/* ERR_BUSY: wait() did not want to. */
enum err compact_run(struct store *store, const struct compact_watcher *watcher,
		     struct compact_result *result_out) MUST_USE;
