/* tests/unit/storage/disk.c - a disk that fails: each write of a commit in turn, the syncs, a
 * full disk, a file at its size limit, the end of the map. What fails says so, nothing is half-written, and the
 * store goes on when the disk does.
 *
 * The faults come in between LMDB and the kernel: this program has its own pwrite(), writev(),
 * write(), fdatasync() and fstatvfs(), and between the store and LMDB its own
 * mdb_env_set_mapsize(). */
#include "tests/unit/storage/bed.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "storage/garbage_priv.h"

enum { NEVER = 1 << 30, META_OCTETS_MAX = 512 };

static struct {
	ino_t data;	 /* the file */
	int writes_left; /* before they fail */
	int syncs_left;
	int error;
	bool cut; /* a short write instead of an error */
	bool once;
	bool lie;  /* the meta page is written, and fails all the same */
	bool full; /* from the failure on, the disk says so */
	unsigned writes, meta_writes, failures;
} fault = { .writes_left = NEVER, .syncs_left = NEVER };

static bool is_data(int fd)
{
	struct stat status;
	return fault.data && fstat(fd, &status) == 0 && status.st_ino == fault.data;
}

static bool fails(int *left)
{
	if (*left == 0) {
		if (fault.once)
			*left = NEVER;
		fault.failures++;
		return true;
	}
	if (*left != NEVER)
		--*left;
	return false;
}

/* LMDB calls the one without 64, whatever this program's headers make of the name. */
ssize_t faulty_pwrite(int fd, const void *octets, size_t len, off_t at) __asm__("pwrite");
ssize_t faulty_pwrite(int fd, const void *octets, size_t len, off_t at)
{
	if (is_data(fd)) {
		bool is_meta = len < META_OCTETS_MAX;
		fault.writes++;
		fault.meta_writes += is_meta;
		if (fault.lie && is_meta) {
			/* The first comes through; that LMDB then takes it back does not. */
			if (fault.failures++ == 0)
				syscall(SYS_pwrite64, fd, octets, len, at);
			errno = EIO;
			return -1;
		}
		if (fails(&fault.writes_left)) {
			if (fault.cut && len > 4096)
				return syscall(SYS_pwrite64, fd, octets, len / 2, at);
			errno = fault.error;
			return -1;
		}
	}
	return syscall(SYS_pwrite64, fd, octets, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	if (is_data(fd)) {
		fault.writes++;
		if (fails(&fault.writes_left)) {
			if (fault.cut && count > 1)
				return syscall(SYS_writev, fd, parts, count / 2);
			errno = fault.error;
			return -1;
		}
	}
	return syscall(SYS_writev, fd, parts, count);
}

ssize_t write(int fd, const void *octets, size_t len)
{
	if (is_data(fd)) {
		fault.writes++;
		if (fails(&fault.writes_left)) {
			errno = fault.error;
			return -1;
		}
	}
	return syscall(SYS_write, fd, octets, len);
}

int fdatasync(int fd)
{
	if (is_data(fd) && fails(&fault.syncs_left)) {
		errno = fault.error;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int fstatvfs(int fd, struct statvfs *fs)
{
	*fs = (struct statvfs){ .f_frsize = 4096, .f_bsize = 4096 };
	fs->f_bavail = fault.full && fault.failures ? 0 : 1 << 30;
	return 0;
}

static size_t map_octets; /* 0: as the store wants it */

int mdb_env_set_mapsize(MDB_env *env, size_t octets)
{
	int (*true_one)(MDB_env *, size_t);
	*(void **)&true_one = dlsym(RTLD_NEXT, "mdb_env_set_mapsize");
	return true_one(env, map_octets ? map_octets : octets);
}

static void fault_none(void)
{
	fault.writes_left = fault.syncs_left = NEVER;
	fault.error = 0;
	fault.cut = fault.once = fault.lie = fault.full = false;
	fault.writes = fault.meta_writes = fault.failures = 0;
}

static void begin(struct bed *bed)
{
	char path[128];
	struct stat status;
	fault_none();
	bed_begin(bed, STORE_ADMIN);
	snprintf(path, sizeof(path), "%s/store/data.mdb", bed->dir);
	assert_int_equal(stat(path, &status), 0);
	fault.data = status.st_ino;
}

static void end(struct bed *bed)
{
	fault.data = 0;
	bed_end(bed);
}

static enum err append(struct bed *bed, unsigned seed)
{
	struct buffer text = { 0 };
	bed_text(&text, seed, 30000);
	struct bed_append one = { .mailbox_id = bed->inbox_id, .text = buffer_slice(&text) };
	enum err err = bed_append(bed, &one);
	buffer_free(&text);
	return err;
}

/* Exactly these are there, whole, and the counts say so. */
static void assert_content(struct bed *bed, const unsigned *seeds, size_t count)
{
	struct buffer text = { 0 }, out = { 0 };
	struct mailbox mailbox;
	struct read *read = read_begin(bed->store);
	assert_int_equal(mailbox_get(read, bed->inbox_id, &bed->arena, &mailbox), ERR_OK);
	assert_int_equal(mailbox.messages, count);
	assert_int_equal(mailbox.uidnext, count + 1);
	for (size_t i = 0; i < count; i++) {
		struct message_entry entry = { 0 };
		assert_int_equal(message_get(read, bed->inbox_id, (uint32_t)i + 1, &entry), ERR_OK);
		buffer_clear(&out);
		assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &out), ERR_OK);
		bed_text(&text, seeds[i], 30000);
		assert_int_equal(out.len, text.len);
		assert_memory_equal(out.data, text.data, text.len);
	}
	read_end(&read);
	buffer_free(&text);
	buffer_free(&out);
}

struct kind {
	int error;
	bool cut, full;
	enum err want;
};

static void each_write_in_turn(void **state)
{
	static const struct kind kinds[] = {
		{ EIO, false, false, ERR_DISK },
		{ ENOSPC, false, false, ERR_FULL },
		{ EIO, true, true, ERR_FULL }, /* how a full disk looks: cut short, then EIO */
		{ EFBIG, false, false, ERR_FULL },
	};
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		struct bed bed;
		unsigned seeds[200] = { 0 };
		size_t count = 0;
		begin(&bed);
		bool all = false, met_meta = false;
		for (unsigned fail_at = 0; !all; fail_at++) {
			assert_true(fail_at < 50);
			unsigned generation = bed.store->generation;
			unsigned seed = (unsigned)(k * 100 + fail_at * 2);
			fault_none();
			fault.error = kinds[k].error;
			fault.cut = kinds[k].cut;
			fault.full = kinds[k].full;
			fault.once = true;
			fault.writes_left = (int)fail_at;
			enum err err = append(&bed, seed);
			all = fault.failures == 0;
			assert_int_equal(err, all ? ERR_OK : kinds[k].want);
			if (all)
				seeds[count++] = seed;
			/* LMDB does not go on after a meta page: it is opened again. */
			assert_int_equal(bed.store->generation - generation,
					 fault.meta_writes > 0 && !all);
			met_meta |= fault.meta_writes > 0 && !all;
			fault_none();
			assert_content(&bed, seeds, count);
			assert_int_equal(append(&bed, seed + 1), ERR_OK);
			seeds[count++] = seed + 1;
			assert_content(&bed, seeds, count);
		}
		assert_true(met_meta);
		store_close(&bed.store);
		bed_open(&bed, STORE_SERVE);
		assert_content(&bed, seeds, count);
		end(&bed);
	}
}

