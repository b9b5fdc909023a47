/* tests/crash/record.c - the calls that change a file, caught and written down. */
#include "tests/crash/record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/heap.h"

static struct {
	pthread_mutex_t lock;
	ino_t inode; /* 0: nothing is recorded */
	dev_t device;
	struct record record;
} recorder = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_recorded(int fd)
{
	struct stat status;
	return recorder.inode && fstat(fd, &status) == 0 && status.st_ino == recorder.inode &&
	       status.st_dev == recorder.device;
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

static void add_write(int fd, uint64_t at, const void *octets, size_t len)
{
	bool synced = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
	pthread_mutex_lock(&recorder.lock);
	struct event *event = add(synced ? EVENT_WRITE_SYNCED : EVENT_WRITE);
	event->at = at;
	event->len = len;
	event->octets = heap_alloc(len);
	memcpy(event->octets, octets, len);
	pthread_mutex_unlock(&recorder.lock);
}

static void add_sync(void)
{
	pthread_mutex_lock(&recorder.lock);
	add(EVENT_SYNC);
	pthread_mutex_unlock(&recorder.lock);
}

void record_ack(unsigned number)
{
	pthread_mutex_lock(&recorder.lock);
	add(EVENT_ACK)->number = number;
	pthread_mutex_unlock(&recorder.lock);
}

/* ---- the calls ---- */

/* LMDB calls the one without 64, whatever this program's headers make of the name. */
ssize_t recorded_pwrite(int fd, const void *octets, size_t len, off_t at) __asm__("pwrite");
ssize_t recorded_pwrite(int fd, const void *octets, size_t len, off_t at)
{
	ssize_t written = syscall(SYS_pwrite64, fd, octets, len, at);
	if (written > 0 && is_recorded(fd))
		add_write(fd, (uint64_t)at, octets, (size_t)written);
	return written;
}

ssize_t write(int fd, const void *octets, size_t len)
{
	bool is = is_recorded(fd);
	off_t at = is ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t written = syscall(SYS_write, fd, octets, len);
	if (written > 0 && is)
		add_write(fd, (uint64_t)at, octets, (size_t)written);
	return written;
}

/* One call, but no promise of being one write on the disk: a record for each part. */
static void add_parts(int fd, off_t at, const struct iovec *parts, int count, ssize_t written)
{
	size_t left = written > 0 ? (size_t)written : 0;
	for (int i = 0; i < count && left > 0; i++) {
		size_t len = parts[i].iov_len < left ? parts[i].iov_len : left;
		add_write(fd, (uint64_t)at, parts[i].iov_base, len);
		at += (off_t)len;
		left -= len;
	}
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	bool is = is_recorded(fd);
	off_t at = is ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t written = syscall(SYS_writev, fd, parts, count);
	if (is)
		add_parts(fd, at, parts, count, written);
	return written;
}

ssize_t recorded_pwritev(int fd, const struct iovec *parts, int count, off_t at) __asm__("pwritev");
ssize_t recorded_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	ssize_t written = syscall(SYS_pwritev, fd, parts, count, at, 0);
	if (is_recorded(fd))
		add_parts(fd, at, parts, count, written);
	return written;
}

int fdatasync(int fd)
{
	int result = (int)syscall(SYS_fdatasync, fd);
	if (result == 0 && is_recorded(fd))
		add_sync();
	return result;
}

int fsync(int fd)
{
	int result = (int)syscall(SYS_fsync, fd);
	if (result == 0 && is_recorded(fd))
		add_sync();
	return result;
}

/* A hole reads as zeros, whether the disk has heard of it or not. */
static int hole_make(int fd, int mode, off_t at, off_t len)
{
	int result = (int)syscall(SYS_fallocate, fd, mode, at, len);
	if (result == 0 && is_recorded(fd)) {
		uint8_t *zeros = heap_alloc((size_t)len);
		assert(mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
		add_write(fd, (uint64_t)at, zeros, (size_t)len);
		free(zeros);
	}
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

static uint8_t *file_read(const char *path, size_t *len_out)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert(fd >= 0 && fstat(fd, &status) == 0);
	uint8_t *octets = heap_alloc((size_t)status.st_size + 1);
	*len_out = (size_t)status.st_size;
	ssize_t got = read(fd, octets, *len_out);
	assert(got == (ssize_t)*len_out);
	close(fd);
	return octets;
}

void record_begin(const char *path)
{
	struct stat status;
	int code = stat(path, &status);
	assert(code == 0);
	pthread_mutex_lock(&recorder.lock);
	recorder.record = (struct record){ 0 };
	recorder.record.base = file_read(path, &recorder.record.base_len);
	recorder.device = status.st_dev;
	recorder.inode = status.st_ino;
	pthread_mutex_unlock(&recorder.lock);
}

bool record_end(const char *path, struct record *record_out)
{
	pthread_mutex_lock(&recorder.lock);
	recorder.inode = 0;
	*record_out = recorder.record;
	recorder.record = (struct record){ 0 };
	pthread_mutex_unlock(&recorder.lock);

	size_t len, end = record_out->base_len;
	uint8_t *file = file_read(path, &len);
	for (size_t i = 0; i < record_out->count; i++)
		if (record_out->events[i].at + record_out->events[i].len > end)
			end = record_out->events[i].at + record_out->events[i].len;
	uint8_t *rebuilt = heap_alloc(end + 1);
	memcpy(rebuilt, record_out->base, record_out->base_len);
	for (size_t i = 0; i < record_out->count; i++)
		if (record_out->events[i].len)
			memcpy(rebuilt + record_out->events[i].at, record_out->events[i].octets,
			       record_out->events[i].len);
	bool same = end == len && memcmp(rebuilt, file, len) == 0;
	free(rebuilt);
	free(file);
	return same;
}

void record_free(struct record *record)
{
	for (size_t i = 0; i < record->count; i++)
		free(record->events[i].octets);
	free(record->events);
	free(record->base);
	*record = (struct record){ 0 };
}
