/* storage/redo.c - the redo log while it is written: what LMDB writes is collected (redo_draft.c), and becomes a
 * record when the meta page comes. In whichever process writes; data.mdb is synced behind by a thread of the
 * server's back, or by the writer itself where there is none. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"
#include "storage/lmdb_file_priv.h"
#include "storage/redo_draft_priv.h"
#include "storage/redo_priv.h"
#include "storage/writer_priv.h"

struct area {
	size_t tail;
	uint64_t last_txn; /* 0: none since the epoch began */
};

struct redo {
	int data_fd; /* data.mdb, beside LMDB's own */
	int fd;	     /* the log; -1: there is none */
	int env_fd;  /* LMDB's */
	uint32_t page_octets;

	/* The transaction under way. */
	uint64_t txn_id;
	bool is_sealed;				 /* its meta page has come */
	int failure;				 /* an errno: it cannot become durable */
	off_t record_at;			 /* 0: none was written */
	bool has_failed_in_place;		 /* the meta page may be there, or a part of it */
	uint8_t meta_before[LMDB_COMMIT_OCTETS]; /* what it goes over */
	bool is_direct;				 /* no record is made of it */
	struct redo_draft draft;
	uint64_t data_octets; /* of data.mdb, as the commit begins; 0: that has not */

	/* What this process wrote last. `last_txn` 0: nothing that it could go on behind. */
	uint64_t last_txn;
	uint64_t epoch;
	bool has_records; /* in this epoch */
	bool rests;
	struct area areas[REDO_AREAS];
	unsigned area;

	/* What the kernel could not bring to the disk it may have forgotten: the log still has it. It says so
	 * to one caller alone, so they come one by one. */
	pthread_mutex_t sync_lock;
	atomic_bool is_lost;

	/* Syncing behind. */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	uint64_t wanted_txn, durable_txn; /* in data.mdb */
	bool stops;
};

static _Thread_local struct redo *writing; /* this thread, in a transaction */
static _Thread_local bool has_caught_all;  /* its pages, and the meta page */

/* ---- data.mdb ---- */

static void lost_set(struct redo *redo, bool is_lost)
{
	int why = errno;
	redo->is_lost = is_lost;
	redo_header_set_lost(redo->fd, is_lost);
	errno = why;
}

static bool data_sync(struct redo *redo)
{
	pthread_mutex_lock(&redo->sync_lock);
	if (redo->is_lost)
		errno = EIO;
	else if (fdatasync(redo->data_fd) != 0)
		lost_set(redo, true);
	bool synced = !redo->is_lost;
	pthread_mutex_unlock(&redo->sync_lock);
	return synced;
}

static void *sync_main(void *arg)
{
	struct redo *redo = arg;
	pthread_mutex_lock(&redo->lock);
	while (!redo->stops) {
		uint64_t wanted = redo->wanted_txn;
		if (wanted <= redo->durable_txn || redo->is_lost) {
			pthread_cond_wait(&redo->work, &redo->lock);
			continue;
		}
		pthread_mutex_unlock(&redo->lock);
		bool synced = data_sync(redo);
		pthread_mutex_lock(&redo->lock);
		if (synced && redo->durable_txn < wanted)
			redo->durable_txn = wanted;
		pthread_cond_broadcast(&redo->done);
	}
	pthread_mutex_unlock(&redo->lock);
	return NULL;
}

void redo_start(struct redo *redo)
{
	assert(!redo->has_thread);
	redo->has_thread = true;
	redo->stops = false;
	store_thread_start(&redo->thread, sync_main, redo);
}

void redo_stop(struct redo *redo)
{
	if (!redo->has_thread)
		return;
	pthread_mutex_lock(&redo->lock);
	redo->stops = true;
	pthread_cond_broadcast(&redo->work);
	pthread_mutex_unlock(&redo->lock);
	pthread_join(redo->thread, NULL);
	redo->has_thread = false;
}

static void durable_set(struct redo *redo, uint64_t txn_id)
{
	pthread_mutex_lock(&redo->lock);
	redo->durable_txn = txn_id;
	pthread_mutex_unlock(&redo->lock);
}

static void durable_want(struct redo *redo, uint64_t txn_id)
{
	pthread_mutex_lock(&redo->lock);
	redo->wanted_txn = txn_id;
	pthread_cond_broadcast(&redo->work);
	pthread_mutex_unlock(&redo->lock);
}