static void the_sync(void **state)
{
	struct bed bed;
	begin(&bed);
	fault.error = EIO;
	fault.syncs_left = 0;
	fault.once = true;
	assert_int_equal(append(&bed, 1), ERR_DISK);
	assert_int_equal(fault.failures, 1);
	assert_content(&bed, NULL, 0);
	assert_int_equal(append(&bed, 2), ERR_OK);
	assert_content(&bed, (unsigned[]){ 2 }, 1);
	end(&bed);
}

/* A meta page that came through although the disk said no: the message is there, so it must be
 * said to be there, or its sender sends it again. */
static void finds_a_commit_again(void **state)
{
	struct bed bed;
	begin(&bed);
	unsigned generation = bed.store->generation;
	fault.lie = true;
	enum err err = append(&bed, 1);
	fault_none();
	assert_int_equal(err, ERR_OK);
	assert_int_equal(bed.store->generation, generation + 1);
	assert_content(&bed, (unsigned[]){ 1 }, 1);
	assert_int_equal(append(&bed, 2), ERR_OK);
	assert_content(&bed, (unsigned[]){ 1, 2 }, 2);
	end(&bed);
}

static enum err move_run(struct write *write, void *arg)
{
	return bed_copy(write, arg, "Trash", true);
}

static void limit_file(struct bed *bed, rlim_t more)
{
	struct stat status;
	char path[128];
	struct rlimit limit;
	snprintf(path, sizeof(path), "%s/store/data.mdb", bed->dir);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = more == RLIM_INFINITY ? limit.rlim_max : (rlim_t)status.st_size + more;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Refused in time: deletions still work, and what they free is used again, although there is no
 * more room than before. */
static void fill_and_clear(struct bed *bed)
{
	unsigned count = 0, generation = bed->store->generation;
	enum err err;
	bed->store->reserve_octets = 1 << 20;
	while ((err = append(bed, count)) == ERR_OK)
		assert_true(++count < 1000);
	assert_int_equal(err, ERR_FULL);
	assert_true(count > 20);
	assert_true(bed->store->space_low);
	assert_int_equal(append(bed, 1), ERR_FULL);
	assert_int_equal(bed_write(bed, move_run, bed), ERR_OK);
	assert_int_equal(bed_expunge(bed, 1, UINT32_MAX), ERR_OK);
	assert_int_equal(append(bed, 1), ERR_FULL);
	/* No waiting for sessions that may still read: room comes first. */
	struct garbage_walk walk = { 0 };
	uint64_t wait_ms = 0;
	while (wait_ms <= 1000)
		assert_int_equal(garbage_step(bed->store, &walk, &wait_ms), ERR_OK);
	assert_int_equal(append(bed, 1), ERR_OK);
	assert_false(bed->store->space_low);
	assert_int_equal(bed->store->generation, generation);
}

static void a_full_disk_with_a_reserve(void **state)
{
	struct bed bed;
	int64_t now_ms = 1700000000000;
	clock_set_fake_unix_ms(now_ms);
	begin(&bed);
	signal(SIGXFSZ, SIG_IGN);
	limit_file(&bed, 3 << 20);
	fill_and_clear(&bed);
	limit_file(&bed, RLIM_INFINITY);
	clock_set_fake_unix_ms(-1);
	end(&bed);
}

static void begin_with_map(struct bed *bed, size_t octets)
{
	begin(bed);
	store_close(&bed->store);
	map_octets = octets;
	bed_open(bed, STORE_ADMIN);
}

/* As far away as it is, a machine that grants little address space brings it nearer. */
static void the_end_of_the_map(void **state)
{
	struct bed bed;
	unsigned seeds[1000] = { 0 };
	size_t count = 0;
	enum err err;
	clock_set_fake_unix_ms(1700000000000);
	begin_with_map(&bed, 4 << 20);
	fill_and_clear(&bed);
	clock_set_fake_unix_ms(-1);
	map_octets = 0;
	end(&bed);

	/* In mid-transaction, where nothing was kept in reserve. */
	begin_with_map(&bed, 4 << 20);
	bed.store->reserve_octets = 0;
	unsigned generation = bed.store->generation;
	while ((err = append(&bed, (unsigned)count)) == ERR_OK) {
		seeds[count] = (unsigned)count;
		assert_true(++count < 1000);
	}
	assert_int_equal(err, ERR_FULL);
	assert_true(count > 20);
	assert_content(&bed, seeds, count);
	assert_int_equal(append(&bed, 1), ERR_FULL);
	assert_content(&bed, seeds, count);
	assert_int_equal(bed.store->generation, generation);
	/* With more of it nothing was lost. */
	store_close(&bed.store);
	map_octets = 0;
	bed_open(&bed, STORE_ADMIN);
	assert_content(&bed, seeds, count);
	assert_int_equal(append(&bed, (unsigned)count), ERR_OK);
	end(&bed);
}

/* Without the reserve the limit is met in mid-commit. */
static void a_file_at_its_limit(void **state)
{
	struct bed bed;
	unsigned seeds[1000] = { 0 };
	begin(&bed);
	signal(SIGXFSZ, SIG_IGN);
	for (unsigned more = 0; more < 60000; more += 4096 + 100) {
		size_t count = 0;
		struct mailbox mailbox;
		struct read *read = read_begin(bed.store);
		assert_int_equal(mailbox_get(read, bed.inbox_id, &bed.arena, &mailbox), ERR_OK);
		read_end(&read);
		count = mailbox.messages;
		bed.store->reserve_octets = 0;
		limit_file(&bed, more);
		enum err err;
		while ((err = append(&bed, 5000 + (unsigned)count)) == ERR_OK) {
			seeds[count] = 5000 + (unsigned)count;
			count++;
			assert_true(count < 1000);
		}
		assert_int_equal(err, ERR_FULL);
		assert_content(&bed, seeds, count);
		limit_file(&bed, RLIM_INFINITY);
		assert_int_equal(append(&bed, 5000 + (unsigned)count), ERR_OK);
		seeds[count] = 5000 + (unsigned)count;
		assert_content(&bed, seeds, count + 1);
	}
	end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_write_in_turn),
		cmocka_unit_test(the_sync),
		cmocka_unit_test(finds_a_commit_again),
		cmocka_unit_test(a_full_disk_with_a_reserve),
		cmocka_unit_test(the_end_of_the_map),
		cmocka_unit_test(a_file_at_its_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
