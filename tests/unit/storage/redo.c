/* tests/unit/storage/redo.c - the redo log: what was acknowledged comes back from it when data.mdb lost all
 * that was not synced; what is void, torn or another store's does not. (What a disk may leave of
 * both files at any moment is tests/crash/power.c's.) */
#include "tests/unit/storage/bed.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/checksum.h"
#include "runtime/sandbox.h"
#include "storage/redo_priv.h"

enum { SMALL_OCTETS = 3000, MESSAGES = 20 };

static void append(struct bed *bed, unsigned seed, size_t octets)
{
	struct buffer text = { 0 };
	bed_text(&text, seed, octets);
	struct bed_append one = { .mailbox_id = bed->inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(bed, &one), ERR_OK);
	buffer_free(&text);
}

/* INBOX holds the messages of the seeds 1 to `count`, whole. */
static void assert_messages(struct bed *bed, unsigned count, size_t octets)
{
	struct buffer text = { 0 }, out = { 0 };
	struct mailbox mailbox;
	struct read *read = read_begin(bed->store);
	assert_int_equal(mailbox_get(read, bed->inbox_id, &bed->arena, &mailbox), ERR_OK);
	assert_int_equal(mailbox.messages, count);
	for (unsigned i = 1; i <= count; i++) {
		struct message_entry entry = { 0 };
		assert_int_equal(message_get(read, bed->inbox_id, i, &entry), ERR_OK);
		buffer_clear(&out);
		assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &out), ERR_OK);
		bed_text(&text, i, octets);
		assert_true(slice_eq(buffer_slice(&out), buffer_slice(&text)));
	}
	read_end(&read);
	buffer_free(&text);
	buffer_free(&out);
}

/* ---- files ---- */

