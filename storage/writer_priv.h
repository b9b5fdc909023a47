/* storage/writer_priv.h - the writer, as the rest of the room sees it. */
#pragma once

#include "storage/store_priv.h"

struct writer;
/* Runs what waits, then ends the thread. */
/* A thread of the store, which takes no signals. */
void store_thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg);
void writer_stop(struct store *store);
/* There will be garbage to remove in `wait_ms`. Any thread; without a writer nothing happens. */
void writer_look_in(struct store *store, uint64_t wait_ms);
