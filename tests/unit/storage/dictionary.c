/* tests/unit/storage/dictionary.c - when a store makes a dictionary, what gets into it, and that what was
 * compressed with it is read: by who comes later, beside others, from a backup, and from a copy. */
#include "tests/unit/storage/backup_scene.h"
#include "tests/unit/storage/raw.h"

#include "storage/blob_priv.h"
#include "storage/chunk_priv.h"
#include "storage/dictionary.h"
#include "storage/dictionary_priv.h"
#include "storage/text_frame_priv.h"
#include "storage/verify.h"

/* ---- mail with something in common ---- */

/* One of some hundred that everybody uses. */
static void add_word(struct buffer *text, uint32_t *state)
{
	uint32_t letters = dice_roll(state, 600) * 7919 + 1;
	for (unsigned n = 4 + dice_roll(&letters, 8); n > 0; n--)
		buffer_add_byte(text, (uint8_t)('a' + dice_roll(&letters, 26)));
}

/* Each has a word of its own, one that few have, and much that all have. */
static void letter(struct buffer *text, unsigned n)
{
	uint32_t state = n + 1;
	buffer_clear(text);
	buffer_add_format(text,
			  "Received: from relay.example.net by mail.example.org with ESMTPS\r\n"
			  "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
			  "Content-Transfer-Encoding: quoted-printable\r\n"
			  "Message-ID: <own%uq@example.net>\r\nX-Few: few%uq\r\n\r\n",
			  n, n % 100);
	for (unsigned i = 0; i < 100; i++) {
		add_word(text, &state);
		buffer_add_cstr(text, i % 10 == 9 ? "\r\n" : " ");
	}
}

enum { BATCH = 250 };

struct batch {
	struct bed *bed;
	struct intake *intakes[BATCH];
};

static enum err batch_run(struct write *write, void *arg)
{
	struct batch *batch = arg;
	enum err err = ERR_OK;
	for (unsigned i = 0; i < BATCH && err == ERR_OK; i++) {
		struct bed_append append = { .mailbox_id = batch->bed->inbox_id,
					     .intake = batch->intakes[i] };
		err = bed_append_run(write, &append);
	}
	return err;
}

/* Number n has the UID n + 1. */
static void file_mail(struct bed *bed, unsigned from, unsigned count,
		      void (*make)(struct buffer *text, unsigned n))
{
	struct buffer text = { 0 };
	assert_int_equal(count % BATCH, 0);
	for (unsigned at = from; at < from + count; at += BATCH) {
		struct batch batch = { .bed = bed };
		for (unsigned i = 0; i < BATCH; i++) {
			make(&text, at + i);
			batch.intakes[i] = intake_new(bed->store, NULL, NULL, NULL);
			intake_feed(batch.intakes[i], buffer_slice(&text));
			assert_int_equal(intake_finish(batch.intakes[i]), ERR_OK);
		}
		assert_int_equal(bed_write(bed, batch_run, &batch), ERR_OK);
		for (unsigned i = 0; i < BATCH; i++)
			intake_free(&batch.intakes[i]);
	}
	buffer_free(&text);
}

static void file_letters(struct bed *bed, unsigned from, unsigned count)
{
	file_mail(bed, from, count, letter);
}

static uint32_t file_letter(struct bed *bed, unsigned n)
{
	struct buffer text = { 0 };
	letter(&text, n);
	struct bed_append append = { .mailbox_id = bed->inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(bed, &append), ERR_OK);
	buffer_free(&text);
	return append.uid;
}

/* The record of a body's first chunk. */
static void chunk_of(struct bed *bed, uint32_t uid, struct buffer *record)
{
	struct key key;
	struct row row;
	bool more;
	uint64_t blob_id = entry_of(bed, "INBOX", uid).blob_id;
	struct read *read = read_begin(bed->store);
	key_piece(&key, blob_id, 0, 0);
	row_open(&row, read, DB_BLOB);
	assert_true(row_seek(&row, key_slice(&key)));
	buffer_clear(record);
	buffer_add(record, chunk_collect(&row, blob_id, 0, &more));
	row_close(&row);
	read_end(&read);
}

