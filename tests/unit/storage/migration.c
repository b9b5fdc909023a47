/* tests/unit/storage/migration.c - a store of the first format, written here record by record as
 * that Bode laid it out, becomes one of today's; and what one of format 12 has stays beside what is new. */
#include "tests/unit/storage/bed.h"

#include <fcntl.h>
#include <sys/file.h>

#include "storage/blob_priv.h"
#include "storage/compress_priv.h"
#include "storage/dictionary_priv.h"
#include "storage/inspect_priv.h"

static void put(MDB_txn *txn, const char *database, struct slice key, struct slice value)
{
	MDB_dbi dbi;
	MDB_val k = { key.len, (void *)(uintptr_t)key.ptr };
	MDB_val v = { value.len, (void *)(uintptr_t)value.ptr };
	assert_int_equal(mdb_dbi_open(txn, database, database ? MDB_CREATE : 0, &dbi), 0);
	if (key.len > 0)
		assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
}

#define OCTETS(...) \
	slice_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define BE32(n) (uint8_t)((n) >> 24), (uint8_t)((n) >> 16), (uint8_t)((n) >> 8), (uint8_t)(n)
#define BE64(n) BE32(0), BE32(n)

/* One account, alice@example.org, with an empty INBOX. */
static void make_first_format(const char *state_dir)
{
	static const char *const others[] = { "blob", "digest", "reference", "garbage", "pending" };
	MDB_env *env;
	MDB_txn *txn;
	char path[128];
	snprintf(path, sizeof(path), "%s/store", state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 10), 0);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	put(txn, NULL, SLICE("!bode"), OCTETS(1, BE32(1), BE64(1600000000)));
	put(txn, NULL, SLICE("!head"),
	    OCTETS(1, BE64(7), BE64(0), BE32(2), BE64(2), BE64(1), BE32(1600000000)));
	put(txn, "domain", SLICE("example.org"), OCTETS(1, BE64(1600000000)));
	put(txn, "account", OCTETS(BE32(1)),
	    OCTETS(1, BE64(5), BE64(0), BE64(0), BE64(0), BE64(0), BE32(1), BE32(17), 'a', 'l', 'i',
		   'c', 'e', '@', 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'o', 'r', 'g', BE32(1),
		   '$'));
	put(txn, "address", SLICE("example.org\0alice"), OCTETS(1, BE32(1), BE32(0)));
	put(txn, "mailbox-name", OCTETS(BE32(1), 'I', 'N', 'B', 'O', 'X'),
	    OCTETS(1, BE64(1), 1, 0));
	put(txn, "mailbox", OCTETS(BE64(1), 0),
	    OCTETS(1, BE32(1), BE32(1600000000), BE32(1), BE32(1), BE64(5), BE64(5), BE32(0),
		   BE32(0), BE32(0), BE64(0), BE64(1600000000), 0, BE32(0), BE64(0), BE32(5), 'I',
		   'N', 'B', 'O', 'X', 0));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		put(txn, others[i], SLICE_NONE, SLICE_NONE);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void check_contents(struct bed *bed)
{
	struct account account;
	struct read *read = read_begin(bed->store);
	struct slice record;
	assert_int_equal(account_find(read, SLICE("alice@example.org"), &bed->arena, &account),
			 ERR_OK);
	assert_int_equal(db_get(read, DB_MAIN, SLICE("!bode"), &record), ERR_OK);
	assert_int_equal(get_be32(record.ptr + 1), STORE_FORMAT);
	assert_int_equal(get_be64(record.ptr + 5), 1600000000);
	bed->account_id = account.account_id;
	read_end(&read);
	bed->inbox_id = bed_mailbox(bed, "INBOX");
	assert_int_equal(bed->inbox_id, 1);
	struct bed_append append = { .mailbox_id = 1, .text = SLICE("a: b\r\n\r\n") };
	assert_int_equal(bed_append(bed, &append), ERR_OK);
}

static void leads_to_todays(void **state)
{
	static const enum store_mode modes[] = { STORE_SERVE, STORE_CREATE };
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct bed bed;
		bed_dir(&bed);
		make_first_format(bed.dir);
		bed_open(&bed, modes[i]);
		check_contents(&bed);
		store_close(&bed.store);
		bed_open(&bed, STORE_ADMIN);
		check_contents(&bed);
		bed_end(&bed);
	}
}