static void shell(const char *format, ...)
{
	char command[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

/* data.mdb as it is now. What comes later, the disk never gets. */
static void keep_data(const struct bed *bed)
{
	shell("cp %s/store/data.mdb %s/kept", bed->dir, bed->dir);
}

/* After a loss of power: data.mdb as it was kept, the log as it is. */
static void lose_power(const struct bed *before, struct bed *after)
{
	bed_dir(after);
	after->inbox_id = before->inbox_id;
	after->account_id = before->account_id;
	shell("mkdir %s/store && cp %s/kept %s/store/data.mdb && cp %s/store/redo.log %s/store",
	      after->dir, before->dir, after->dir, before->dir, after->dir);
}

static int log_open(const struct bed *bed)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/store/redo.log", bed->dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static size_t records(const struct bed *bed, uint64_t *first_out, uint64_t *last_out)
{
	struct redo_image image;
	int fd = log_open(bed);
	assert_true(redo_image_read(fd, &image));
	size_t count = image.count;
	if (first_out && count > 0) {
		*first_out = image.records[0]->txn_id;
		*last_out = image.records[count - 1]->txn_id;
	}
	redo_image_free(&image);
	close(fd);
	return count;
}

static void assert_survives(const struct bed *bed, unsigned count, size_t octets)
{
	struct bed after;
	lose_power(bed, &after);
	bed_open(&after, STORE_SERVE);
	assert_messages(&after, count, octets);
	bed_end(&after);
}

/* ---- tests ---- */

static void what_the_log_alone_holds_comes_back(void **state)
{
	struct bed bed, after;
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS); /* data.mdb was synced before it */
	keep_data(&bed);
	for (unsigned i = 2; i <= MESSAGES; i++)
		append(&bed, i, SMALL_OCTETS);
	lose_power(&bed, &after);
	bed_open(&after, STORE_SERVE);
	assert_messages(&after, MESSAGES, SMALL_OCTETS);
	append(&after, MESSAGES + 1, SMALL_OCTETS);
	assert_messages(&after, MESSAGES + 1, SMALL_OCTETS);
	bed_end(&after);
	/* Where the disk did get all of it, too. */
	keep_data(&bed);
	assert_survives(&bed, MESSAGES, SMALL_OCTETS);
	bed_end(&bed);
}

/* Nobody was told of it. */
static void a_record_that_is_torn_is_none(void **state)
{
	struct bed bed, after;
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	keep_data(&bed);
	append(&bed, 2, SMALL_OCTETS);
	struct redo_image image;
	int fd = log_open(&bed);
	assert_true(redo_image_read(fd, &image));
	size_t before = image.count;
	const struct redo_record *last = image.records[before - 1];
	off_t end = REDO_HEADER_OCTETS + ((const uint8_t *)last - image.areas) + last->octets;
	uint8_t octet = ((const uint8_t *)last)[last->octets - 1] ^ 1;
	assert_int_equal(pwrite(fd, &octet, 1, end - 1), 1);
	redo_image_free(&image);
	assert_int_equal(records(&bed, NULL, NULL), before - 1);
	lose_power(&bed, &after);
	bed_open(&after, STORE_SERVE);
	struct mailbox mailbox;
	struct read *read = read_begin(after.store);
	assert_int_equal(mailbox_get(read, after.inbox_id, &after.arena, &mailbox), ERR_OK);
	assert_int_equal(mailbox.messages, 1);
	read_end(&read);
	bed_end(&after);
	close(fd);
	bed_end(&bed);
}

/* A record is written when the one before is on the disk: this is damage, and what is lost is to be told. */
static void a_hole_in_the_log_is_told(void **state)
{
	struct bed bed, after;
	const char *why;
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	keep_data(&bed);
	append(&bed, 2, SMALL_OCTETS);
	append(&bed, 3, SMALL_OCTETS);
	struct redo_image image;
	int fd = log_open(&bed);
	assert_true(redo_image_read(fd, &image));
	off_t at = REDO_HEADER_OCTETS +
		   ((const uint8_t *)image.records[image.count - 2] - image.areas);
	uint64_t noise = 1;
	for (int i = 0; i < 2; i++) {
		/* A record before the last, then the header. */
		assert_int_equal(pwrite(fd, &noise, sizeof(noise), i == 0 ? at : 0), sizeof(noise));
		lose_power(&bed, &after);
		assert_int_equal(bed_try_open(&after, STORE_SERVE, &why), ERR_DISK);
		assert_non_null(strstr(why, "redo.log is damaged"));
		shell("cmp %s/store/data.mdb %s/kept", after.dir, bed.dir);
		bed_end(&after);
	}
	redo_image_free(&image);
	close(fd);
	bed_end(&bed);
}

static void a_store_that_was_closed_needs_no_log(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_ADMIN);
	for (unsigned i = 1; i <= 3; i++)
		append(&bed, i, SMALL_OCTETS);
	assert_true(records(&bed, NULL, NULL) >= 3);
	store_close(&bed.store);
	assert_int_equal(records(&bed, NULL, NULL), 0);
	shell("rm %s/store/redo.log", bed.dir);
	bed_open(&bed, STORE_SERVE);
	assert_messages(&bed, 3, SMALL_OCTETS);
	append(&bed, 4, SMALL_OCTETS);
	assert_true(records(&bed, NULL, NULL) > 0);
	bed_end(&bed);
}

static enum err put_large(struct write *write, void *arg)
{
	static const uint8_t octets[2 * REDO_RECORD_MAX];
	return db_put(write, DB_MAIN, SLICE("large"), slice_of(octets, sizeof(octets)), PUT_ANY);
}

/* Written twice it would cost more than it saves. */
static void what_is_large_is_synced_where_it_belongs(void **state)
{
	struct bed bed, after;
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	assert_true(records(&bed, NULL, NULL) > 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bed_write(&bed, put_large, NULL), ERR_OK);
		assert_int_equal(records(&bed, NULL, NULL), 0);
	}
	keep_data(&bed);
	append(&bed, 2, SMALL_OCTETS);
	assert_true(records(&bed, NULL, NULL) > 0);
	lose_power(&bed, &after);
	bed_open(&after, STORE_SERVE);
	assert_messages(&after, 2, SMALL_OCTETS);
	struct slice value;
	struct read *read = read_begin(after.store);
	assert_int_equal(db_get(read, DB_MAIN, SLICE("large"), &value), ERR_OK);
	assert_int_equal(value.len, 2 * REDO_RECORD_MAX);
	read_end(&read);
	bed_end(&after);
	bed_end(&bed);
}

