/* tests/unit/storage/churn.c - a year of coming and going: the space of what was expunged is used
 * again, so the file levels off; the account's counts stay exact all the way. */
#include "tests/unit/storage/bed.h"

#include "base/clock.h"
#include "storage/expunged_priv.h"
#include "storage/garbage_priv.h"

enum { DAYS = 365, PER_DAY = 20, KEPT_MESSAGES = 400, DAY_SECONDS = 24 * 3600, SETTLED_DAY = 182 };

struct churn {
	struct bed bed;
	uint32_t random;
	unsigned seed;
	struct intake *intakes[PER_DAY];
	uint64_t sizes[PER_DAY];
	struct ranges uids, chosen, out;
};

static enum err day_run(struct write *write, void *arg)
{
	struct churn *churn = arg;
	enum err err = ERR_OK;
	for (size_t i = 0; i < PER_DAY && err == ERR_OK; i++) {
		struct message_entry entry = { .size_octets = churn->sizes[i] };
		uint32_t uid;
		err = intake_commit(write, churn->intakes[i], &entry.blob_id);
		if (err == ERR_OK)
			err = message_append(write, churn->bed.inbox_id, &entry, NULL, 0, &uid);
	}
	return err == ERR_OK ? message_expunge(write, churn->bed.inbox_id, &churn->chosen, false,
					       &churn->out)
			     : err;
}

/* Most messages are small, some are not. */
static size_t some_size(struct churn *churn)
{
	return dice_roll(&churn->random, 20) == 0 ? 20000 + dice_roll(&churn->random, 80000)
						  : 1000 + dice_roll(&churn->random, 6000);
}

static void choose(struct churn *churn)
{
	struct read *read = read_begin(churn->bed.store);
	ranges_clear(&churn->uids);
	ranges_clear(&churn->chosen);
	message_uids(read, churn->bed.inbox_id, 1, &churn->uids);
	read_end(&read);
	uint32_t count = 0, surplus;
	for (uint32_t i = 0; i < churn->uids.count; i++)
		count += churn->uids.runs[i].last - churn->uids.runs[i].first + 1;
	surplus = count > KEPT_MESSAGES ? count - KEPT_MESSAGES : 0;
	/* Any of them, with the same chance; what is left is always as many. */
	for (uint32_t i = 0; i < churn->uids.count; i++)
		for (uint32_t uid = churn->uids.runs[i].first; uid <= churn->uids.runs[i].last;
		     uid++, count--)
			if (dice_roll(&churn->random, count) < surplus) {
				ranges_add(&churn->chosen, uid, uid);
				surplus--;
			}
}

static void tidy(struct churn *churn)
{
	struct expunged_walk expunged = { 0 };
	struct garbage_walk garbage = { 0 };
	uint64_t wait_ms;
	do
		assert_int_equal(expunged_step(churn->bed.store, &expunged, &wait_ms), ERR_OK);
	while (wait_ms == 0);
	do
		assert_int_equal(garbage_step(churn->bed.store, &garbage, &wait_ms), ERR_OK);
	while (wait_ms <= 1000);
}

static void check_counts(struct churn *churn)
{
	struct account account;
	struct message_entry entry;
	uint64_t messages = 0, octets = 0;
	struct read *read = read_begin(churn->bed.store);
	assert_int_equal(account_get(read, churn->bed.account_id, &churn->bed.arena, &account),
			 ERR_OK);
	struct message_cursor *cursor = message_cursor_open(read, churn->bed.inbox_id, 1);
	while (message_cursor_next(cursor, &entry)) {
		messages++;
		octets += entry.size_octets;
	}
	message_cursor_close(&cursor);
	read_end(&read);
	assert_int_equal(account.used_messages, messages);
	assert_int_equal(account.used_octets, octets);
}

static uint64_t pages(struct churn *churn)
{
	MDB_envinfo info;
	assert_int_equal(mdb_env_info(churn->bed.store->env, &info), 0);
	return info.me_last_pgno + 1;
}

static void levels_off(void **state)
{
	struct churn churn = { .random = 1 };
	struct buffer text = { 0 };
	uint64_t settled = 0;
	int64_t now_unix = 1700000000;
	clock_set_fake_unix_ms(now_unix * 1000);
	bed_begin(&churn.bed, STORE_CREATE);
	store_set_undelete_seconds(churn.bed.store, 7 * DAY_SECONDS);
	for (int day = 1; day <= DAYS; day++) {
		now_unix += DAY_SECONDS;
		clock_set_fake_unix_ms(now_unix * 1000);
		for (size_t i = 0; i < PER_DAY; i++) {
			bed_text(&text, churn.seed++, some_size(&churn));
			churn.sizes[i] = text.len;
			churn.intakes[i] = intake_new(churn.bed.store, NULL, NULL, NULL);
			intake_feed(churn.intakes[i], buffer_slice(&text));
			assert_int_equal(intake_finish(churn.intakes[i]), ERR_OK);
		}
		choose(&churn);
		assert_int_equal(bed_write(&churn.bed, day_run, &churn), ERR_OK);
		for (size_t i = 0; i < PER_DAY; i++)
			intake_free(&churn.intakes[i]);
		tidy(&churn);
		if (day % 30 == 0)
			check_counts(&churn);
		if (day == SETTLED_DAY)
			settled = pages(&churn);
	}
	check_counts(&churn);
	/* Without reuse it would double. */
	assert_true(pages(&churn) < settled + settled / 5);
	ranges_free(&churn.uids);
	ranges_free(&churn.chosen);
	ranges_free(&churn.out);
	buffer_free(&text);
	clock_set_fake_unix_ms(-1);
	bed_end(&churn.bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_off),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
