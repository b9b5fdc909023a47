/* tests/crash/record.c - the calls that change a store's files, caught and written down. */
#include "tests/crash/record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/heap.h"

enum { QUIET_MS = 30 };

const char *const record_names[RECORDED_FILES] = { "data.mdb", "redo.log" };

static struct {
	pthread_mutex_t lock;
	atomic_bool is_on, is_slow;
	ino_t inodes[RECORDED_FILES];
	dev_t device;
	struct record record;
} recorder = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_recorded(int fd, enum recorded_file *file_out)
{
	struct stat status;
	if (!recorder.is_on || fstat(fd, &status) != 0 || status.st_dev != recorder.device)
		return false;
	for (int file = 0; file < RECORDED_FILES; file++)
		if (status.st_ino == recorder.inodes[file]) {
			*file_out = (enum recorded_file)file;
			return true;
		}
	return false;
}

static struct event *add(enum event_kind kind)
{
	struct record *record = &recorder.record;
	if (record->count == record->cap) {
		record->cap = record->cap ? record->cap * 2 : 1024;
		record->events = heap_resize(record->events, record->cap * sizeof(struct event));
	}
	record->events[record->count] = (struct event){ .kind = kind };
	return &record->events[record->count++];
}

/* Writes are made under the lock: they are in the record in the order in which they came to the file. */
static void add_write(int fd, enum recorded_file file, off_t at, const void *octets, size_t len)
{
	bool synced = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
	struct event *event = add(synced ? EVENT_WRITE_SYNCED : EVENT_WRITE);
	event->file = file;
	event->at = (uint64_t)at;
	event->len = len;
	event->octets = heap_alloc(len);
	memcpy(event->octets, octets, len);
}

/* One call, but no promise of being one write on the disk: a record for each part. */
static void add_parts(int fd, enum recorded_file file, off_t at, const struct iovec *parts,
		      int count, ssize_t written)
{
	size_t left = written > 0 ? (size_t)written : 0;
	for (int i = 0; i < count && left > 0; i++) {
		size_t len = parts[i].iov_len < left ? parts[i].iov_len : left;
		add_write(fd, file, at, parts[i].iov_base, len);
		at += (off_t)len;
		left -= len;
	}
}

void record_ack(unsigned number)
{
	pthread_mutex_lock(&recorder.lock);
	add(EVENT_ACK)->number = number;
	pthread_mutex_unlock(&recorder.lock);
}

/* ---- the calls ---- */

static ssize_t write_at(int fd, const void *octets, size_t len, off_t at)
{
	enum recorded_file file;
	if (!is_recorded(fd, &file))
		return syscall(SYS_pwrite64, fd, octets, len, at);
	pthread_mutex_lock(&recorder.lock);
	ssize_t written = syscall(SYS_pwrite64, fd, octets, len, at);
	if (written > 0)
		add_write(fd, file, at, octets, (size_t)written);
	pthread_mutex_unlock(&recorder.lock);
	return written;
}

/* Both names: by which one it is called depends on the caller's headers. */
ssize_t recorded_pwrite(int fd, const void *octets, size_t len, off_t at) __asm__("pwrite");
ssize_t recorded_pwrite(int fd, const void *octets, size_t len, off_t at)
{
	return write_at(fd, octets, len, at);
}

ssize_t recorded_pwrite64(int fd, const void *octets, size_t len, off_t at) __asm__("pwrite64");
ssize_t recorded_pwrite64(int fd, const void *octets, size_t len, off_t at)
{
	return write_at(fd, octets, len, at);
}

ssize_t write(int fd, const void *octets, size_t len)
{
	enum recorded_file file;
	if (!is_recorded(fd, &file))
		return syscall(SYS_write, fd, octets, len);
	pthread_mutex_lock(&recorder.lock);
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t written = syscall(SYS_write, fd, octets, len);
	if (written > 0)
		add_write(fd, file, at, octets, (size_t)written);
	pthread_mutex_unlock(&recorder.lock);
	return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	enum recorded_file file;
	if (!is_recorded(fd, &file))
		return syscall(SYS_writev, fd, parts, count);
	pthread_mutex_lock(&recorder.lock);
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t written = syscall(SYS_writev, fd, parts, count);
	add_parts(fd, file, at, parts, count, written);
	pthread_mutex_unlock(&recorder.lock);
	return written;
}

