/* storage/store.c - the store as a whole: its folder, its lock, opening and closing.
 * Runs in the back, and in the admin's process. */
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/heap.h"
#include "storage/compress_priv.h"
#include "storage/dictionary_priv.h"
#include "storage/garbage_priv.h"
#include "storage/journal_priv.h"
#include "storage/redo_priv.h"
#include "storage/store_priv.h"
#include "storage/writer_priv.h"

char *path_join(const char *folder, const char *name)
{
	char *path = heap_alloc(strlen(folder) + 1 + strlen(name) + 1);
	sprintf(path, "%s/%s", folder, name);
	return path;
}

static enum err errno_failure(const char *path, const char *doing, const char **why_out)
{
	enum err err = errno == EACCES || errno == EPERM || errno == EROFS ? ERR_DENIED
		       : errno == ENOSPC || errno == EDQUOT		   ? ERR_FULL
									   : ERR_DISK;
	*why_out = why_format("%s cannot be %s: %s", path, doing, strerror(errno));
	return err;
}

/* A name is on the disk only when its folder is. */
static void folder_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

/* What root makes belongs to whom the state directory belongs to: the server's user. */
static void give_to_owner(const char *state_dir, const char *path)
{
	struct stat status;
	if (geteuid() == 0 && stat(state_dir, &status) == 0 &&
	    lchown(path, status.st_uid, status.st_gid) != 0)
		log_warning(NULL, EVENT("chown-failed"), CSTR("path", path), ERRNO(errno));
}

static enum err folder_create(struct store *store, const char *state_dir, const char **why_out)
{
	if (mkdir(store->path, 0700) == 0) {
		give_to_owner(state_dir, store->path);
		folder_sync(state_dir);
	} else if (errno != EEXIST) {
		return errno_failure(store->path, "made", why_out);
	}
	return ERR_OK;
}

/* One server at a time. The lock goes with the process, however that ends. */
static enum err serve_lock(struct store *store, const char **why_out)
{
	char *path = path_join(store->path, "serving");
	enum err err = ERR_OK;
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0) {
		err = errno_failure(path, "opened", why_out);
	} else if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		err = errno == EWOULDBLOCK ? ERR_BUSY : ERR_DISK;
		*why_out = why_format("another server is serving the store in %s", store->path);
	}
	free(path);
	return err;
}

/* Nothing may be made in a folder whose contents are refused afterwards. */
static void remove_if_new(const char *path, bool was_there)
{
	if (!was_there)
		unlink(path);
}

/* A new store is made in a folder of its own and gets its name when it is whole and on the disk.
 * What a loss of power leaves of it before is in nobody's way. */
static enum err data_create_aside(struct store *store, const char *data, const char **why_out)
{
	char *path = store->path, *aside = path_join(path, "new");
	char *new_data = path_join(aside, "data.mdb"), *new_lock = path_join(aside, "lock.mdb");
	enum err err = ERR_OK;
	unlink(new_data);
	unlink(new_lock);
	if (mkdir(aside, 0700) != 0 && errno != EEXIST)
		err = errno_failure(aside, "made", why_out);
	if (err == ERR_OK) {
		store->path = aside;
		err = environment_open(store, why_out);
		environment_close(store);
		store->path = path;
	}
	if (err == ERR_OK && rename(new_data, data) != 0)
		err = errno_failure(data, "made", why_out);
	unlink(new_data);
	unlink(new_lock);
	rmdir(aside);
	free(new_lock);
	free(new_data);
	free(aside);
	return err;
}

/* By one process at a time; who comes second finds it there. */
static enum err data_create(struct store *store, const char *data, const char **why_out)
{
	enum err err = ERR_OK;
	int fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) != 0)
		err = errno_failure(store->path, "opened", why_out);
	else if (access(data, F_OK) != 0)
		err = data_create_aside(store, data, why_out);
	if (fd >= 0)
		close(fd);
	return err;
}

/* Over a network neither locks nor what is mapped can be relied on: two machines would write into
 * each other's pages. (The numbers are statfs(2)'s.) */
static enum err file_system_check(const char *state_dir, const char **why_out)
{
	static const struct {
		uint32_t type;
		const char *name;
	} remote[] = {
		{ 0x6969, "NFS" },	{ 0x517b, "SMB" },     { 0xff534d42, "CIFS" },
		{ 0xfe534d42, "SMB" },	{ 0x5346414f, "AFS" }, { 0x73757245, "Coda" },
		{ 0x00c36400, "Ceph" }, { 0x01021997, "9p" },
	};
	struct statfs status;
	if (statfs(state_dir, &status) != 0)
		return ERR_OK; /* what is wrong with it is said by the opening */
	for (size_t i = 0; i < ARRAY_LEN(remote); i++)
		if ((uint32_t)status.f_type == remote[i].type) {
			*why_out = why_format(
				"%s lies on a network file system (%s), where a store is not safe: "
				"set state_dir to a folder on a disk of this machine",
				state_dir, remote[i].name);
			return ERR_DISK;
		}
	return ERR_OK;
}

