/* tests/unit/storage/journal.c - events of a write come and go with it; those that were told go
 * along with the next commit, or soon in one of their own. */
#include "tests/unit/storage/journal_bed.h"

#include "base/clock.h"
#include "storage/journal_gather_priv.h"

static const struct journal_event refused = {
	.kind = JOURNAL_REFUSED,
	.recipient = { (const uint8_t *)"nobody@example.org", 18 },
	.reply = { (const uint8_t *)"550 5.1.1 No", 12 },
};

static enum err note_run(struct write *write, void *arg)
{
	for (size_t i = 0; i < *(size_t *)arg; i++)
		journal_note(write, &refused);
	return ERR_OK;
}

static enum err note_and_fail_run(struct write *write, void *arg)
{
	journal_note(write, &refused);
	return ERR_QUOTA;
}

static void goes_with_its_write(void **state)
{
	struct bed bed;
	size_t count = 1;
	bed_with_journal(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, note_run, &count), ERR_OK);
	assert_int_equal(bed_write(&bed, note_and_fail_run, NULL), ERR_QUOTA);
	struct found found = look(&bed);
	assert_int_equal(found.events, 1);
	assert_int_equal(found.last.kind, JOURNAL_REFUSED);
	assert_true(slice_eq(found.last.recipient, refused.recipient));
	buffer_free(&found.octets);
	count = 100;
	assert_int_equal(bed_write(&bed, note_run, &count), ERR_OK);
	found = look(&bed);
	assert_int_equal(found.events, 101);
	assert_in_range(found.rows, 2, 20); /* rows fill */
	buffer_free(&found.octets);
	bed_end(&bed);
}

static void is_silent_when_it_is_off(void **state)
{
	struct bed bed;
	size_t count = 1;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, note_run, &count), ERR_OK);
	journal_tell(bed.store, &refused);
	assert_int_equal(count_events(&bed), 0);
	bed_end(&bed);
}

static void takes_what_was_told_along(void **state)
{
	struct bed bed;
	size_t count = 1;
	bed_with_journal(&bed, STORE_SERVE);
	store_start_writer(bed.store);
	journal_tell(bed.store, &refused);
	assert_int_equal(bed_write(&bed, note_and_fail_run, NULL), ERR_QUOTA);
	assert_int_equal(bed_write(&bed, note_run, &count), ERR_OK);
	assert_int_equal(count_events(&bed), 2);
	bed_end(&bed);
}

static void writes_what_was_told_without_being_asked(void **state)
{
	struct bed bed;
	bed_with_journal(&bed, STORE_SERVE);
	store_start_writer(bed.store);
	journal_tell(bed.store, &refused);
	while (count_events(&bed) == 0)
		usleep(1000);
	struct found found = look(&bed);
	assert_true(found.last.time_unix_ms > 0);
	buffer_free(&found.octets);
	bed_end(&bed);
}

/* ---- what strangers do ---- */

static struct journal_event refusal(uint8_t host, int64_t at_ms)
{
	struct journal_event event = refused;
	event.peer = (struct peer){ .address = { 192, 0, 2, host }, .family = 4 };
	event.time_unix_ms = at_ms;
	return event;
}

/* How many events, and of how many they tell. */
static void count_told(struct gather *gather, size_t *events_out, uint64_t *told_out)
{
	struct buffer events = gather_take(gather);
	struct slice rest = buffer_slice(&events);
	*events_out = *told_out = 0;
	while (rest.len > 0) {
		struct journal_event event;
		size_t len = get_be16(rest.ptr);
		assert_true(journal_event_decode(slice_sub(rest, 2, len), &event));
		++*events_out;
		*told_out += event.peer.family == 0 ? event.more : 1 + event.more;
		rest = slice_sub(rest, 2 + len, rest.len);
	}
	buffer_free(&events);
}

