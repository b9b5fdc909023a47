/* storage/redo_store.c - the redo log of a store: who else has the store open, what a loss of power has left
 * to write once more, making the log, and leaving it without records. In whichever process opens a store.
 *
 * Whoever has the store open holds a lock on data.mdb, of the open file (fcntl(2), "Open file description
 * locks"; LMDB's are on its own lock file), shared with others who have. Where nobody else has, what the log
 * holds may be written to data.mdb, and a log be made. Who is about to open it holds another lock, alone, until
 * he has the first one: so whoever has that has seen a whole store, and when one fails or dies while he
 * recovers, the next one does. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "storage/lmdb_file_priv.h"
#include "storage/migration_priv.h"
#include "storage/redo_priv.h"
#include "storage/store_priv.h"

enum { EPOCH_FIRST = 1 };

enum { OCTET_OPEN, OCTET_OPENING }; /* of data.mdb, which are locked */

/* False: errno says why; EAGAIN or EACCES where somebody else has it. */
static bool lock(int fd, off_t octet, short kind, bool waits)
{
	struct flock lock = { .l_type = kind, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1 };
	int code;
	do
		code = fcntl(fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
	while (code != 0 && errno == EINTR);
	return code == 0;
}

/* ---- after a loss of power ---- */

/* Of the meta page that the record brings: its last write. */
static uint64_t record_fingerprint(const struct redo_record *record)
{
	const uint8_t *end = (const uint8_t *)record + record->octets;
	return redo_fingerprint(end - LMDB_COMMIT_OCTETS, LMDB_COMMIT_OCTETS);
}

/* Whether the newest state in data.mdb is the one before the first record, or one that they tell. */
static bool image_fits(const struct redo_image *image, const struct lmdb_meta *newest)
{
	uint64_t fingerprint = redo_fingerprint(&newest->map_octets, LMDB_COMMIT_OCTETS);
	const struct redo_record *last = image->records[image->count - 1];
	if (newest->txn_id == last->txn_id)
		return fingerprint == record_fingerprint(last);
	for (size_t i = 0; i < image->count; i++)
		if (image->records[i]->txn_id == newest->txn_id + 1)
			return fingerprint == image->records[i]->before;
	return false;
}

static bool newest_meta(int data_fd, struct lmdb_meta *newest_out)
{
	struct lmdb_meta metas[LMDB_META_PAGES];
	if (!lmdb_meta_read(data_fd, 0, &metas[0]) ||
	    !lmdb_meta_read(data_fd, metas[0].dbs[0].pad, &metas[1]))
		return false;
	*newest_out = metas[metas[1].txn_id > metas[0].txn_id];
	return true;
}

static enum err image_write(struct store *store, const struct redo_image *image,
			    const char **why_out)
{
	struct lmdb_meta newest;
	struct redo_header header;
	struct stat status;
	const struct redo_record *last = image->records[image->count - 1];
	int fd = redo_fd(store->redo), data_fd = redo_data_fd(store->redo);
	if (!newest_meta(data_fd, &newest) || !image_fits(image, &newest) ||
	    !redo_header_read(fd, &header) ||
	    header.store != redo_mark_read(data_fd, newest.dbs[0].pad)) {
		*why_out = why_format("%s/redo.log holds changes of another state than that of "
				      "data.mdb beside it: put "
				      "back the data.mdb that was there with it, or, to go on "
				      "without what is only in "
				      "redo.log, move that away and run \"bode verify\"",
				      store->path);
		return ERR_DISK;
	}
	uint32_t page_octets = newest.dbs[0].pad;
	bool written = page_octets > 0 && redo_image_apply(image, data_fd, page_octets) &&
		       fstat(data_fd, &status) == 0 &&
		       ((uint64_t)status.st_size >= last->file_octets ||
			ftruncate(data_fd, (off_t)last->file_octets) == 0) &&
		       fdatasync(data_fd) == 0 &&
		       redo_header_write(fd, header.store, header.epoch + 1);
	if (!written) {
		*why_out = why_format("what %s/redo.log holds cannot be written to data.mdb: %s",
				      store->path, strerror(errno));
		return errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_DISK;
	}
	log_info(NULL, EVENT("store-recovered"), CSTR("path", store->path),
		 NUM("first", image->records[0]->txn_id), NUM("last", last->txn_id));
	return ERR_OK;
}

static enum err recover(struct store *store, const char **why_out)
{
	struct redo_image image;
	if (!redo_image_read(redo_fd(store->redo), &image)) {
		*why_out =
			why_format("%s/redo.log cannot be read: %s", store->path, strerror(errno));
		return ERR_DISK;
	}
	enum err err = ERR_OK;
	if (image.is_damaged) {
		*why_out = why_format(
			"%s/redo.log is damaged, and with it what was written last: restore the "
			"store from a backup, or, to go on with what is in data.mdb, move redo.log "
			"away and run \"bode verify\"",
			store->path);
		err = ERR_DISK;
	} else if (image.count > 0) {
		err = image_write(store, &image, why_out);
	}
	redo_image_free(&image);
	return err;
}

/* ---- opening ---- */

static enum err open_failed(const char *path, const char **why_out)
{
	int code = errno;
	*why_out = why_format("%s cannot be opened: %s", path, strerror(code));
	return code == EACCES || code == EPERM || code == EROFS ? ERR_DENIED : ERR_DISK;
}

/* The lock that says that nobody else has the store open is held, or not. */
static enum err log_open(struct store *store, int data_fd, bool alone, const char **why_out)
{
	char *path = path_join(store->path, "redo.log");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	enum err err = fd < 0 && errno != ENOENT ? open_failed(path, why_out) : ERR_OK;
	free(path);
	store->redo = redo_new(data_fd, fd);
	return err == ERR_OK && fd >= 0 && alone ? recover(store, why_out) : err;
}

enum err redo_open(struct store *store, const char **why_out)
{
	if (store->redo)
		return ERR_OK; /* after a failure: this process has had it open all the time */
	char *path = path_join(store->path, "data.mdb");
	int data_fd = open(path, O_RDWR | O_CLOEXEC);
	enum err err = ERR_OK;
	if (data_fd < 0 || !lock(data_fd, OCTET_OPENING, F_WRLCK, true)) {
		err = open_failed(path, why_out);
		if (data_fd >= 0)
			close(data_fd);
	} else {
		bool alone = lock(data_fd, OCTET_OPEN, F_WRLCK, false);
		if (!alone && errno != EAGAIN && errno != EACCES)
			err = open_failed(path, why_out);
		enum err opened = log_open(store, data_fd, alone, why_out);
		err = err == ERR_OK ? opened : err;
		if (err == ERR_OK && (!lock(data_fd, OCTET_OPEN, F_RDLCK, true) ||
				      !lock(data_fd, OCTET_OPENING, F_UNLCK, true)))
			err = open_failed(path, why_out);
	}
	free(path);
	if (err != ERR_OK)
		redo_free(&store->redo);
	return err;
}

/* All of its room is taken at once, so that a full disk is met here; and once the log has gone round, a sync of what is
 * written over costs no change of the file system's own. */
static int log_make(const char *path, uint64_t mark)
{
	off_t octets = REDO_HEADER_OCTETS + REDO_AREAS * (off_t)REDO_AREA_OCTETS;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if ((fallocate(fd, 0, 0, octets) != 0 && errno != EOPNOTSUPP) ||
	    !redo_header_write(fd, mark, EPOCH_FIRST)) {
		close(fd);
		unlink(path);
		return -1;
	}
	return fd;
}

/* The server's, though root has made it: as the folder is. The server itself may not give files away. */
static bool give_away(int fd, int dir_fd)
{
	struct stat dir, file;
	return fstat(dir_fd, &dir) == 0 && fstat(fd, &file) == 0 &&
	       ((dir.st_uid == file.st_uid && dir.st_gid == file.st_gid) || geteuid() != 0 ||
		fchown(fd, dir.st_uid, dir.st_gid) == 0);
}

/* Its name is on the disk as well. */
static int log_make_in(const struct store *store)
{
	char *path = path_join(store->path, "redo.log");
	int dir_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = dir_fd >= 0 ? log_make(path, random_u64() | 1) : -1;
	if (fd >= 0 && (!give_away(fd, dir_fd) || fsync(dir_fd) != 0)) {
		close(fd);
		unlink(path);
		fd = -1;
	}
	if (dir_fd >= 0)
		close(dir_fd);
	free(path);
	return fd;
}

/* Where data.mdb is new, or was put back in the place of another: the log holds nothing then. */
static bool mark_settle(const struct store *store, const struct redo *redo)
{
	struct redo_header header;
	int data_fd = redo_data_fd(redo);
	if (!redo_header_read(redo_fd(redo), &header)) {
		errno = EIO;
		return false;
	}
	return redo_mark_read(data_fd, store->page_octets) == header.store ||
	       redo_mark_write(data_fd, store->page_octets, header.store);
}

enum err redo_attach(struct store *store, const char **why_out)
{
	struct redo *redo = store->redo;
	int env_fd, code;
	if (!redo)
		return ERR_OK;
	if ((code = mdb_env_get_fd(store->env, &env_fd)) != 0)
		return open_failure(store, code, why_out);
	if (redo_fd(redo) < 0) {
		int data_fd = redo_data_fd(redo);
		if (lock(data_fd, OCTET_OPEN, F_WRLCK, false)) {
			redo_set_fd(redo, log_make_in(store));
			int why = errno;
			(void)lock(data_fd, OCTET_OPEN, F_RDLCK, true);
			errno = why;
		}
		if (redo_fd(redo) < 0)
			log_warning(NULL, EVENT("no-redo-log"), CSTR("path", store->path),
				    ERRNO(errno));
	}
	redo_set_environment(redo, env_fd, store->page_octets);
	if (redo_fd(redo) < 0)
		return ERR_OK; /* LMDB syncs */
	code = mark_settle(store, redo) ? mdb_env_set_flags(store->env, MDB_NOSYNC, 1) : errno;
	return code == 0 ? ERR_OK : open_failure(store, code, why_out);
}

static bool has_log(const struct store *store)
{
	return store->redo && redo_fd(store->redo) >= 0 && store->env;
}

int redo_clear(struct store *store, MDB_txn *txn)
{
	if (!has_log(store))
		return 0;
	redo_begin(store->redo, mdb_txn_id(txn));
	int code = redo_void(store->redo) ? 0 : errno;
	redo_end(false);
	return code;
}

int redo_settle(struct store *store)
{
	MDB_txn *txn;
	if (!has_log(store))
		return mdb_env_sync(store->env, 1);
	int code = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (code != 0)
		return code;
	code = redo_clear(store, txn);
	mdb_txn_abort(txn);
	return code;
}

int redo_set_rest(struct store *store, bool rests)
{
	int code = 0;
	if (!has_log(store))
		code = mdb_env_set_flags(store->env, MDB_NOSYNC, rests);
	else if (rests)
		code = redo_settle(store);
	if (store->redo)
		redo_rest(store->redo, rests);
	return code == 0 && !rests ? mdb_env_sync(store->env, 1) : code;
}

void redo_close(struct store *store)
{
	int code = has_log(store) && redo_has_records(store->redo) ? redo_settle(store) : 0;
	if (code != 0)
		log_warning(NULL, EVENT("redo-log-not-settled"), CSTR("path", store->path),
			    CSTR("why", mdb_strerror(code)));
	redo_free(&store->redo);
}
