/* tests/unit/storage/read_ahead.c - which leaf a key is in, told by the branches, and that the disk is
 * asked for the right ones. */
#include "tests/unit/storage/bed.h"

#include <sys/mman.h>

#include "storage/read_ahead.h"
#include "storage/tree_priv.h"

enum { ROWS = 3000, OTHERS_ROWS = 200, ALL_PAGES = 10000 };
enum { MAILBOX_ID = 77, OTHER_MAILBOX_ID = 78 };

static uint32_t dice = 1;

/* ---- what the disk is asked for ---- */

static const uint8_t *asked[2 * ROWS];
static size_t asked_count;

/* The linker puts it in the place of the system's. */
int __wrap_madvise(void *at, size_t octets, int advice);
int __wrap_madvise(void *at, size_t octets, int advice)
{
	if (advice == MADV_RANDOM)
		return 0; /* LMDB, of its whole map */
	assert_int_equal(advice, MADV_WILLNEED);
	assert_int_equal(octets, 4096);
	assert_true(asked_count < ARRAY_LEN(asked));
	asked[asked_count++] = at;
	return 0;
}

/* ---- rows, and the leaves that LMDB finds them in ---- */

static enum err keys_put(struct write *write, void *arg)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < ROWS && err == ERR_OK; i++) {
		struct key key = { .len = 4 + dice_roll(&dice, 300) };
		static const uint8_t value[3000];
		memset(key.octets, (int)dice_roll(&dice, 3), key.len);
		put_be32(key.octets, dice_roll(&dice, 1 << 20));
		err = db_put(write, DB_REFERENCE, key_slice(&key),
			     slice_of(value, dice_roll(&dice, sizeof(value))), PUT_ANY);
	}
	return err;
}

static enum err keys_thin(struct write *write, void *arg)
{
	struct row row;
	enum err err = ERR_OK;
	row_open(&row, write_read(write), DB_REFERENCE);
	bool more = row_seek(&row, slice_of("", 1));
	while (more && err == ERR_OK) {
		if (dice_roll(&dice, 2))
			err = row_delete(&row);
		more = row_next(&row);
	}
	row_close(&row);
	return err;
}

static void assert_each_row_is_found(struct bed *bed)
{
	struct tree tree;
	struct tree_leaf leaf, last = { .page = NULL };
	struct row row;
	unsigned leaves = 0, firsts = 0, rows = 0;
	struct read *read = read_begin(bed->store);
	assert_true(tree_open(&tree, read, DB_REFERENCE));
	assert_true(tree.depth >= 3);
	row_open(&row, read, DB_REFERENCE);
	for (bool more = row_seek(&row, slice_of("", 1)); more; more = row_next(&row)) {
		bool is_in_last = tree_leaf_has(&last, row.key);
		assert_true(tree_find(&tree, row.key, &leaf));
		assert_true(tree_leaf_has(&leaf, row.key));
		assert_ptr_equal(leaf.page, row.key.ptr - (uintptr_t)row.key.ptr % 4096);
		assert_int_equal(is_in_last, leaf.page == last.page);
		leaves += !is_in_last;
		firsts += !is_in_last && leaf.is_first;
		last = leaf;
		rows++;
	}
	assert_null(last.end.ptr);
	row_close(&row);
	MDB_stat stat;
	assert_int_equal(mdb_stat(read->txn, bed->store->dbis[DB_REFERENCE], &stat), 0);
	assert_int_equal(rows, stat.ms_entries);
	assert_int_equal(leaves, stat.ms_leaf_pages);
	assert_in_range(firsts, 2, stat.ms_branch_pages);
	read_end(&read);
}

static void branches_tell_the_leaf_of_each_row(void **state)
{
	struct bed bed;
	struct tree tree;
	bed_begin(&bed, STORE_CREATE);
	struct read *read = read_begin(bed.store);
	assert_false(tree_open(&tree, read, DB_REFERENCE));
	read_end(&read);
	assert_int_equal(bed_write(&bed, keys_put, NULL), ERR_OK);
	assert_each_row_is_found(&bed);
	assert_int_equal(bed_write(&bed, keys_thin, NULL), ERR_OK);
	assert_each_row_is_found(&bed);
	bed_end(&bed);
}

static enum err mailbox_put(struct write *write, void *arg)
{
	static const uint8_t entry[ENTRY_OCTETS], digest[600];
	enum err err = ERR_OK;
	struct key key;
	for (uint32_t i = 1; i <= ROWS && err == ERR_OK; i++) {
		key_entry(&key, i <= OTHERS_ROWS ? OTHER_MAILBOX_ID : MAILBOX_ID, 2 * i);
		err = db_put(write, DB_MAILBOX, key_slice(&key), slice_of(entry, sizeof(entry)),
			     PUT_ANY);
		key_be64(&key, i);
		if (err == ERR_OK)
			err = db_put(write, DB_DIGEST, key_slice(&key),
				     slice_of(digest, 100 + dice_roll(&dice, 500)), PUT_ANY);
	}
	return err;
}

/* Of the rows from `from` on that begin with the same 8 octets; of each page the first row. */
struct leaves {
	const uint8_t *pages[ROWS];
	uint64_t first_numbers[ROWS]; /* the key's last octets */
	size_t count;
};

