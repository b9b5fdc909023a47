/* storage/environment.c - LMDB's environment: opening it with care, opening it again.
 *
 * What is on the disk may be anything: nothing, noise, another program's database, a file cut
 * short, a store of a newer Bode. LMDB maps the file and trusts it, so what would crash it is
 * looked for beforehand, by plain reads of the two meta pages. Nothing is written to a file
 * that is refused. The map has its size from the start and is never resized: to grow it under
 * a reader is not safe. Runs in the back, and in the admin's process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "storage/lmdb_file_priv.h"
#include "storage/migration_priv.h"
#include "storage/redo_priv.h"
#include "storage/store_priv.h"

static const char *const database_names[DB_COUNT] = {
	[DB_DOMAIN] = "domain",
	[DB_ACCOUNT] = "account",
	[DB_ADDRESS] = "address",
	[DB_MAILBOX_NAME] = "mailbox-name",
	[DB_MAILBOX] = "mailbox",
	[DB_BLOB] = "blob",
	[DB_DIGEST] = "digest",
	[DB_REFERENCE] = "reference",
	[DB_GARBAGE] = "garbage",
	[DB_PENDING] = "pending",
	[DB_EXPUNGED] = "expunged",
	[DB_QUEUE] = "queue",
	[DB_JOURNAL] = "journal",
	[DB_JOURNAL_INDEX] = "journal-index",
	[DB_SUBMISSION] = "submission",
	[DB_ANNOTATION] = "annotation",
	[DB_ACL] = "acl",
	[DB_REMOTE] = "remote",
	[DB_DICTIONARY] = "dictionary",
	[DB_DICTIONARY_COPY] = "dictionary-copy",
};

const char *database_name(enum database db)
{
	return db == DB_MAIN ? "main" : database_names[db];
}

static const struct slice format_key = { (const uint8_t *)"!bode", 5 };

/* Address space, not memory. Where there is not so much of it (a limit, a small machine) the
 * map, and with it the store, is smaller. */
static const size_t map_most_octets = (size_t)1 << 40, map_least_octets = (size_t)1 << 32;