/* Until all up to `txn_id` is on the disk in data.mdb. */
static bool durable_wait(struct redo *redo, uint64_t txn_id)
{
	pthread_mutex_lock(&redo->lock);
	while (redo->has_thread && redo->durable_txn < txn_id && !redo->is_lost) {
		if (redo->wanted_txn < txn_id)
			redo->wanted_txn = txn_id;
		pthread_cond_broadcast(&redo->work);
		pthread_cond_wait(&redo->done, &redo->lock);
	}
	bool is_durable = redo->durable_txn >= txn_id;
	pthread_mutex_unlock(&redo->lock);
	if (!is_durable && redo->is_lost) {
		errno = EIO;
		return false;
	}
	if (is_durable)
		return true;
	if (!data_sync(redo))
		return false;
	durable_set(redo, redo->txn_id - 1);
	return true;
}

/* No page of a transaction under way is overwritten by this: it has written none yet. Nor is brought back
 * what was refused, whose record may be there all the same. */
static bool data_mend(struct redo *redo)
{
	struct redo_image image;
	if (!redo_image_read(redo->fd, &image))
		return false;
	while (image.count > 0 && image.records[image.count - 1]->txn_id >= redo->txn_id)
		image.count--;
	pthread_mutex_lock(&redo->sync_lock);
	bool mended = !image.is_damaged &&
		      redo_image_apply(&image, redo->data_fd, redo->page_octets) &&
		      fdatasync(redo->data_fd) == 0;
	lost_set(redo, !mended);
	pthread_mutex_unlock(&redo->sync_lock);
	redo_image_free(&image);
	if (mended)
		log_warning(NULL, EVENT("store-written-again"), WORD("from", "redo-log"));
	return mended;
}

/* ---- the log ---- */

bool redo_void(struct redo *redo)
{
	struct redo_header header;
	redo->last_txn = 0;
	if (!data_sync(redo))
		return false;
	if (!redo_header_read(redo->fd, &header)) {
		errno = EIO;
		return false;
	}
	uint64_t epoch = header.epoch + 1;
	if (!redo_header_write(redo->fd, header.store, epoch))
		return false;
	memset(redo->areas, 0, sizeof(redo->areas));
	redo->area = 0;
	redo->has_records = false;
	redo->epoch = epoch;
	redo->last_txn = redo->txn_id - 1;
	durable_set(redo, redo->last_txn);
	return true;
}

/* Of the page that transactions of this parity write, in data.mdb. */
static bool meta_read(const struct redo *redo, uint64_t txn_id,
		      uint8_t octets_out[LMDB_COMMIT_OCTETS])
{
	off_t page_at = (off_t)(txn_id % LMDB_META_PAGES) * redo->page_octets;
	ssize_t got =
		pread(redo->data_fd, octets_out, LMDB_COMMIT_OCTETS, page_at + LMDB_COMMIT_AT);
	if (got >= 0 && got != LMDB_COMMIT_OCTETS)
		errno = EIO;
	return got == LMDB_COMMIT_OCTETS;
}

static bool record_finish(struct redo *redo, struct slice *record_out)
{
	uint8_t before[LMDB_COMMIT_OCTETS];
	struct stat status;
	if (!meta_read(redo, redo->txn_id - 1, before) || fstat(redo->data_fd, &status) != 0)
		return false;
	*record_out = redo_draft_finish(
		&redo->draft,
		(struct redo_record){ .epoch = redo->epoch,
				      .txn_id = redo->txn_id,
				      .before = redo_fingerprint(before, sizeof(before)),
				      .file_octets = (uint64_t)status.st_size });
	return true;
}

/* The other area, once nothing hangs on what it holds. What the full one holds is synced behind. */
static bool area_change(struct redo *redo)
{
	struct area *next = &redo->areas[!redo->area];
	if (!durable_wait(redo, next->last_txn))
		return false;
	redo->area = !redo->area;
	*next = (struct area){ .tail = 0 };
	durable_want(redo, redo->last_txn);
	return true;
}

/* Its jobs are told that they failed: should the process end before the next commit, they must not come to
 * be. As far as the disk obeys. */
static void record_spoil(struct redo *redo)
{
	const struct redo_record nothing = { .checksum = 0 };
	int why = errno;
	if (redo->record_at != 0 &&
	    pwrite(redo->fd, &nothing, sizeof(nothing), redo->record_at) == sizeof(nothing))
		(void)fdatasync(redo->fd);
	redo->record_at = 0;
	errno = why;
}

