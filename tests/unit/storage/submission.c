/* tests/unit/storage/submission.c - what an account may submit, counted by days. */
#include "tests/unit/storage/bed.h"

#include "base/clock.h"
#include "storage/garbage_priv.h"
#include "storage/submission_priv.h"

enum { DAY = 24 * 3600 };

static const struct slice both[] = { { (const uint8_t *)"a@x.example", 11 },
				     { (const uint8_t *)"b@x.example", 11 } };

struct note {
	uint32_t account_id;
	size_t count;
};

static enum err note(struct write *write, void *arg)
{
	const struct note *n = arg;
	return submission_note(write, n->account_id, both, n->count);
}

static struct submission_usage usage_of(struct bed *bed)
{
	struct submission_usage usage;
	struct read *read = read_begin(bed->store);
	assert_int_equal(submission_usage(read, bed->account_id, &usage), ERR_OK);
	read_end(&read);
	return usage;
}

static bool knows(struct bed *bed, const char *recipient)
{
	struct read *read = read_begin(bed->store);
	bool knows = submission_knows(read, bed->account_id, slice_cstr(recipient));
	read_end(&read);
	return knows;
}

static void counts_by_days(void **state)
{
	struct bed bed;
	clock_set_fake_unix_ms((int64_t)20000 * DAY * 1000);
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(usage_of(&bed).messages, 0);
	assert_int_equal(usage_of(&bed).limits.messages, SUBMISSION_AS_CONFIGURED);
	struct note n = { bed.account_id, 1 };
	assert_int_equal(bed_write(&bed, note, &n), ERR_OK);
	n.count = 2;
	assert_int_equal(bed_write(&bed, note, &n), ERR_OK);
	assert_int_equal(bed_write(&bed, note, &n), ERR_OK);
	assert_int_equal(usage_of(&bed).messages, 3);
	assert_int_equal(usage_of(&bed).new_recipients, 2);
	assert_true(knows(&bed, "a@x.example"));
	assert_false(knows(&bed, "c@x.example"));
	clock_set_fake_unix_ms((int64_t)20001 * DAY * 1000);
	assert_int_equal(usage_of(&bed).messages, 0);
	assert_int_equal(bed_write(&bed, note, &n), ERR_OK);
	assert_int_equal(usage_of(&bed).messages, 1);
	assert_int_equal(usage_of(&bed).new_recipients, 0);
	bed_end(&bed);
	clock_set_fake_unix_ms(0);
}

static enum err set_limits(struct write *write, void *arg)
{
	const struct submission_limits limits = { 7, SUBMISSION_AS_CONFIGURED };
	return submission_set_limits(write, *(uint32_t *)arg, &limits);
}

static enum err allow(struct write *write, void *arg)
{
	enum err err = submission_allow(write, *(uint32_t *)arg, SLICE("sales@x.example"));
	return err == ERR_OK ? submission_allow(write, *(uint32_t *)arg, SLICE("@y.example")) : err;
}

static enum err disallow(struct write *write, void *arg)
{
	return submission_disallow(write, *(uint32_t *)arg, SLICE("@y.example"));
}