/* More than both areas hold: what is needed no more is written over, and what is there follows on. */
static void the_areas_take_turns(void **state)
{
	enum { TEXT_OCTETS = 60000, ROUNDS = 600 };
	struct bed bed;
	uint64_t first = 0, last = 0, begun_first = 0;
	unsigned turns = 0;
	bed_begin(&bed, STORE_ADMIN);
	store_start_writer(bed.store);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		append(&bed, i, TEXT_OCTETS);
		if (i % 10 > 0)
			continue;
		size_t count = records(&bed, &first, &last);
		assert_true(count > 0);
		assert_int_equal(last - first + 1, count);
		turns += begun_first != 0 && first != begun_first;
		begun_first = first;
	}
	assert_true(turns >= 3);
	keep_data(&bed);
	assert_survives(&bed, ROUNDS, TEXT_OCTETS);
	bed_end(&bed);
}

static void assert_refused(struct bed *after, const char *kept)
{
	const char *why;
	assert_int_equal(bed_try_open(after, STORE_SERVE, &why), ERR_DISK);
	assert_non_null(strstr(why, "redo.log holds changes of another state"));
	shell("cmp %s/store/data.mdb %s", after->dir, kept);
}

static void an_older_data_file_is_left_alone(void **state)
{
	struct bed bed, after;
	char kept[128];
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	store_close(&bed.store);
	keep_data(&bed);
	for (unsigned i = 2; i <= 3; i++) {
		bed_open(&bed, STORE_ADMIN);
		append(&bed, i, SMALL_OCTETS);
		if (i == 2)
			store_close(&bed.store); /* the log begins anew behind it */
	}
	lose_power(&bed, &after);
	snprintf(kept, sizeof(kept), "%s/kept", bed.dir);
	assert_refused(&after, kept);
	shell("mv %s/store/redo.log %s/aside", after.dir, after.dir);
	bed_open(&after, STORE_SERVE);
	assert_messages(&after, 1, SMALL_OCTETS);
	bed_end(&after);
	bed_end(&bed);
}

/* Of the same store once, so it bears the same mark, and of as many transactions. */
static void a_copy_that_went_another_way_is_left_alone(void **state)
{
	struct bed bed, copy, after;
	char kept[128];
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	store_close(&bed.store);
	bed_dir(&copy);
	shell("cp -r %s/store %s/store", bed.dir, copy.dir);
	copy.inbox_id = bed.inbox_id;
	copy.account_id = bed.account_id;
	bed_open(&bed, STORE_ADMIN);
	bed_open(&copy, STORE_ADMIN);
	for (unsigned i = 2; i <= 3; i++) {
		append(&bed, i, SMALL_OCTETS);
		append(&copy, i, 4 * SMALL_OCTETS);
	}
	keep_data(&bed);
	append(&copy, 4, 4 * SMALL_OCTETS);
	shell("cp %s/store/redo.log %s/store/redo.log", copy.dir, bed.dir);
	lose_power(&bed, &after);
	snprintf(kept, sizeof(kept), "%s/kept", bed.dir);
	assert_refused(&after, kept);
	bed_end(&after);
	bed_end(&copy);
	bed_end(&bed);
}

static void append_elsewhere(struct bed *bed, unsigned seed, bool closes)
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct bed own = *bed;
		const char *why;
		struct buffer text = { 0 };
		bed_text(&text, seed, SMALL_OCTETS);
		struct bed_append one = { .mailbox_id = bed->inbox_id,
					  .text = buffer_slice(&text) };
		bool done = store_open(bed->dir, STORE_ADMIN, &own.store, &why) == ERR_OK &&
			    bed_append(&own, &one) == ERR_OK;
		if (closes)
			store_close(&own.store);
		_exit(!done);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Each goes on behind what the other one has written. */
