/* tests/unit/storage/expunged.c - what was expunged comes back as it was, or goes when its time is
 * over, and counts for nothing meanwhile. */
#include "tests/unit/storage/bed.h"

#include "base/clock.h"
#include "base/heap.h"
#include "storage/expunged_priv.h"
#include "storage/garbage_priv.h"

enum { DAY = 24 * 3600, KEPT = 7 * DAY };
static const int64_t start_unix = 1700000000;

struct op {
	uint64_t mailbox_id, to_id;
	uint32_t account_id;
	struct ranges uids, out, to;
	struct slice name;
	struct expunged expunged;
};

static enum err expunge_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return message_expunge(write, op->mailbox_id, &op->uids, false, &op->out);
}
static enum err move_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return message_copy(write, op->mailbox_id, &op->uids, op->to_id, true, &op->out, &op->to);
}
static enum err copy_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return message_copy(write, op->mailbox_id, &op->uids, op->to_id, false, &op->out, &op->to);
}
static enum err delete_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return mailbox_delete(write, op->account_id, op->name);
}
static enum err restore_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return expunged_restore(write, op->account_id, &op->expunged);
}
static enum err quota_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return account_set_quota(write, op->account_id, 0, 1);
}

static void op_free(struct op *op)
{
	ranges_free(&op->uids);
	ranges_free(&op->out);
	ranges_free(&op->to);
}

static void begin(struct bed *bed, struct op *op)
{
	clock_set_fake_unix_ms(start_unix * 1000);
	bed_begin(bed, STORE_CREATE);
	store_set_undelete_seconds(bed->store, KEPT);
	*op = (struct op){ .mailbox_id = bed->inbox_id, .account_id = bed->account_id };
	ranges_add(&op->uids, 1, UINT32_MAX);
}

static void end(struct bed *bed, struct op *op)
{
	op_free(op);
	clock_set_fake_unix_ms(-1);
	bed_end(bed);
}

static void append(struct bed *bed, uint64_t mailbox_id, unsigned count)
{
	static const struct slice keywords[] = { { (const uint8_t *)"$Work", 5 } };
	struct buffer text = { 0 };
	for (unsigned i = 0; i < count; i++) {
		bed_text(&text, i, 2000);
		struct bed_append one = { .mailbox_id = mailbox_id,
					  .text = buffer_slice(&text),
					  .entry = { .flags = FLAG_SEEN | FLAG_DELETED,
						     .internal_unix = 1234567 + i },
					  .keywords = keywords,
					  .keyword_count = 1 };
		assert_int_equal(bed_append(bed, &one), ERR_OK);
	}
	buffer_free(&text);
}

static struct account account_now(struct bed *bed)
{
	struct account account;
	struct read *read = read_begin(bed->store);
	assert_int_equal(account_get(read, bed->account_id, &bed->arena, &account), ERR_OK);
	read_end(&read);
	return account;
}

/* All that may be had back, the last one left in `op`. */
static unsigned list(struct bed *bed, struct op *op)
{
	struct expunged_place place = { 0 };
	unsigned count = 0;
	/* A read for each, as who lists many does it. */
	for (bool more = true; more; count += more) {
		struct read *read = read_begin(bed->store);
		struct expunged found;
		more = expunged_next(read, bed->account_id, &place, &bed->arena, &found);
		if (more)
			op->expunged = found;
		read_end(&read);
	}
	return count;
}

static void pass(struct bed *bed, int64_t seconds)
{
	struct expunged_walk walk = { 0 };
	struct garbage_walk garbage = { 0 };
	uint64_t wait_ms;
	clock_set_fake_unix_ms((clock_unix() + seconds) * 1000);
	do
		assert_int_equal(expunged_step(bed->store, &walk, &wait_ms), ERR_OK);
	while (wait_ms == 0);
	do
		assert_int_equal(garbage_step(bed->store, &garbage, &wait_ms), ERR_OK);
	while (wait_ms <= 1000);
}

