/* storage/writer.c - the one thread that writes, and group commit.
 *
 * While a commit syncs, jobs gather; the next batch takes them all, so one pair of syncs serves
 * the more of them the more load there is. Behind a batch of several the writer also waits for
 * those whom it has answered, where they come back in less time than a commit of their own would
 * take; a client alone never waits. What one job does wrong costs no other: a job that
 * is refused after it has written something is taken out and the others run again; when the
 * store itself fails, the batch is rolled back and its jobs run one by one. Jobs keep their
 * order throughout. Between batches, and when nothing waits, garbage goes in small
 * transactions. Runs in the back. */
#include "storage/writer_priv.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "storage/commit_delay_priv.h"
#include "storage/expunged_priv.h"
#include "storage/garbage_priv.h"
#include "storage/journal_index_priv.h"
#include "storage/redo_priv.h"

enum {
	BATCH_JOBS_MAX = 512,
	GARBAGE_EVERY_MS = 100, /* under load; else whenever nothing waits */
	LOOK_EVERY_MS = 60000,	/* for what other processes left: garbage, dead readers */
};

struct writer {
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job *first, **end; /* waiting */
	struct commit_delay delay;
	bool is_delayed;
	bool stop;
	uint64_t look_at_ms; /* when to look at the garbage again */
	struct garbage_walk walk;
	struct expunged_walk expunged_walk;
	uint64_t expunged_at_ms;
	uint64_t readers_at_ms;
};

/* Runs jobs in one transaction. ERR_OK: all outcomes are final and on disk. *guilty_out is the
 * job that was refused after it had written, count where there is none. */
static enum err batch_run(struct store *store, struct job **jobs, size_t count, size_t *guilty_out)
{
	struct write write;
	*guilty_out = count;
	enum err err = write_begin(store, &write);
	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < count; i++) {
		uint64_t writes = write.writes;
		write.origin = jobs[i]->origin;
		err = jobs[i]->outcome = jobs[i]->run(&write, jobs[i]);
		if (write.failure != ERR_OK) {
			write_abort(&write);
			return write.failure;
		}
		if (err != ERR_OK && write.writes != writes) {
			*guilty_out = i;
			write_abort(&write);
			return err;
		}
	}
	/* Nothing to write: nothing to sync, and nothing to fail. */
	if (write.writes == 0) {
		write_abort(&write);
		return ERR_OK;
	}
	return write_commit(&write);
}

/* Runs one job in a transaction of its own. */
static void job_run_alone(struct store *store, struct job *job)
{
	size_t guilty;
	enum err err = batch_run(store, &job, 1, &guilty);
	if (err != ERR_OK) {
		job->outcome = err;
		atomic_fetch_add(&store->failed_batches, guilty == 1);
	}
	atomic_fetch_add(&store->batches, 1);
	atomic_fetch_add(&store->jobs, 1);
}

static void jobs_run(struct store *store, struct job **jobs, size_t count)
{
	while (count > 1) {
		size_t guilty;
		enum err err = batch_run(store, jobs, count, &guilty);
		atomic_fetch_add(&store->batches, 1);
		if (err == ERR_OK) {
			atomic_fetch_add(&store->jobs, count);
			return;
		}
		if (guilty == count) {
			atomic_fetch_add(&store->failed_batches, 1);
			for (size_t i = 0; i < count; i++)
				job_run_alone(store, jobs[i]);
			return;
		}
		/* Those before it ran well: they are not refused a second time, unless the store
		 * fails. Then it, alone; then the others. */
		if (guilty > 0)
			jobs_run(store, jobs, guilty);
		job_run_alone(store, jobs[guilty]);
		jobs += guilty + 1;
		count -= guilty + 1;
	}
	if (count == 1)
		job_run_alone(store, jobs[0]);
}

enum err store_write_now(struct store *store, struct job *job)
{
	job_run_alone(store, job);
	return job->outcome;
}

/* A batch's jobs of one loop; their log lines leave together, before any answer does. */
static void jobs_done(struct task *task)
{
	struct job *job = CONTAINER_OF(task, struct job, task);
	log_hold();
	while (job) {
		struct job *next = job->next; /* done() may free the job */
		job->done(job);
		job = next;
	}
	log_release();
}