/* The disk begins; what the kernel says of it may be said to nobody else. */
static bool record_begin(struct redo *redo, struct slice record)
{
	ssize_t written = pwrite(redo->fd, record.ptr, record.len, redo->record_at);
	if (written >= 0 && (size_t)written != record.len)
		errno = ENOSPC;
	return written == (ssize_t)record.len &&
	       (sync_file_range(redo->fd, redo->record_at, (off_t)record.len,
				SYNC_FILE_RANGE_WRITE) == 0 ||
		errno == ENOSYS);
}

/* While the disk is at work on the record, its pages are copied into data.mdb, half of a commit's work. */
static bool record_write(struct redo *redo, struct slice record)
{
	size_t octets =
		(record.len + REDO_ALIGN_OCTETS - 1) / REDO_ALIGN_OCTETS * REDO_ALIGN_OCTETS;
	if (redo->areas[redo->area].tail + octets > REDO_AREA_OCTETS && !area_change(redo))
		return false;
	struct area *area = &redo->areas[redo->area];
	redo->record_at =
		(off_t)(REDO_HEADER_OCTETS + redo->area * (size_t)REDO_AREA_OCTETS + area->tail);
	if (!record_begin(redo, record) || !redo_draft_write_pages(&redo->draft, redo->env_fd) ||
	    fdatasync(redo->fd) != 0) {
		record_spoil(redo);
		return false;
	}
	area->tail += octets;
	area->last_txn = redo->txn_id;
	redo->has_records = true;
	return true;
}

/* ---- a transaction ---- */

void redo_begin(struct redo *redo, uint64_t txn_id)
{
	assert(!writing);
	if (redo->fd < 0 || redo->rests)
		return;
	struct redo_header header;
	redo->txn_id = txn_id;
	redo->failure = 0;
	/* What another process has done since: begun an epoch, though no transaction came of it, or lost pages. */
	bool is_readable = redo_header_read(redo->fd, &header);
	if (!is_readable || header.epoch != redo->epoch)
		redo->last_txn = 0;
	if (is_readable && header.is_lost)
		redo->is_lost = true;
	if (redo->is_lost && !data_mend(redo))
		redo->failure = errno ? errno : EIO;
	redo->is_sealed = redo->is_direct = false;
	redo->record_at = 0;
	redo->data_octets = 0;
	redo_draft_begin(&redo->draft);
	has_caught_all = false;
	writing = redo;
}

void redo_commit(void)
{
	struct stat status;
	if (writing && fstat(writing->data_fd, &status) == 0)
		writing->data_octets = (uint64_t)status.st_size;
}

void redo_end(bool is_committed)
{
	/* What LMDB wrote has come by here: nothing else would have synced it. (The next transaction may have
	 * begun already, so of `writing` nothing may be asked.) */
	assert(!writing || !is_committed || has_caught_all);
	writing = NULL;
}

static bool seal(struct redo *redo, const void *meta, off_t at)
{
	if (redo->failure != 0) {
		errno = redo->failure;
		return false;
	}
	if ((redo->last_txn == 0 || redo->last_txn + 1 != redo->txn_id) && !redo_void(redo))
		return false;
	redo_draft_add(&redo->draft, at, meta, LMDB_COMMIT_OCTETS, redo->page_octets);
	redo->is_direct = redo->draft.is_too_large || redo_draft_lies_in_order(&redo->draft);
	if (redo->is_direct)
		return redo_draft_write_pages(&redo->draft, redo->env_fd) &&
		       (redo->has_records ? redo_void(redo) : data_sync(redo));
	struct slice record;
	if (record_finish(redo, &record) && record_write(redo, record))
		return true;
	/* A file system that copies what is written over may find no room for it, or the process may have
	 * no files of that size. */
	redo->is_direct = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
	return redo->is_direct && redo_draft_write_pages(&redo->draft, redo->env_fd) &&
	       redo_void(redo);
}

/* LMDB would write the new trees with the number of an older transaction, which may be all that the disk
 * gets: what was there is better. */
static ssize_t meta_take_back(struct redo *redo, size_t len, off_t at)
{
	record_spoil(redo);
	return redo->has_failed_in_place ? pwrite(redo->env_fd, redo->meta_before, len, at)
					 : (ssize_t)len;
}