static void counts_what_is_alike(void **state)
{
	struct gather *gather = gather_new();
	const int64_t now_ms = 1700000000000;
	size_t events;
	uint64_t told;
	clock_set_fake_unix_ms(now_ms);
	for (unsigned i = 0; i < 220; i++) {
		struct journal_event event = refusal(7, now_ms + i);
		gather_add(gather, &event, 30, 256 << 20);
	}
	struct journal_event other = refusal(8, now_ms);
	gather_add(gather, &other, 30, 256 << 20);
	assert_true(gather_has_any(gather));
	count_told(gather, &events, &told);
	assert_int_equal(events, 8 + 1);
	assert_false(gather_has_any(gather));
	clock_set_fake_unix_ms(now_ms + 11 * 60 * 1000);
	assert_true(gather_has_any(gather));
	count_told(gather, &events, &told);
	assert_int_equal(events, 1);
	assert_int_equal(told, 212);
	clock_set_fake_unix_ms(-1);
	gather_free(&gather);
}

/* A million addresses, a hundred refusals each second: nothing is lost count of. */
static void has_a_budget(void **state)
{
	struct gather *gather = gather_new();
	const int64_t now_ms = 1700000000000;
	const uint64_t size_octets = 3 << 20;
	size_t events, all_events = 0, octets = 0;
	uint64_t told, all_told = 0, sent = 0;
	for (unsigned second = 0; second < 600; second++) {
		clock_set_fake_unix_ms(now_ms + second * 1000);
		for (unsigned i = 0; i < 100; i++, sent++) {
			struct journal_event event = refusal(0, now_ms + second * 1000);
			put_be32(event.peer.address, (uint32_t)(sent % 1000000));
			gather_add(gather, &event, 30, size_octets);
		}
		if (gather_has_any(gather)) {
			count_told(gather, &events, &told);
			all_events += events;
			all_told += told;
		}
	}
	gather_finish(gather);
	count_told(gather, &events, &told);
	struct buffer one = { 0 };
	journal_event_encode(&refused, &one);
	octets = (all_events + events) * one.len;
	buffer_free(&one);
	assert_int_equal(all_told + told, sent);
	assert_in_range(octets, 1, size_octets / 2 / 30 * 3 / 2);
	clock_set_fake_unix_ms(-1);
	gather_free(&gather);
}

/* What is counted only is written at the end. */
static void loses_no_count_at_the_end(void **state)
{
	struct bed bed;
	bed_with_journal(&bed, STORE_SERVE);
	store_start_writer(bed.store);
	for (unsigned i = 0; i < 100; i++)
		journal_tell(bed.store, &refused);
	store_close(&bed.store);
	bed_open(&bed, STORE_ADMIN);
	struct found found = look(&bed);
	assert_int_equal(found.events, 8 + 1);
	assert_int_equal(found.last.more, 91);
	buffer_free(&found.octets);
	bed_end(&bed);
}

/* A front may not say what only the back knows. */
static void believes_no_front(void **state)
{
	struct bed bed;
	struct buffer octets = { 0 };
	bed_with_journal(&bed, STORE_SERVE);
	store_start_writer(bed.store);
	struct journal_event event = { .kind = JOURNAL_FILED, .blob_id = 1 };
	journal_event_encode(&event, &octets);
	assert_false(journal_tell_strangers(bed.store, buffer_slice(&octets)));
	assert_false(journal_tell_strangers(bed.store, SLICE("junk")));
	buffer_clear(&octets);
	event.kind = JOURNAL_REFUSED;
	event.time_unix_ms = 1;
	event.account_id = 7;
	journal_event_encode(&event, &octets);
	assert_true(journal_tell_strangers(bed.store, buffer_slice(&octets)));
	buffer_free(&octets);
	while (count_events(&bed) == 0)
		usleep(1000);
	struct found found = look(&bed);
	assert_int_equal(found.last.blob_id, 0);
	assert_int_equal(found.last.account_id, 0);
	assert_true(found.last.time_unix_ms > 1);
	buffer_free(&found.octets);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_with_its_write),
		cmocka_unit_test(is_silent_when_it_is_off),
		cmocka_unit_test(takes_what_was_told_along),
		cmocka_unit_test(writes_what_was_told_without_being_asked),
		cmocka_unit_test(counts_what_is_alike),
		cmocka_unit_test(has_a_budget),
		cmocka_unit_test(loses_no_count_at_the_end),
		cmocka_unit_test(believes_no_front),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