static uint16_t number_of(struct bed *bed, uint32_t uid, size_t *octets_out)
{
	struct buffer record = { 0 };
	chunk_of(bed, uid, &record);
	uint16_t number = get_be16(record.data + 1);
	*octets_out = record.len;
	buffer_free(&record);
	return number;
}

static void check_letter(struct bed *bed, uint32_t uid, unsigned n, enum err want)
{
	struct buffer text = { 0 }, got = { 0 };
	uint64_t blob_id = entry_of(bed, "INBOX", uid).blob_id;
	struct read *read = read_begin(bed->store);
	letter(&text, n);
	assert_int_equal(blob_read(read, blob_id, 0, UINT64_MAX, &got), want);
	if (want == ERR_OK)
		assert_true(slice_eq(buffer_slice(&text), buffer_slice(&got)));
	read_end(&read);
	buffer_free(&text);
	buffer_free(&got);
}

/* As many in both trees. */
static size_t dictionaries_of(const struct bed *bed)
{
	size_t count = bed_count_rows(bed, DB_DICTIONARY);
	assert_int_equal(bed_count_rows(bed, DB_DICTIONARY_COPY), count);
	return count;
}

static void file_and_make(struct bed *bed)
{
	file_letters(bed, 0, DICTIONARY_FIRST_BODIES);
	assert_int_equal(dictionary_make(bed->store), ERR_OK);
	assert_int_equal(dictionaries_of(bed), 1);
}

/* ---- when, and what for ---- */

static void is_made_of_the_first_thousand(void **state)
{
	struct bed bed;
	size_t before, after;
	bed_begin(&bed, STORE_ADMIN);
	file_letters(&bed, 0, DICTIONARY_FIRST_BODIES - BATCH);
	assert_int_equal(dictionary_make(bed.store), ERR_OK);
	assert_int_equal(dictionaries_of(&bed), 0);
	file_letters(&bed, DICTIONARY_FIRST_BODIES - BATCH, BATCH);
	assert_int_equal(dictionary_make(bed.store), ERR_OK);
	assert_int_equal(dictionaries_of(&bed), 1);
	uint32_t uid = file_letter(&bed, 7);
	assert_int_equal(number_of(&bed, 8, &before), NO_DICTIONARY);
	assert_int_equal(number_of(&bed, uid, &after), 1);
	assert_true(after < before * 3 / 4);
	check_letter(&bed, 8, 7, ERR_OK);
	check_letter(&bed, uid, 7, ERR_OK);
	/* Once. */
	assert_int_equal(dictionary_make(bed.store), ERR_OK);
	assert_int_equal(dictionaries_of(&bed), 1);
	/* Who opens the store later has it, too. */
	store_close(&bed.store);
	bed_open(&bed, STORE_ADMIN);
	check_letter(&bed, uid, 7, ERR_OK);
	assert_int_equal(number_of(&bed, file_letter(&bed, 9), &after), 1);
	bed_end(&bed);
}