static void leaves_find(struct leaves *leaves, struct read *read, enum database db,
			struct slice from, size_t number_octets, uint64_t numbers_max)
{
	struct row row;
	leaves->count = 0;
	row_open(&row, read, db);
	for (bool more = row_seek(&row, from); more; more = row_next(&row)) {
		const uint8_t *page = row.key.ptr - (uintptr_t)row.key.ptr % 4096;
		const uint8_t *number = row.key.ptr + row.key.len - number_octets;
		if (row.key.len != from.len ||
		    memcmp(row.key.ptr, from.ptr, from.len - number_octets) != 0)
			break;
		if (leaves->count > 0 && leaves->pages[leaves->count - 1] == page)
			continue;
		leaves->pages[leaves->count] = page;
		leaves->first_numbers[leaves->count++] =
			number_octets == 8 ? get_be64(number) : get_be32(number);
	}
	row_close(&row);
	assert_true(leaves->count > 10);
}

static void assert_asked(const struct leaves *leaves, size_t from, size_t count)
{
	assert_int_equal(asked_count, count);
	for (size_t i = 0; i < count; i++)
		assert_ptr_equal(asked[i], leaves->pages[from + i]);
	asked_count = 0;
}

static void each_page_of_digests_is_asked_for_once(void **state)
{
	static struct leaves leaves;
	struct bed bed;
	struct key key;
	uint64_t ids[ROWS];
	bed_begin(&bed, STORE_CREATE);
	struct read *read = read_begin(bed.store);
	ids[0] = 1;
	assert_int_equal(read_ahead_digests(read, ids, 1, ALL_PAGES), 1);
	assert_int_equal(asked_count, 0);
	read_end(&read);
	assert_int_equal(bed_write(&bed, mailbox_put, NULL), ERR_OK);
	read = read_begin(bed.store);
	key_be64(&key, 1);
	leaves_find(&leaves, read, DB_DIGEST, key_slice(&key), 8, ROWS);

	for (size_t i = 0; i < ROWS; i++)
		ids[i] = i + 1;
	assert_int_equal(read_ahead_digests(read, ids, ROWS, ALL_PAGES), ROWS);
	assert_asked(&leaves, 0, leaves.count);
	/* As far as three pages hold them, and the rest. */
	size_t done = read_ahead_digests(read, ids, ROWS, 3);
	assert_int_equal(ids[done], leaves.first_numbers[3]);
	assert_asked(&leaves, 0, 3);
	assert_int_equal(read_ahead_digests(read, ids + done, ROWS - done, ALL_PAGES), ROWS - done);
	assert_asked(&leaves, 3, leaves.count - 3);
	/* Backwards, and of some only. */
	for (size_t i = 0; i < ROWS; i++)
		ids[i] = ROWS - i;
	assert_int_equal(read_ahead_digests(read, ids, ROWS, ALL_PAGES), ROWS);
	assert_int_equal(asked_count, leaves.count);
	assert_ptr_equal(asked[0], leaves.pages[leaves.count - 1]);
	asked_count = 0;
	ids[0] = leaves.first_numbers[7];
	ids[1] = leaves.first_numbers[8] - 1;
	ids[2] = leaves.first_numbers[8];
	assert_int_equal(read_ahead_digests(read, ids, 3, ALL_PAGES), 3);
	assert_asked(&leaves, 7, 2);
	assert_int_equal(read_ahead_digests(read, ids, 0, ALL_PAGES), 0);
	assert_asked(&leaves, 0, 0);
	read_end(&read);
	bed_end(&bed);
}

static void each_page_of_entries_is_asked_for_once(void **state)
{
	static struct leaves leaves;
	enum { FIRST = 2 * (OTHERS_ROWS + 1), LAST = 2 * ROWS };
	struct bed bed;
	struct key key;
	struct ranges uids = { 0 }, some = { 0 };
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, mailbox_put, NULL), ERR_OK);
	struct read *read = read_begin(bed.store);
	key_entry(&key, MAILBOX_ID, FIRST);
	leaves_find(&leaves, read, DB_MAILBOX, key_slice(&key), 4, LAST);

	assert_int_equal(read_ahead_entries(read, MAILBOX_ID, &uids, 1, ALL_PAGES), 0);
	assert_asked(&leaves, 0, 0);
	for (uint32_t uid = FIRST; uid <= LAST; uid += 2)
		ranges_add(&uids, uid, uid);
	assert_int_equal(read_ahead_entries(read, MAILBOX_ID, &uids, 1, ALL_PAGES), 0);
	assert_asked(&leaves, 0, leaves.count);
	uint32_t next = read_ahead_entries(read, MAILBOX_ID, &uids, 1, 3);
	assert_int_equal(next, leaves.first_numbers[3]);
	assert_asked(&leaves, 0, 3);
	assert_int_equal(read_ahead_entries(read, MAILBOX_ID, &uids, next, ALL_PAGES), 0);
	assert_asked(&leaves, 3, leaves.count - 3);
	/* Pages in between are not wanted. */
	ranges_add(&some, (uint32_t)leaves.first_numbers[2], (uint32_t)leaves.first_numbers[2] + 2);
	ranges_add(&some, (uint32_t)leaves.first_numbers[9], UINT32_MAX);
	assert_int_equal(read_ahead_entries(read, MAILBOX_ID, &some, 1, 2),
			 leaves.first_numbers[10]);
	assert_int_equal(asked_count, 2);
	assert_ptr_equal(asked[0], leaves.pages[2]);
	assert_ptr_equal(asked[1], leaves.pages[9]);
	asked_count = 0;
	assert_int_equal(read_ahead_entries(read, MAILBOX_ID, &some, 1, 2 + leaves.count), 0);
	assert_int_equal(asked_count, leaves.count - 8);
	asked_count = 0;
	read_end(&read);
	ranges_free(&uids);
	ranges_free(&some);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(branches_tell_the_leaf_of_each_row),
		cmocka_unit_test(each_page_of_digests_is_asked_for_once),
		cmocka_unit_test(each_page_of_entries_is_asked_for_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
