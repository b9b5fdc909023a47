/* tests/unit/storage/disk.c - a disk that fails: each write of a commit in turn, the syncs, a
 * full disk, a file at its size limit, the end of the map. What fails says so, nothing is half-written, and the
 * store goes on when the disk does.
 *
 * The faults come in between LMDB and the kernel: this program has its own pwrite(), pwritev(), writev(),
 * write(), sync_file_range(), fdatasync() and fstatvfs(), and between the store and LMDB its own
 * mdb_env_set_mapsize(). */
#include "tests/unit/storage/bed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "storage/garbage_priv.h"
#include "storage/redo_priv.h"

enum { NEVER = 1 << 30, META_OCTETS_MAX = 512 };

static struct {
	ino_t data, log; /* the files */
	int writes_left; /* before they fail */
	int syncs_left;
	int error;
	bool cut; /* a short write instead of an error */
	bool once;
	bool lie;  /* the meta page is written, and fails all the same */
	bool full; /* from the failure on, the disk says so */
	_Atomic unsigned failures;
	unsigned writes, last_writes;	     /* last: of the log, or of the meta page */
	bool log_was_cut;		     /* or had no room */
	bool page_met, page_was_cut;	     /* behind the record */
	bool no_room_behind, no_room_beyond; /* the record; the end of the file */
} fault = { .writes_left = NEVER, .syncs_left = NEVER };

static bool is_log(int fd)
{
	struct stat status;
	return fault.log && fstat(fd, &status) == 0 && status.st_ino == fault.log;
}

