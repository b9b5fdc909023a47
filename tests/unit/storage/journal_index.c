/* tests/unit/storage/journal_index.c - what the journal is asked for is found, with an index and without;
 * what is old goes. */
#include "tests/unit/storage/journal_bed.h"

#include "base/clock.h"
#include "storage/journal_index_priv.h"
#include "storage/verify.h"

enum { BATCH = 50, MESSAGES = 20000 };

struct mail_batch {
	unsigned first;
};

/* Two events a message, as a filing notes them; message i is from sender i % 997. */
static enum err mail_run(struct write *write, void *arg)
{
	const struct mail_batch *batch = arg;
	for (unsigned i = batch->first; i < batch->first + BATCH; i++) {
		char sender[64], id[64], recipient[64];
		snprintf(sender, sizeof(sender), "Sender-%u@domain-%u.example", i % 997, i % 31);
		snprintf(id, sizeof(id), "<%u@example.net>", i);
		snprintf(recipient, sizeof(recipient), "user-%u@example.org", i % 13);
		struct journal_event received = {
			.kind = JOURNAL_RECEIVED,
			.conn_id = 1000000 + i / 3,
			.peer = { .family = i % 5 ? 4 : 6 },
			.blob_id = i + 1,
			.message_id = slice_cstr(id),
			.sender = slice_cstr(sender),
		};
		put_be32(received.peer.address, 0xc6336400 + i % 700);
		journal_note(write, &received);
		struct journal_event filed = {
			.kind = JOURNAL_FILED,
			.blob_id = i + 1,
			.recipient = slice_cstr(recipient),
			.account_id = i % 13 + 1,
			.mailbox_id = i % 13 + 1,
			.uid = i,
		};
		journal_note(write, &filed);
	}
	return ERR_OK;
}

static void fill(struct bed *bed, unsigned messages)
{
	for (unsigned i = 0; i < messages; i += BATCH)
		assert_int_equal(bed_write(bed, mail_run, &(struct mail_batch){ i }), ERR_OK);
}

static unsigned step_until_done(struct bed *bed)
{
	uint64_t wait_ms = 0;
	unsigned steps = 0;
	for (; wait_ms == 0; steps++)
		assert_int_equal(journal_step(bed->store, &wait_ms), ERR_OK);
	return steps;
}

struct tally {
	size_t count, limit;
	uint64_t last_blob;
	bool in_order;
};

static bool on_found(void *user, const struct journal_event *event)
{
	struct tally *tally = user;
	if (tally->count > 0 && event->blob_id > tally->last_blob)
		tally->in_order = false;
	tally->last_blob = event->blob_id;
	assert_true(event->time_unix_ms > 0);
	return ++tally->count != tally->limit;
}

static size_t find(struct bed *bed, struct journal_term term)
{
	struct tally tally = { .in_order = true };
	struct read *read = read_begin(bed->store);
	journal_find(read, &term, 1, 0, on_found, &tally);
	read_end(&read);
	assert_true(tally.in_order);
	return tally.count;
}

static size_t find_text(struct bed *bed, enum journal_term_kind kind, const char *text)
{
	return find(bed, (struct journal_term){ .kind = kind, .text = slice_cstr(text) });
}

static size_t find_network(struct bed *bed, const char *text)
{
	struct journal_term term = { .kind = JOURNAL_BY_NETWORK };
	assert_true(network_parse(slice_cstr(text), &term.network));
	return find(bed, term);
}

