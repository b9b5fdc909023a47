/* tests/unit/storage/writer.c - the writer: many jobs to a commit, in order, results on the
 * asker's loop; what one job does wrong costs no other. */
#include "tests/unit/storage/bed.h"

#include <semaphore.h>

#include "base/heap.h"

enum { JOBS = 300 };

struct order {
	unsigned ran[JOBS * 4], run_count;
	unsigned done[JOBS], done_count;
};

struct append_job {
	struct job job;
	struct order *order;
	unsigned number;
	uint64_t mailbox_id;
	struct intake *intake;
	enum err refuse_before, refuse_after; /* ERR_OK: not at all */
	uint32_t uid;
	pthread_t ran_on, done_on;
};

static enum err append_run(struct write *write, struct job *job)
{
	struct append_job *append = CONTAINER_OF(job, struct append_job, job);
	struct message_entry entry = { .size_octets = intake_size_octets(append->intake) };
	append->ran_on = pthread_self();
	append->order->ran[append->order->run_count++ % (JOBS * 4)] = append->number;
	if (append->refuse_before != ERR_OK)
		return append->refuse_before;
	enum err err = intake_commit(write, append->intake, &entry.blob_id);
	if (err == ERR_OK)
		err = message_append(write, append->mailbox_id, &entry, NULL, 0, &append->uid);
	return err == ERR_OK ? append->refuse_after : err;
}

static void append_done(struct job *job)
{
	struct append_job *append = CONTAINER_OF(job, struct append_job, job);
	append->done_on = pthread_self();
	append->order->done[append->order->done_count++] = append->number;
}

struct held {
	struct job job;
	sem_t *started, *go;
};

/* Keeps the writer busy while jobs gather. */
static enum err hold_run(struct write *write, struct job *job)
{
	struct held *held = CONTAINER_OF(job, struct held, job);
	sem_post(held->started);
	sem_wait(held->go);
	return ERR_OK;
}

static void hold_done(struct job *job)
{
}

struct crowd {
	struct bed bed;
	struct loop *loop;
	struct order order;
	struct append_job jobs[JOBS];
	struct held held;
	sem_t started, go;
};

static struct crowd *crowd_new(void)
{
	struct crowd *crowd = heap_alloc(sizeof(*crowd));
	bed_begin(&crowd->bed, STORE_SERVE);
	crowd->loop = loop_new(0);
	sem_init(&crowd->started, 0, 0);
	sem_init(&crowd->go, 0, 0);
	store_start_writer(crowd->bed.store);
	return crowd;
}

static void crowd_submit(struct crowd *crowd, size_t count)
{
	crowd->held = (struct held){ .job.run = hold_run,
				     .job.done = hold_done,
				     .job.loop = crowd->loop,
				     .started = &crowd->started,
				     .go = &crowd->go };
	store_submit(crowd->bed.store, &crowd->held.job);
	sem_wait(&crowd->started);
	for (size_t i = 0; i < count; i++) {
		struct append_job *job = &crowd->jobs[i];
		job->job =
			(struct job){ .run = append_run, .done = append_done, .loop = crowd->loop };
		job->order = &crowd->order;
		job->number = (unsigned)i;
		job->mailbox_id = crowd->bed.inbox_id;
		job->intake = intake_new(crowd->bed.store, crowd->loop, NULL, NULL);
		intake_feed(job->intake, SLICE("Subject: x\r\n\r\nhello\r\n"));
		assert_int_equal(intake_finish(job->intake), ERR_OK);
		store_submit(crowd->bed.store, &job->job);
	}
	sem_post(&crowd->go);
	while (crowd->order.done_count < count)
		loop_run_once(crowd->loop, 1000);
}

static void crowd_free(struct crowd *crowd)
{
	for (size_t i = 0; i < JOBS; i++)
		intake_free(&crowd->jobs[i].intake);
	store_close(&crowd->bed.store);
	loop_run_once(crowd->loop, 0);
	loop_free(crowd->loop);
	bed_end(&crowd->bed);
	sem_destroy(&crowd->started);
	sem_destroy(&crowd->go);
	free(crowd);
}

static size_t inbox_count(struct crowd *crowd)
{
	struct ranges uids = { 0 };
	struct read *read = read_begin(crowd->bed.store);
	message_uids(read, crowd->bed.inbox_id, 1, &uids);
	size_t count = ranges_total(&uids);
	ranges_free(&uids);
	read_end(&read);
	return count;
}

static void puts_many_jobs_in_one_commit(void **state)
{
	struct crowd *crowd = crowd_new();
	struct store_counters before, after;
	store_counters(crowd->bed.store, &before);
	crowd_submit(crowd, JOBS);
	store_counters(crowd->bed.store, &after);
	assert_int_equal(after.jobs - before.jobs, JOBS + 1);
	assert_int_equal(after.batches - before.batches, 2);
	assert_int_equal(after.failed_batches, 0);
	for (unsigned i = 0; i < JOBS; i++) {
		assert_int_equal(crowd->jobs[i].job.outcome, ERR_OK);
		assert_int_equal(crowd->jobs[i].uid, i + 1);
		assert_int_equal(crowd->order.ran[i], i);
		assert_int_equal(crowd->order.done[i], i);
		assert_false(pthread_equal(crowd->jobs[i].ran_on, pthread_self()));
		assert_true(pthread_equal(crowd->jobs[i].done_on, pthread_self()));
	}
	assert_int_equal(inbox_count(crowd), JOBS);
	crowd_free(crowd);
}