static void comes_back_as_it_was(void **state)
{
	struct bed bed;
	struct op op;
	struct message_entry entry;
	struct mailbox mailbox;
	begin(&bed, &op);
	append(&bed, bed.inbox_id, 3);
	ranges_clear(&op.uids);
	ranges_add(&op.uids, 2, 2);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	assert_int_equal(account_now(&bed).used_messages, 2);
	assert_int_equal(account_now(&bed).used_octets, 4000);
	assert_int_equal(bed_count_rows(&bed, DB_GARBAGE), 0);
	assert_int_equal(list(&bed, &op), 1);
	assert_int_equal(op.expunged.entry.uid, 2);
	assert_int_equal(op.expunged.expunged_unix, start_unix);
	assert_slice(op.expunged.mailbox_name, "INBOX");
	assert_false(op.expunged.mailbox_is_deleted);
	pass(&bed, KEPT - 1);
	assert_int_equal(bed_write(&bed, restore_run, &op), ERR_OK);
	assert_int_equal(bed_write(&bed, restore_run, &op), ERR_NOT_FOUND);
	assert_int_equal(list(&bed, &op), 0);
	assert_int_equal(account_now(&bed).used_messages, 3);
	assert_int_equal(account_now(&bed).used_octets, 6000);
	struct read *read = read_begin(bed.store);
	assert_int_equal(message_get(read, bed.inbox_id, 4, &entry), ERR_OK);
	assert_int_equal(entry.flags, FLAG_SEEN);
	assert_int_equal(entry.internal_unix, 1234568);
	assert_int_equal(mailbox_get(read, bed.inbox_id, &bed.arena, &mailbox), ERR_OK);
	assert_slice(mailbox.keywords[__builtin_ctzll(entry.keywords)], "$Work");
	struct buffer text = { 0 }, want = { 0 };
	bed_text(&want, 1, 2000);
	assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &text), ERR_OK);
	assert_true(slice_eq(buffer_slice(&text), buffer_slice(&want)));
	read_end(&read);
	buffer_free(&text);
	buffer_free(&want);
	/* Nothing of it goes when the others' time is over. */
	pass(&bed, 2 * KEPT);
	read = read_begin(bed.store);
	uint64_t size;
	assert_int_equal(blob_size(read, entry.blob_id, &size), ERR_OK);
	read_end(&read);
	assert_int_equal(bed_count_rows(&bed, DB_REFERENCE), 0);
	assert_int_equal(bed_count_rows(&bed, DB_EXPUNGED), 0);
	end(&bed, &op);
}

static void goes_when_its_time_is_over(void **state)
{
	struct bed bed;
	struct op op;
	begin(&bed, &op);
	append(&bed, bed.inbox_id, 5);
	op.to_id = bed_mailbox(&bed, "Archive");
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_OK);
	ranges_clear(&op.uids);
	ranges_add(&op.uids, 1, 3);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	pass(&bed, DAY);
	ranges_add(&op.uids, 4, 4);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	pass(&bed, KEPT - DAY - 1);
	assert_int_equal(list(&bed, &op), 4);
	pass(&bed, 1);
	assert_int_equal(list(&bed, &op), 1);
	assert_int_equal(op.expunged.entry.uid, 4);
	/* A copy refers to each still. */
	assert_int_equal(bed_count_rows(&bed, DB_DIGEST), 5);
	pass(&bed, DAY);
	assert_int_equal(bed_count_rows(&bed, DB_EXPUNGED), 0);
	op.mailbox_id = op.to_id;
	ranges_add(&op.uids, 1, 5);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	/* The setting counts for what was expunged before, too. */
	store_set_undelete_seconds(bed.store, 0);
	pass(&bed, 0);
	pass(&bed, DAY);
	assert_int_equal(bed_count_rows(&bed, DB_EXPUNGED), 0);
	assert_int_equal(bed_count_rows(&bed, DB_DIGEST), 1);
	assert_int_equal(bed_count_rows(&bed, DB_REFERENCE), 0);
	end(&bed, &op);
}

static void moving_expunges_nothing(void **state)
{
	struct bed bed;
	struct op op;
	begin(&bed, &op);
	append(&bed, bed.inbox_id, 5);
	op.to_id = bed_mailbox(&bed, "Trash");
	assert_int_equal(bed_write(&bed, move_run, &op), ERR_OK);
	assert_int_equal(bed_count_rows(&bed, DB_EXPUNGED), 0);
	assert_int_equal(account_now(&bed).used_messages, 5);
	store_set_undelete_seconds(bed.store, 0);
	op.mailbox_id = op.to_id;
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	assert_int_equal(bed_count_rows(&bed, DB_EXPUNGED), 0);
	assert_int_equal(bed_count_rows(&bed, DB_GARBAGE), 5);
	end(&bed, &op);
}

