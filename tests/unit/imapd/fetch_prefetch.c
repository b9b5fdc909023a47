/* tests/unit/imapd/fetch_prefetch.c - what a long FETCH asks of the disk ahead: nothing where memory has it
 * all, else everything once, and before it is read. */
#include "tests/unit/imapd/mixed.h"

#include <limits.h>

#include "base/disk_waits.h"
#include "storage/read_ahead.h"
#include "tests/unit/imapd/many.h"

/* ---- a disk, in the places of the real one ---- */

/* A slice is made by one thread at a time, which the loop hands it to and takes it from. */
static struct disk {
	bool is_cold;
	unsigned looks;
	uint64_t waits;
	/* The digests that were asked for, since all that were asked for before have been read, and how
	 * many of them have been read. */
	uint64_t asked[MANY];
	size_t asked_count, read_count, most_ahead, unasked;
	unsigned beginnings;
	size_t pages_hold; /* digests: no more are asked for at once */
	unsigned entry_stretches;
	uint32_t entries_end; /* those before this UID were asked for; 0: all */
} disk;

uint64_t __wrap_disk_waits(void);
uint64_t __wrap_disk_waits(void)
{
	disk.looks++;
	disk.waits += disk.is_cold;
	return disk.waits;
}

uint32_t __real_read_ahead_entries(struct read *read, uint64_t mailbox_id,
				   const struct ranges *uids, uint32_t from_uid,
				   unsigned pages_max);
uint32_t __wrap_read_ahead_entries(struct read *read, uint64_t mailbox_id,
				   const struct ranges *uids, uint32_t from_uid,
				   unsigned pages_max);
uint32_t __wrap_read_ahead_entries(struct read *read, uint64_t mailbox_id,
				   const struct ranges *uids, uint32_t from_uid, unsigned pages_max)
{
	if (disk.entry_stretches++ > 0)
		assert_true(disk.entries_end != 0 && from_uid >= disk.entries_end);
	disk.entries_end = __real_read_ahead_entries(read, mailbox_id, uids, from_uid, pages_max);
	assert_true(disk.entries_end == 0 || disk.entries_end > from_uid);
	return disk.entries_end;
}

size_t __wrap_read_ahead_digests(struct read *read, const uint64_t *blob_ids, size_t count,
				 unsigned pages_max);
size_t __wrap_read_ahead_digests(struct read *read, const uint64_t *blob_ids, size_t count,
				 unsigned pages_max)
{
	if (count > disk.pages_hold)
		count = disk.pages_hold;
	if (disk.read_count >= disk.asked_count) {
		disk.read_count = disk.asked_count = 0;
		disk.beginnings++;
	}
	assert_true(disk.asked_count + count <= MANY);
	memcpy(disk.asked + disk.asked_count, blob_ids, count * sizeof(*blob_ids));
	disk.asked_count += count;
	if (disk.asked_count - disk.read_count > disk.most_ahead)
		disk.most_ahead = disk.asked_count - disk.read_count;
	return count;
}

enum err __real_blob_digest(struct read *read, uint64_t blob_id, struct arena *arena,
			    struct slice *record_out);
enum err __wrap_blob_digest(struct read *read, uint64_t blob_id, struct arena *arena,
			    struct slice *record_out);
enum err __wrap_blob_digest(struct read *read, uint64_t blob_id, struct arena *arena,
			    struct slice *record_out)
{
	if (disk.read_count < disk.asked_count)
		assert_int_equal(blob_id, disk.asked[disk.read_count]);
	else
		disk.unasked++;
	disk.read_count++;
	return __real_blob_digest(read, blob_id, arena, record_out);
}

static void disk_begin(bool is_cold, size_t pages_hold)
{
	disk = (struct disk){ .is_cold = is_cold, .pages_hold = pages_hold };
}

/* ---- the tests ---- */

#define ENVELOPES "f FETCH 1:* (ENVELOPE)"

static struct buffer want_envelopes;

static int setup(void **state)
{
	many_setup(state);
	loop_thread = pthread_self();
	disk_begin(false, MANY);
	run(session, "s SELECT many", "s OK");
	run_in_turns(session, ENVELOPES, &want_envelopes);
	return 0;
}

static int teardown(void **state)
{
	buffer_free(&want_envelopes);
	return many_teardown(state);
}

