/* runtime/pool.h - the worker pool: what would hold a loop for more than about a
 * millisecond (Argon2id, search over many messages) runs here. */
#pragma once

#include "runtime/loop.h"

/* Embedded in the caller's own structure; its memory stays the caller's and untouched until
 * done() is called. */
struct work {
	void (*run)(struct work *work);	 /* on a worker thread */
	void (*done)(struct work *work); /* on the loop that submitted it */
	void *priv;			 /* runtime's */
};

/* Threads of the pool; before the first submission, after the sandbox is shut. */
void pool_set_threads(unsigned count);
void pool_submit(struct loop *loop, struct work *work);
/* Every worker has something to do: what is submitted now waits for its turn. Any thread; a moment later
 * it may be otherwise. */
bool pool_is_busy(void);