const char *why_format(const char *format, ...)
{
	static _Thread_local char text[768];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

/* Whether an error is a lack of room. A write that the disk cut short reaches us as EIO. */
static bool is_full(struct store *store, int code)
{
	return code == MDB_MAP_FULL || code == ENOSPC || code == EDQUOT || code == EFBIG ||
	       (code == EIO && space_is_short_of(store, 1 << 20));
}

static enum err failure_kind(struct store *store, int code)
{
	if (is_full(store, code))
		return ERR_FULL;
	return code == EACCES || code == EPERM || code == EROFS ? ERR_DENIED : ERR_DISK;
}

enum err environment_failure(struct store *store, int code, const char *doing)
{
	enum err err = is_full(store, code) ? ERR_FULL : ERR_DISK;
	log_error(NULL, EVENT("store-failure"), CSTR("path", store->path), WORD("doing", doing),
		  WORD("outcome", err_word(err)), CSTR("why", mdb_strerror(code)));
	return err;
}

/* ---- what is in the file, before LMDB maps it ---- */

enum { META_VERSION = 1, PAGE_LEAST = 512 };

static bool has_other_byte_order(int fd)
{
	uint32_t magic;
	return pread(fd, &magic, sizeof(magic), LMDB_PAGE_HEADER_OCTETS) == sizeof(magic) &&
	       magic == __builtin_bswap32(LMDB_META_MAGIC);
}

/* The newest tree's roots must lie within the file, or the first look at them is a SIGBUS. */
static enum err file_check(int fd, const char *path, const char **why_out)
{
	struct stat status = { .st_size = 0 };
	struct lmdb_meta metas[2];
	uint32_t page = 0;
	bool is_lmdb = lmdb_meta_read(fd, 0, &metas[0]);
	if (has_other_byte_order(fd)) {
		*why_out = why_format("the store in %s comes from a machine with the other byte "
				      "order: make a backup there, and restore it here",
				      path);
		return ERR_DISK;
	}
	if (is_lmdb) {
		page = metas[0].dbs[0].pad;
		is_lmdb = page >= PAGE_LEAST && page <= 65536 && (page & (page - 1)) == 0 &&
			  metas[0].version == META_VERSION;
	}
	if (!is_lmdb) {
		*why_out =
			why_format("%s/data.mdb is not a store of Bode: it is damaged, or another "
				   "program's file; restore it from a backup, or move it away",
				   path);
		return ERR_DISK;
	}
	bool fits = lmdb_meta_read(fd, page, &metas[1]);
	/* After the metas were read: a server at work makes the file longer, then writes them. */
	fits = fstat(fd, &status) == 0 && fits;
	if (fits) {
		const struct lmdb_meta *newest = &metas[metas[1].txn_id > metas[0].txn_id];
		for (int i = 0; i < 2; i++)
			if (newest->dbs[i].root != UINT64_MAX &&
			    newest->dbs[i].root >= (uint64_t)status.st_size / page)
				fits = false;
	}
	if (!fits) {
		*why_out = why_format("the store in %s has been cut short (%lld octets are left); "
				      "restore it from a backup",
				      path, (long long)status.st_size);
		return ERR_DISK;
	}
	return ERR_OK;
}

/* ---- opening ---- */

enum err open_failure(struct store *store, int code, const char **why_out)
{
	enum err err = failure_kind(store, code);
	*why_out =
		why_format("the store in %s cannot be opened: %s", store->path, mdb_strerror(code));
	return err;
}

static enum err databases_open(struct store *store, MDB_txn *txn, bool create, const char **why_out)
{
	for (int db = 0; db < DB_COUNT; db++) {
		int code = mdb_dbi_open(txn, database_names[db], create ? MDB_CREATE : 0,
					&store->dbis[db]);
		if (code == MDB_NOTFOUND) {
			*why_out = why_format("the store in %s is damaged (it has no part '%s'); "
					      "restore it from a backup",
					      store->path, database_names[db]);
			return ERR_DISK;
		}
		if (code != 0)
			return open_failure(store, code, why_out);
	}
	return ERR_OK;
}

/* The first record: by it everybody knows what this is. */
int format_put(MDB_txn *txn, MDB_dbi main, uint32_t format, uint64_t created_unix)
{
	struct buffer record = { 0 };
	buffer_add_byte(&record, RECORD_VERSION);
	buffer_add_be32(&record, format);
	buffer_add_be64(&record, created_unix);
	MDB_val key = { format_key.len, (void *)(uintptr_t)format_key.ptr };
	MDB_val value = { record.len, record.data };
	int code = mdb_put(txn, main, &key, &value, 0);
	buffer_free(&record);
	return code;
}

/* A new store: the format, the first numbers, all databases. */
static enum err contents_create(struct store *store, MDB_txn *txn, const char **why_out)
{
	enum err err = databases_open(store, txn, true, why_out);
	if (err != ERR_OK)
		return err;
	int code = format_put(txn, store->dbis[DB_MAIN], STORE_FORMAT, (uint64_t)clock_unix());
	if (code == 0) {
		struct buffer record = { 0 };
		head_encode(&(struct head){ .next_account_id = 1,
					    .next_mailbox_id = 1,
					    .next_blob_id = 1 },
			    &record);
		MDB_val key = { 5, (void *)(uintptr_t) "!head" };
		MDB_val value = { record.len, record.data };
		code = mdb_put(txn, store->dbis[DB_MAIN], &key, &value, 0);
		buffer_free(&record);
	}
	return code == 0 ? ERR_OK : open_failure(store, code, why_out);
}

/* ERR_NOT_FOUND: an empty database. ERR_VERSION: it cannot be read as it is; *format_out says
 * whether it is older. */
static enum err format_check(struct store *store, MDB_txn *txn, uint32_t *format_out,
			     const char **why_out)
{
	MDB_dbi dbi;
	MDB_stat stat;
	MDB_val key = { format_key.len, (void *)(uintptr_t)format_key.ptr }, value;
	int code = mdb_dbi_open(txn, NULL, 0, &dbi);
	if (code == 0)
		code = mdb_stat(txn, dbi, &stat);
	if (code != 0)
		return open_failure(store, code, why_out);
	code = mdb_get(txn, dbi, &key, &value);
	if (code == MDB_NOTFOUND && stat.ms_entries == 0) {
		*why_out = why_format("there is no store in %s yet", store->path);
		return ERR_NOT_FOUND;
	}
	struct cursor c =
		cursor_of(code == 0 ? slice_of(value.mv_data, value.mv_size) : SLICE_NONE);
	uint8_t version;
	uint32_t format = 0;
	*format_out = STORE_FORMAT;
	if ((code != 0 && code != MDB_NOTFOUND) ||
	    (code == 0 && (!take_u8(&c, &version) || !take_be32(&c, &format)))) {
		*why_out =
			why_format("the store in %s is damaged (its first record cannot be read); "
				   "restore it from a backup",
				   store->path);
		return ERR_DISK;
	}
	if (code == MDB_NOTFOUND) {
		*why_out = why_format("%s/data.mdb is another program's database; move it away",
				      store->path);
		return ERR_DISK;
	}
	if (format > STORE_FORMAT) {
		*why_out = why_format("the store in %s was written by a newer Bode (version %u, "
				      "this one reads %u): run that one, or a still newer",
				      store->path, format, STORE_FORMAT);
		return ERR_VERSION;
	}
	*format_out = format;
	if (format < STORE_FORMAT) {
		*why_out = why_format("the store in %s was written by an older Bode (version %u, "
				      "this one writes %u): start the server once, it will bring "
				      "it up to date",
				      store->path, format, STORE_FORMAT);
		return ERR_VERSION;
	}
	return ERR_OK;
}

/* The file once was longer than now: what is missing may be referred to. */
static enum err length_check(struct store *store, MDB_txn *txn, const char **why_out)
{
	MDB_val key = { 5, (void *)(uintptr_t) "!head" }, value;
	struct head head;
	struct stat status;
	int fd;
	if (mdb_get(txn, store->dbis[DB_MAIN], &key, &value) != 0 ||
	    !head_decode(slice_of(value.mv_data, value.mv_size), &head)) {
		*why_out = why_format("the store in %s is damaged (its head cannot be read); "
				      "restore it from a backup",
				      store->path);
		return ERR_DISK;
	}
	if (mdb_env_get_fd(store->env, &fd) != 0 || fstat(fd, &status) != 0 ||
	    (uint64_t)status.st_size < head.file_octets) {
		*why_out = why_format("the store in %s has been cut short (it had %llu octets); "
				      "restore it from a backup",
				      store->path, (unsigned long long)head.file_octets);
		return ERR_DISK;
	}
	return ERR_OK;
}

static enum err contents_open(struct store *store, const char **why_out)
{
	MDB_txn *txn = NULL;
	int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
	if (code != 0)
		return open_failure(store, code, why_out);
	uint32_t format = STORE_FORMAT;
	enum err err = format_check(store, txn, &format, why_out);
	bool is_older = err == ERR_VERSION && format < STORE_FORMAT && store->mode != STORE_ADMIN;
	int serving_fd = -1;
	if (is_older) {
		err = migration_lock(store, &serving_fd, why_out);
		if (err != ERR_OK) {
			mdb_txn_abort(txn);
			return err;
		}
	}
	if (is_older || (err == ERR_NOT_FOUND && store->mode == STORE_CREATE)) {
		mdb_txn_abort(txn);
		if ((code = mdb_txn_begin(store->env, NULL, 0, &txn)) != 0) {
			migration_unlock(&serving_fd);
			return open_failure(store, code, why_out);
		}
		/* Another process may have been faster. */
		err = format_check(store, txn, &format, why_out);
		if (err == ERR_NOT_FOUND)
			err = contents_create(store, txn, why_out);
		else if (err == ERR_VERSION && format < STORE_FORMAT)
			/* Its commit goes beside the log. */
			err = (code = redo_clear(store, txn)) == 0
				      ? migrate(store, txn, format, why_out)
				      : open_failure(store, code, why_out);
	}
	if (err == ERR_OK)
		err = databases_open(store, txn, false, why_out);
	if (err == ERR_OK)
		err = length_check(store, txn, why_out);
	if (err != ERR_OK) {
		mdb_txn_abort(txn);
		migration_unlock(&serving_fd);
		return err;
	}
	/* The databases' handles outlive the transaction only if it commits. */
	code = mdb_txn_commit(txn);
	migration_unlock(&serving_fd);
	return code == 0 ? ERR_OK : open_failure(store, code, why_out);
}

static int environment_map(struct store *store, size_t map_octets)
{
	int dead;
	environment_close(store);
	int code = mdb_env_create(&store->env);
	if (code == 0)
		code = mdb_env_set_maxdbs(store->env, DB_COUNT);
	if (code == 0)
		code = mdb_env_set_maxreaders(store->env, STORE_READERS_MAX);
	if (code == 0)
		code = mdb_env_set_mapsize(store->env, map_octets);
	if (code == 0)
		/* What a mailbox is asked for is scattered in the file: the kernel's read-ahead would
		 * bring in the whole of it. Bodies are asked for ahead of need (blob.c). */
		code = mdb_env_open(store->env, store->path, MDB_NOTLS | MDB_NORDAHEAD, 0600);
	return code == 0 ? mdb_reader_check(store->env, &dead) : code;
}

enum err environment_open(struct store *store, const char **why_out)
{
	char *data_path = path_join(store->path, "data.mdb");
	enum err err = ERR_OK;
	int fd = open(data_path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		struct stat status;
		if (fstat(fd, &status) != 0 || status.st_size > 0 || store->mode != STORE_CREATE) {
			err = redo_open(store, why_out);
			if (err == ERR_OK)
				err = file_check(fd, store->path, why_out);
		}
		close(fd);
	} else if (errno != ENOENT) {
		*why_out = why_format("the store in %s cannot be opened: %s", store->path,
				      strerror(errno));
		err = errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_DISK;
	} else if (store->mode != STORE_CREATE) {
		*why_out = why_format("there is no store in %s yet", store->path);
		err = ERR_NOT_FOUND;
	}
	free(data_path);
	if (err != ERR_OK)
		return err;

	int code = ENOMEM;
	for (size_t map = map_most_octets; code == ENOMEM && map >= map_least_octets; map /= 2)
		code = environment_map(store, map);
	MDB_stat stat;
	if (code == 0)
		code = mdb_env_stat(store->env, &stat);
	if (code == 0)
		store->page_octets = stat.ms_psize;
	err = code == 0 ? contents_open(store, why_out) : open_failure(store, code, why_out);
	if (err == ERR_OK)
		err = redo_attach(store, why_out);
	if (err != ERR_OK)
		environment_close(store);
	return err;
}

void environment_close(struct store *store)
{
	if (store->env)
		mdb_env_close(store->env);
	store->env = NULL;
}

static ino_t file_number(struct store *store)
{
	int fd;
	struct stat status;
	return store->env && mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &status) == 0
		       ? status.st_ino
		       : 0;
}