static void growth_brings_another(void **state)
{
	struct bed bed;
	struct raw raw = { .db = DB_DICTIONARY };
	struct dictionary_row row;
	struct buffer octets = { 0 };
	size_t len;
	bed_begin(&bed, STORE_ADMIN);
	file_and_make(&bed);
	uint32_t first = file_letter(&bed, 1), second;
	struct read *read = read_begin(bed.store);
	assert_int_equal(dictionary_last(read, &row), 1);
	assert_int_equal(row.bodies, DICTIONARY_FIRST_BODIES);
	buffer_add(&octets, row.octets);
	read_end(&read);
	/* As if it had been made when there were few. */
	row.octets = buffer_slice(&octets);
	row.bodies = DICTIONARY_FIRST_BODIES / DICTIONARY_GROWTH;
	dictionary_encode(&row, &raw.value);
	key_dictionary(&raw.key, 1);
	raw_write(&bed, &raw);
	assert_int_equal(dictionary_make(bed.store), ERR_OK);
	assert_int_equal(dictionaries_of(&bed), 2);
	second = file_letter(&bed, 2);
	assert_int_equal(number_of(&bed, first, &len), 1);
	assert_int_equal(number_of(&bed, second, &len), 2);
	/* In turns, by the same read. */
	for (unsigned i = 0; i < 3; i++) {
		check_letter(&bed, first, 1, ERR_OK);
		check_letter(&bed, second, 2, ERR_OK);
		check_letter(&bed, 1, 0, ERR_OK);
	}
	buffer_free(&octets);
	bed_end(&bed);
}

static void a_server_makes_it_by_itself(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_SERVE);
	store_start_dictionaries(bed.store);
	file_letters(&bed, 0, DICTIONARY_FIRST_BODIES);
	for (unsigned i = 0; i < 60000 && bed_count_rows(&bed, DB_DICTIONARY_COPY) < 1; i++)
		usleep(1000);
	assert_int_equal(dictionaries_of(&bed), 1);
	bed_end(&bed);
	/* And ends while it is about it. */
	bed_begin(&bed, STORE_SERVE);
	store_start_dictionaries(bed.store);
	file_letters(&bed, 0, DICTIONARY_FIRST_BODIES);
	bed_end(&bed);
}

/* All different, and too short to learn from. */
static void slip(struct buffer *text, unsigned n)
{
	buffer_clear(text);
	buffer_add_format(text, "a%u: b%u\r\n\r\n", n, n);
}

static void too_little_in_common_is_none(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_ADMIN);
	file_mail(&bed, 0, DICTIONARY_FIRST_BODIES, slip);
	assert_int_equal(dictionary_make(bed.store), ERR_OK);
	assert_int_equal(dictionaries_of(&bed), 0);
	assert_int_equal(bed.store->dictionary_due, 2 * DICTIONARY_FIRST_BODIES);
	bed_end(&bed);
}

/* ---- what gets into it ---- */

static void has_no_word_that_few_have(void **state)
{
	struct bed bed;
	struct dictionary_row row;
	bed_begin(&bed, STORE_ADMIN);
	file_and_make(&bed);
	struct read *read = read_begin(bed.store);
	assert_int_equal(dictionary_last(read, &row), 1);
	assert_true(slice_find(row.octets, 0, SLICE("Content-Transfer-Encoding")) < row.octets.len);
	for (size_t at = 0; (at = slice_find(row.octets, at, SLICE("own"))) < row.octets.len; at++)
		assert_false(row.octets.ptr[at + 3] >= '0' && row.octets.ptr[at + 3] <= '9');
	for (size_t at = 0; (at = slice_find(row.octets, at, SLICE("few"))) < row.octets.len; at++)
		assert_false(row.octets.ptr[at + 3] >= '0' && row.octets.ptr[at + 3] <= '9');
	read_end(&read);
	bed_end(&bed);
}

