/* tests/unit/storage/compact.c - rows put anew in full pages, free pages given back, and nothing of
 * it seen from outside. */
#include "tests/unit/storage/bed.h"

#include "storage/compact.h"
#include "storage/expunged.h"
#include "storage/garbage_priv.h"
#include "storage/holes_priv.h"
#include "storage/stretch_priv.h"

static uint32_t dice = 1;

/* ---- a stretch of rows ---- */

enum { ROWS = 3000, VALUE_MAX = 6000 };

struct rows {
	struct key keys[ROWS];
	size_t lens[ROWS];
	bool gone[ROWS];
};

/* Of all lengths that a key may have; some are another with a zero behind it, the next possible. */
static void keys_make(struct rows *rows)
{
	for (size_t i = 0; i < ROWS; i++) {
		struct key *key = &rows->keys[i];
		if (i > 0 && i % 5 == 0 && rows->keys[i - 1].len < KEY_MAX_OCTETS) {
			*key = rows->keys[i - 1];
			key->octets[key->len++] = 0;
		} else {
			key->len = i % 7 == 0 ? KEY_MAX_OCTETS - dice_roll(&dice, 3)
					      : 5 + dice_roll(&dice, 40);
			memset(key->octets, (int)dice_roll(&dice, 3), key->len);
			put_be32(key->octets, (uint32_t)i);
		}
		rows->lens[i] = dice_roll(&dice, 4) == 0 ? dice_roll(&dice, VALUE_MAX)
							 : 1 + dice_roll(&dice, 400);
	}
}

static struct slice value_of_row(const struct rows *rows, size_t i)
{
	static uint8_t value[VALUE_MAX];
	for (size_t at = 0; at < rows->lens[i]; at++)
		value[at] = (uint8_t)(i * 31 + at * 7);
	return slice_of(value, rows->lens[i]);
}

static enum err rows_put(struct write *write, void *arg)
{
	struct rows *rows = arg;
	enum err err = ERR_OK;
	for (size_t i = 0; i < ROWS && err == ERR_OK; i++)
		err = db_put(write, DB_REFERENCE, key_slice(&rows->keys[i]), value_of_row(rows, i),
			     PUT_ANY);
	return err;
}

static enum err rows_thin(struct write *write, void *arg)
{
	struct rows *rows = arg;
	enum err err = ERR_OK;
	for (size_t i = 0; i < ROWS && err == ERR_OK; i++) {
		rows->gone[i] = dice_roll(&dice, 2);
		if (rows->gone[i])
			err = db_del(write, DB_REFERENCE, key_slice(&rows->keys[i]));
	}
	return err;
}

static enum err rows_delete(struct write *write, void *arg)
{
	struct rows *rows = arg;
	enum err err = ERR_OK;
	for (size_t i = 0; i < ROWS && err == ERR_OK; i++)
		if (!rows->gone[i])
			err = db_del(write, DB_REFERENCE, key_slice(&rows->keys[i]));
	return err;
}

static void rows_check(struct bed *bed, const struct rows *rows)
{
	struct row row;
	struct read *read = read_begin(bed->store);
	row_open(&row, read, DB_REFERENCE);
	bool more = row_seek(&row, slice_of("", 1));
	for (size_t i = 0; i < ROWS; i++) {
		if (rows->gone[i])
			continue;
		assert_true(more);
		assert_true(slice_eq(row.key, key_slice(&rows->keys[i])));
		assert_true(slice_eq(row.value, value_of_row(rows, i)));
		more = row_next(&row);
	}
	assert_false(more);
	row_close(&row);
	read_end(&read);
}

static enum err pack(struct write *write, void *arg)
{
	return stretch_pack(write, arg);
}

/* Leaves of a database, and as many as would do. */
static uint64_t leaves(struct bed *bed, enum database db, uint64_t *least_out)
{
	struct stretch stretch;
	struct key from = { .len = 1 };
	uint64_t count = 0;
	*least_out = 0;
	do {
		struct read *read = read_begin(bed->store);
		bool found = stretch_look(read, db, key_slice(&from), &stretch);
		read_end(&read);
		if (!found)
			break;
		count += stretch.leaves;
		*least_out += stretch.leaves_least;
		from = stretch.end;
	} while (from.len > 0);
	return count;
}

