/* tests/unit/storage/backup_scene.h - a store and the folder of its backup: a run, what comes back of it,
 * and damage to its files. */
#pragma once

#include "tests/unit/storage/bed.h"

#include <dirent.h>
#include <fcntl.h>

#include "storage/backup.h"

/* A store and a folder. */
struct scene {
	struct bed bed;
	char folder[FOLDER_PATH_OCTETS], scratch[FOLDER_PATH_OCTETS + 16];
};

static inline void scene_begin(struct scene *scene)
{
	bed_begin(&scene->bed, STORE_CREATE);
	folder_make(scene->folder, "backup");
	folder_make(scene->scratch, "backup");
}

static inline void scene_end(struct scene *scene)
{
	bed_end(&scene->bed);
	folder_remove(scene->folder);
	folder_remove(scene->scratch);
}

static const struct backup_file files[] = {
	{ { (const uint8_t *)"config:/etc/x", 13 }, { (const uint8_t *)"[server]\n", 9 }, 0640 },
	{ { (const uint8_t *)"state:key.pem", 13 }, { (const uint8_t *)"secret", 6 }, 0600 },
};

static inline enum err try_backup(struct scene *scene, uint64_t segment_octets,
				  struct backup_counts *counts, const char **why)
{
	struct backup_folder *folder = NULL;
	int fd = open(scene->folder, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	struct backup_order order = { .files = files,
				      .file_count = ARRAY_LEN(files),
				      .scratch_dir = scene->scratch,
				      .segment_octets = segment_octets };
	enum err err = backup_folder_open(fd, scene->folder, true, &folder, why);
	if (err == ERR_OK)
		err = backup_run(folder, scene->bed.store, &order, counts, why);
	backup_folder_close(&folder);
	close(fd);
	return err;
}

static inline struct backup_counts backup(struct scene *scene)
{
	struct backup_counts counts = { 0 };
	const char *why = NULL;
	if (try_backup(scene, 0, &counts, &why) != ERR_OK)
		fail_msg("%s", why);
	assert_null(why);
	assert_true(counts.noted);
	return counts;
}

struct file_list {
	unsigned count;
	bool same;
};

static inline void check_file(void *user, const struct backup_file *file)
{
	struct file_list *list = user;
	const struct backup_file *want = &files[list->count++ % ARRAY_LEN(files)];
	list->same = list->same && slice_eq(file->path, want->path) &&
		     slice_eq(file->content, want->content) && file->mode == want->mode;
}

/* Into a new state directory. */
static inline enum err try_restore(const char *path, const char *state_dir, bool previous,
				   bool despite, struct backup_counts *counts, const char **why)
{
	struct backup_folder *folder = NULL;
	struct backup_facts facts;
	struct file_list list = { .same = true };
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	enum err err = backup_folder_open(fd, path, false, &folder, why);
	if (err == ERR_OK)
		err = backup_folder_choose(folder, previous, &facts, why);
	if (err == ERR_OK)
		err = backup_files(folder, check_file, &list, why);
	if (err == ERR_OK) {
		assert_true(list.same);
		assert_int_equal(list.count, ARRAY_LEN(files));
		err = backup_restore(folder, state_dir, despite, NULL, counts, why);
	}
	backup_folder_close(&folder);
	close(fd);
	return err;
}

/* What a restore leaves as it was: not the numbers by which a store goes on. */
static inline void add_row(struct buffer *out, enum database db, const struct row *row)
{
	struct mailbox_record mailbox;
	struct account_row account;
	if (db == DB_MAILBOX && row->key.len > 8 &&
	    (row->key.ptr[8] == ROW_CHANGE || row->key.ptr[8] == ROW_GAPS))
		return;
	buffer_add_block(out, row->key);
	if (db == DB_MAILBOX && row->key.len == 9 && row->key.ptr[8] == ROW_RECORD &&
	    mailbox_decode(row->value, get_be64(row->key.ptr), &mailbox)) {
		mailbox.mailbox.uidnext = 1;
		mailbox.mailbox.highest_modseq = mailbox.mailbox.pruned_modseq = 0;
		mailbox.log_rows = 0;
		mailbox.log_octets = 0;
		mailbox_encode(&mailbox, out);
	} else if (db == DB_ACCOUNT && row->key.len == 4 &&
		   account_decode(row->value, get_be32(row->key.ptr), &account)) {
		account.account.modseq = 0;
		account_encode(&account, out);
	} else {
		buffer_add_block(out, row->value);
	}
}

/* All that a store holds, as one number: rows and bodies, but what differs from file to file. */
static inline uint64_t store_sum(struct store *store, uint64_t *messages_out)
{
	static const enum database databases[] = { DB_DOMAIN,	    DB_ACCOUNT,	  DB_ADDRESS,
						   DB_MAILBOX_NAME, DB_MAILBOX,	  DB_BLOB,
						   DB_DIGEST,	    DB_REFERENCE, DB_GARBAGE,
						   DB_EXPUNGED,	    DB_QUEUE,	  DB_SUBMISSION,
						   DB_ANNOTATION,   DB_ACL,	  DB_REMOTE };
	struct buffer all = { 0 };
	struct read *read = read_begin(store);
	struct row row;
	*messages_out = 0;
	for (size_t i = 0; i < ARRAY_LEN(databases); i++) {
		row_open(&row, read, databases[i]);
		for (bool more = row_seek(&row, slice_of("", 1)); more; more = row_next(&row)) {
			add_row(&all, databases[i], &row);
			*messages_out += databases[i] == DB_MAILBOX && row.key.len == 13 &&
					 row.key.ptr[8] == ROW_ENTRY;
		}
		row_close(&row);
	}
	read_end(&read);
	uint64_t value = 14695981039346656037u;
	for (size_t i = 0; i < all.len; i++)
		value = (value ^ all.data[i]) * 1099511628211u;
	buffer_free(&all);
	return value;
}

static inline uint64_t bed_sum(struct bed *bed)
{
	uint64_t messages;
	return store_sum(bed->store, &messages);
}

/* Restores and returns what came back; the store opens as a server opens it. */
static inline uint64_t restored_sum(struct scene *scene, bool previous)
{
	char state_dir[64];
	struct backup_counts counts = { 0 };
	const char *why;
	struct store *store = NULL;
	uint64_t messages = 0;
	folder_make(state_dir, "backup");
	if (try_restore(scene->folder, state_dir, previous, false, &counts, &why) != ERR_OK)
		fail_msg("%s", why);
	if (store_open(state_dir, STORE_SERVE, &store, &why) != ERR_OK)
		fail_msg("%s", why);
	uint64_t sum = store_sum(store, &messages);
	assert_int_equal(messages, counts.messages);
	assert_int_equal(counts.bodies_damaged, 0);
	store_close(&store);
	folder_remove(state_dir);
	return sum;
}

static inline void append(struct bed *bed, unsigned seed, size_t octets)
{
	struct buffer text = { 0 };
	bed_text(&text, seed, octets);
	struct bed_append job = { .mailbox_id = bed->inbox_id, .text = buffer_slice(&text) };
	job.entry.internal_unix = 1600000000 + seed;
	assert_int_equal(bed_append(bed, &job), ERR_OK);
	buffer_free(&text);
}

static inline uint64_t folder_octets(const char *path, unsigned *count_out)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	struct stat status;
	uint64_t octets = 0;
	*count_out = 0;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    fstatat(dirfd(dir), entry->d_name, &status, 0) == 0) {
			octets += (uint64_t)status.st_size;
			(*count_out)++;
			assert_int_equal(status.st_mode & 077, 0);
		}
	closedir(dir);
	return octets;
}

/* Changes one octet; `name` is the beginning of a file's name. */
static inline void flip(struct scene *scene, const char *name, size_t from_end)
{
	DIR *dir = opendir(scene->folder);
	struct dirent *entry;
	unsigned found = 0;
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, name, strlen(name)) == 0) {
			uint8_t octet;
			int fd = openat(dirfd(dir), entry->d_name, O_RDWR);
			off_t at = lseek(fd, 0, SEEK_END) - (off_t)from_end;
			assert_int_equal(pread(fd, &octet, 1, at), 1);
			octet ^= 0x10;
			assert_int_equal(pwrite(fd, &octet, 1, at), 1);
			close(fd);
			found++;
		}
	closedir(dir);
	assert_true(found > 0);
}