static ssize_t write_parts_at(int fd, const struct iovec *parts, int count, off_t at)
{
	enum recorded_file file;
	if (!is_recorded(fd, &file))
		return syscall(SYS_pwritev, fd, parts, count, at, 0);
	pthread_mutex_lock(&recorder.lock);
	ssize_t written = syscall(SYS_pwritev, fd, parts, count, at, 0);
	add_parts(fd, file, at, parts, count, written);
	pthread_mutex_unlock(&recorder.lock);
	return written;
}

ssize_t recorded_pwritev(int fd, const struct iovec *parts, int count, off_t at) __asm__("pwritev");
ssize_t recorded_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	return write_parts_at(fd, parts, count, at);
}

ssize_t recorded_pwritev64(int fd, const struct iovec *parts, int count,
			   off_t at) __asm__("pwritev64");
ssize_t recorded_pwritev64(int fd, const struct iovec *parts, int count, off_t at)
{
	return write_parts_at(fd, parts, count, at);
}

static size_t event_count(void)
{
	pthread_mutex_lock(&recorder.lock);
	size_t count = recorder.record.count;
	pthread_mutex_unlock(&recorder.lock);
	return count;
}

/* Until nothing is written any more: then it is this that everybody waits for. */
static void wait_for_quiet(void)
{
	const struct timespec look = { .tv_nsec = QUIET_MS * 1000000L };
	size_t before;
	do {
		before = event_count();
		nanosleep(&look, NULL);
	} while (event_count() != before);
}

/* Others write while it runs: of that it promises nothing. */
static int sync_file(long call, int fd)
{
	enum recorded_file file;
	if (!is_recorded(fd, &file))
		return (int)syscall(call, fd);
	size_t begun = event_count();
	if (file == RECORDED_DATA && recorder.is_slow)
		wait_for_quiet();
	int result = (int)syscall(call, fd);
	if (result == 0) {
		pthread_mutex_lock(&recorder.lock);
		struct event *event = add(EVENT_SYNC);
		event->file = file;
		event->begun = begun;
		pthread_mutex_unlock(&recorder.lock);
	}
	return result;
}

