/* runtime/loop_priv.h - the inside of a loop, for this room alone. */
#pragma once

#include <uv.h>

#include "runtime/loop.h"

struct channel;
struct link;
struct session;
struct tls_loop;

/* A chain of tasks, first in, first out. */
struct tasks {
	struct task *first;
	struct task **end; /* where the next one is hung in; NULL: empty and never used */
};

/* A moment at which something wants to be called. Thousands of them (one per stream) are
 * kept in a heap behind a single uv timer, since a uv timer each would cost 150 octets. */
struct deadline {
	uint64_t at_ms; /* loop_now_ms() */
	uint32_t place; /* in loop->deadlines, from 1; 0: not waiting */
	void (*passed)(struct deadline *deadline);
};

enum {
	/* What a loop lends for a read. A TLS record that was waiting for its last octet may
	 * add its 16 KiB to STREAM_READ_OCTETS. */
	LOOP_PLAIN_OCTETS = 64 * 1024 + 17 * 1024,
	LOOP_CIPHER_OCTETS = 64 * 1024,
};

struct loop {
	uv_loop_t uv;
	unsigned index;

	/* Tasks from other threads. */
	int wake_fd; /* an eventfd(2) */
	uv_poll_t wake;
	pthread_mutex_t lock;
	struct tasks posted; /* under the lock */

	/* Tasks of our own, for a later turn: run before the loop waits. */
	uv_prepare_t prepare;
	uv_idle_t busy; /* active: the loop does not wait */
	struct tasks later;
	struct tasks flushes;

	uv_timer_t patience; /* ends loop_run_once() */
	uv_timer_t alarm;    /* for the earliest deadline */
	struct deadline **deadlines;
	uint32_t deadline_count, deadline_cap;

	uint8_t *plain; /* lent for a read, from the first on: LOOP_PLAIN_OCTETS */
	struct tls_loop *tls;

	struct session *newest_session;
	bool sessions_end; /* session_shutdown_all() was called */
	unsigned session_count;
	unsigned relay_count;
};

/* Runs `task` before the loop waits again, but never before the caller has returned. */
void loop_later(struct loop *loop, struct task *task);
/* The same, after all that loop_later() has brought: for writing what a turn has gathered. */
void loop_flush_later(struct loop *loop, struct task *task);

/* Calls deadline->passed() at `at_ms` or soon after, once; one that waits already is moved. */
void deadline_set(struct loop *loop, struct deadline *deadline, uint64_t at_ms);
void deadline_clear(struct loop *loop, struct deadline *deadline);

/* The buffer that every read of this loop uses; what is in it lives until the next one. */
uint8_t *loop_plain(struct loop *loop);