static void puts_a_stretch_anew(void **state)
{
	static struct rows rows;
	static const uint8_t first[1];
	struct bed bed;
	struct stretch stretch;
	struct key from = { .len = 1 };
	uint64_t least;
	bed_begin(&bed, STORE_CREATE);
	keys_make(&rows);
	assert_int_equal(bed_write(&bed, rows_put, &rows), ERR_OK);
	assert_int_equal(bed_write(&bed, rows_thin, &rows), ERR_OK);
	uint64_t before = leaves(&bed, DB_REFERENCE, &least);
	assert_true(before > least + least / 3);
	do {
		struct read *read = read_begin(bed.store);
		assert_true(stretch_look(read, DB_REFERENCE, key_slice(&from), &stretch));
		read_end(&read);
		assert_int_equal(bed_write(&bed, pack, &stretch), ERR_OK);
		rows_check(&bed, &rows);
		from = stretch.end;
	} while (from.len > 0);
	uint64_t after = leaves(&bed, DB_REFERENCE, &least);
	/* Behind a key of full length nothing fits, so not all leaves are full. */
	assert_true(after <= least + least / 3);

	/* All is gone by the time that it is packed; and nothing there to look at. */
	assert_int_equal(bed_write(&bed, rows_delete, &rows), ERR_OK);
	assert_int_equal(bed_write(&bed, pack, &stretch), ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_false(stretch_look(read, DB_REFERENCE, slice_of(first, 1), &stretch));
	read_end(&read);
	bed_end(&bed);
}

/* ---- a whole store ---- */

enum { MESSAGES = 600 };

static enum err expunge_run(struct write *write, void *arg)
{
	struct bed *bed = arg;
	struct ranges uids = { 0 }, gone = { 0 };
	for (uint32_t uid = 1; uid <= MESSAGES; uid++)
		if (uid % 7 != 0 && dice_roll(&dice, 2))
			ranges_add(&uids, uid, uid);
	enum err err = message_expunge(write, bed->inbox_id, &uids, false, &gone);
	ranges_free(&uids);
	ranges_free(&gone);
	return err;
}

static size_t size_of(unsigned seed)
{
	return seed % 40 == 0 ? 150000 : 300 + seed * 7919 % 9000;
}

static void tidy(struct bed *bed)
{
	struct garbage_walk walk = { 0 };
	uint64_t wait_ms = 0;
	for (int i = 0; i < 1000 && wait_ms <= 1000; i++)
		assert_int_equal(garbage_step(bed->store, &walk, &wait_ms), ERR_OK);
}

static void fill(struct bed *bed)
{
	struct buffer text = { 0 };
	bed->store->garbage_delay_seconds = 0;
	store_set_undelete_seconds(bed->store, 0);
	for (unsigned i = 1; i <= MESSAGES; i++) {
		struct bed_append append = { .mailbox_id = bed->inbox_id };
		bed_text(&text, i, size_of(i));
		append.text = buffer_slice(&text);
		assert_int_equal(bed_append(bed, &append), ERR_OK);
		assert_int_equal(append.uid, i);
	}
	assert_int_equal(bed_write(bed, expunge_run, bed), ERR_OK);
	tidy(bed);
	buffer_free(&text);
}

/* Every message as it was filed; returns how many. */
static unsigned check_messages(struct bed *bed, struct read *read)
{
	struct buffer text = { 0 }, want = { 0 };
	struct message_entry entry;
	unsigned count = 0;
	struct message_cursor *cursor = message_cursor_open(read, bed->inbox_id, 1);
	for (; message_cursor_next(cursor, &entry); count++) {
		buffer_clear(&text);
		bed_text(&want, entry.uid, size_of(entry.uid));
		assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &text), ERR_OK);
		assert_true(slice_eq(buffer_slice(&text), buffer_slice(&want)));
	}
	message_cursor_close(&cursor);
	buffer_free(&text);
	buffer_free(&want);
	return count;
}

struct watching {
	unsigned phases, waits;
	bool is_patient;
	uint64_t done;
};

static void on_phase(void *user, enum compact_phase phase, uint64_t total)
{
	struct watching *watching = user;
	watching->phases |= 1u << phase;
	watching->done = 0;
}

