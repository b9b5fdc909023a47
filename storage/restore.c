/* storage/restore.c - from a backup's folder back to a store. The store grows under another name
 * and gets its own when it is whole and on the disk, so that there is never half of one.
 * In the admin's process. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "storage/backup_priv.h"
#include "storage/redo_priv.h"

#define UNFINISHED "restoring"

/* ---- bodies ---- */

struct bodies {
	struct job job;
	struct backup_folder *folder;
	struct backup_index_in index;
	struct backup_blobs_in blobs;
	const struct backup_watcher *watcher;
	void (*damaged)(void *user, const struct backup_row *row);
	void *user;
	uint64_t octets_done;
	struct backup_counts *counts;
};

/* Some bodies in one transaction. Each is checked before any of it is put. */
static enum err bodies_run(struct write *write, struct job *job)
{
	struct bodies *bodies = CONTAINER_OF(job, struct bodies, job);
	struct backup_index_in *index = &bodies->index;
	uint64_t octets = 0;
	enum err err = ERR_OK;
	while (err == ERR_OK && index->has_row && octets < RESTORE_BATCH_OCTETS) {
		err = backup_blob_check(&bodies->blobs, &index->row);
		if (err == ERR_OK)
			err = backup_blob_put(&bodies->blobs, &index->row, write);
		if (err == ERR_OK) {
			bodies->counts->bodies++;
			bodies->counts->octets += index->row.octets;
		} else if (err == ERR_DAMAGED && bodies->folder->err == ERR_OK) {
			bodies->counts->bodies_damaged++;
			bodies->damaged(bodies->user, &index->row);
			err = ERR_OK;
		}
		octets += index->row.octets;
		backup_index_next(index);
	}
	bodies->octets_done += octets;
	return err == ERR_OK ? bodies->folder->err : err;
}

static enum err bodies_restore(struct bodies *bodies, struct store *store)
{
	char name[BACKUP_NAME_OCTETS];
	const struct backup_watcher *watcher = bodies->watcher;
	backup_name(BACKUP_INDEX, bodies->folder->manifest.run, name);
	enum err err = backup_index_open(&bodies->index, bodies->folder, name);
	if (err == ERR_NOT_FOUND)
		err = backup_fail(bodies->folder, ERR_DAMAGED, "%s/%s is missing",
				  bodies->folder->path, name);
	while (err == ERR_OK && bodies->index.has_row) {
		err = store_write_now(store, &bodies->job);
		if (watcher)
			watcher->progress(watcher->user, bodies->octets_done);
	}
	backup_in_close(&bodies->index.in);
	backup_blobs_close(&bodies->blobs);
	return err;
}

/* Syncing each batch would buy nothing: an unfinished store is thrown away. */
static enum err store_sync_lazily(struct store *store, bool lazily)
{
	int code = redo_set_rest(store, lazily);
	return code == 0 ? ERR_OK : environment_failure(store, code, "sync");
}

enum err backup_restore_into(struct backup_folder *folder, struct store *store,
			     const struct backup_watcher *watcher,
			     void (*damaged)(void *user, const struct backup_row *row), void *user,
			     struct backup_counts *counts)
{
	struct bodies bodies = { .job.run = bodies_run,
				 .folder = folder,
				 .blobs.folder = folder,
				 .watcher = watcher,
				 .damaged = damaged,
				 .user = user,
				 .counts = counts };
	enum err err = store_sync_lazily(store, true);
	if (err == ERR_OK)
		err = backup_state_restore(folder, store);
	if (err == ERR_OK)
		err = bodies_restore(&bodies, store);
	enum err synced = store_sync_lazily(store, false);
	if (err == ERR_OK)
		err = synced;
	if (err != ERR_OK && folder->err == ERR_OK)
		backup_fail(folder, err,
			    err == ERR_FULL ? "the store that is restored finds no room on its disk"
					    : "the store that is restored cannot be written (%s)",
			    err_word(err));
	return err;
}

/* ---- a whole store ---- */

struct restore_note {
	struct job job;
	struct backup_folder *folder;
};

/* The store that came back is the one that was proven: the next backup goes on from there. */
static enum err note_run(struct write *write, struct job *job)
{
	struct backup_folder *folder = CONTAINER_OF(job, struct restore_note, job)->folder;
	const struct backup_manifest *m = &folder->manifest;
	struct backup_record record = {
		.proven_unix = m->made_unix,
		.snapshot = m->snapshot,
		.messages = m->messages,
		.path = slice_cstr(folder->path),
	};
	return backup_record_put(write, folder->id, &record);
}

static void on_damaged(void *user, const struct backup_row *row)
{
	(void)user;
	log_error(NULL, EVENT("backup-body-damaged"), HEX("msg", row->blob_id),
		  NUM("segment", row->segment));
}