static void comes_back_into_a_mailbox_made_anew(void **state)
{
	struct bed bed;
	struct op op;
	begin(&bed, &op);
	op.mailbox_id = bed_mailbox(&bed, "Archive");
	op.name = SLICE("Archive");
	append(&bed, op.mailbox_id, 4);
	ranges_clear(&op.uids);
	ranges_add(&op.uids, 1, 1);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	assert_int_equal(bed_write(&bed, delete_run, &op), ERR_OK);
	assert_int_equal(account_now(&bed).used_messages, 0);
	assert_int_equal(account_now(&bed).used_octets, 0);
	pass(&bed, KEPT - 1);
	assert_int_equal(list(&bed, &op), 4);
	assert_true(op.expunged.mailbox_is_deleted);
	assert_int_equal(op.expunged.entry.uid, 4);
	while (list(&bed, &op) > 0)
		assert_int_equal(bed_write(&bed, restore_run, &op), ERR_OK);
	uint64_t made_id = bed_mailbox(&bed, "Archive");
	assert_true(made_id != 0 && made_id != op.mailbox_id);
	assert_int_equal(account_now(&bed).used_messages, 4);
	assert_int_equal(account_now(&bed).used_octets, 8000);
	pass(&bed, KEPT);
	assert_int_equal(bed_count_rows(&bed, DB_EXPUNGED), 0);
	assert_int_equal(bed_count_rows(&bed, DB_DIGEST), 4);
	/* And this one nobody wants back. */
	assert_int_equal(bed_write(&bed, delete_run, &op), ERR_OK);
	pass(&bed, KEPT);
	pass(&bed, DAY);
	assert_int_equal(list(&bed, &op), 0);
	assert_int_equal(bed_count_rows(&bed, DB_DIGEST), 0);
	assert_int_equal(bed_count_rows(&bed, DB_BLOB), 0);
	assert_int_equal(bed_count_rows(&bed, DB_GARBAGE), 0);
	assert_int_equal(bed_count_rows(&bed, DB_EXPUNGED), 0);
	end(&bed, &op);
}

static void quota_holds_for_what_comes_back(void **state)
{
	struct bed bed;
	struct op op;
	begin(&bed, &op);
	append(&bed, bed.inbox_id, 2);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	assert_int_equal(bed_write(&bed, quota_run, &op), ERR_OK);
	assert_int_equal(list(&bed, &op), 2);
	assert_int_equal(bed_write(&bed, restore_run, &op), ERR_OK);
	assert_int_equal(list(&bed, &op), 1);
	assert_int_equal(bed_write(&bed, restore_run, &op), ERR_QUOTA);
	assert_int_equal(list(&bed, &op), 1);
	assert_int_equal(account_now(&bed).used_messages, 1);
	end(&bed, &op);
}

static void goes_with_its_account(void **state)
{
	struct bed bed;
	struct op op;
	begin(&bed, &op);
	append(&bed, bed.inbox_id, 3);
	append(&bed, bed_mailbox(&bed, "Archive"), 3);
	append(&bed, bed_mailbox(&bed, "Trash"), 3);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	op.name = SLICE("Archive");
	assert_int_equal(bed_write(&bed, delete_run, &op), ERR_OK);
	assert_int_equal(bed_write(&bed, bed_remove_account, &op.account_id), ERR_OK);
	pass(&bed, 0);
	assert_int_equal(bed_count_rows(&bed, DB_EXPUNGED), 0);
	pass(&bed, DAY);
	assert_int_equal(bed_count_rows(&bed, DB_DIGEST), 0);
	assert_int_equal(bed_count_rows(&bed, DB_BLOB), 0);
	assert_int_equal(bed_count_rows(&bed, DB_MAILBOX), 0);
	assert_int_equal(bed_count_rows(&bed, DB_GARBAGE), 0);
	end(&bed, &op);
}

static void makes_room_on_a_full_disk(void **state)
{
	struct bed bed;
	struct op op;
	struct expunged_walk walk = { 0 };
	uint64_t wait_ms;
	begin(&bed, &op);
	append(&bed, bed.inbox_id, 3);
	ranges_clear(&op.uids);
	ranges_add(&op.uids, 1, 1);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	clock_set_fake_unix_ms((start_unix + 4 * DAY) * 1000);
	ranges_add(&op.uids, 2, 3);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	bed.store->reserve_octets = UINT64_MAX;
	bed.store->space_low = true;
	/* The oldest first. */
	for (int round = 0; round < 2; round++)
		do
			assert_int_equal(expunged_step(bed.store, &walk, &wait_ms), ERR_OK);
		while (wait_ms == 0);
	assert_int_equal(list(&bed, &op), 2);
	for (int round = 0; round < 40; round++)
		do
			assert_int_equal(expunged_step(bed.store, &walk, &wait_ms), ERR_OK);
		while (wait_ms == 0);
	assert_int_equal(list(&bed, &op), 0);
	end(&bed, &op);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was),
		cmocka_unit_test(goes_when_its_time_is_over),
		cmocka_unit_test(moving_expunges_nothing),
		cmocka_unit_test(comes_back_into_a_mailbox_made_anew),
		cmocka_unit_test(quota_holds_for_what_comes_back),
		cmocka_unit_test(goes_with_its_account),
		cmocka_unit_test(makes_room_on_a_full_disk),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