static void accounts_have_limits_and_senders_of_their_own(void **state)
{
	struct bed bed;
	struct slice sender = SLICE_NONE;
	bed_begin(&bed, STORE_CREATE);
	struct note n = { bed.account_id, 2 };
	assert_int_equal(bed_write(&bed, note, &n), ERR_OK);
	assert_int_equal(bed_write(&bed, set_limits, &bed.account_id), ERR_OK);
	assert_int_equal(bed_write(&bed, allow, &bed.account_id), ERR_OK);
	assert_int_equal(usage_of(&bed).limits.messages, 7);
	assert_int_equal(usage_of(&bed).limits.new_recipients, SUBMISSION_AS_CONFIGURED);
	struct read *read = read_begin(bed.store);
	assert_true(submission_may_use(read, bed.account_id, SLICE("@y.example")));
	assert_false(submission_may_use(read, bed.account_id, SLICE("*")));
	assert_false(submission_may_use(read, bed.account_id + 1, SLICE("@y.example")));
	assert_true(submission_next_sender(read, bed.account_id, sender, &bed.arena, &sender));
	assert_slice(sender, "@y.example");
	assert_true(submission_next_sender(read, bed.account_id, sender, &bed.arena, &sender));
	assert_slice(sender, "sales@x.example");
	assert_false(submission_next_sender(read, bed.account_id, sender, &bed.arena, &sender));
	read_end(&read);
	assert_int_equal(bed_write(&bed, disallow, &bed.account_id), ERR_OK);
	assert_int_equal(bed_write(&bed, disallow, &bed.account_id), ERR_NOT_FOUND);

	/* With the account all of it goes. */
	assert_int_equal(bed_write(&bed, bed_remove_account, &bed.account_id), ERR_OK);
	struct garbage_walk walk = { 0 };
	uint64_t wait_ms = 0, rows, octets;
	for (unsigned i = 0; i < 20 && wait_ms == 0; i++)
		assert_int_equal(garbage_step(bed.store, &walk, &wait_ms), ERR_OK);
	read = read_begin(bed.store);
	db_extent(read, DB_SUBMISSION, &rows, &octets);
	read_end(&read);
	assert_int_equal(rows, 0);
	bed_end(&bed);
}

static enum err suppress(struct write *write, void *arg)
{
	const struct suppression b = { SLICE("b@x.example"), 5, SLICE("550 5.1.1 none") };
	const struct suppression a = { SLICE("a@x.example"), 7, SLICE_NONE };
	enum err err = suppression_put(write, *(uint32_t *)arg, &b);
	return err == ERR_OK ? suppression_put(write, *(uint32_t *)arg, &a) : err;
}

static enum err lift(struct write *write, void *arg)
{
	return suppression_remove(write, *(uint32_t *)arg, SLICE("b@x.example"));
}

static void suppressed_addresses_are_listed_and_lifted(void **state)
{
	struct bed bed;
	struct suppression found = { 0 };
	uint32_t nobody = 77;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, allow, &bed.account_id), ERR_OK); /* neighbours */
	assert_int_equal(bed_write(&bed, suppress, &nobody), ERR_NOT_FOUND);
	assert_int_equal(bed_write(&bed, suppress, &bed.account_id), ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_true(
		suppression_find(read, bed.account_id, SLICE("b@x.example"), &bed.arena, &found));
	assert_slice(found.words, "550 5.1.1 none");
	assert_int_equal(found.at_unix, 5);
	assert_false(
		suppression_find(read, bed.account_id, SLICE("c@x.example"), &bed.arena, &found));
	found.address = SLICE_NONE;
	assert_true(suppression_next(read, bed.account_id, found.address, &bed.arena, &found));
	assert_slice(found.address, "a@x.example");
	assert_true(suppression_next(read, bed.account_id, found.address, &bed.arena, &found));
	assert_slice(found.address, "b@x.example");
	assert_false(suppression_next(read, bed.account_id, found.address, &bed.arena, &found));
	read_end(&read);
	assert_int_equal(bed_write(&bed, lift, &bed.account_id), ERR_OK);
	assert_int_equal(bed_write(&bed, lift, &bed.account_id), ERR_NOT_FOUND);
	/* A message that is let through ends it. */
	struct note n = { bed.account_id, 1 };
	assert_int_equal(bed_write(&bed, note, &n), ERR_OK);
	read = read_begin(bed.store);
	assert_false(suppression_next(read, bed.account_id, SLICE_NONE, &bed.arena, &found));
	read_end(&read);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_by_days),
		cmocka_unit_test(accounts_have_limits_and_senders_of_their_own),
		cmocka_unit_test(suppressed_addresses_are_listed_and_lifted),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