/* Refused before or after they have written something: neither leaves a trace. */
static void keeps_the_guilty_from_the_others(void **state)
{
	struct crowd *crowd = crowd_new();
	struct store_counters counters;
	unsigned refused = 0;
	for (unsigned i = 0; i < JOBS; i++) {
		if (i % 50 == 7)
			crowd->jobs[i].refuse_before = ERR_DENIED;
		else if (i % 50 == 20 || i == JOBS - 1 || i == 0)
			crowd->jobs[i].refuse_after = ERR_QUOTA;
		refused += crowd->jobs[i].refuse_before || crowd->jobs[i].refuse_after;
	}
	crowd_submit(crowd, JOBS);
	uint32_t uid = 0;
	for (unsigned i = 0; i < JOBS; i++) {
		struct append_job *job = &crowd->jobs[i];
		assert_int_equal(job->job.outcome,
				 job->refuse_before ? ERR_DENIED : job->refuse_after);
		assert_int_equal(crowd->order.done[i], i);
		if (job->job.outcome == ERR_OK)
			assert_int_equal(job->uid, ++uid);
	}
	assert_int_equal(uid, JOBS - refused);
	assert_int_equal(inbox_count(crowd), uid);
	store_counters(crowd->bed.store, &counters);
	assert_int_equal(counters.failed_batches, 0);
	/* 8 were guilty: each costs three transactions at most, not one for every job. */
	assert_in_range(counters.batches, 1, 30);
	crowd_free(crowd);
}

/* The store itself fails for one of them: the others come through, one by one. */
static void survives_a_failing_store(void **state)
{
	struct crowd *crowd = crowd_new();
	crowd->jobs[3].refuse_after = ERR_DISK;
	crowd->jobs[4].refuse_before = ERR_FULL;
	crowd_submit(crowd, 6);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(crowd->jobs[i].job.outcome, i == 3   ? ERR_DISK
							     : i == 4 ? ERR_FULL
								      : ERR_OK);
	assert_int_equal(inbox_count(crowd), 4);
	crowd_free(crowd);
}

static void finishes_what_waits_when_it_closes(void **state)
{
	struct crowd *crowd = crowd_new();
	static struct append_job jobs[10];
	struct order order = { .run_count = 0 };
	for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = (struct append_job){
			.job = { .run = append_run, .done = append_done, .loop = crowd->loop },
			.order = &order,
			.number = i,
			.mailbox_id = crowd->bed.inbox_id,
			.intake = intake_new(crowd->bed.store, crowd->loop, NULL, NULL)
		};
		intake_feed(jobs[i].intake, SLICE("a: b\r\n\r\n"));
		assert_int_equal(intake_finish(jobs[i].intake), ERR_OK);
		store_submit(crowd->bed.store, &jobs[i].job);
	}
	store_close(&crowd->bed.store);
	loop_run_once(crowd->loop, 0);
	assert_int_equal(order.done_count, ARRAY_LEN(jobs));
	for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
		assert_int_equal(jobs[i].job.outcome, ERR_OK);
		intake_free(&jobs[i].intake);
	}
	bed_open(&crowd->bed, STORE_SERVE);
	assert_int_equal(inbox_count(crowd), ARRAY_LEN(jobs));
	crowd_free(crowd);
}

static enum err nothing_run(struct write *write, void *arg)
{
	return ERR_OK;
}

/* A job that changes nothing does not make the disk spin. */
static void writes_nothing_for_nothing(void **state)
{
	struct bed bed;
	MDB_envinfo before, after;
	bed_begin(&bed, STORE_CREATE);
	mdb_env_info(bed.store->env, &before);
	assert_int_equal(bed_write(&bed, nothing_run, NULL), ERR_OK);
	mdb_env_info(bed.store->env, &after);
	assert_int_equal(after.me_last_txnid, before.me_last_txnid);
	bed_end(&bed);
}

/* A disk that keeps the writer is counted and logged, since clients cannot tell it from a server that
 * hangs. */
static void tells_of_a_slow_disk(void **state)
{
	struct crowd *crowd = crowd_new();
	struct store_counters before, after;
	store_counters(crowd->bed.store, &before);
	crowd->bed.store->slow_ms = 0;
	log_set_level(LOG_ERROR);
	crowd_submit(crowd, 1);
	log_set_level(LOG_INFO);
	store_counters(crowd->bed.store, &after);
	assert_true(after.slow > before.slow);
	crowd_free(crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_many_jobs_in_one_commit),
		cmocka_unit_test(keeps_the_guilty_from_the_others),
		cmocka_unit_test(survives_a_failing_store),
		cmocka_unit_test(finishes_what_waits_when_it_closes),
		cmocka_unit_test(writes_nothing_for_nothing),
		cmocka_unit_test(tells_of_a_slow_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