/* Posts the results for the first job's loop as one task; returns how many jobs are left, at the
 * front of `jobs`. */
static size_t post_results(struct job **jobs, size_t count)
{
	struct job *first = jobs[0], *last = first;
	size_t left = 0;
	for (size_t i = 1; i < count; i++) {
		if (jobs[i]->loop == first->loop)
			last = last->next = jobs[i];
		else
			jobs[left++] = jobs[i];
	}
	last->next = NULL;
	first->task.run = jobs_done;
	loop_post(first->loop, &first->task);
	return left;
}

static uint64_t monotonic_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct timespec timespec_of_us(uint64_t monotonic)
{
	return (struct timespec){ .tv_sec = (time_t)(monotonic / 1000000),
				  .tv_nsec = (long)(monotonic % 1000000) * 1000 };
}

static void batch_serve(struct writer *writer, struct job *first)
{
	struct job *jobs[BATCH_JOBS_MAX];
	size_t count = 0;
	for (struct job *job = first; job; job = job->next)
		jobs[count++] = job;
	uint64_t begun_us = monotonic_us();
	jobs_run(writer->store, jobs, count);
	uint64_t now_us = monotonic_us();
	pthread_mutex_lock(&writer->lock);
	commit_delay_answered(&writer->delay, now_us, now_us - begun_us, count);
	pthread_mutex_unlock(&writer->lock);
	while (count > 0)
		count = post_results(jobs, count);
}

/* A step of what is past its time, where it is time for one; then how long there is none. */
static uint64_t expunged_serve(struct writer *writer)
{
	uint64_t now_ms = clock_monotonic_ms(), wait_ms;
	if (now_ms < writer->expunged_at_ms && !writer->store->space_low)
		return LOOK_EVERY_MS;
	if (expunged_step(writer->store, &writer->expunged_walk, &wait_ms) != ERR_OK)
		wait_ms = LOOK_EVERY_MS;
	writer->expunged_at_ms = now_ms + wait_ms;
	return wait_ms;
}

static void garbage_serve(struct writer *writer)
{
	uint64_t wait_ms;
	journal_serve(writer->store);
	/* Only the server knows what its sessions read; an admin's process beside it does not. */
	if (writer->store->mode != STORE_SERVE ||
	    garbage_step(writer->store, &writer->walk, &wait_ms) != ERR_OK ||
	    wait_ms > LOOK_EVERY_MS)
		wait_ms = LOOK_EVERY_MS;
	if (writer->store->mode == STORE_SERVE && wait_ms > 0) {
		uint64_t expunged_ms = expunged_serve(writer);
		wait_ms = expunged_ms < wait_ms ? expunged_ms : wait_ms;
	}
	if (writer->store->mode == STORE_SERVE && wait_ms > 0) {
		uint64_t journal_ms;
		if (journal_step(writer->store, &journal_ms) != ERR_OK)
			journal_ms = LOOK_EVERY_MS;
		wait_ms = journal_ms < wait_ms ? journal_ms : wait_ms;
	}
	pthread_mutex_lock(&writer->lock);
	if (wait_ms == 0 && writer->first)
		wait_ms = GARBAGE_EVERY_MS;
	pthread_mutex_unlock(&writer->lock);
	writer_look_in(writer->store, wait_ms);
}

/* A process that was killed in a read keeps its place, and with it old pages, until seen. */
static void readers_check(struct writer *writer)
{
	int dead = 0;
	if (store_enter(writer->store) && mdb_reader_check(writer->store->env, &dead) == 0 &&
	    dead > 0)
		log_info(NULL, EVENT("dead-readers-cleared"), NUM("count", dead));
	store_leave(writer->store);
}

/* Until those are back whom the last batch answered, where that pays. Under the lock. */
static void batch_gather(struct writer *writer)
{
	uint64_t until_us = commit_delay_until_us(&writer->delay);
	struct timespec until = timespec_of_us(until_us);
	writer->is_delayed = until_us > 0;
	while (writer->is_delayed && !writer->stop)
		if (commit_delay_is_over(&writer->delay) ||
		    pthread_cond_timedwait(&writer->work, &writer->lock, &until) != 0)
			writer->is_delayed = false;
}