static void on_progress(void *user, uint64_t done)
{
	struct watching *watching = user;
	assert_true(done >= watching->done);
	watching->done = done;
}

static bool on_wait(void *user)
{
	struct watching *watching = user;
	watching->waits++;
	return watching->is_patient;
}

static enum err compact(struct bed *bed, struct watching *watching, struct compact_result *result)
{
	struct compact_watcher watcher = {
		.phase = on_phase, .progress = on_progress, .wait = on_wait, .user = watching
	};
	*watching = (struct watching){ .is_patient = false };
	return compact_run(bed->store, &watcher, result);
}

static void makes_the_file_small(void **state)
{
	struct bed bed;
	struct watching watching;
	struct compact_result result;
	uint64_t least;
	bed_begin(&bed, STORE_SERVE);
	fill(&bed);
	struct read *read = read_begin(bed.store);
	unsigned count = check_messages(&bed, read);
	read_end(&read);
	assert_int_equal(compact(&bed, &watching, &result), ERR_OK);
	assert_true(result.gives_back && watching.phases == 3 && watching.waits == 0);
	assert_true(result.after_octets < result.before_octets - result.before_octets / 4);
	assert_true(result.rewritten_octets > 0 && result.free_octets < 200000);
	assert_true(leaves(&bed, DB_BLOB, &least) <= least + least / 8);
	assert_true(leaves(&bed, DB_DIGEST, &least) <= least + 2);
	read = read_begin(bed.store);
	assert_int_equal(check_messages(&bed, read), count);
	read_end(&read);

	/* Again: there is nothing left to do, or hardly anything. */
	uint64_t rewritten = result.rewritten_octets;
	assert_int_equal(compact(&bed, &watching, &result), ERR_OK);
	assert_true(result.rewritten_octets < rewritten / 3);

	/* The holes are filled again, the file is opened again, and it goes on. */
	store_close(&bed.store);
	bed_open(&bed, STORE_SERVE);
	read = read_begin(bed.store);
	assert_int_equal(check_messages(&bed, read), count);
	read_end(&read);
	struct buffer text = { 0 };
	for (unsigned i = MESSAGES + 1; i <= MESSAGES + 100; i++) {
		struct bed_append append = { .mailbox_id = bed.inbox_id };
		bed_text(&text, i, size_of(i));
		append.text = buffer_slice(&text);
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
	}
	buffer_free(&text);
	read = read_begin(bed.store);
	assert_int_equal(check_messages(&bed, read), count + 100);
	read_end(&read);
	bed_end(&bed);
}

static enum err touch(struct write *write, void *arg)
{
	write_touch(write);
	return ERR_OK;
}

/* What it sees stays as it is, to the last octet, and nothing that it sees is given back. */
static void a_reader_keeps_what_it_sees(void **state)
{
	struct bed bed;
	struct watching watching;
	struct compact_result result;
	struct holes_walk walk = { 0 };
	bed_begin(&bed, STORE_SERVE);
	fill(&bed);
	struct read *read = read_begin(bed.store);
	assert_int_equal(readers_lag(bed.store), 0);
	assert_int_equal(compact(&bed, &watching, &result), ERR_OK);
	assert_true(readers_lag(bed.store) > 3);
	unsigned count = check_messages(&bed, read);
	struct read *now = read_begin(bed.store);
	assert_int_equal(check_messages(&bed, now), count);
	read_end(&now);

	/* One that stays for long is waited for, or not. */
	while (readers_lag(bed.store) <= 64)
		assert_int_equal(bed_write(&bed, touch, NULL), ERR_OK);
	assert_int_equal(bed_write(&bed, expunge_run, &bed), ERR_OK);
	tidy(&bed);
	assert_int_equal(compact(&bed, &watching, &result), ERR_BUSY);
	assert_true(watching.waits > 0);
	check_messages(&bed, read);
	read_end(&read);
	assert_int_equal(readers_lag(bed.store), 0);
	assert_int_equal(compact(&bed, &watching, &result), ERR_OK);
	assert_int_equal(watching.waits, 0);
	while (!walk.is_over)
		assert_int_equal(holes_step(bed.store, &walk), ERR_OK);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_a_stretch_anew),
		cmocka_unit_test(makes_the_file_small),
		cmocka_unit_test(a_reader_keeps_what_it_sees),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
