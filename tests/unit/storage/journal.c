/* tests/unit/storage/journal.c - events of a write come and go with it; those that were told go
 * along with the next commit, or soon in one of their own. */
#include "tests/unit/storage/bed.h"

#include "storage/journal_priv.h"

/* ---- what is there ---- */

struct found {
	size_t rows, events;
	struct journal_event last; /* slices in `octets` */
	struct buffer octets;
};

static struct found look(struct bed *bed)
{
	struct found found = { 0 };
	struct read *read = read_begin(bed->store);
	struct row row;
	row_open(&row, read, DB_JOURNAL);
	for (bool more = row_seek(&row, SLICE("\0")); more; more = row_next(&row)) {
		found.rows++;
		struct slice rest = slice_sub(row.value, 9, row.value.len);
		assert_int_equal(row.value.ptr[0], RECORD_VERSION);
		while (rest.len > 0) {
			size_t len = get_be16(rest.ptr);
			buffer_clear(&found.octets);
			buffer_add(&found.octets, slice_sub(rest, 2, len));
			assert_true(journal_event_decode(buffer_slice(&found.octets), &found.last));
			found.events++;
			rest = slice_sub(rest, 2 + len, rest.len);
		}
	}
	row_close(&row);
	read_end(&read);
	return found;
}

static size_t count_events(struct bed *bed)
{
	struct found found = look(bed);
	buffer_free(&found.octets);
	return found.events;
}

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

static void bed_with_journal(struct bed *bed, enum store_mode mode)
{
	bed_begin(bed, mode);
	store_set_journal(bed->store, 30, 256 << 20);
}

/* ---- tests ---- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_with_its_write),
		cmocka_unit_test(is_silent_when_it_is_off),
		cmocka_unit_test(takes_what_was_told_along),
		cmocka_unit_test(writes_what_was_told_without_being_asked),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