/* The answers are the same before there is an index and afterwards. */
static void check_answers(struct bed *bed)
{
	size_t from_7 = 0, of_domain = 0, of_address = 0, of_net = 0, of_six = 0;
	for (unsigned i = 0; i < MESSAGES; i++) {
		from_7 += i % 997 == 7 && i % 31 == 7;
		of_domain += i % 31 == 7;
		of_address += i % 5 && i % 700 == 0x10;
		of_net += i % 5 && i % 700 < 256;
		of_six += i % 5 == 0 && i % 700 == 5;
	}
	assert_int_equal(find_text(bed, JOURNAL_BY_ADDRESS, "sender-7@DOMAIN-7.example"), from_7);
	assert_int_equal(find_text(bed, JOURNAL_BY_ADDRESS, "nobody@domain-7.example"), 0);
	assert_int_equal(find_text(bed, JOURNAL_BY_DOMAIN, "domain-7.example"), of_domain);
	assert_int_equal(find_text(bed, JOURNAL_BY_DOMAIN, "example.org"), MESSAGES);
	assert_int_equal(find_text(bed, JOURNAL_BY_MESSAGE_ID, "<12345@example.net>"), 1);
	assert_int_equal(find_text(bed, JOURNAL_BY_MESSAGE_ID, "1@example.net"), 1);
	assert_int_equal(find(bed, (struct journal_term){ JOURNAL_BY_BLOB, .number = 77 }), 2);
	assert_int_equal(
		find(bed, (struct journal_term){ JOURNAL_BY_CONNECTION, .number = 1000005 }), 3);
	assert_int_equal(find(bed, (struct journal_term){ JOURNAL_BY_ACCOUNT, .number = 13 }),
			 MESSAGES / 13);
	assert_int_equal(find_network(bed, "198.51.100.16"), of_address);
	assert_int_equal(find_network(bed, "198.51.100.0/24"), of_net);
	assert_int_equal(find_network(bed, "198.0.0.0/8"), MESSAGES / 5 * 4);
	assert_int_equal(find_network(bed, "203.0.113.0/24"), 0);
	assert_int_equal(find_network(bed, "c633:6405::/64"), of_six);
	assert_int_equal(find_network(bed, "c633:6405::"), of_six);
	assert_int_equal(find_network(bed, "c000::/4"), MESSAGES / 5);
}

static void finds_with_and_without_an_index(void **state)
{
	struct bed bed;
	bed_with_journal(&bed, STORE_CREATE);
	fill(&bed, MESSAGES);
	check_answers(&bed);
	assert_true(step_until_done(&bed) > MESSAGES / 3000);
	struct read *read = read_begin(bed.store);
	struct segment segment;
	assert_true(segment_before(read, UINT64_MAX, &segment));
	assert_true(journal_newest(read) - segment.last < SEGMENT_ROWS);
	read_end(&read);
	check_answers(&bed);
	/* And no further than asked. */
	struct tally tally = { .limit = 3 };
	const struct journal_term term = { .kind = JOURNAL_BY_DOMAIN,
					   .text = SLICE("example.org") };
	read = read_begin(bed.store);
	journal_find(read, &term, 1, 0, on_found, &tally);
	read_end(&read);
	assert_int_equal(tally.count, 3);
	bed_end(&bed);
}

/* A segment that was damaged, and removed by a repair, costs time only. */
static enum err lose_segment_run(struct write *write, void *arg)
{
	struct key key;
	struct row row;
	enum err err = ERR_OK;
	struct segment *segment = arg;
	row_open(&row, write_read(write), DB_JOURNAL_INDEX);
	key_segment(&key, segment->first, PART_HEADER, 0);
	assert_true(row_seek(&row, key_slice(&key)));
	uint8_t junk[17] = { 0xff };
	err = row_replace(&row, slice_of(junk, sizeof(junk)));
	row_close(&row);
	return err;
}

static void on_problem(void *user, const struct verify_problem *problem)
{
	assert_int_equal(problem->kind, WRONG_JOURNAL);
	++*(unsigned *)user;
}
static void on_phase(void *user, enum verify_phase phase, uint64_t total)
{
}
static void on_progress(void *user, uint64_t done)
{
}
static void on_changed(void *user, uint32_t account_id)
{
}

