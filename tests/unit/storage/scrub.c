/* tests/unit/storage/scrub.c - the pace of the scrub, what it finds, and where it goes on. */
#include "tests/unit/storage/bed.h"

#include "runtime/loop.h"
#include "storage/scrub.h"

enum { DAY = 24 * 3600, MESSAGES = 30 };

static void bed_fill(struct bed *bed)
{
	struct buffer text = { 0 };
	bed_begin(bed, STORE_ADMIN);
	for (unsigned i = 1; i <= MESSAGES; i++) {
		bed_text(&text, i, i == 7 ? 300000 : 500);
		struct bed_append append = { .mailbox_id = bed->inbox_id,
					     .text = buffer_slice(&text) };
		assert_int_equal(bed_append(bed, &append), ERR_OK);
	}
	buffer_free(&text);
}

static struct scrub_status saved(struct bed *bed)
{
	struct scrub_status status;
	struct read *read = read_begin(bed->store);
	assert_int_equal(scrub_status(read, &status), ERR_OK);
	read_end(&read);
	return status;
}

static enum err flip_run(struct write *write, void *arg)
{
	struct key key;
	struct slice value;
	key_piece(&key, *(uint64_t *)arg, 0, 0);
	enum err err = db_get(write_read(write), DB_BLOB, key_slice(&key), &value);
	if (err != ERR_OK)
		return err;
	struct slice copy = arena_copy(&write->arena, value);
	((uint8_t *)(uintptr_t)copy.ptr)[copy.len - 1] ^= 1;
	return db_put(write, DB_BLOB, key_slice(&key), copy, PUT_ANY);
}

static uint64_t damage(struct bed *bed, uint32_t uid)
{
	struct message_entry entry;
	struct read *read = read_begin(bed->store);
	assert_int_equal(message_get(read, bed->inbox_id, uid, &entry), ERR_OK);
	read_end(&read);
	assert_int_equal(bed_write(bed, flip_run, &entry.blob_id), ERR_OK);
	return entry.blob_id;
}

static void keeps_pace_with_the_clock(void **state)
{
	struct bed bed;
	struct scrub_walk walk = { 0 };
	int64_t start = 1000000000, now = start;
	bed_fill(&bed);
	assert_int_equal(saved(&bed).started_unix, 0);
	assert_int_equal(scrub_step(bed.store, &walk, 30, now), ERR_OK);
	assert_int_equal(saved(&bed).started_unix, start);
	uint64_t before = 0;
	for (unsigned day = 1; day < 30; day++) {
		now = start + (int64_t)day * DAY;
		assert_int_equal(scrub_step(bed.store, &walk, 30, now), ERR_OK);
		/* About one a day, and never ahead of its time. */
		assert_in_range(walk.status.next_blob_id, before, day * 31 / 30 + 2);
		assert_true(day < 3 || walk.status.next_blob_id >= day - 1);
		before = walk.status.next_blob_id;
	}
	assert_int_equal(saved(&bed).finished_unix, 0);
	now = start + 30 * DAY;
	assert_int_equal(scrub_step(bed.store, &walk, 30, now), ERR_OK);
	assert_int_equal(saved(&bed).finished_unix, now);
	assert_int_equal(saved(&bed).damaged, 0);
	/* And on. */
	assert_int_equal(scrub_step(bed.store, &walk, 30, now + 10), ERR_OK);
	assert_int_equal(saved(&bed).started_unix, now + 10);
	assert_int_equal(saved(&bed).next_blob_id, 0);
	assert_int_equal(saved(&bed).finished_unix, now);
	bed_end(&bed);
}

static void finds_damage_once_a_round(void **state)
{
	struct bed bed;
	struct scrub_walk walk = { 0 };
	int64_t now = 1000000000;
	bed_fill(&bed);
	damage(&bed, 3);
	uint64_t long_blob_id = damage(&bed, 7);
	assert_int_equal(scrub_step(bed.store, &walk, 10, now), ERR_OK);
	now += 5 * DAY;
	assert_int_equal(scrub_step(bed.store, &walk, 10, now), ERR_OK);
	assert_int_equal(walk.status.damaged, 2);
	/* Written down with the finding: who comes after a restart does not find them again. */
	assert_int_equal(saved(&bed).damaged, 2);
	assert_true(saved(&bed).next_blob_id > long_blob_id);
	struct scrub_walk again = { 0 };
	now += 5 * DAY;
	assert_int_equal(scrub_step(bed.store, &again, 10, now), ERR_OK);
	assert_int_equal(again.status.damaged, 2);
	assert_int_equal(saved(&bed).finished_unix, now);
	/* The next round tells of them again. */
	assert_int_equal(scrub_step(bed.store, &again, 10, ++now), ERR_OK);
	assert_int_equal(again.status.damaged, 0);
	assert_int_equal(scrub_step(bed.store, &again, 10, now + 9 * DAY), ERR_OK);
	assert_int_equal(again.status.damaged, 2);
	bed_end(&bed);
}

static void an_empty_store_is_soon_read(void **state)
{
	struct bed bed;
	struct scrub_walk walk = { 0 };
	bed_begin(&bed, STORE_ADMIN);
	assert_int_equal(scrub_step(bed.store, &walk, 1, 1000), ERR_OK);
	assert_int_equal(scrub_step(bed.store, &walk, 1, 2000), ERR_OK);
	assert_int_equal(saved(&bed).finished_unix, 0);
	assert_int_equal(scrub_step(bed.store, &walk, 1, 1000 + DAY), ERR_OK);
	assert_int_equal(saved(&bed).finished_unix, 1000 + DAY);
	bed_end(&bed);
}

/* What is on its way out is no damage, whatever is left of it. */
static void what_goes_is_no_damage(void **state)
{
	struct bed bed;
	struct scrub_walk walk = { 0 };
	bed_fill(&bed);
	assert_int_equal(bed_expunge(&bed, 1, UINT32_MAX), ERR_OK);
	assert_int_equal(scrub_step(bed.store, &walk, 1, 1000), ERR_OK);
	assert_int_equal(scrub_step(bed.store, &walk, 1, 1000 + DAY), ERR_OK);
	assert_int_equal(walk.status.damaged, 0);
	bed_end(&bed);
}

static void starts_and_stops(void **state)
{
	struct bed bed;
	bed_fill(&bed);
	struct loop *loop = loop_new(0);
	struct scrub *scrub = scrub_new(bed.store, loop);
	scrub_set_days(scrub, 30);
	scrub_set_days(scrub, 0);
	scrub_set_days(scrub, 1);
	loop_run_once(loop, 1);
	scrub_free(&scrub);
	assert_null(scrub);
	scrub_free(&scrub);
	loop_free(loop);
	bed_end(&bed);
}

int main(void)
{
	log_set_level(LOG_NOTHING);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_pace_with_the_clock),
		cmocka_unit_test(finds_damage_once_a_round),
		cmocka_unit_test(an_empty_store_is_soon_read),
		cmocka_unit_test(what_goes_is_no_damage),
		cmocka_unit_test(starts_and_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