/* Takes up to a batch of what waits; waits for it at most until it is time to look around. */
static struct job *batch_take(struct writer *writer)
{
	struct job *first = NULL;
	pthread_mutex_lock(&writer->lock);
	while (!writer->first && !writer->stop) {
		uint64_t now_ms = clock_monotonic_ms();
		if (now_ms >= writer->look_at_ms)
			break;
		struct timespec until =
			timespec_of_us(monotonic_us() + (writer->look_at_ms - now_ms) * 1000);
		pthread_cond_timedwait(&writer->work, &writer->lock, &until);
	}
	if (writer->first)
		batch_gather(writer);
	first = writer->first;
	struct job *last = NULL;
	size_t count = 0;
	for (struct job *job = first; job && count < BATCH_JOBS_MAX; job = job->next, count++)
		last = job;
	if (last) {
		writer->first = last->next;
		last->next = NULL;
		if (!writer->first)
			writer->end = &writer->first;
	}
	pthread_mutex_unlock(&writer->lock);
	return first;
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	for (;;) {
		struct job *first = batch_take(writer);
		if (first)
			batch_serve(writer, first);
		pthread_mutex_lock(&writer->lock);
		bool stop = writer->stop && !writer->first;
		uint64_t now_ms = clock_monotonic_ms();
		bool look = now_ms >= writer->look_at_ms;
		if (look)
			writer->look_at_ms = UINT64_MAX; /* a commit may set it nearer */
		pthread_mutex_unlock(&writer->lock);
		if (stop)
			return NULL;
		if (look)
			garbage_serve(writer);
		if (now_ms >= writer->readers_at_ms) {
			readers_check(writer);
			writer->readers_at_ms = now_ms + LOOK_EVERY_MS;
		}
	}
}

void store_thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg)
{
	/* Signals are for the loops. */
	sigset_t all, before;
	sigfillset(&all);
	sigdelset(&all, SIGSYS); /* the sandbox's: meant for the thread that it meets */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(thread, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	assert(code == 0);
}

void store_start_writer(struct store *store)
{
	assert(!store->writer);
	struct writer *writer = heap_alloc(sizeof(*writer));
	writer->store = store;
	writer->end = &writer->first;
	pthread_condattr_t monotonic;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->work, &monotonic);
	pthread_condattr_destroy(&monotonic);
	store->writer = writer;
	if (store->redo)
		redo_start(store->redo);
	store_thread_start(&writer->thread, writer_main, writer);
}

void writer_stop(struct store *store)
{
	struct writer *writer = store->writer;
	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stop = true;
	pthread_cond_signal(&writer->work);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	store->writer = NULL;
	if (store->redo)
		redo_stop(store->redo);
	pthread_mutex_destroy(&writer->lock);
	pthread_cond_destroy(&writer->work);
	free(writer);
}

void writer_look_in(struct store *store, uint64_t wait_ms)
{
	struct writer *writer = store->writer;
	if (!writer)
		return;
	uint64_t at_ms = clock_monotonic_ms() + wait_ms;
	pthread_mutex_lock(&writer->lock);
	if (at_ms < writer->look_at_ms) {
		writer->look_at_ms = at_ms;
		pthread_cond_signal(&writer->work);
	}
	pthread_mutex_unlock(&writer->lock);
}

void store_submit(struct store *store, struct job *job)
{
	struct writer *writer = store->writer;
	assert(writer && job->loop && job->run && job->done);
	job->next = NULL;
	pthread_mutex_lock(&writer->lock);
	bool was_idle = writer->first == NULL;
	*writer->end = job;
	writer->end = &job->next;
	bool is_last = commit_delay_arrived(&writer->delay, monotonic_us());
	bool wakes = was_idle || (is_last && writer->is_delayed);
	pthread_mutex_unlock(&writer->lock);
	/* Behind the lock, which it would only wait for. */
	if (wakes)
		pthread_cond_signal(&writer->work);
}