static void is_not_for_every_tool(void **state)
{
	struct bed bed;
	const char *why;
	bed_dir(&bed);
	make_first_format(bed.dir);
	assert_int_equal(bed_try_open(&bed, STORE_ADMIN, &why), ERR_VERSION);
	assert_non_null(strstr(why, "an older Bode (version 1"));
	bed_open(&bed, STORE_CREATE);
	check_contents(&bed);
	bed_end(&bed);
}

static void waits_for_an_older_server_to_end(void **state)
{
	struct bed bed;
	const char *why;
	char path[128];
	bed_dir(&bed);
	make_first_format(bed.dir);
	snprintf(path, sizeof(path), "%s/store/serving", bed.dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(bed_try_open(&bed, STORE_CREATE, &why), ERR_BUSY);
	assert_non_null(strstr(why, "stop that server first"));
	close(fd);
	bed_open(&bed, STORE_CREATE);
	check_contents(&bed);
	bed_end(&bed);
}

/* The body's only chunk as it was before format 13: one frame, whatever is in it. */
static enum err make_twelfth_run(struct write *write, void *arg)
{
	struct bed_append *append = arg;
	struct buffer record = { 0 };
	struct key key;
	struct slice row;
	uint8_t marker[13];
	enum err err = ERR_OK;
	for (uint32_t piece = 0; err == ERR_OK; piece++) {
		key_piece(&key, append->entry.blob_id, 0, piece);
		err = db_del(write, DB_BLOB, key_slice(&key));
	}
	assert_int_equal(err, ERR_NOT_FOUND);
	struct compressor *compressor = compressor_take(write->store);
	add_record_header(&record, 1, NO_DICTIONARY, append->text.len);
	frame_compress(compressor, append->text, 1, &record);
	compressor_give(write->store, compressor);
	err = blob_put_chunk(write, append->entry.blob_id, 0, buffer_slice(&record));
	buffer_free(&record);
	assert_int_equal(db_get(write_read(write), DB_MAIN, SLICE("!bode"), &row), ERR_OK);
	assert_int_equal(row.len, sizeof(marker));
	memcpy(marker, row.ptr, sizeof(marker));
	put_be32(marker + 1, 12);
	return err == ERR_OK ? db_put(write, DB_MAIN, SLICE("!bode"),
				      slice_of(marker, sizeof(marker)), PUT_ANY)
			     : err;
}

/* Whether its chunk is as told, good, and the message. */
static void check_body(struct bed *bed, const struct bed_append *append, uint8_t version)
{
	struct buffer out = { 0 };
	struct inspection inspection;
	struct key key;
	struct slice row;
	uint64_t blob_id = append->entry.blob_id;
	struct read *read = read_begin(bed->store);
	key_piece(&key, blob_id, 0, 0);
	assert_int_equal(db_get(read, DB_BLOB, key_slice(&key), &row), ERR_OK);
	assert_int_equal(row.ptr[0], version);
	assert_int_equal(blob_read(read, blob_id, 0, UINT64_MAX, &out), ERR_OK);
	assert_true(slice_eq(buffer_slice(&out), append->text));
	inspect_begin(&inspection, blob_id);
	assert_true(inspect_step(&inspection, read, UINT32_MAX));
	assert_true(inspection_is_good(&inspection));
	inspect_end(&inspection);
	read_end(&read);
	buffer_free(&out);
}

static void chunks_of_format_12_stay_as_they_are(void **state)
{
	struct bed bed;
	struct buffer text = { 0 };
	const char *why;
	bed_begin(&bed, STORE_CREATE);
	bed_text(&text, 1, 30000);
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	check_body(&bed, &append, 4);
	assert_int_equal(bed_write(&bed, make_twelfth_run, &append), ERR_OK);
	store_close(&bed.store);
	assert_int_equal(bed_try_open(&bed, STORE_ADMIN, &why), ERR_VERSION);
	bed_open(&bed, STORE_SERVE);
	check_body(&bed, &append, 1);
	struct bed_append another = { .mailbox_id = bed.inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(&bed, &another), ERR_OK);
	check_body(&bed, &another, 4);
	check_body(&bed, &append, 1);
	buffer_free(&text);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leads_to_todays),
		cmocka_unit_test(is_not_for_every_tool),
		cmocka_unit_test(waits_for_an_older_server_to_end),
		cmocka_unit_test(chunks_of_format_12_stay_as_they_are),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
