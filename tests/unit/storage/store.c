/* tests/unit/storage/store.c - opening: what is there, what is not, what is refused and stays
 * as it is; one server at a time; reading beside writing. */
#include "tests/unit/storage/bed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/random.h"

static void path_of(const struct bed *bed, const char *name, char path_out[128])
{
	snprintf(path_out, 128, "%s/store/%s", bed->dir, name);
}

static struct buffer file_content(const char *path)
{
	struct buffer content = { 0 };
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	for (;;) {
		ssize_t n = read(fd, buffer_reserve(&content, 65536), 65536);
		assert_true(n >= 0);
		if (n == 0)
			break;
		content.len += (size_t)n;
	}
	close(fd);
	return content;
}

static void file_write(const char *path, const void *octets, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets, len), len);
	close(fd);
}

/* Refused with one sentence that holds `word`, in every mode, and not an octet changed. */
static void assert_refused(struct bed *bed, enum err want, const char *word)
{
	char data[128], lock[128];
	const char *why = NULL;
	path_of(bed, "data.mdb", data);
	path_of(bed, "lock.mdb", lock);
	struct buffer before = file_content(data);
	bool lock_before = access(lock, F_OK) == 0;
	const enum store_mode modes[] = { STORE_SERVE, STORE_ADMIN, STORE_CREATE };
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		enum err err = bed_try_open(bed, modes[i], &why);
		assert_int_equal(err, want);
		assert_null(bed->store);
		assert_non_null(why);
		if (!strstr(why, word) || !strstr(why, bed->dir) || strchr(why, '\n'))
			fail_msg("a sentence about \"%s\": \"%s\"", word, why);
		struct buffer after = file_content(data);
		assert_int_equal(after.len, before.len);
		assert_memory_equal(after.data, before.data, before.len);
		buffer_free(&after);
		assert_int_equal(access(lock, F_OK) == 0, lock_before);
	}
	buffer_free(&before);
}

static void says_that_there_is_none(void **state)
{
	struct bed bed;
	const char *why;
	bed_dir(&bed);
	assert_int_equal(bed_try_open(&bed, STORE_SERVE, &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why, "no store"));
	assert_int_equal(bed_try_open(&bed, STORE_ADMIN, &why), ERR_NOT_FOUND);
	char folder[128];
	snprintf(folder, sizeof(folder), "%s/store", bed.dir);
	assert_int_not_equal(access(folder, F_OK), 0); /* nothing was made */
	bed_end(&bed);
}

static void makes_one_that_stays(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	struct store *first = bed.store;
	store_close(&bed.store);
	assert_null(bed.store);
	assert_non_null(first);
	const enum store_mode modes[] = { STORE_SERVE, STORE_ADMIN, STORE_CREATE };
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		bed_open(&bed, modes[i]);
		assert_int_equal(bed_mailbox(&bed, "INBOX"), bed.inbox_id);
		store_close(&bed.store);
	}
	/* Nobody else may read what is in it. */
	char path[128];
	struct stat status;
	path_of(&bed, "", path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	path_of(&bed, "data.mdb", path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	bed_end(&bed);
}

/* The power failed while a store was made: what is left of it is in nobody's way. */
static void makes_one_where_another_was_begun(void **state)
{
	for (unsigned begun = 0; begun < 3; begun++) {
		struct bed bed;
		char path[128];
		bed_dir(&bed);
		path_of(&bed, "", path);
		assert_int_equal(mkdir(path, 0700), 0);
		path_of(&bed, "new", path);
		assert_int_equal(mkdir(path, 0700), 0);
		path_of(&bed, "new/data.mdb", path);
		if (begun > 0)
			file_write(path, "half a store", begun == 1 ? 0 : 12);
		const char *why;
		assert_int_equal(bed_try_open(&bed, STORE_SERVE, &why), ERR_NOT_FOUND);
		bed_open(&bed, STORE_CREATE);
		assert_int_equal(bed_write(&bed, bed_first_account, &bed), ERR_OK);
		path_of(&bed, "new", path);
		assert_int_not_equal(access(path, F_OK), 0);
		store_close(&bed.store);
		bed_open(&bed, STORE_SERVE);
		assert_true(bed_mailbox(&bed, "INBOX") != 0);
		bed_end(&bed);
	}
}

static enum err write_format(struct write *write, void *arg)
{
	uint8_t record[13] = { RECORD_VERSION };
	put_be32(record + 1, *(uint32_t *)arg);
	return db_put(write, DB_MAIN, SLICE("!bode"), slice_of(record, sizeof(record)), PUT_ANY);
}

static void refuses_a_newer_version(void **state)
{
	struct bed bed;
	uint32_t format = STORE_FORMAT + 1;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, write_format, &format), ERR_OK);
	store_close(&bed.store);
	char words[64];
	snprintf(words, sizeof(words), "newer Bode (version %u, this one reads %u)", format,
		 STORE_FORMAT);
	assert_refused(&bed, ERR_VERSION, words);
	bed_end(&bed);
}

