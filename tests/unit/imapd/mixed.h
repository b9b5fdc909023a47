/* tests/unit/imapd/mixed.h - a mailbox with small and large messages, what a session has to say of all of
 * them, and workers in the test's hands: they are busy, or in the middle of a slice. */
#pragma once

#include "tests/unit/imapd/bodies.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "imapd/fetch_priv.h"

enum {
	WORKERS = 2,
	MESSAGES = 40,
	LOOP_MAX_OCTETS = SESSION_OUT_HIGH_OCTETS + BLOB_CHUNK_OCTETS + 4096,
	AHEAD_MAX_OCTETS = FETCH_AHEAD_OCTETS + BLOB_CHUNK_OCTETS + 4096,
};

#define ALL "f FETCH 1:* (UID FLAGS BODY.PEEK[])"

/* ---- a slice that is being made ---- */

static pthread_t loop_thread;
static atomic_bool holds_next;
static atomic_uint slices_of_workers;
static sem_t is_held, may_go;

/* Before and after each slice, on the thread that makes it; NULL: nobody looks. */
static void (*slice_begins)(bool is_by_worker), (*slice_ends)(void);

/* The linker puts it in the place of the one in fetch_slice.c. */
void __real_fetch_slice_make(struct fetch *f, struct buffer *out, size_t full_octets);
void __wrap_fetch_slice_make(struct fetch *f, struct buffer *out, size_t full_octets);
void __wrap_fetch_slice_make(struct fetch *f, struct buffer *out, size_t full_octets)
{
	bool is_by_worker = !pthread_equal(pthread_self(), loop_thread);
	if (is_by_worker) {
		atomic_fetch_add(&slices_of_workers, 1);
		if (atomic_exchange(&holds_next, false)) {
			sem_post(&is_held);
			sem_wait(&may_go);
		}
	}
	if (slice_begins)
		slice_begins(is_by_worker);
	__real_fetch_slice_make(f, out, full_octets);
	if (slice_ends)
		slice_ends();
}

/* ---- workers that have something else to do ---- */

static struct gate {
	struct work work;
	sem_t entered, open;
} gates[WORKERS];
static unsigned gates_passed;

static inline void pass_gate(struct work *work)
{
	struct gate *gate = CONTAINER_OF(work, struct gate, work);
	sem_post(&gate->entered);
	sem_wait(&gate->open);
}

static inline void gate_passed(struct work *work)
{
	gates_passed++;
}

static inline void keep_workers_busy(void)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		gates[i].work = (struct work){ .run = pass_gate, .done = gate_passed };
		sem_init(&gates[i].entered, 0, 0);
		sem_init(&gates[i].open, 0, 0);
		pool_submit(world.loop, &gates[i].work);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		sem_wait(&gates[i].entered);
}

static inline void let_workers_go(void)
{
	gates_passed = 0;
	for (unsigned i = 0; i < WORKERS; i++)
		sem_post(&gates[i].open);
	while (gates_passed < WORKERS)
		loop_run_once(world.loop, 1000);
}

/* Nobody stands in line for a worker: the loop makes it all, as it would if there were none. */
static inline void run_on_loop(struct session *session, const char *line, struct buffer *said)
{
	keep_workers_busy();
	unsigned before = atomic_load(&slices_of_workers);
	run_in_turns(session, line, said);
	assert_int_equal(atomic_load(&slices_of_workers), before);
	assert_true(most_waiting <= LOOP_MAX_OCTETS);
	let_workers_go();
}

static inline void assert_same(const struct buffer *got, const struct buffer *want)
{
	assert_int_equal(got->len, want->len);
	assert_memory_equal(got->data, want->data, want->len);
}

/* ---- the mailbox ---- */

static inline void add_noise(struct buffer *message, size_t octets, unsigned seed)
{
	srandom(seed);
	uint8_t *at = buffer_reserve(message, octets);
	for (size_t i = 0; i < octets; i++) {
		at[i] = (uint8_t)random();
		at[i] = at[i] == '\r' || at[i] == '\n' ? 'x' : at[i];
	}
	message->len += octets;
}

/* What all sessions of these tests say to ALL. */
static struct buffer want_all;

/* Small, large, one that is decoded, and one with NULs. */
static inline int mixed_setup(void **state)
{
	struct buffer message = { 0 };
	world_setup(state);
	loop_thread = pthread_self();
	sem_init(&is_held, 0, 0);
	sem_init(&may_go, 0, 0);
	struct session *session = signed_in();
	create(session, "mixed");
	for (unsigned i = 0; i < MESSAGES; i++) {
		buffer_clear(&message);
		if (i % 4 == 0) {
			buffer_add_format(&message, "Subject: small %u\r\n\r\nbody %u\r\n", i, i);
		} else if (i % 4 == 3) {
			buffer_add_format(&message, "Subject: noise %u\r\n\r\n", i);
			add_noise(&message, 100 * 1000, i);
		} else {
			make_message(&message, i % 4 == 1 ? 20 * 1000 : 300 * 1000, i);
		}
		append(session, "mixed", buffer_slice(&message));
	}
	reopen(session, "mixed");
	reopen(session, "mixed"); /* nothing is \Recent any more */
	run_on_loop(session, ALL, &want_all);
	buffer_free(&message);
	core_sign_out(&world, session);
	return 0;
}

static inline int mixed_teardown(void **state)
{
	buffer_free(&want_all);
	return world_teardown(state);
}

static inline struct session *reader_of(const char *mailbox)
{
	struct session *session = signed_in();
	reopen(session, mailbox);
	return session;
}