void backup_remove_unfinished(const char *state_dir)
{
	static const char *const names[] = {
		"store/redo.log", "store/new/data.mdb", "store/new/lock.mdb",
		"store/new",	  "store/data.mdb",	"store/lock.mdb",
		"store"
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *name = path_join(state_dir, names[i]);
		remove(name);
		free(name);
	}
}

static void unfinished_remove(const char *path)
{
	backup_remove_unfinished(path);
	rmdir(path);
}

bool backup_store_is_there(const char *state_dir)
{
	char *path = path_join(state_dir, "store");
	DIR *dir = opendir(path);
	struct dirent *entry;
	/* What is no folder, or cannot be looked into, is in the way as well. */
	bool there = !dir && errno != ENOENT;
	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			there = true;
	if (dir)
		closedir(dir);
	free(path);
	return there;
}

static enum err unfinished_make(struct backup_folder *folder, const char *state_dir,
				const char *unfinished)
{
	struct stat status;
	if (backup_store_is_there(state_dir))
		return backup_fail(folder, ERR_EXISTS,
				   "there is a store in %s already, and a backup is restored only "
				   "where none is; move %s/store away first",
				   state_dir, state_dir);
	unfinished_remove(unfinished);
	/* As root: for whom the state directory belongs to, like everything below it. */
	if (mkdir(unfinished, 0700) != 0 || stat(state_dir, &status) != 0 ||
	    (geteuid() == 0 && lchown(unfinished, status.st_uid, status.st_gid) != 0))
		return backup_fail(folder, errno == ENOSPC ? ERR_FULL : ERR_DENIED,
				   "%s cannot be made: %s", unfinished, strerror(errno));
	return ERR_OK;
}

/* The new name is on the disk when both folders are. */
static enum err unfinished_settle(struct backup_folder *folder, const char *state_dir,
				  const char *unfinished)
{
	char *from = path_join(unfinished, "store"), *to = path_join(state_dir, "store");
	int from_fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from_fd < 0 || dir_fd < 0 || fsync(from_fd) != 0 || rename(from, to) != 0 ||
	    fsync(dir_fd) != 0)
		backup_fail(folder, ERR_DISK, "%s cannot become %s: %s", from, to, strerror(errno));
	if (from_fd >= 0)
		close(from_fd);
	if (dir_fd >= 0)
		close(dir_fd);
	free(from);
	free(to);
	return folder->err;
}

enum err backup_restore(struct backup_folder *folder, const char *state_dir, bool despite_damage,
			const struct backup_watcher *watcher, struct backup_counts *counts_out,
			const char **why_out)
{
	char *unfinished = path_join(state_dir, UNFINISHED);
	struct store *store = NULL;
	const char *why = NULL;
	const struct backup_manifest *m = &folder->manifest;
	*counts_out = (struct backup_counts){ .users = m->users, .messages = m->messages };
	enum err err = unfinished_make(folder, state_dir, unfinished);
	bool is_ours = err == ERR_OK;
	if (err == ERR_OK && (err = store_open(unfinished, STORE_CREATE, &store, &why)) != ERR_OK)
		backup_fail(folder, err, "%s", why);
	if (err == ERR_OK && watcher)
		watcher->phase(watcher->user, BACKUP_RESTORE, m->octets);
	if (err == ERR_OK)
		err = backup_restore_into(folder, store, watcher, on_damaged, NULL, counts_out);
	if (err == ERR_OK && counts_out->bodies_damaged > 0 && !despite_damage)
		err = backup_fail(folder, ERR_DAMAGED,
				  "%llu of %llu messages in %s are damaged; \"bode restore "
				  "--previous\" takes the state before, \"bode restore "
				  "--despite-damage\" all other messages of this one",
				  (unsigned long long)counts_out->bodies_damaged,
				  (unsigned long long)m->bodies, folder->path);
	if (err == ERR_OK) {
		struct restore_note note = { .job.run = note_run, .folder = folder };
		if ((err = store_write_now(store, &note.job)) != ERR_OK)
			backup_fail(folder, err, "the restored store cannot be written (%s)",
				    err_word(err));
	}
	store_close(&store);
	/* What an older Bode backed up becomes this one's before anybody sees it. */
	if (err == ERR_OK && (err = store_open(unfinished, STORE_CREATE, &store, &why)) != ERR_OK)
		backup_fail(folder, err, "%s", why);
	if (err == ERR_OK && (err = backup_resume(store)) != ERR_OK)
		backup_fail(folder, err, "the restored store cannot be written (%s)",
			    err_word(err));
	store_close(&store);
	if (err == ERR_OK)
		unfinished_settle(folder, state_dir, unfinished);
	if (is_ours)
		unfinished_remove(unfinished);
	free(unfinished);
	return backup_end(folder, why_out);
}