static void two_processes_write_by_turns(void **state)
{
	struct bed bed;
	unsigned count = 0;
	bed_begin(&bed, STORE_ADMIN);
	store_start_writer(bed.store);
	for (unsigned round = 0; round < 6; round++) {
		append(&bed, ++count, SMALL_OCTETS);
		if (round % 3 > 0)
			append(&bed, ++count, SMALL_OCTETS);
		append_elsewhere(&bed, ++count, round % 2);
		append(&bed, ++count, SMALL_OCTETS);
		keep_data(&bed);
		append(&bed, ++count, SMALL_OCTETS);
		append(&bed, ++count, SMALL_OCTETS);
		assert_survives(&bed, count, SMALL_OCTETS);
	}
	bed_end(&bed);
}

/* A disk that gives back something else: it may be refused, but nothing falls over, and what data.mdb
 * holds is not harmed. */
static void noise_in_the_log(void **state)
{
	struct bed bed, after;
	uint32_t dice = 77;
	unsigned opened = 0, refused = 0;
	bed_begin(&bed, STORE_ADMIN);
	for (unsigned i = 1; i <= 5; i++)
		append(&bed, i, SMALL_OCTETS);
	keep_data(&bed);
	for (unsigned round = 0; round < 150; round++) {
		const char *why;
		lose_power(&bed, &after);
		int fd = log_open(&after);
		for (uint32_t left = 1 + dice_roll(&dice, 4); left > 0; left--) {
			uint8_t octets[16];
			/* Anywhere, among the records, and where these or the header begin. */
			uint32_t where[] = { dice_roll(&dice, REDO_AREA_OCTETS),
					     dice_roll(&dice, 200000),
					     dice_roll(&dice, 50) * 4096 + dice_roll(&dice, 64) };
			off_t at =
				(off_t)where[dice_roll(&dice, 8) < 6 ? 0 : 1 + dice_roll(&dice, 2)];
			for (size_t i = 0; i < sizeof(octets); i++)
				octets[i] = (uint8_t)dice_roll(&dice, 256);
			assert_true(pwrite(fd, octets, 1 + dice_roll(&dice, 16), at) > 0);
		}
		close(fd);
		if (bed_try_open(&after, STORE_SERVE, &why) == ERR_OK) {
			assert_messages(&after, 5, SMALL_OCTETS);
			opened++;
		} else {
			assert_non_null(strstr(why, "redo.log"));
			refused++;
		}
		bed_end(&after);
	}
	assert_true(opened > 10 && refused > 10);
	bed_end(&bed);
}

/* ---- what goes wrong on the way ---- */

#include "storage/lmdb_file_priv.h"
#include <sys/file.h>

static void data_lengthen(const struct bed *bed, off_t more)
{
	char path[128];
	struct stat status;
	snprintf(path, sizeof(path), "%s/store/data.mdb", bed->dir);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(truncate(path, status.st_size + more), 0);
}

/* A process that was killed while it flushed (or a full disk in mid-flush) has made data.mdb longer. */
static void a_file_that_grew_in_vain_opens(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	keep_data(&bed);
	data_lengthen(&bed, 1 << 20); /* what the flush has left */
	append(&bed, 2, SMALL_OCTETS);
	assert_survives(&bed, 2, SMALL_OCTETS);
	bed_end(&bed);
}