static void refuses_noise(void **state)
{
	struct bed bed;
	char path[128];
	uint8_t noise[20000];
	bed_dir(&bed);
	path_of(&bed, "", path);
	assert_int_equal(mkdir(path, 0700), 0);
	path_of(&bed, "data.mdb", path);
	random_octets(noise, sizeof(noise));
	file_write(path, noise, sizeof(noise));
	assert_refused(&bed, ERR_DISK, "not a store of Bode");
	file_write(path, "hello", 5);
	assert_refused(&bed, ERR_DISK, "not a store of Bode");
	bed_end(&bed);
}

/* What statfs(2) tells of every file system; 0: the truth. */
static uint32_t pretended_type;

int statfs(const char *path, struct statfs *out)
{
	int result = (int)syscall(SYS_statfs, path, out);
	if (pretended_type != 0)
		out->f_type = pretended_type;
	return result;
}

static void refuses_a_network_file_system(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	store_close(&bed.store);
	pretended_type = 0x6969;
	assert_refused(&bed, ERR_DISK, "network file system (NFS)");
	pretended_type = 0xff534d42;
	assert_refused(&bed, ERR_DISK, "network file system (CIFS)");
	pretended_type = 0;
	bed_open(&bed, STORE_SERVE);
	bed_end(&bed);
}

/* The first page's mark with its octets the other way round. */
static void refuses_another_byte_order(void **state)
{
	struct bed bed;
	char path[128];
	bed_begin(&bed, STORE_CREATE);
	store_close(&bed.store);
	path_of(&bed, "data.mdb", path);
	struct buffer content = file_content(path);
	put_be32(content.data + 16, 0xbeefc0de);
	file_write(path, content.data, content.len);
	buffer_free(&content);
	assert_refused(&bed, ERR_DISK, "byte order");
	bed_end(&bed);
}

/* A disk that is mounted for reading only. Where no test may mount one, it says so. */
static void refuses_what_it_cannot_write(void **state)
{
	struct bed bed;
	char folder[128], command[300];
	const char *why = NULL;
	bed_begin(&bed, STORE_CREATE);
	store_close(&bed.store);
	path_of(&bed, "", folder);
	snprintf(command, sizeof(command),
		 "mount --bind '%s' '%s' 2>/dev/null && mount -o remount,bind,ro '%s'", folder,
		 folder, folder);
	if (system(command) == 0) {
		assert_refused(&bed, ERR_DENIED, "Read-only file system");
		snprintf(command, sizeof(command), "umount '%s'", folder);
		assert_int_equal(system(command), 0);
	} else {
		print_message("no file system can be mounted here\n");
	}
	assert_int_equal(bed_try_open(&bed, STORE_SERVE, &why), ERR_OK);
	bed_end(&bed);
}

static void refuses_another_programs_database(void **state)
{
	struct bed bed;
	char path[128];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	bed_dir(&bed);
	path_of(&bed, "", path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	MDB_val key = { 3, (void *)(uintptr_t) "abc" };
	assert_int_equal(mdb_put(txn, dbi, &key, &key, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	assert_refused(&bed, ERR_DISK, "another program's");
	path_of(&bed, "lock.mdb", path);
	assert_int_equal(unlink(path), 0);
	assert_refused(&bed, ERR_DISK, "another program's");
	bed_end(&bed);
}

/* However much is missing at the end: a page, most, all but the first. */
static void refuses_one_cut_short(void **state)
{
	struct bed bed;
	char path[128];
	struct buffer text = { 0 };
	bed_begin(&bed, STORE_CREATE);
	bed_text(&text, 1, 100000);
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	store_close(&bed.store);
	buffer_free(&text);
	path_of(&bed, "data.mdb", path);
	struct buffer whole = file_content(path);
	const size_t lens[] = { whole.len - 1, whole.len - 4096, whole.len / 2, 8192, 4096, 100 };
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		file_write(path, whole.data, lens[i]);
		assert_refused(&bed, ERR_DISK, lens[i] < 150 ? "not a store" : "cut short");
	}
	const char *why;
	file_write(path, whole.data, 0);
	assert_int_equal(bed_try_open(&bed, STORE_SERVE, &why), ERR_DISK);
	file_write(path, whole.data, whole.len);
	/* Whatever its last commit added: when it is closed, it knows its length. */
	struct head head;
	struct slice record;
	bed_open(&bed, STORE_SERVE);
	struct read *read = read_begin(bed.store);
	assert_int_equal(db_get(read, DB_MAIN, SLICE("!head"), &record), ERR_OK);
	assert_true(head_decode(record, &head));
	assert_int_equal(head.file_octets, whole.len);
	read_end(&read);
	buffer_free(&whole);
	bed_end(&bed);
}

static void lets_one_server_in(void **state)
{
	struct bed bed;
	int ready[2], go[2];
	char byte = 0;
	bed_begin(&bed, STORE_CREATE);
	store_close(&bed.store);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const char *why;
		struct store *store;
		byte = store_open(bed.dir, STORE_SERVE, &store, &why) == ERR_OK;
		if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) < 0)
			_exit(1);
		_exit(0); /* without closing: as a crash would */
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	const char *why;
	assert_int_equal(bed_try_open(&bed, STORE_SERVE, &why), ERR_BUSY);
	assert_non_null(strstr(why, "another server"));
	/* Beside it the admin's tool works. */
	bed_open(&bed, STORE_ADMIN);
	uint32_t format = STORE_FORMAT;
	assert_int_equal(bed_write(&bed, write_format, &format), ERR_OK);
	store_close(&bed.store);
	assert_int_equal(write(go[1], &byte, 1), 1);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	bed_open(&bed, STORE_SERVE);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
	bed_end(&bed);
}