static bool is_data(int fd)
{
	struct stat status;
	return is_log(fd) || (fault.data && fstat(fd, &status) == 0 && status.st_ino == fault.data);
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

static int mirror = -1; /* gets what is written to data.mdb */

ssize_t pwrite(int fd, const void *octets, size_t len, off_t at)
{
	if (mirror >= 0 && is_data(fd) && !is_log(fd))
		syscall(SYS_pwrite64, mirror, octets, len, at);
	if (is_data(fd)) {
		bool is_meta = !is_log(fd) && len < META_OCTETS_MAX;
		fault.writes++;
		fault.last_writes += is_meta || is_log(fd);
		if (fault.lie && is_meta) {
			/* The first comes through; that LMDB then takes it back does not. */
			if (fault.failures++ == 0)
				syscall(SYS_pwrite64, fd, octets, len, at);
			errno = EIO;
			return -1;
		}
		if (fails(&fault.writes_left)) {
			bool is_cut = fault.cut && len > 4096;
			fault.log_was_cut |=
				is_log(fd) && len > 4096 && (is_cut || fault.error != EIO);
			if (is_cut)
				return syscall(SYS_pwrite64, fd, octets, len / 2, at);
			errno = fault.error;
			return -1;
		}
	}
	return syscall(SYS_pwrite64, fd, octets, len, at);
}

static bool has_room(int fd, off_t at)
{
	struct stat status;
	bool has = !(fault.no_room_behind && fault.last_writes > 0) &&
		   !(fault.no_room_beyond && fstat(fd, &status) == 0 && at >= status.st_size);
	fault.failures += !has;
	return has;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	if (mirror >= 0 && is_data(fd))
		syscall(SYS_pwritev, mirror, parts, count, at, 0);
	if (is_data(fd)) {
		fault.writes++;
		if (!has_room(fd, at)) {
			errno = ENOSPC;
			return -1;
		}
		if (fails(&fault.writes_left)) {
			bool is_cut = fault.cut && count > 1;
			bool is_behind = fault.last_writes > 0;
			fault.page_met |= is_behind;
			fault.page_was_cut |= is_behind && (is_cut || fault.error != EIO);
			if (is_cut)
				return syscall(SYS_pwritev, fd, parts, count / 2, at, 0);
			errno = fault.error;
			return -1;
		}
	}
	return syscall(SYS_pwritev, fd, parts, count, at, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	if (mirror >= 0 && is_data(fd) && !is_log(fd)) {
		lseek(mirror, lseek(fd, 0, SEEK_CUR), SEEK_SET);
		syscall(SYS_writev, mirror, parts, count);
	}
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

static int begin_error; /* of sync_file_range() */

int sync_file_range(int fd, off_t at, off_t len, unsigned flags)
{
	if (begin_error != 0 && is_log(fd)) {
		errno = begin_error;
		return -1;
	}
	return (int)syscall(SYS_sync_file_range, fd, at, len, flags);
}

static atomic_bool hold; /* the next sync of data.mdb waits until it is let go */
static atomic_bool held;

int fdatasync(int fd)
{
	if (hold && is_data(fd)) {
		held = true;
		while (hold)
			usleep(1000);
	}
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

int __real_mdb_env_set_mapsize(MDB_env *env, size_t octets);
int __wrap_mdb_env_set_mapsize(MDB_env *env, size_t octets);
int __wrap_mdb_env_set_mapsize(MDB_env *env, size_t octets)
{
	return __real_mdb_env_set_mapsize(env, map_octets ? map_octets : octets);
}

static void fault_none(void)
{
	fault.writes_left = NEVER;
	fault.syncs_left = NEVER;
	fault.error = 0;
	fault.cut = fault.once = fault.lie = fault.full = false;
	fault.writes = fault.last_writes = 0;
	fault.failures = 0;
	fault.log_was_cut = fault.page_met = fault.page_was_cut = false;
	fault.no_room_behind = fault.no_room_beyond = false;
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
	snprintf(path, sizeof(path), "%s/store/redo.log", bed->dir);
	assert_int_equal(stat(path, &status), 0);
	fault.log = status.st_ino;
}

static void end(struct bed *bed)
{
	fault.data = fault.log = 0;
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
		bool all = false, met_last = false, met_log = false, met_page = false;
		unsigned fail_at = 0;
		/* Commits have more writes or fewer: until the last has been met, and one behind the record. */
		for (unsigned i = 0; !all || !met_last || !met_page; i++) {
			assert_true(i < ARRAY_LEN(seeds) / 2);
			unsigned generation = bed.store->generation;
			unsigned seed = (unsigned)(k * ARRAY_LEN(seeds) + i * 2);
			fault_none();
			fault.error = kinds[k].error;
			fault.cut = kinds[k].cut;
			fault.full = kinds[k].full;
			fault.once = true;
			fault.writes_left = (int)fail_at;
			enum err err = append(&bed, seed);
			all = fault.failures == 0;
			fail_at = all ? 0 : fail_at + 1;
			/* Without room in the log, data.mdb is synced; and a page is tried once more. */
			bool done = all || fault.log_was_cut || fault.page_was_cut;
			met_log |= fault.log_was_cut;
			met_page |= fault.page_met;
			assert_int_equal(err, done ? ERR_OK : kinds[k].want);
			if (done)
				seeds[count++] = seed;
			/* LMDB does not go on after a meta page: it is opened again. */
			assert_int_equal(bed.store->generation - generation,
					 fault.last_writes > 0 && !done);
			met_last |= fault.last_writes > 0 && !done;
			fault_none();
			assert_content(&bed, seeds, count);
			assert_int_equal(append(&bed, seed + 1), ERR_OK);
			seeds[count++] = seed + 1;
			assert_content(&bed, seeds, count);
		}
		assert_int_equal(met_log, kinds[k].want == ERR_FULL);
		store_close(&bed.store);
		bed_open(&bed, STORE_SERVE);
		assert_content(&bed, seeds, count);
		end(&bed);
	}
}

static void copy_store(const struct bed *bed, struct bed *after)
{
	char command[512];
	bed_dir(after);
	after->inbox_id = bed->inbox_id;
	after->account_id = bed->account_id;
	snprintf(command, sizeof(command),
		 "mkdir %s/store && cp %s/store/data.mdb %s/store/redo.log %s/store", after->dir,
		 bed->dir, bed->dir, after->dir);
	assert_int_equal(system(command), 0);
}

/* Inside of the file there may be holes, and some file systems copy what is written over. */
static void no_room_for_a_page_behind_the_record(void **state)
{
	struct bed bed, after;
	begin(&bed);
	assert_int_equal(append(&bed, 1), ERR_OK);
	assert_int_equal(append(&bed, 2), ERR_OK);
	unsigned generation = bed.store->generation;
	fault_none();
	fault.no_room_behind = fault.full = true;
	assert_int_equal(append(&bed, 3), ERR_FULL);
	assert_true(fault.failures > 0);
	assert_int_equal(bed.store->generation, generation + 1);
	fault_none();
	assert_content(&bed, (unsigned[]){ 1, 2 }, 2);
	/* Killed here, it does not come to be. */
	copy_store(&bed, &after);
	bed_open(&after, STORE_SERVE);
	assert_content(&after, (unsigned[]){ 1, 2 }, 2);
	bed_end(&after);
	assert_int_equal(append(&bed, 4), ERR_OK);
	assert_content(&bed, (unsigned[]){ 1, 2, 4 }, 3);
	end(&bed);
}

/* Before the record: LMDB takes the transaction back, and nobody has to open it again. */
static void no_room_for_a_longer_file(void **state)
{
	struct bed bed;
	unsigned seeds[200] = { 0 };
	size_t count = 0;
	begin(&bed);
	unsigned generation = bed.store->generation;
	enum err err = ERR_OK;
	while (err == ERR_OK) {
		assert_true(count < ARRAY_LEN(seeds));
		seeds[count] = (unsigned)count;
		fault_none();
		fault.no_room_beyond = fault.full = true;
		err = append(&bed, (unsigned)count);
		count += err == ERR_OK;
	}
	assert_int_equal(err, ERR_FULL);
	assert_int_equal(fault.last_writes, 0);
	assert_int_equal(bed.store->generation, generation);
	fault_none();
	assert_content(&bed, seeds, count);
	assert_int_equal(append(&bed, (unsigned)count), ERR_OK);
	end(&bed);
}

/* What the kernel says as it begins to write a record it may say to nobody else. */
static void a_record_that_does_not_begin(void **state)
{
	struct bed bed;
	begin(&bed);
	assert_int_equal(append(&bed, 1), ERR_OK);
	begin_error = EIO;
	assert_int_equal(append(&bed, 2), ERR_DISK);
	begin_error = 0;
	assert_content(&bed, (unsigned[]){ 1 }, 1);
	assert_int_equal(append(&bed, 3), ERR_OK);
	/* A kernel, or what stands for one, may not have it. */
	begin_error = ENOSYS;
	assert_int_equal(append(&bed, 4), ERR_OK);
	begin_error = 0;
	assert_content(&bed, (unsigned[]){ 1, 3, 4 }, 3);
	end(&bed);
}

/* Behind another process's commit: of data.mdb, of the log's header, of the record; then of the record alone. */
static void each_sync_in_turn(void **state)
{
	for (int syncs = 0; syncs < 4; syncs++) {
		struct bed bed;
		unsigned seeds[3] = { 1, 3 };
		size_t count = syncs == 3;
		begin(&bed);
		if (count > 0)
			assert_int_equal(append(&bed, 1), ERR_OK);
		else
			seeds[0] = 3;
		fault.error = EIO;
		fault.syncs_left = syncs % 3;
		fault.once = true;
		assert_int_equal(append(&bed, 2), ERR_DISK);
		assert_int_equal(fault.failures, 1);
		assert_content(&bed, seeds, count);
		assert_int_equal(append(&bed, 3), ERR_OK);
		assert_content(&bed, seeds, count + 1);
		store_close(&bed.store);
		bed_open(&bed, STORE_SERVE);
		assert_content(&bed, seeds, count + 1);
		end(&bed);
	}
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

/* ---- and what was on its way to the disk ---- */

/* Refused for its meta page: killed behind that, it must not come to be. */
static void what_was_refused_stays_away(void **state)
{
	struct bed bed, after;
	begin(&bed);
	assert_int_equal(append(&bed, 1), ERR_OK);
	/* The last write of a commit is its meta page. */
	fault_none();
	assert_int_equal(append(&bed, 2), ERR_OK);
	int writes = (int)fault.writes;
	for (int at = writes - 2; at <= writes + 2; at++) {
		fault_none();
		fault.error = EIO;
		fault.once = true;
		fault.writes_left = at;
		enum err err = append(&bed, 3);
		fault_none();
		copy_store(&bed, &after); /* SIGKILL, and no other process */
		bed_open(&after, STORE_SERVE);
		struct mailbox mailbox;
		struct read *read = read_begin(after.store);
		assert_int_equal(mailbox_get(read, bed.inbox_id, &after.arena, &mailbox), ERR_OK);
		read_end(&read);
		if (err != ERR_OK)
			assert_int_equal(mailbox.messages, 2);
		bed_end(&after);
		if (err == ERR_OK)
			break;
	}
	end(&bed);
}

/* LMDB writes the new trees under the old number when it takes a meta page back. The disk got that page, and
 * not yet the one of the commit before. */
static void a_meta_page_that_is_taken_back_is_what_it_was(void **state)
{
	struct bed bed, after;
	char kept[128], path[128];
	static uint8_t before[8192], taken[8192], mixed[8192];
	begin(&bed);
	assert_int_equal(append(&bed, 1), ERR_OK);
	assert_int_equal(append(&bed, 2), ERR_OK);
	snprintf(path, sizeof(path), "%s/store/data.mdb", bed.dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, before, sizeof(before), 0), sizeof(before));
	assert_int_equal(append(&bed, 3), ERR_OK); /* txn N - 1, on the disk only in the log */
	fault_none();
	fault.error = EIO;
	fault.syncs_left = 0;
	fault.once = true;
	assert_int_equal(append(&bed, 4), ERR_DISK); /* txn N: the record's sync fails */
	fault_none();
	assert_int_equal(pread(fd, taken, sizeof(taken), 0), sizeof(taken));
	copy_store(&bed, &after);
	/* of N - 1 as before, of N as taken back */
	uint64_t txns[2];
	memcpy(mixed, taken, sizeof(mixed));
	for (int i = 0; i < 2; i++) {
		memcpy(&txns[i], taken + i * 4096 + 16 + 128, 8);
	}
	int newer = txns[1] > txns[0];
	memcpy(mixed + newer * 4096, before + newer * 4096, 4096);
	snprintf(kept, sizeof(kept), "%s/store/data.mdb", after.dir);
	int after_fd = open(kept, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(after_fd, mixed, sizeof(mixed), 0), sizeof(mixed));
	close(after_fd);
	close(fd);
	bed_open(&after, STORE_SERVE);
	assert_content(&after, (unsigned[]){ 1, 2, 3 }, 3);
	bed_end(&after);
	end(&bed);
}

/* LMDB tries again what was interrupted. */
static void an_interrupted_call_is_no_commit(void **state)
{
	struct bed bed;
	struct redo_image image;
	char path[128];
	begin(&bed);
	assert_int_equal(append(&bed, 1), ERR_OK);
	snprintf(path, sizeof(path), "%s/store/redo.log", bed.dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(redo_image_read(fd, &image));
	size_t count = image.count;
	redo_image_free(&image);
	fault_none();
	fault.error = EINTR;
	fault.syncs_left = 0;
	fault.once = true;
	enum err err = append(&bed, 2);
	fault_none();
	assert_true(redo_image_read(fd, &image));
	if (err == ERR_OK)
		assert_int_equal(image.count, count + 1);
	redo_image_free(&image);
	close(fd);
	end(&bed);
}

/* The thread's sync fails while a large transaction is under way: what was lost is in the log alone. */
static void what_was_lost_meanwhile_is_not_voided(void **state)
{
	enum { PAGE = 4096, META_LEN = 120, META_AT = 32, PAGES = 220 };
	static uint8_t octets[PAGES * PAGE];
	char path[] = "/tmp/bode-redo-XXXXXX", log[] = "/tmp/bode-redo-XXXXXX";
	int env_fd = mkstemp(path), data_fd = open(path, O_RDWR), log_fd = mkstemp(log);
	uint8_t meta[META_LEN] = { 0 };
	struct stat status;
	struct redo_image image;
	fault_none();
	assert_int_equal(fstat(env_fd, &status), 0);
	fault.data = status.st_ino;
	fault.log = 0;
	assert_true(redo_header_write(log_fd, 1, 1));
	struct redo *redo = redo_new(data_fd, log_fd);
	redo_set_environment(redo, env_fd, PAGE);
	redo_start(redo);
	for (uint64_t txn = 10; txn < 15; txn++) {
		if (txn == 14) /* an area is full: the thread syncs */
			hold = true;
		redo_begin(redo, txn);
		/* Every other page: what lies in order is no record. */
		for (uint64_t page = 0; page < PAGES; page++)
			assert_int_equal(redo_pwrite(env_fd, octets, PAGE,
						     (off_t)(2 + (txn * PAGES + page) * 2) * PAGE),
					 PAGE);
		assert_int_equal(
			redo_pwrite(env_fd, meta, META_LEN, (off_t)(txn % 2) * PAGE + META_AT),
			META_LEN);
		redo_end(false);
	}
	redo_begin(redo, 15);
	assert_true(redo_pwrite(env_fd, octets, sizeof(octets), (off_t)(2 + 15 * PAGES) * PAGE) >
		    0);
	assert_true(redo_pwrite(env_fd, octets, sizeof(octets), (off_t)(2 + 16 * PAGES) * PAGE) >
		    0);
	while (!held)
		usleep(1000);
	fault.error = EIO;
	fault.once = true;
	fault.syncs_left = 0;
	hold = false;
	while (fault.failures == 0)
		usleep(1000);
	usleep(20000);
	assert_int_equal(redo_pwrite(env_fd, meta, META_LEN, META_AT + PAGE), -1);
	redo_end(false);
	assert_true(redo_image_read(log_fd, &image));
	assert_true(image.count == 5);
	redo_image_free(&image);
	redo_free(&redo);
	fault.data = 0;
	unlink(path);
	unlink(log);
}

static enum err put_large(struct write *write, void *arg)
{
	static const uint8_t octets[2 * REDO_RECORD_MAX];
	return db_put(write, DB_MAIN, SLICE("large"), slice_of(octets, sizeof(octets)), PUT_ANY);
}

/* One process's sync fails, the kernel drops what it could not write; another process commits, to which
 * the kernel does not tell that error again. */
static void what_another_process_lost_is_written_again(void **state)
{
	struct bed bed, after;
	char command[512], path[128];
	int status;
	begin(&bed);
	assert_int_equal(append(&bed, 1), ERR_OK);
	snprintf(command, sizeof(command), "cp %s/store/data.mdb %s/disk", bed.dir, bed.dir);
	assert_int_equal(system(command), 0); /* what the disk has */
	assert_int_equal(append(&bed, 2), ERR_OK);
	fault.error = EIO;
	fault.once = true;
	fault.syncs_left = 0;
	assert_int_equal(bed_write(&bed, put_large, NULL), ERR_DISK);
	fault_none();
	snprintf(path, sizeof(path), "%s/disk", bed.dir);
	pid_t child = fork();
	if (child == 0) {
		struct bed own = bed;
		const char *why;
		mirror = open(path, O_RDWR | O_CLOEXEC);
		bool done = store_open(bed.dir, STORE_ADMIN, &own.store, &why) == ERR_OK &&
			    append(&own, 3) == ERR_OK;
		_exit(!done);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	copy_store(&bed, &after);
	snprintf(command, sizeof(command),
		 "cp %s/disk %s/store/data.mdb && truncate -s +4M %s/store/data.mdb", bed.dir,
		 after.dir, after.dir);
	assert_int_equal(system(command), 0);
	bed_open(&after, STORE_SERVE);
	assert_content(&after, (unsigned[]){ 1, 2, 3 }, 3);
	bed_end(&after);
	end(&bed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_write_in_turn),
		cmocka_unit_test(each_sync_in_turn),
		cmocka_unit_test(no_room_for_a_page_behind_the_record),
		cmocka_unit_test(no_room_for_a_longer_file),
		cmocka_unit_test(a_record_that_does_not_begin),
		cmocka_unit_test(finds_a_commit_again),
		cmocka_unit_test(a_full_disk_with_a_reserve),
		cmocka_unit_test(the_end_of_the_map),
		cmocka_unit_test(a_file_at_its_limit),
		cmocka_unit_test(what_was_refused_stays_away),
		cmocka_unit_test(a_meta_page_that_is_taken_back_is_what_it_was),
		cmocka_unit_test(an_interrupted_call_is_no_commit),
		cmocka_unit_test(what_another_process_lost_is_written_again),
		cmocka_unit_test(what_was_lost_meanwhile_is_not_voided),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