/* Another process voids the log and is killed before its commit; the epoch here is an old one. */
static void nobody_goes_on_in_an_epoch_that_another_ended(void **state)
{
	struct bed bed;
	int status;
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	pid_t child = fork();
	if (child == 0) {
		struct bed own = bed;
		const char *why;
		struct write write;
		bool done = store_open(bed.dir, STORE_ADMIN, &own.store, &why) == ERR_OK &&
			    write_begin(own.store, &write) == ERR_OK &&
			    redo_void(own.store->redo); /* as seal() does; then SIGKILL */
		_exit(!done);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	keep_data(&bed);
	append(&bed, 2, SMALL_OCTETS);
	append(&bed, 3, SMALL_OCTETS);
	assert_true(records(&bed, NULL, NULL) > 0);
	assert_survives(&bed, 3, SMALL_OCTETS);
	bed_end(&bed);
}

/* Who waits for one that recovers, and is killed over it, must recover itself. */
static void who_waits_recovers_when_the_other_dies(void **state)
{
	struct bed bed, after;
	int pipes[2], status;
	char octet;
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	keep_data(&bed);
	append(&bed, 2, SMALL_OCTETS);
	lose_power(&bed, &after);
	assert_int_equal(pipe(pipes), 0);
	pid_t child = fork();
	if (child == 0) {
		char path[128];
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 2 };
		snprintf(path, sizeof(path), "%s/store/data.mdb", after.dir);
		int fd = open(path, O_RDWR | O_CLOEXEC);
		bool done = fcntl(fd, F_OFD_SETLK, &lock) == 0;
		done = write(pipes[1], "x", 1) == 1 && done;
		usleep(500 * 1000);
		_exit(!done);
	}
	assert_int_equal(read(pipes[0], &octet, 1), 1);
	bed_open(&after, STORE_SERVE);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_messages(&after, 2, SMALL_OCTETS);
	bed_end(&after);
	bed_end(&bed);
}

enum { PAGE = 4096, META_LEN = 120, META_AT = 32 };

/* Without LMDB, on files that go with their descriptors. */
static struct redo *redo_by_itself(int *env_fd_out, int *log_fd_out)
{
	char path[] = "/tmp/bode-redo-XXXXXX", log[] = "/tmp/bode-redo-XXXXXX";
	int env_fd = mkstemp(path), data_fd = open(path, O_RDWR | O_CLOEXEC), log_fd = mkstemp(log);
	unlink(path);
	unlink(log);
	assert_int_equal(ftruncate(env_fd, 4 << 20), 0);
	assert_true(redo_header_write(log_fd, 1, 1));
	struct redo *redo = redo_new(data_fd, log_fd);
	redo_set_environment(redo, env_fd, PAGE);
	*env_fd_out = env_fd;
	*log_fd_out = log_fd;
	return redo;
}

/* A record that is too large by its meta page only. */
static void too_large_by_its_meta_page_alone(void **state)
{
	static uint8_t page[2 * PAGE];
	uint8_t meta[META_LEN] = { 0 };
	int env_fd, log_fd;
	struct redo *redo = redo_by_itself(&env_fd, &log_fd);
	for (uint64_t txn = 10; txn < 14; txn++) {
		redo_begin(redo, txn);
		off_t at = 2 * PAGE;
		/* 255 pages in 250 writes: 40 + 255 * 4096 + 250 * 16 <= 1 MiB, but not with a meta page */
		for (int i = 0; i < (txn == 11 ? 250 : 1); i++, at += 3 * PAGE)
			assert_true(redo_pwrite(env_fd, page, txn == 11 && i < 5 ? 2 * PAGE : PAGE,
						at) > 0);
		memcpy(meta + META_LEN - 8, &txn, 8);
		assert_int_equal(
			redo_pwrite(env_fd, meta, META_LEN, (off_t)(txn % 2) * PAGE + META_AT),
			META_LEN);
		redo_end(false);
	}
	struct redo_image image;
	assert_true(redo_image_read(log_fd, &image));
	assert_true(image.count > 0);
	assert_int_equal(image.records[image.count - 1]->txn_id, 13);
	redo_image_free(&image);
	redo_free(&redo);
	close(env_fd);
}