int fdatasync(int fd)
{
	return sync_file(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return sync_file(SYS_fsync, fd);
}

/* What it makes a file longer by reads as zeros. None is made shorter. */
static int length_set(int fd, off_t octets)
{
	enum recorded_file file;
	struct stat status;
	if (!is_recorded(fd, &file))
		return (int)syscall(SYS_ftruncate, fd, octets);
	pthread_mutex_lock(&recorder.lock);
	int result = fstat(fd, &status);
	assert(result == 0 && status.st_size <= octets);
	result = (int)syscall(SYS_ftruncate, fd, octets);
	if (result == 0 && status.st_size < octets) {
		uint8_t *zeros = heap_alloc((size_t)(octets - status.st_size));
		add_write(fd, file, status.st_size, zeros, (size_t)(octets - status.st_size));
		free(zeros);
	}
	pthread_mutex_unlock(&recorder.lock);
	return result;
}

int recorded_ftruncate(int fd, off_t octets) __asm__("ftruncate");
int recorded_ftruncate(int fd, off_t octets)
{
	return length_set(fd, octets);
}

int recorded_ftruncate64(int fd, off_t octets) __asm__("ftruncate64");
int recorded_ftruncate64(int fd, off_t octets)
{
	return length_set(fd, octets);
}

/* A hole reads as zeros, whether the disk has heard of it or not; and so does room that was asked for. */
static int hole_make(int fd, int mode, off_t at, off_t len)
{
	enum recorded_file file;
	struct stat status;
	if (!is_recorded(fd, &file))
		return (int)syscall(SYS_fallocate, fd, mode, at, len);
	assert(mode == 0 || mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
	pthread_mutex_lock(&recorder.lock);
	off_t from =
		mode == 0 && fstat(fd, &status) == 0 && status.st_size > at ? status.st_size : at;
	int result = (int)syscall(SYS_fallocate, fd, mode, at, len);
	if (result == 0 && from < at + len) {
		uint8_t *zeros = heap_alloc((size_t)(at + len - from));
		add_write(fd, file, from, zeros, (size_t)(at + len - from));
		free(zeros);
	}
	pthread_mutex_unlock(&recorder.lock);
	return result;
}

int recorded_fallocate(int fd, int mode, off_t at, off_t len) __asm__("fallocate");
int recorded_fallocate(int fd, int mode, off_t at, off_t len)
{
	return hole_make(fd, mode, at, len);
}

int recorded_fallocate64(int fd, int mode, off_t at, off_t len) __asm__("fallocate64");
int recorded_fallocate64(int fd, int mode, off_t at, off_t len)
{
	return hole_make(fd, mode, at, len);
}

/* ---- beginning and end ---- */

static uint8_t *file_read(const char *folder, enum recorded_file file, size_t *len_out,
			  struct stat *status_out)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", folder, record_names[file]);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert(fd >= 0 && fstat(fd, status_out) == 0);
	uint8_t *octets = heap_alloc((size_t)status_out->st_size + 1);
	*len_out = (size_t)status_out->st_size;
	ssize_t got = read(fd, octets, *len_out);
	assert(got == (ssize_t)*len_out);
	close(fd);
	return octets;
}

void record_begin(const char *folder, bool is_slow)
{
	struct stat status;
	pthread_mutex_lock(&recorder.lock);
	recorder.record = (struct record){ .count = 0 };
	for (int file = 0; file < RECORDED_FILES; file++) {
		recorder.record.base[file].octets = file_read(
			folder, (enum recorded_file)file, &recorder.record.base[file].len, &status);
		recorder.inodes[file] = status.st_ino;
		recorder.device = status.st_dev;
	}
	recorder.is_slow = is_slow;
	recorder.is_on = true;
	pthread_mutex_unlock(&recorder.lock);
}

size_t record_octets(const struct record *record, enum recorded_file file)
{
	size_t octets = record->base[file].len;
	for (size_t i = 0; i < record->count; i++) {
		const struct event *event = &record->events[i];
		if (event->len > 0 && event->file == file && event->at + event->len > octets)
			octets = event->at + event->len;
	}
	return octets;
}

static bool leads_to(const struct record *record, const char *folder, enum recorded_file file)
{
	struct stat status;
	size_t len, end = record_octets(record, file);
	uint8_t *octets = file_read(folder, file, &len, &status);
	uint8_t *rebuilt = heap_alloc(end + 1);
	memcpy(rebuilt, record->base[file].octets, record->base[file].len);
	for (size_t i = 0; i < record->count; i++) {
		const struct event *event = &record->events[i];
		if (event->len > 0 && event->file == file)
			memcpy(rebuilt + event->at, event->octets, event->len);
	}
	bool same = end == len && memcmp(rebuilt, octets, len) == 0;
	free(rebuilt);
	free(octets);
	return same;
}

bool record_end(const char *folder, struct record *record_out)
{
	bool leads = true;
	pthread_mutex_lock(&recorder.lock);
	recorder.is_on = false;
	*record_out = recorder.record;
	recorder.record = (struct record){ .count = 0 };
	pthread_mutex_unlock(&recorder.lock);
	for (int file = 0; file < RECORDED_FILES; file++)
		leads = leads_to(record_out, folder, (enum recorded_file)file) && leads;
	return leads;
}

void record_free(struct record *record)
{
	for (size_t i = 0; i < record->count; i++)
		free(record->events[i].octets);
	free(record->events);
	for (int file = 0; file < RECORDED_FILES; file++)
		free(record->base[file].octets);
	*record = (struct record){ .count = 0 };
}