static void words_are_cut_out(void **state)
{
	struct word_counts *counts = word_counts_new();
	struct buffer out = { 0 };
	for (unsigned i = 0; i < 4; i++)
		word_counts_add(counts, SLICE("Dear friends, dear friends: gr\xc3\xbc\xc3\x9f"
					      "e an alle"));
	word_counts_add(counts, SLICE("Dear friends, my PIN is 4711"));
	word_counts_cut(counts,
			SLICE("Dear friends, my PIN is 4711; dear friends: gr\xc3\xbc\xc3"
			      "\x9f"
			      "e an 4711 alle"),
			4, &out);
	assert_true(slice_eq(buffer_slice(&out),
			     SLICE("Dear friends, ; dear friends: gr\xc3\xbc\xc3\x9f"
				   "e an ")));
	/* What a name is in quoted-printable, an address, a number in groups: one word. */
	word_counts_add(counts, SLICE("=D0=9F=D1=80 06 12 34 x@a-b.example, 12:30"));
	for (unsigned i = 0; i < 4; i++)
		word_counts_add(counts,
				SLICE("D0 9F x D1 80 a b 06 =D0 =9F =D1 =80 example 12:30"));
	buffer_clear(&out);
	word_counts_cut(counts, SLICE("to: =D0=9F=D1=80 06 12 34 x@a-b.example, on time 12:30"), 5,
			&out);
	assert_int_equal(out.len, 0);
	/* Twice in one sample is once. */
	buffer_clear(&out);
	word_counts_cut(counts, SLICE("friends and friends"), 6, &out);
	assert_int_equal(out.len, 0);
	word_counts_free(&counts);
	buffer_free(&out);
}

/* ---- damage ---- */

static void spoil(struct bed *bed, unsigned copy)
{
	struct raw raw = { .db = dictionary_db(copy), .how = RAW_FLIP, .at = 1000 };
	key_dictionary(&raw.key, 1);
	raw_write(bed, &raw);
}

/* As another process, which has not read any yet. */
static void reopen(struct bed *bed)
{
	store_close(&bed->store);
	bed_open(bed, STORE_ADMIN);
}

struct told {
	unsigned count;
	enum verify_kind kind; /* the last */
	enum verify_outcome outcome;
};

static void on_problem(void *user, const struct verify_problem *problem)
{
	struct told *told = user;
	told->count++;
	told->kind = problem->kind;
	told->outcome = problem->outcome;
}

static enum err verify(struct bed *bed, bool repair, struct told *told)
{
	struct verify_counts counts;
	struct verify_watcher watcher = { .problem = on_problem, .user = told };
	*told = (struct told){ 0 };
	return verify_run(bed->store, repair, &watcher, &counts);
}

static void stands_twice(void **state)
{
	for (unsigned copy = 0; copy < DICTIONARY_COPIES; copy++) {
		struct bed bed;
		struct told told;
		bed_begin(&bed, STORE_ADMIN);
		file_and_make(&bed);
		uint32_t uid = file_letter(&bed, 3);
		assert_int_equal(verify(&bed, false, &told), ERR_OK);
		assert_int_equal(told.count, 0);
		spoil(&bed, copy);
		reopen(&bed);
		check_letter(&bed, uid, 3, ERR_OK);
		assert_int_equal(verify(&bed, false, &told), ERR_OK);
		assert_int_equal(told.count, 1);
		assert_int_equal(told.kind, WRONG_DICTIONARY);
		assert_int_equal(verify(&bed, true, &told), ERR_OK);
		assert_int_equal(told.outcome, VERIFY_REPAIRED);
		assert_int_equal(verify(&bed, false, &told), ERR_OK);
		assert_int_equal(told.count, 0);
		/* Now the other may break. */
		spoil(&bed, !copy);
		reopen(&bed);
		check_letter(&bed, uid, 3, ERR_OK);
		bed_end(&bed);
	}
}

/* Nothing is put aside as damaged: a backup has the dictionary, and then all is well. */
static void without_it_nothing_is_taken_apart(void **state)
{
	struct bed bed;
	struct told told;
	bed_begin(&bed, STORE_ADMIN);
	file_and_make(&bed);
	uint32_t uid = file_letter(&bed, 3);
	spoil(&bed, 0);
	spoil(&bed, 1);
	reopen(&bed);
	check_letter(&bed, uid, 3, ERR_DAMAGED);
	check_letter(&bed, 4, 3, ERR_OK);
	for (int repair = 0; repair < 2; repair++) {
		assert_int_equal(verify(&bed, repair, &told), ERR_DAMAGED);
		assert_int_equal(told.count, 1);
		assert_int_equal(told.kind, LOST_DICTIONARY);
		assert_int_equal(bed_mailbox(&bed, LOST_AND_FOUND), 0);
	}
	/* And no second one is made, which would be taken for the first. */
	assert_int_equal(dictionary_make(bed.store), ERR_OK);
	assert_int_equal(dictionaries_of(&bed), 1);
	bed_end(&bed);
}