/* LMDB writes pages before it commits, too, where there are very many, and reads them again. */
static void only_a_commit_lets_pages_wait(void **state)
{
	static uint8_t page[PAGE] = { 1 }, got[PAGE];
	uint8_t meta[META_LEN] = { 0 };
	int env_fd, log_fd;
	struct redo *redo = redo_by_itself(&env_fd, &log_fd);
	for (uint64_t txn = 10; txn < 13; txn++) {
		page[0] = (uint8_t)txn;
		redo_begin(redo, txn);
		assert_int_equal(redo_pwrite(env_fd, page, PAGE, 2 * PAGE), PAGE);
		assert_int_equal(pread(env_fd, got, PAGE, 2 * PAGE), PAGE);
		assert_memory_equal(got, page, PAGE);
		redo_commit();
		assert_int_equal(redo_pwrite(env_fd, page, PAGE, 3 * PAGE), PAGE);
		assert_int_equal(pread(env_fd, got, PAGE, 3 * PAGE), PAGE);
		assert_int_equal(got[0], txn == 10 ? 0 : txn - 1);
		assert_int_equal(
			redo_pwrite(env_fd, meta, META_LEN, (off_t)(txn % 2) * PAGE + META_AT),
			META_LEN);
		redo_end(true);
		assert_int_equal(pread(env_fd, got, PAGE, 3 * PAGE), PAGE);
		assert_memory_equal(got, page, PAGE);
	}
	/* What waits for a commit that does not come is forgotten. */
	redo_begin(redo, 13);
	redo_commit();
	page[0] = 13;
	for (int i = 5; i >= 3; i--)
		assert_int_equal(redo_pwrite(env_fd, page, PAGE, i * PAGE), PAGE);
	redo_end(false);
	redo_begin(redo, 13);
	redo_commit();
	assert_int_equal(redo_pwrite(env_fd, page, PAGE, 4 * PAGE), PAGE);
	assert_int_equal(redo_pwrite(env_fd, meta, META_LEN, PAGE + META_AT), META_LEN);
	redo_end(true);
	assert_int_equal(pread(env_fd, got, PAGE, 3 * PAGE), PAGE);
	assert_int_equal(got[0], 12);
	redo_free(&redo);
	close(env_fd);
}

/* Made by root, for the server's user. */
static void made_by_root_it_is_the_servers(void **state)
{
	enum { NOBODY = 65534 };
	struct bed bed;
	struct stat status;
	char path[128];
	if (geteuid() != 0)
		skip();
	bed_dir(&bed);
	assert_int_equal(chown(bed.dir, NOBODY, NOBODY), 0);
	bed_open(&bed, STORE_CREATE);
	snprintf(path, sizeof(path), "%s/store/data.mdb", bed.dir);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, NOBODY);
	snprintf(path, sizeof(path), "%s/store/redo.log", bed.dir);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, NOBODY);
	bed_end(&bed);
}

