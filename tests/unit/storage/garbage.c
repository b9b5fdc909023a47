/* tests/unit/storage/garbage.c - what nothing refers to goes in the background: by the writer
 * itself, in small transactions, beside the work. */
#include "tests/unit/storage/bed.h"

#include "base/clock.h"
#include "storage/garbage_priv.h"

enum { MESSAGES = 20000 };

static enum err fill_run(struct write *write, void *arg)
{
	struct bed *bed = arg;
	struct message_entry entry = { .size_octets = 8 };
	uint32_t uid;
	struct intake *intake = intake_new(bed->store, NULL, NULL, NULL);
	intake_feed(intake, SLICE("a: b\r\n\r\n"));
	enum err err = intake_finish(intake);
	for (unsigned i = 0; i < MESSAGES && err == ERR_OK; i++) {
		/* Some bodies are shared, most are not. */
		if (i % 10 != 9)
			err = intake_commit(write, intake, &entry.blob_id);
		if (err == ERR_OK)
			err = message_append(write, bed->inbox_id, &entry, NULL, 0, &uid);
	}
	intake_free(&intake);
	return err;
}

static void goes_in_small_steps(void **state)
{
	struct bed bed;
	struct garbage_walk walk = { 0 };
	uint64_t wait_ms = 0;
	int64_t now_ms = 1700000000000;
	clock_set_fake_unix_ms(now_ms);
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, fill_run, &bed), ERR_OK);
	assert_int_equal(bed_write(&bed, bed_remove_account, &bed.account_id), ERR_OK);
	assert_true(bed_count_rows(&bed, DB_MAILBOX) > MESSAGES);
	size_t rows = bed_count_rows(&bed, DB_MAILBOX), steps = 0;
	while (wait_ms <= 1000) {
		assert_int_equal(garbage_step(bed.store, &walk, &wait_ms), ERR_OK);
		size_t left = bed_count_rows(&bed, DB_MAILBOX);
		assert_in_range(rows - left, 0, 2000);
		rows = left;
		steps++;
	}
	assert_int_equal(rows, 0);
	assert_true(steps > MESSAGES / 2000);
	assert_int_equal(bed_count_rows(&bed, DB_REFERENCE), 0);
	assert_int_equal(bed_count_rows(&bed, DB_GARBAGE), MESSAGES / 10 * 9);
	/* Its bodies are still there, for a session that was in the middle of one. */
	assert_int_equal(bed_count_rows(&bed, DB_DIGEST), MESSAGES / 10 * 9);
	assert_in_range(wait_ms, 1001, (GARBAGE_DELAY_SECONDS + 1) * 1000);
	clock_set_fake_unix_ms(now_ms + (GARBAGE_DELAY_SECONDS + 1) * 1000);
	for (wait_ms = 0; wait_ms <= 1000;)
		assert_int_equal(garbage_step(bed.store, &walk, &wait_ms), ERR_OK);
	assert_int_equal(wait_ms, UINT64_MAX);
	assert_int_equal(bed_count_rows(&bed, DB_DIGEST), 0);
	assert_int_equal(bed_count_rows(&bed, DB_BLOB), 0);
	assert_int_equal(bed_count_rows(&bed, DB_GARBAGE), 0);
	clock_set_fake_unix_ms(-1);
	bed_end(&bed);
}

struct removal {
	struct job job;
	struct bed *bed;
	bool is_done;
};

static enum err removal_run(struct write *write, struct job *job)
{
	return bed_remove_account(write, &CONTAINER_OF(job, struct removal, job)->bed->account_id);
}

static void removal_done(struct job *job)
{
	CONTAINER_OF(job, struct removal, job)->is_done = true;
}

/* Nobody asks it to. */
static void is_collected_by_the_writer(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_SERVE);
	struct loop *loop = loop_new(0);
	bed.store->garbage_delay_seconds = 0;
	assert_int_equal(bed_write(&bed, fill_run, &bed), ERR_OK);
	store_start_writer(bed.store);
	struct removal removal = {
		.job = { .run = removal_run, .done = removal_done, .loop = loop }, .bed = &bed
	};
	store_submit(bed.store, &removal.job);
	while (!removal.is_done)
		loop_run_once(loop, 1000);
	assert_int_equal(removal.job.outcome, ERR_OK);
	while (bed_count_rows(&bed, DB_GARBAGE) > 0)
		usleep(1000);
	assert_int_equal(bed_count_rows(&bed, DB_MAILBOX), 0);
	assert_int_equal(bed_count_rows(&bed, DB_BLOB), 0);
	store_close(&bed.store);
	loop_run_once(loop, 0);
	loop_free(loop);
	bed_end(&bed);
}

/* What was left when the last server stopped. */
static void is_found_at_the_start(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, fill_run, &bed), ERR_OK);
	assert_int_equal(bed_write(&bed, bed_remove_account, &bed.account_id), ERR_OK);
	store_close(&bed.store);
	bed_open(&bed, STORE_SERVE);
	store_start_writer(bed.store);
	while (bed_count_rows(&bed, DB_MAILBOX) > 0)
		usleep(1000);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_in_small_steps),
		cmocka_unit_test(is_collected_by_the_writer),
		cmocka_unit_test(is_found_at_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