static void memory_is_asked_for_nothing(void **state)
{
	struct buffer said = { 0 };
	disk_begin(false, MANY);
	run_in_turns(session, ENVELOPES, &said);
	assert_same(&said, &want_envelopes);
	assert_int_equal(disk.unasked, MANY);
	assert_int_equal(disk.beginnings, 0);
	assert_int_equal(disk.entry_stretches, 0);
	assert_true(disk.looks > 10);
	buffer_free(&said);
}

static void a_short_one_does_not_look(void **state)
{
	disk_begin(true, MANY);
	run(session, "f FETCH 1:20 (ENVELOPE)", "f OK");
	assert_int_equal(disk.looks, 0);
	assert_int_equal(disk.beginnings, 0);
}

/* The first slices are not helped: it is they that show how things are. */
static void assert_all_were_asked_for(const struct buffer *said)
{
	assert_same(said, &want_envelopes);
	assert_int_equal(disk.beginnings, 1);
	assert_int_equal(disk.asked_count, disk.read_count);
	assert_int_equal(disk.asked_count + disk.unasked, MANY);
	assert_in_range(disk.unasked, 1, MANY / 20);
	assert_true(disk.entry_stretches > 1);
	assert_int_equal(disk.entries_end, 0);
}

static void each_message_is_asked_for_once_before_it_is_read(void **state)
{
	struct buffer said = { 0 };
	disk_begin(true, MANY);
	run_in_turns(session, ENVELOPES, &said);
	assert_all_were_asked_for(&said);
	assert_in_range(disk.most_ahead, 1000, 2 * 1024);
	/* Where each digest has a page of its own, as in a mailbox that gets a letter a day. */
	disk_begin(true, 64);
	run_in_turns(session, ENVELOPES, &said);
	assert_all_were_asked_for(&said);
	assert_in_range(disk.most_ahead, 64, 2 * 64);
	buffer_free(&said);
}

static void the_loop_asks_where_all_workers_are_busy(void **state)
{
	struct buffer said = { 0 };
	disk_begin(true, 500);
	run_on_loop(session, ENVELOPES, &said);
	assert_all_were_asked_for(&said);
	buffer_free(&said);
}

/* So many slices, or all. */
static void go_on(struct cursor *in, struct buffer *said, unsigned slices)
{
	while (slices > 0 && session_drive(session, in) != STEP_INPUT) {
		core_drain(session, said);
		while (session->job_out)
			loop_run_once(world.loop, 1000);
		slices--;
	}
	core_drain(session, said);
}

/* The disk is needed for a while, then not, then again. */
static void it_begins_and_ends_with_the_need(void **state)
{
	enum { WHILE = 20 };
	struct cursor in = cursor_of(SLICE(ENVELOPES "\r\n"));
	struct buffer said = { 0 };
	disk_begin(true, MANY);
	go_on(&in, &said, WHILE);
	assert_int_equal(disk.beginnings, 1);
	size_t asked = disk.asked_count, unasked = disk.unasked;
	assert_true(asked > 0);
	disk.is_cold = false;
	go_on(&in, &said, WHILE);
	/* The first of these does not know yet. */
	assert_in_range(disk.asked_count, asked, asked + 1024);
	assert_true(disk.unasked > unasked);
	unasked = disk.unasked;
	disk.is_cold = true;
	go_on(&in, &said, UINT_MAX);
	assert_int_equal(disk.beginnings, 2);
	assert_int_equal(disk.asked_count, disk.read_count);
	assert_in_range(disk.unasked, unasked, unasked + MANY / 20);
	assert_same(&said, &want_envelopes);
	buffer_free(&said);
}

static void flags_need_no_digests(void **state)
{
	disk_begin(true, MANY);
	run(session, "f FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)", "f OK");
	assert_int_equal(disk.beginnings, 0);
	assert_true(disk.entry_stretches > 1);
	assert_int_equal(disk.entries_end, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_asked_for_nothing),
		cmocka_unit_test(a_short_one_does_not_look),
		cmocka_unit_test(each_message_is_asked_for_once_before_it_is_read),
		cmocka_unit_test(the_loop_asks_where_all_workers_are_busy),
		cmocka_unit_test(it_begins_and_ends_with_the_need),
		cmocka_unit_test(flags_need_no_digests),
	};
	pool_set_threads(WORKERS);
	return cmocka_run_group_tests(tests, setup, teardown);
}