/* The server's back opens the store in its sandbox: an upgrade has no log yet. */
static void made_in_the_sandbox(void **state)
{
	struct bed bed;
	int status;
	char path[128];
	bed_begin(&bed, STORE_ADMIN);
	store_close(&bed.store);
	shell("rm %s/store/redo.log", bed.dir);
	snprintf(path, sizeof(path), "%s/store", bed.dir);
	pid_t child = fork();
	if (child == 0) {
		const struct sandbox_user user = { 0, 0 };
		const char *why;
		bool done = sandbox_back(&user, path) == ERR_OK &&
			    store_open(bed.dir, STORE_SERVE, &bed.store, &why) == ERR_OK &&
			    redo_fd(bed.store->redo) >= 0;
		_exit(!done);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	bed_end(&bed);
}

/* A log of a store that went the same way. */
static void a_log_of_a_twin_is_refused(void **state)
{
	struct bed bed, other, after;
	char kept[128];
	bed_begin(&bed, STORE_ADMIN);
	bed_begin(&other, STORE_ADMIN);
	for (unsigned i = 1; i <= 3; i++) {
		append(&bed, i, SMALL_OCTETS);
		append(&other, i + 100, SMALL_OCTETS); /* other octets, the same shape */
	}
	keep_data(&bed);
	append(&other, 104, SMALL_OCTETS);
	append(&bed, 4, SMALL_OCTETS);
	shell("cp %s/store/redo.log %s/store/redo.log", other.dir, bed.dir);
	lose_power(&bed, &after);
	snprintf(kept, sizeof(kept), "%s/kept", bed.dir);
	assert_refused(&after, kept);
	bed_end(&after);
	bed_end(&other);
	bed_end(&bed);
}

/* ---- what is left out of it ---- */

/* For each write of the log's records; returns what it adds up. */
static size_t writes_walk(const struct redo_image *image,
			  size_t (*each)(const struct redo_write *write, const uint8_t *octets,
					 void *arg),
			  void *arg)
{
	size_t sum = 0;
	for (size_t i = 0; i < image->count; i++) {
		const uint8_t *octets = (const uint8_t *)(image->records[i] + 1);
		for (uint32_t j = 0; j < image->records[i]->writes; j++) {
			struct redo_write write;
			memcpy(&write, octets, sizeof(write));
			octets += sizeof(write);
			sum += each(&write, octets, arg);
			octets += write.octets - write.hole_octets;
		}
	}
	return sum;
}

/* A hole is where the page says that there is nothing, and only that. */
static size_t hole_check(const struct redo_write *write, const uint8_t *octets, void *arg)
{
	struct lmdb_page page;
	if (write->octets < 4096 || write->octets % 4096 != 0)
		return 0; /* a meta page's */
	memcpy(&page, octets, sizeof(page));
	bool is_tree = page.flags == LMDB_BRANCH || page.flags == LMDB_LEAF;
	assert_int_equal(page.number, write->at / 4096);
	assert_int_equal(write->hole_octets, is_tree ? page.upper - page.lower : 0);
	if (write->hole_octets > 0)
		assert_int_equal(write->hole_at, page.lower);
	return write->hole_octets;
}

static size_t noise_put(const struct redo_write *write, const uint8_t *octets, void *arg)
{
	uint8_t noise[4096];
	memset(noise, 0xa5, sizeof(noise));
	if (write->octets % sizeof(noise) == 0)
		for (size_t at = 0; at < write->octets; at += sizeof(noise))
			assert_int_equal(
				pwrite(*(int *)arg, noise, sizeof(noise), (off_t)(write->at + at)),
				sizeof(noise));
	return write->octets;
}

/* What nobody reads is not written to the log, and after a loss of power what lies there may be anything. */
static void the_room_in_pages_is_left_out(void **state)
{
	struct bed bed, after;
	struct redo_image image;
	char kept[128];
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	store_close(&bed.store);
	keep_data(&bed);
	bed_open(&bed, STORE_ADMIN);
	for (unsigned i = 2; i <= 4; i++)
		append(&bed, i, SMALL_OCTETS);
	int fd = log_open(&bed);
	assert_true(redo_image_read(fd, &image));
	snprintf(kept, sizeof(kept), "%s/kept", bed.dir);
	int data_fd = open(kept, O_RDWR | O_CLOEXEC);
	size_t pages = writes_walk(&image, noise_put, &data_fd);
	size_t holes = writes_walk(&image, hole_check, NULL);
	assert_true(holes > pages / 4);
	size_t logged = 0;
	for (size_t i = 0; i < image.count; i++)
		logged += image.records[i]->octets;
	assert_true(logged < pages - holes + image.count * 4096);
	redo_image_free(&image);
	close(data_fd);
	close(fd);
	lose_power(&bed, &after);
	bed_open(&after, STORE_SERVE);
	assert_messages(&after, 4, SMALL_OCTETS);
	append(&after, 5, SMALL_OCTETS);
	bed_end(&after);
	bed_end(&bed);
}

static size_t whole_add(const struct redo_write *write, const uint8_t *octets, void *arg)
{
	struct buffer *record = arg;
	static const uint8_t nothing[1 << 16];
	uint64_t place[] = { write->at, write->octets };
	buffer_add(record, slice_of(place, sizeof(place)));
	buffer_add(record, slice_of(octets, write->hole_at));
	buffer_add(record, slice_of(nothing, write->hole_octets));
	buffer_add(record, slice_of(octets + write->hole_at,
				    write->octets - write->hole_octets - write->hole_at));
	return 0;
}

/* As the log was before it left anything out: pages whole, their length in 64 bits, and its own number. */
static void log_make_version_1(const struct bed *bed)
{
	struct redo_image image;
	struct redo_header header;
	struct buffer record = { 0 };
	int fd = log_open(bed);
	off_t at = REDO_HEADER_OCTETS;
	assert_true(redo_image_read(fd, &image) && redo_header_read(fd, &header));
	for (size_t i = 0; i < image.count; i++) {
		const struct redo_image one = { .records = &image.records[i], .count = 1 };
		struct redo_record head = *image.records[i];
		buffer_clear(&record);
		buffer_add(&record, slice_of(&head, sizeof(head)));
		writes_walk(&one, whole_add, &record);
		head.octets = (uint32_t)record.len;
		memcpy(record.data, &head, sizeof(head));
		head.checksum = checksum_of(slice_of(record.data + sizeof(head.checksum),
						     record.len - sizeof(head.checksum)));
		memcpy(record.data, &head, sizeof(head));
		assert_int_equal(pwrite(fd, record.data, record.len, at), record.len);
		at += (off_t)((record.len + REDO_ALIGN_OCTETS - 1) / REDO_ALIGN_OCTETS *
			      REDO_ALIGN_OCTETS);
	}
	header.magic[sizeof(header.magic) - 1] = '1';
	header.checksum =
		checksum_of(slice_of(&header.magic, offsetof(struct redo_header, is_lost) -
							    offsetof(struct redo_header, magic)));
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	buffer_free(&record);
	redo_image_free(&image);
	close(fd);
}

/* The older Bode's process was killed, or the power failed, and then came this one. */
static void a_log_of_version_1_comes_back(void **state)
{
	struct bed bed, after;
	struct redo_header header;
	bed_begin(&bed, STORE_ADMIN);
	append(&bed, 1, SMALL_OCTETS);
	keep_data(&bed);
	for (unsigned i = 2; i <= 4; i++)
		append(&bed, i, SMALL_OCTETS);
	size_t before = records(&bed, NULL, NULL);
	log_make_version_1(&bed);
	assert_int_equal(records(&bed, NULL, NULL), before);
	lose_power(&bed, &after);
	bed_open(&after, STORE_SERVE);
	assert_messages(&after, 4, SMALL_OCTETS);
	append(&after, 5, SMALL_OCTETS);
	/* An older Bode would take the new records for none: it has to see that it does not know them. */
	int fd = log_open(&after);
	assert_true(redo_header_read(fd, &header));
	assert_int_equal(header.magic[sizeof(header.magic) - 1], '2');
	close(fd);
	bed_end(&after);
	bed_end(&bed);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_log_alone_holds_comes_back),
		cmocka_unit_test(a_record_that_is_torn_is_none),
		cmocka_unit_test(a_hole_in_the_log_is_told),
		cmocka_unit_test(a_store_that_was_closed_needs_no_log),
		cmocka_unit_test(what_is_large_is_synced_where_it_belongs),
		cmocka_unit_test(the_areas_take_turns),
		cmocka_unit_test(an_older_data_file_is_left_alone),
		cmocka_unit_test(a_copy_that_went_another_way_is_left_alone),
		cmocka_unit_test(two_processes_write_by_turns),
		cmocka_unit_test(noise_in_the_log),
		cmocka_unit_test(a_file_that_grew_in_vain_opens),
		cmocka_unit_test(nobody_goes_on_in_an_epoch_that_another_ended),
		cmocka_unit_test(who_waits_recovers_when_the_other_dies),
		cmocka_unit_test(too_large_by_its_meta_page_alone),
		cmocka_unit_test(only_a_commit_lets_pages_wait),
		cmocka_unit_test(made_by_root_it_is_the_servers),
		cmocka_unit_test(made_in_the_sandbox),
		cmocka_unit_test(a_log_of_a_twin_is_refused),
		cmocka_unit_test(the_room_in_pages_is_left_out),
		cmocka_unit_test(a_log_of_version_1_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