static void finds_what_has_lost_its_index(void **state)
{
	struct bed bed;
	struct segment last, middle;
	unsigned problems = 0;
	struct verify_counts counts;
	struct verify_watcher watcher = { on_phase, on_progress, on_problem, on_changed,
					  &problems };
	bed_with_journal(&bed, STORE_CREATE);
	fill(&bed, MESSAGES);
	step_until_done(&bed);
	struct read *read = read_begin(bed.store);
	assert_true(segment_before(read, UINT64_MAX, &last));
	assert_true(segment_before(read, last.first, &middle));
	read_end(&read);
	assert_int_equal(bed_write(&bed, lose_segment_run, &middle), ERR_OK);
	check_answers(&bed);
	assert_int_equal(verify_run(bed.store, false, &watcher, &counts), ERR_OK);
	assert_true(problems > 0);
	assert_int_equal(verify_run(bed.store, true, &watcher, &counts), ERR_OK);
	problems = 0;
	assert_int_equal(verify_run(bed.store, false, &watcher, &counts), ERR_OK);
	assert_int_equal(problems, 0);
	check_answers(&bed);
	bed_end(&bed);
}

static void lets_go_of_what_is_old(void **state)
{
	struct bed bed;
	const int64_t now_ms = 1700000000000, day_ms = 24 * 3600 * 1000;
	clock_set_fake_unix_ms(now_ms);
	bed_with_journal(&bed, STORE_CREATE);
	fill(&bed, MESSAGES);
	step_until_done(&bed);
	clock_set_fake_unix_ms(now_ms + 20 * day_ms);
	fill(&bed, BATCH);
	step_until_done(&bed);
	assert_int_equal(count_events(&bed), 2 * (MESSAGES + BATCH));
	clock_set_fake_unix_ms(now_ms + 31 * day_ms);
	step_until_done(&bed);
	assert_int_equal(count_events(&bed), 2 * BATCH);
	assert_int_equal(bed_count_rows(&bed, DB_JOURNAL_INDEX), 0);
	/* Numbers go on, whatever has gone. */
	fill(&bed, MESSAGES);
	step_until_done(&bed);
	assert_int_equal(find(&bed, (struct journal_term){ JOURNAL_BY_BLOB, .number = 1 }), 4);
	clock_set_fake_unix_ms(-1);
	bed_end(&bed);
}

static void is_bounded_by_its_size(void **state)
{
	struct bed bed;
	uint64_t rows, octets, index_octets;
	const uint64_t size_octets = 1 << 20;
	bed_begin(&bed, STORE_CREATE);
	store_set_journal(bed.store, 30, size_octets);
	for (unsigned i = 0; i < 5; i++) {
		fill(&bed, MESSAGES);
		step_until_done(&bed);
		struct read *read = read_begin(bed.store);
		db_extent(read, DB_JOURNAL, &rows, &octets);
		db_extent(read, DB_JOURNAL_INDEX, &rows, &index_octets);
		read_end(&read);
		assert_in_range(octets + index_octets, size_octets / 2, size_octets);
	}
	/* The newest are there. */
	assert_int_equal(find(&bed, (struct journal_term){ JOURNAL_BY_BLOB, .number = MESSAGES }),
			 2);
	bed_end(&bed);
}

static void goes_when_it_is_switched_off(void **state)
{
	struct bed bed;
	bed_with_journal(&bed, STORE_CREATE);
	fill(&bed, MESSAGES);
	step_until_done(&bed);
	store_set_journal(bed.store, 0, 256 << 20);
	step_until_done(&bed);
	assert_int_equal(bed_count_rows(&bed, DB_JOURNAL), 0);
	assert_int_equal(bed_count_rows(&bed, DB_JOURNAL_INDEX), 0);
	bed_end(&bed);
}

/* Nobody asks it to. */
static void is_kept_in_order_by_the_writer(void **state)
{
	struct bed bed;
	bed_with_journal(&bed, STORE_SERVE);
	store_start_writer(bed.store);
	fill(&bed, MESSAGES);
	while (bed_count_rows(&bed, DB_JOURNAL_INDEX) == 0)
		usleep(1000);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_with_and_without_an_index),
		cmocka_unit_test(finds_what_has_lost_its_index),
		cmocka_unit_test(lets_go_of_what_is_old),
		cmocka_unit_test(is_bounded_by_its_size),
		cmocka_unit_test(goes_when_it_is_switched_off),
		cmocka_unit_test(is_kept_in_order_by_the_writer),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