static void reads_what_was_there_when_it_began(void **state)
{
	struct bed bed;
	struct message_entry entry;
	bed_begin(&bed, STORE_CREATE);
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = SLICE("a: b\r\n\r\n") };
	struct read *before = read_begin(bed.store);
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	struct read *after = read_begin(bed.store);
	assert_int_equal(message_get(before, bed.inbox_id, 1, &entry), ERR_NOT_FOUND);
	assert_int_equal(message_get(after, bed.inbox_id, 1, &entry), ERR_OK);
	read_end(&before);
	assert_null(before);
	read_end(&before);
	read_end(&after);
	/* A transaction that is used again sees what is there now. */
	before = read_begin(bed.store);
	assert_int_equal(message_get(before, bed.inbox_id, 1, &entry), ERR_OK);
	read_end(&before);
	bed_end(&bed);
}

enum { ROWS = 700, KEYS = 2 * ROWS };

/* Rows of half the keys, with gaps of all lengths, in two databases; in pages of many and of few. */
static enum err rows_put(struct write *write, void *arg)
{
	static const enum database dbs[] = { DB_REFERENCE, DB_DIGEST };
	uint8_t value[600] = { 0 };
	uint32_t seed = 1;
	enum err err = ERR_OK;
	for (uint64_t number = 0; number < 2 * KEYS && err == ERR_OK; number++) {
		enum database db = dbs[number % 2];
		struct key key;
		if (dice_roll(&seed, 2))
			continue;
		put_be64(value, number);
		key_be64(&key, number / 2 + 1);
		err = db_put(write, db, key_slice(&key),
			     slice_of(value, db == DB_DIGEST ? sizeof(value) : 8), PUT_ANY);
	}
	return err;
}

/* Forward a little, mostly, at times anywhere; what is not there, too. */
static void what_lies_beside_is_found(void **state)
{
	struct bed bed;
	uint32_t seed = 7;
	uint64_t number = 1;
	unsigned found = 0;
	enum database db = DB_DIGEST;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, rows_put, NULL), ERR_OK);
	struct read *read = read_begin(bed.store);
	for (unsigned round = 0; round < 20000; round++) {
		struct key key;
		struct slice want = SLICE_NONE, got = SLICE_NONE;
		uint32_t die = dice_roll(&seed, 1 << 16);
		if (die % 50 == 0)
			number = die % (KEYS + 10);
		else
			number += die % 7 == 0 ? 2 + die % 5 : die % 5 != 0;
		if (die % 200 == 3)
			db = db == DB_DIGEST ? DB_REFERENCE : DB_DIGEST;
		if (number > KEYS + 5)
			number = 0;
		key_be64(&key, number);
		enum err err = db_get(read, db, key_slice(&key), &want);
		assert_int_equal(db_get_next(read, db, key_slice(&key), &got), err);
		assert_true(slice_eq(got, want) && got.ptr == want.ptr);
		found += err == ERR_OK;
	}
	assert_true(found > 5000 && found < 15000);
	read_end(&read);
	bed_end(&bed);
}

/* A file that was put in another's place while the disk failed: what is in memory is not of it. */
static void goes_on_with_the_same_file_only(void **state)
{
	struct bed bed;
	char command[512];
	bed_begin(&bed, STORE_ADMIN);
	assert_int_equal(environment_reopen(bed.store, bed.store->generation), ERR_OK);
	assert_int_equal(bed_mailbox(&bed, "INBOX"), bed.inbox_id);
	snprintf(command, sizeof(command), "cd %s/store && cp data.mdb other && mv other data.mdb",
		 bed.dir);
	assert_int_equal(system(command), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(environment_reopen(bed.store, bed.store->generation), ERR_DISK);
	store_close(&bed.store);
	bed_open(&bed, STORE_ADMIN);
	assert_int_equal(bed_mailbox(&bed, "INBOX"), bed.inbox_id);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_that_there_is_none),
		cmocka_unit_test(makes_one_that_stays),
		cmocka_unit_test(makes_one_where_another_was_begun),
		cmocka_unit_test(refuses_a_newer_version),
		cmocka_unit_test(refuses_noise),
		cmocka_unit_test(refuses_another_programs_database),
		cmocka_unit_test(refuses_a_network_file_system),
		cmocka_unit_test(refuses_another_byte_order),
		cmocka_unit_test(refuses_what_it_cannot_write),
		cmocka_unit_test(refuses_one_cut_short),
		cmocka_unit_test(lets_one_server_in),
		cmocka_unit_test(reads_what_was_there_when_it_began),
		cmocka_unit_test(what_lies_beside_is_found),
		cmocka_unit_test(goes_on_with_the_same_file_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