enum err environment_reopen(struct store *store, unsigned generation)
{
	enum { WAIT_SECONDS = 5 };
	enum err err = ERR_DISK;
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&store->lock);
	/* Readers go before: one that is inside may need another to finish. */
	int waited = 0;
	while (store->inside > 0 && waited == 0)
		waited = pthread_cond_timedwait(&store->left, &store->lock, &until);
	if (store->generation != generation) {
		err = store->env ? ERR_OK : ERR_DISK;
	} else if (store->inside == 0) {
		for (struct read *read = store->idle_reads; read; read = read->next) {
			mdb_txn_abort(read->txn);
			read->txn = NULL;
		}
		ino_t file = file_number(store);
		store->file = file ? file : store->file;
		environment_close(store);
		const char *why = "";
		err = environment_open(store, &why);
		/* What is in memory of the store, dictionaries above all, would be another's. */
		if (err == ERR_OK && store->file && file_number(store) != store->file) {
			why = why_format("the store in %s was replaced: start the server anew",
					 store->path);
			environment_close(store);
			err = ERR_DISK;
		}
		store->generation += err == ERR_OK;
		if (err == ERR_OK)
			log_warning(NULL, EVENT("store-opened-again"), CSTR("path", store->path));
		else
			log_error(NULL, EVENT("store-not-opened-again"), CSTR("why", why));
		if (!err_is_store_failure(err) && err != ERR_OK)
			err = ERR_DISK;
	}
	pthread_mutex_unlock(&store->lock);
	return err;
}
