/* tests/unit/storage/gaps.c - which UIDs are gone: runs, bitmaps, gaps over many blocks, and
 * notes that do not add up. */
#include "tests/unit/storage/bed.h"

#include "storage/message_priv.h"

struct op {
	uint64_t mailbox_id;
	struct ranges uids; /* that are there */
	struct ranges gone;
	uint32_t uidnext;
};

/* Only the record and the gaps: what they say is asked, not what is there. */
static enum err set_run(struct write *write, void *arg)
{
	struct op *op = arg;
	struct mailbox_slot *slot;
	enum err err = mailbox_slot_get(write, op->mailbox_id, &slot);
	if (err != ERR_OK)
		return err;
	slot->record.mailbox.uidnext = op->uidnext;
	slot->record.mailbox.messages = (uint32_t)ranges_total(&op->uids);
	mailbox_slot_dirty(write, slot);
	return gaps_add(write, op->mailbox_id, &op->gone);
}

static size_t rows(struct bed *bed)
{
	struct row row;
	struct key key;
	struct slice block;
	size_t count = 0;
	struct read *read = read_begin(bed->store);
	row_open(&row, read, DB_MAILBOX);
	key_gaps(&key, bed->inbox_id, 0);
	for (bool more = row_seek(&row, key_slice(&key));
	     more && key_is_row(row.key, bed->inbox_id, ROW_GAPS, &block); more = row_next(&row)) {
		assert_true(row.value.len <= 2 + 1024);
		count++;
	}
	row_close(&row);
	read_end(&read);
	return count;
}

/* first..last go, every `step`th of them. */
static void lose(struct bed *bed, struct op *op, uint32_t first, uint32_t last, uint32_t step)
{
	ranges_clear(&op->gone);
	for (uint64_t uid = first; uid <= last; uid += step) {
		uint32_t end = step == 1 ? last : (uint32_t)uid;
		ranges_add(&op->gone, (uint32_t)uid, end);
		ranges_remove(&op->uids, (uint32_t)uid, end);
		if (step == 1)
			break;
	}
	assert_int_equal(bed_write(bed, set_run, op), ERR_OK);
}

static void check(struct bed *bed, const struct op *op)
{
	struct ranges uids = { 0 };
	struct read *read = read_begin(bed->store);
	assert_true(gaps_uids(read, bed->inbox_id, &uids));
	assert_int_equal(uids.count, op->uids.count);
	if (uids.count > 0)
		assert_memory_equal(uids.runs, op->uids.runs, uids.count * sizeof(*uids.runs));
	read_end(&read);
	ranges_free(&uids);
}

static void fill(struct bed *bed, struct op *op, uint32_t uidnext)
{
	*op = (struct op){ .mailbox_id = bed->inbox_id, .uidnext = uidnext };
	if (uidnext > 1)
		ranges_add(&op->uids, 1, uidnext - 1);
	assert_int_equal(bed_write(bed, set_run, op), ERR_OK);
}

static void op_free(struct op *op)
{
	ranges_free(&op->uids);
	ranges_free(&op->gone);
}

static void notes_runs_and_bitmaps(void **state)
{
	struct bed bed;
	struct op op;
	bed_begin(&bed, STORE_CREATE);
	fill(&bed, &op, 1);
	check(&bed, &op);
	op_free(&op);
	fill(&bed, &op, 100001);
	check(&bed, &op);
	assert_int_equal(rows(&bed), 0);
	lose(&bed, &op, 1, 1, 1);
	check(&bed, &op);
	lose(&bed, &op, 8191, 8193, 1); /* over a border */
	check(&bed, &op);
	assert_int_equal(rows(&bed), 1);
	lose(&bed, &op, 20000, 60000, 2); /* bitmaps */
	check(&bed, &op);
	lose(&bed, &op, 20001, 60000, 2); /* and they are full */
	check(&bed, &op);
	lose(&bed, &op, 90000, 100000, 1); /* the newest */
	check(&bed, &op);
	lose(&bed, &op, 2, 89999, 7);
	check(&bed, &op);
	lose(&bed, &op, 1, 100000, 1);
	check(&bed, &op);
	assert_int_equal(op.uids.count, 0);
	op_free(&op);
	bed_end(&bed);
}

static void notes_gaps_over_many_blocks(void **state)
{
	struct bed bed;
	struct op op;
	bed_begin(&bed, STORE_CREATE);
	fill(&bed, &op, INT32_MAX);
	lose(&bed, &op, 8000, 2000000000, 1);
	check(&bed, &op);
	assert_int_equal(rows(&bed), 1);
	/* The row becomes a bitmap: what was behind its block moves on. */
	lose(&bed, &op, 2, 7998, 3);
	check(&bed, &op);
	assert_int_equal(rows(&bed), 2);
	/* Where the long one ends. */
	lose(&bed, &op, 2000000010, 2000000020, 2);
	check(&bed, &op);
	op_free(&op);
	bed_end(&bed);
}

static enum err damage_run(struct write *write, void *arg)
{
	struct op *op = arg;
	struct key key;
	key_gaps(&key, op->mailbox_id, 0);
	return db_put(write, DB_MAILBOX, key_slice(&key), SLICE("\1\1\0\0\0\5\0\0\0\4"), PUT_ANY);
}

static void says_nothing_that_is_not_sure(void **state)
{
	struct bed bed;
	struct op op;
	struct ranges uids = { 0 };
	bed_begin(&bed, STORE_CREATE);
	fill(&bed, &op, 1000);
	lose(&bed, &op, 500, 600, 1);
	check(&bed, &op);
	ranges_remove(&op.uids, 7, 7); /* went without a note */
	ranges_clear(&op.gone);
	assert_int_equal(bed_write(&bed, set_run, &op), ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_false(gaps_uids(read, bed.inbox_id, &uids));
	assert_int_equal(uids.count, 0);
	message_uids(read, bed.inbox_id, 1, &uids); /* the entries: there are none */
	assert_int_equal(uids.count, 0);
	read_end(&read);
	assert_int_equal(bed_write(&bed, damage_run, &op), ERR_OK);
	read = read_begin(bed.store);
	assert_false(gaps_uids(read, bed.inbox_id, &uids));
	read_end(&read);
	ranges_free(&uids);
	/* What comes next is noted all the same. */
	lose(&bed, &op, 10, 20, 1);
	op_free(&op);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_runs_and_bitmaps),
		cmocka_unit_test(notes_gaps_over_many_blocks),
		cmocka_unit_test(says_nothing_that_is_not_sure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