static enum err open_checked(struct store *store, const char *state_dir, const char **why_out)
{
	enum err err = file_system_check(state_dir, why_out);
	if (err != ERR_OK)
		return err;
	if (store->mode == STORE_CREATE &&
	    (err = folder_create(store, state_dir, why_out)) != ERR_OK)
		return err;
	char *data = path_join(store->path, "data.mdb");
	char *lock = path_join(store->path, "lock.mdb");
	bool data_was_there = access(data, F_OK) == 0;
	bool lock_was_there = access(lock, F_OK) == 0;
	if (store->mode == STORE_CREATE && !data_was_there)
		err = data_create(store, data, why_out);
	if (err == ERR_OK)
		err = environment_open(store, why_out);
	if (err != ERR_OK) {
		remove_if_new(lock, lock_was_there);
	} else {
		if (!lock_was_there)
			give_to_owner(state_dir, lock);
		if (!data_was_there) {
			give_to_owner(state_dir, data);
			folder_sync(store->path);
		}
	}
	if (err == ERR_OK && store->mode == STORE_SERVE)
		err = serve_lock(store, why_out);
	free(data);
	free(lock);
	return err;
}

enum err store_open(const char *state_dir, enum store_mode mode, struct store **store_out,
		    const char **why_out)
{
	pthread_condattr_t monotonic;
	struct store *store = heap_alloc(sizeof(*store));
	store->mode = mode;
	store->lock_fd = -1;
	store->path = path_join(state_dir, "store");
	store->reserve_octets = STORE_RESERVE_OCTETS;
	store->slow_ms = STORE_SLOW_MS;
	store->garbage_delay_seconds = GARBAGE_DELAY_SECONDS;
	pthread_mutex_init(&store->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&store->left, &monotonic);
	pthread_condattr_destroy(&monotonic);

	store->watches = watch_table_new();
	store->journal = journal_new();
	store->dictionaries = dictionaries_new();

	*store_out = NULL;
	enum err err = open_checked(store, state_dir, why_out);
	/* A sweep that fails for want of room waits until the next start. */
	if (err == ERR_OK && mode == STORE_SERVE && pending_sweep(store) != ERR_OK)
		log_warning(NULL, EVENT("sweep-failed"), CSTR("path", store->path));
	if (err == ERR_OK) {
		struct read *read = read_begin(store);
		dictionary_look(read);
		read_end(&read);
		*store_out = store;
		*why_out = NULL;
	} else {
		/* The admin's tool prints the sentence itself, and nothing else. */
		if (mode == STORE_SERVE)
			log_error(NULL, EVENT("store-refused"), WORD("outcome", err_word(err)),
				  CSTR("why", *why_out));
		store_close(&store);
	}
	return err;
}

static enum err settle_run(struct write *write, struct job *job)
{
	write_touch(write);
	return ERR_OK;
}

static off_t file_octets(struct store *store)
{
	int fd;
	struct stat status;
	return mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &status) == 0 ? status.st_size : 0;
}

/* Each commit writes down how long the file was before it. One that does not make it longer
 * makes that exact, so that a file cut short is recognised, whatever is cut. */
static void settle(struct store *store)
{
	enum { COMMITS_MAX = 5 };
	struct job job = { .run = settle_run };
	off_t before = -1;
	if (!store->wrote || !store->env)
		return;
	for (int i = 0; i < COMMITS_MAX && before != file_octets(store); i++) {
		before = file_octets(store);
		if (store_write_now(store, &job) != ERR_OK) {
			log_warning(NULL, EVENT("store-not-settled"), CSTR("path", store->path));
			return;
		}
	}
}

void store_close(struct store **store_at)
{
	struct store *store = *store_at;
	if (!store)
		return;
	*store_at = NULL;
	dictionary_maker_stop(store);
	writer_stop(store);
	dictionary_maker_free(store);
	if (store->mode == STORE_SERVE && store->jobs > 0)
		log_info(NULL, EVENT("writer-stopped"), NUM("jobs", store->jobs),
			 NUM("batches", store->batches), NUM("failed", store->failed_batches));
	journal_finish(store);
	settle(store);
	while (store->idle_reads) {
		struct read *read = store->idle_reads;
		store->idle_reads = read->next;
		mdb_txn_abort(read->txn);
		read_scratch_free(read);
		free(read);
	}
	redo_close(store);
	environment_close(store);
	compressors_free(store);
	dictionaries_free(&store->dictionaries);
	watch_table_free(&store->watches);
	journal_free(&store->journal);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_mutex_destroy(&store->lock);
	pthread_cond_destroy(&store->left);
	free(store->path);
	free(store);
}

void store_counters(struct store *store, struct store_counters *counters_out)
{
	*counters_out = (struct store_counters){
		.jobs = store->jobs,
		.batches = store->batches,
		.failed_batches = store->failed_batches,
		.slow = store->slow,
	};
}