/* Nor where nothing is left that could be damaged. */
static void without_its_rows_nothing_is_taken_apart(void **state)
{
	struct bed bed;
	struct told told;
	bed_begin(&bed, STORE_ADMIN);
	file_and_make(&bed);
	file_letter(&bed, 3);
	file_letter(&bed, 4);
	for (unsigned copy = 0; copy < DICTIONARY_COPIES; copy++) {
		struct raw raw = { .db = dictionary_db(copy), .how = RAW_DELETE };
		key_dictionary(&raw.key, 1);
		raw_write(&bed, &raw);
	}
	reopen(&bed);
	for (int repair = 0; repair < 2; repair++) {
		assert_int_equal(verify(&bed, repair, &told), ERR_DAMAGED);
		assert_int_equal(told.count, 1);
		assert_int_equal(told.kind, LOST_DICTIONARY);
		assert_int_equal(bed_mailbox(&bed, LOST_AND_FOUND), 0);
	}
	bed_end(&bed);
}

/* A server reads with what it has in memory, and would go on so until it is started anew. */
static void a_scrub_mends_what_is_in_memory(void **state)
{
	struct bed bed;
	struct told told;
	bed_begin(&bed, STORE_ADMIN);
	file_and_make(&bed);
	uint32_t uid = file_letter(&bed, 3);
	dictionaries_check(bed.store);
	spoil(&bed, 0);
	spoil(&bed, 1);
	check_letter(&bed, uid, 3, ERR_OK);
	dictionaries_check(bed.store);
	reopen(&bed);
	check_letter(&bed, uid, 3, ERR_OK);
	assert_int_equal(verify(&bed, false, &told), ERR_OK);
	assert_int_equal(told.count, 0);
	/* And from the other copy, where it is not in memory. */
	spoil(&bed, 1);
	reopen(&bed);
	dictionaries_check(bed.store);
	assert_int_equal(verify(&bed, false, &told), ERR_OK);
	assert_int_equal(told.count, 0);
	/* Nothing can be done. */
	spoil(&bed, 0);
	spoil(&bed, 1);
	reopen(&bed);
	dictionaries_check(bed.store);
	check_letter(&bed, uid, 3, ERR_DAMAGED);
	bed_end(&bed);
}

static void no_number_is_given_twice(void **state)
{
	struct bed bed;
	struct raw raw = { .db = DB_DICTIONARY, .how = RAW_DELETE };
	struct dictionary_row row;
	bed_begin(&bed, STORE_ADMIN);
	file_and_make(&bed);
	key_dictionary(&raw.key, 1);
	raw_write(&bed, &raw);
	/* As if the other had been made when there were few. */
	struct read *read = read_begin(bed.store);
	assert_int_equal(dictionary_last(read, &row), 1);
	row.bodies = 1;
	dictionary_encode(&row, &raw.value);
	read_end(&read);
	raw.db = DB_DICTIONARY_COPY;
	raw.how = RAW_PUT;
	raw_write(&bed, &raw);
	assert_int_equal(dictionary_make(bed.store), ERR_OK);
	read = read_begin(bed.store);
	assert_int_equal(dictionary_last(read, &row), 2);
	for (unsigned copy = 0; copy < DICTIONARY_COPIES; copy++)
		assert_true(dictionary_copy_is_good(read, 2, copy, &row));
	assert_int_equal(dictionary_lost(read), NO_DICTIONARY);
	read_end(&read);
	bed_end(&bed);
}