/* The first is the transaction's own; if LMDB then takes it back, that is a second one. */
static ssize_t meta_write(struct redo *redo, const void *octets, size_t len, off_t at)
{
	assert(len == LMDB_COMMIT_OCTETS && at % redo->page_octets == LMDB_COMMIT_AT);
	if (redo->is_sealed)
		return meta_take_back(redo, len, at);
	redo->is_sealed = true;
	has_caught_all = redo->draft.writes > 0 || redo->draft.is_too_large;
	redo->has_failed_in_place = false;
	bool is_logged = meta_read(redo, redo->txn_id, redo->meta_before) && seal(redo, octets, at);
	redo->last_txn = 0;
	if (!is_logged) {
		errno = errno == EINTR ? EIO : errno; /* LMDB would just write once more */
		return -1;
	}
	redo->has_failed_in_place = true;
	ssize_t written = pwrite(redo->env_fd, octets, len, at);
	if (written >= 0 && written != (ssize_t)len)
		errno = EIO;
	if (written != (ssize_t)len || (redo->is_direct && !data_sync(redo))) {
		errno = errno == EINTR ? EIO : errno;
		return -1;
	}
	redo->has_failed_in_place = false;
	redo->last_txn = redo->txn_id;
	return written;
}

/* In a commit pages wait for the record, but for what makes the file longer: if there is no room for it, LMDB takes
 * the transaction back, whereas behind the record it gives the environment up. */
static ssize_t run_write(struct redo *redo, const struct iovec *parts, int count, off_t at)
{
	size_t len = 0;
	for (int i = 0; i < count; i++)
		len += parts[i].iov_len;
	bool may_wait = (uint64_t)at + len <= redo->data_octets;
	return redo_draft_add_run(&redo->draft, at, parts, count, redo->page_octets, may_wait)
		       ? (ssize_t)len
		       : pwritev(redo->env_fd, parts, count, at);
}

ssize_t redo_pwrite(int fd, const void *octets, size_t len, off_t at)
{
	struct redo *redo = writing;
	if (!redo || fd != redo->env_fd)
		return pwrite(fd, octets, len, at);
	if (at < (off_t)LMDB_META_PAGES * redo->page_octets)
		return meta_write(redo, octets, len, at);
	return run_write(redo, &(struct iovec){ (void *)(uintptr_t)octets, len }, 1, at);
}

/* A page or the pages of one value are one part. LMDB sets the place before each call, and fails where not all of
 * them are written. */
ssize_t redo_writev(int fd, const struct iovec *parts, int count)
{
	struct redo *redo = writing;
	if (!redo || fd != redo->env_fd)
		return writev(fd, parts, count);
	off_t at = lseek(fd, 0, SEEK_CUR);
	return at < 0 ? -1 : run_write(redo, parts, count, at);
}

/* ---- from first to last ---- */

struct redo *redo_new(int data_fd, int fd)
{
	struct redo *redo = heap_alloc(sizeof(*redo));
	redo->data_fd = data_fd;
	redo->fd = fd;
	redo->env_fd = -1;
	pthread_mutex_init(&redo->sync_lock, NULL);
	pthread_mutex_init(&redo->lock, NULL);
	pthread_cond_init(&redo->work, NULL);
	pthread_cond_init(&redo->done, NULL);
	return redo;
}

void redo_free(struct redo **redo_at)
{
	struct redo *redo = *redo_at;
	*redo_at = NULL;
	if (!redo)
		return;
	redo_stop(redo);
	close(redo->data_fd);
	if (redo->fd >= 0)
		close(redo->fd);
	redo_draft_fini(&redo->draft);
	pthread_mutex_destroy(&redo->sync_lock);
	pthread_mutex_destroy(&redo->lock);
	pthread_cond_destroy(&redo->work);
	pthread_cond_destroy(&redo->done);
	free(redo);
}

void redo_rest(struct redo *redo, bool rests)
{
	redo->rests = rests;
	redo->last_txn = 0;
}

int redo_data_fd(const struct redo *redo)
{
	return redo->data_fd;
}

int redo_fd(const struct redo *redo)
{
	return redo->fd;
}

void redo_set_fd(struct redo *redo, int fd)
{
	redo->fd = fd;
}

void redo_set_environment(struct redo *redo, int env_fd, uint32_t page_octets)
{
	redo->env_fd = env_fd;
	redo->page_octets = page_octets;
	redo->last_txn = 0;
}

bool redo_has_records(const struct redo *redo)
{
	struct redo_header header;
	return redo->has_records && redo_header_read(redo->fd, &header) &&
	       header.epoch == redo->epoch;
}