static void a_record_of_it_notices_damage(void **state)
{
	struct bed bed;
	struct buffer record = { 0 }, raw = { 0 }, out = { 0 };
	bed_begin(&bed, STORE_ADMIN);
	file_and_make(&bed);
	chunk_of(&bed, file_letter(&bed, 5), &record);
	letter(&raw, 5);
	struct read *read = read_begin(bed.store);
	assert_true(chunk_decompress(read, buffer_slice(&record), CHUNK_WHOLE, &out));
	assert_true(slice_eq(buffer_slice(&out), buffer_slice(&raw)));
	for (size_t bit = 8; bit < record.len * 8; bit++) {
		record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		buffer_clear(&out);
		if (chunk_decompress(read, buffer_slice(&record), CHUNK_WHOLE, &out))
			assert_true(slice_eq(buffer_slice(&out), buffer_slice(&raw)));
		else
			assert_int_equal(out.len, 0);
		record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < record.len; len++) {
		buffer_clear(&out);
		assert_false(chunk_decompress(read, slice_sub(buffer_slice(&record), 0, len),
					      CHUNK_WHOLE, &out));
	}
	read_end(&read);
	buffer_free(&record);
	buffer_free(&raw);
	buffer_free(&out);
	bed_end(&bed);
}

/* ---- elsewhere ---- */

static void comes_with_a_backup(void **state)
{
	struct scene scene;
	struct bed *bed = &scene.bed;
	struct backup_counts counts = { 0 };
	const char *why;
	char store[FOLDER_PATH_OCTETS + 16];
	size_t len;
	scene_begin(&scene);
	file_and_make(bed);
	uint32_t uid = file_letter(bed, 3);
	backup(&scene);
	assert_int_equal(restored_sum(&scene, false), bed_sum(bed));
	/* The next run brings only what is new, read with what is there. */
	uint32_t next = file_letter(bed, 4);
	backup(&scene);
	store_close(&bed->store);
	snprintf(store, sizeof(store), "%s/store", bed->dir);
	folder_remove(store);
	assert_int_equal(try_restore(scene.folder, bed->dir, false, false, &counts, &why), ERR_OK);
	bed_open(bed, STORE_ADMIN);
	check_letter(bed, uid, 3, ERR_OK);
	check_letter(bed, next, 4, ERR_OK);
	assert_int_equal(number_of(bed, file_letter(bed, 6), &len), 1);
	scene_end(&scene);
}

/* Or, with the second such run, none would be left that has it. */
static void a_backup_without_it_is_refused(void **state)
{
	struct scene scene;
	struct backup_counts counts = { 0 };
	const char *why;
	scene_begin(&scene);
	file_and_make(&scene.bed);
	file_letter(&scene.bed, 3);
	backup(&scene);
	uint64_t sum;
	file_letter(&scene.bed, 4);
	spoil(&scene.bed, 0);
	backup(&scene);
	sum = restored_sum(&scene, false);
	spoil(&scene.bed, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(try_backup(&scene, 0, &counts, &why), ERR_DAMAGED);
		assert_non_null(strstr(why, "dictionary 1 of the store is lost"));
		assert_int_equal(restored_sum(&scene, false), sum);
	}
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_made_of_the_first_thousand),
		cmocka_unit_test(growth_brings_another),
		cmocka_unit_test(a_server_makes_it_by_itself),
		cmocka_unit_test(too_little_in_common_is_none),
		cmocka_unit_test(has_no_word_that_few_have),
		cmocka_unit_test(words_are_cut_out),
		cmocka_unit_test(stands_twice),
		cmocka_unit_test(without_it_nothing_is_taken_apart),
		cmocka_unit_test(without_its_rows_nothing_is_taken_apart),
		cmocka_unit_test(a_scrub_mends_what_is_in_memory),
		cmocka_unit_test(no_number_is_given_twice),
		cmocka_unit_test(a_record_of_it_notices_damage),
		cmocka_unit_test(a_backup_without_it_is_refused),
		cmocka_unit_test(comes_with_a_backup),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
