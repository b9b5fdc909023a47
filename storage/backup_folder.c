/* storage/backup_folder.c - the folder of a backup: whether it is one, its lock, its manifests,
 * and what in it nothing refers to any more. In the admin's process. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/random.h"
#include "storage/backup_priv.h"

#define MARKER "bode-backup"
#define MARKER_NEW "bode-backup.new"
#define MANIFEST_NEW "manifest.new"
#define PREVIOUS_NEW "previous.new"

enum { TEXT_MAX_OCTETS = 4096 };

enum err backup_end(struct backup_folder *folder, const char **why_out)
{
	*why_out = folder->err == ERR_OK ? NULL : why_format("%s", folder->why);
	return folder->err;
}

/* ---- small text files: lines "word value", the last one their checksum ---- */

/* The value of a line, or an empty slice. */
static struct slice text_value(struct slice text, const char *word)
{
	struct cursor c = cursor_of(text);
	struct slice line, name = slice_cstr(word);
	while (take_until_byte(&c, '\n', &line)) {
		take_byte(&c, '\n');
		if (line.len > name.len && line.ptr[name.len] == ' ' &&
		    memcmp(line.ptr, name.ptr, name.len) == 0)
			return slice_sub(line, name.len + 1, line.len);
	}
	return SLICE_NONE;
}

static bool text_number(struct slice text, const char *word, uint64_t max, uint64_t *number_out)
{
	*number_out = 0;
	return slice_to_u64(text_value(text, word), max, number_out);
}

static enum err text_write(struct backup_folder *folder, const char *new_name, const char *name,
			   struct buffer *text)
{
	struct backup_out out = { .folder = folder };
	buffer_add_format(text, "checksum %llu\n",
			  (unsigned long long)checksum_of(buffer_slice(text)));
	/* The first octets of the text stand for the magic. */
	backup_out_open(&out, folder, new_name, (const char *)text->data);
	backup_out_add(&out, slice_sub(buffer_slice(text), BACKUP_MAGIC_OCTETS, text->len));
	backup_out_sync(&out);
	backup_out_close(&out);
	if (folder->err == ERR_OK && renameat(folder->fd, new_name, folder->fd, name) != 0)
		backup_fail_errno(folder, new_name, "renamed");
	backup_folder_sync(folder);
	return folder->err;
}

/* ERR_NOT_FOUND is no failure of the folder. */
static enum err text_read(struct backup_folder *folder, const char *name, struct buffer *text)
{
	int fd = openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : backup_fail_errno(folder, name, "opened");
	ssize_t got = read(fd, buffer_reserve(text, TEXT_MAX_OCTETS), TEXT_MAX_OCTETS);
	if (got < 0)
		backup_fail_errno(folder, name, "read");
	else
		text->len = (size_t)got;
	close(fd);
	return folder->err;
}

static bool text_is_whole(struct slice text)
{
	struct slice last =
		slice_sub(text, slice_find(text, 0, SLICE("\nchecksum ")) + 1, text.len);
	uint64_t sum;
	return text_number(last, "checksum", UINT64_MAX, &sum) &&
	       sum == checksum_of(slice_sub(text, 0, text.len - last.len));
}

/* What to do about it. */
static enum err text_damaged(struct backup_folder *folder, const char *name)
{
	bool is_state = strcmp(name, BACKUP_MANIFEST) == 0;
	return backup_fail(folder, ERR_DAMAGED, "%s/%s is damaged%s", folder->path, name,
			   is_state ? "; \"bode restore --previous\" takes the state before, "
				      "\"bode backup\" makes a new one"
				    : "");
}

/* The head line and version. What a newer Bode wrote is not looked into. */
static enum err text_check(struct backup_folder *folder, const char *name, const char *head,
			   struct slice text)
{
	uint64_t version;
	struct slice first = slice_cstr(head);
	if (text.len < first.len || memcmp(text.ptr, first.ptr, first.len) != 0 ||
	    !text_number(text, "version", UINT32_MAX, &version))
		return text_damaged(folder, name);
	if (version > BACKUP_VERSION)
		return backup_fail(folder, ERR_VERSION,
				   "%s holds a backup by a newer Bode (version %u, this one knows "
				   "%d); use that one, or a still newer",
				   folder->path, (unsigned)version, BACKUP_VERSION);
	if (!text_is_whole(text))
		return text_damaged(folder, name);
	return ERR_OK;
}

/* ---- opening ---- */

static enum err marker_write(struct backup_folder *folder)
{
	struct buffer text = { 0 };
	folder->id = random_u64();
	buffer_add_format(&text,
			  "Bode backup\n"
			  "version %d\n"
			  "folder %llu\n",
			  BACKUP_VERSION, (unsigned long long)folder->id);
	enum err err = text_write(folder, MARKER_NEW, MARKER, &text);
	buffer_free(&text);
	return err;
}

static enum err marker_read(struct backup_folder *folder)
{
	struct buffer text = { 0 };
	enum err err = text_read(folder, MARKER, &text);
	if (err == ERR_OK)
		err = text_check(folder, MARKER, "Bode backup\n", buffer_slice(&text));
	if (err == ERR_OK && !text_number(buffer_slice(&text), "folder", UINT64_MAX, &folder->id))
		err = text_damaged(folder, MARKER);
	buffer_free(&text);
	return err;
}

/* A file system's own folder, and what a first run left that was killed at once, do not count. */
static bool folder_is_empty(struct backup_folder *folder)
{
	int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool empty = true;
	if (!dir) {
		backup_fail_errno(folder, ".", "read");
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, "lost+found") != 0 &&
		    strcmp(entry->d_name, MARKER_NEW) != 0)
			empty = false;
	closedir(dir);
	return empty;
}

static enum err folder_lock(struct backup_folder *folder)
{
	folder->lock_fd = openat(folder->fd, MARKER, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (folder->lock_fd < 0)
		return backup_fail_errno(folder, MARKER, "opened");
	if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK
			       ? backup_fail(folder, ERR_BUSY,
					     "another backup or restore is at work in %s; let it "
					     "finish",
					     folder->path)
			       : backup_fail_errno(folder, MARKER, "locked");
	return ERR_OK;
}

enum err backup_folder_open(int fd, const char *path, bool create,
			    struct backup_folder **folder_out, const char **why_out)
{
	struct backup_folder *folder = heap_alloc(sizeof(*folder));
	folder->fd = fd;
	folder->lock_fd = -1;
	snprintf(folder->path, sizeof(folder->path), "%s", path);
	*folder_out = NULL;
	enum err err = marker_read(folder);
	if (err == ERR_NOT_FOUND) {
		bool empty = folder_is_empty(folder);
		if (empty && create)
			err = marker_write(folder);
		else if (empty)
			err = backup_fail(folder, ERR_BAD_INPUT, "%s is empty: there is no backup",
					  folder->path);
		else
			err = backup_fail(folder, ERR_BAD_INPUT,
					  "%s is no backup of Bode and not empty; name an empty "
					  "folder, or one that \"bode backup\" has filled",
					  folder->path);
	}
	if (err == ERR_OK)
		err = folder_lock(folder);
	backup_end(folder, why_out);
	if (err == ERR_OK)
		*folder_out = folder;
	else
		backup_folder_close(&folder);
	return err;
}

void backup_folder_close(struct backup_folder **folder_at)
{
	struct backup_folder *folder = *folder_at;
	if (!folder)
		return;
	*folder_at = NULL;
	if (folder->lock_fd >= 0)
		close(folder->lock_fd);
	free(folder);
}

/* ---- manifests ---- */

static void manifest_text(const struct backup_manifest *m, struct buffer *text)
{
	const struct {
		const char *word;
		uint64_t number;
	} lines[] = {
		{ "folder", m->folder },
		{ "run", m->run },
		{ "snapshot", m->snapshot },
		{ "made", (uint64_t)m->made_unix },
		{ "store-format", m->store_format },
		{ "store-created", m->store_created_unix },
		{ "users", m->users },
		{ "messages", m->messages },
		{ "bodies", m->bodies },
		{ "octets", m->octets },
	};
	buffer_add_format(text, "Bode backup's state\nversion %d\n", BACKUP_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		buffer_add_format(text, "%s %llu\n", lines[i].word,
				  (unsigned long long)lines[i].number);
}

static bool manifest_parse(struct slice text, struct backup_manifest *m)
{
	uint64_t run, made, format;
	bool good = text_number(text, "folder", UINT64_MAX, &m->folder) &&
		    text_number(text, "run", UINT32_MAX, &run) &&
		    text_number(text, "snapshot", UINT64_MAX, &m->snapshot) &&
		    text_number(text, "made", INT64_MAX, &made) &&
		    text_number(text, "store-format", UINT32_MAX, &format) &&
		    text_number(text, "store-created", UINT64_MAX, &m->store_created_unix) &&
		    text_number(text, "users", UINT64_MAX, &m->users) &&
		    text_number(text, "messages", UINT64_MAX, &m->messages) &&
		    text_number(text, "bodies", UINT64_MAX, &m->bodies) &&
		    text_number(text, "octets", UINT64_MAX, &m->octets);
	if (good) {
		m->run = (uint32_t)run;
		m->made_unix = (int64_t)made;
		m->store_format = (uint32_t)format;
	}
	return good;
}

enum err backup_manifest_read(struct backup_folder *folder, const char *name,
			      struct backup_manifest *manifest_out)
{
	struct buffer text = { 0 };
	enum err err = text_read(folder, name, &text);
	if (err == ERR_OK)
		err = text_check(folder, name, "Bode backup's state\n", buffer_slice(&text));
	if (err == ERR_OK && (!manifest_parse(buffer_slice(&text), manifest_out) ||
			      manifest_out->folder != folder->id))
		err = text_damaged(folder, name);
	if (err == ERR_OK && manifest_out->store_format > STORE_FORMAT)
		err = backup_fail(
			folder, ERR_VERSION,
			"the backup in %s is of a store by a newer Bode (version %u, this "
			"one knows %d); use that one, or a still newer",
			folder->path, manifest_out->store_format, STORE_FORMAT);
	buffer_free(&text);
	return err;
}

enum err backup_manifest_commit(struct backup_folder *folder,
				const struct backup_manifest *manifest)
{
	struct buffer text = { 0 };
	if (folder->has_manifest) {
		manifest_text(&folder->manifest, &text);
		(void)text_write(folder, PREVIOUS_NEW, BACKUP_PREVIOUS, &text);
		buffer_clear(&text);
	}
	manifest_text(manifest, &text);
	enum err err = text_write(folder, MANIFEST_NEW, BACKUP_MANIFEST, &text);
	buffer_free(&text);
	if (err == ERR_OK) {
		folder->manifest = *manifest;
		folder->has_manifest = true;
	}
	return err;
}

enum err backup_folder_choose(struct backup_folder *folder, bool previous,
			      struct backup_facts *facts_out, const char **why_out)
{
	const char *name = previous ? BACKUP_PREVIOUS : BACKUP_MANIFEST;
	enum err err = backup_manifest_read(folder, name, &folder->manifest);
	const struct backup_manifest *m = &folder->manifest;
	if (err == ERR_NOT_FOUND)
		err = backup_fail(folder, ERR_NOT_FOUND,
				  previous ? "there is no state in %s but the current one"
					   : "no backup into %s was ever finished",
				  folder->path);
	folder->has_manifest = err == ERR_OK;
	if (err == ERR_OK)
		*facts_out = (struct backup_facts){
			.made_unix = m->made_unix,
			.counts = { .users = m->users,
				    .messages = m->messages,
				    .bodies = m->bodies,
				    .octets = m->octets },
		};
	return backup_end(folder, why_out);
}

/* ---- names, and what goes ---- */

static const char *const kind_words[] = { "state", "index", "blobs" };

void backup_name(enum backup_kind kind, uint32_t number, char out[BACKUP_NAME_OCTETS])
{
	snprintf(out, BACKUP_NAME_OCTETS, "%s-%u", kind_words[kind], number);
}

static bool name_parse(const char *name, enum backup_kind *kind_out, uint32_t *number_out)
{
	for (size_t i = 0; i < ARRAY_LEN(kind_words); i++) {
		size_t len = strlen(kind_words[i]);
		uint64_t number;
		if (strncmp(name, kind_words[i], len) == 0 && name[len] == '-' &&
		    slice_to_u64(slice_cstr(name + len + 1), UINT32_MAX - 1, &number)) {
			*kind_out = (enum backup_kind)i;
			*number_out = (uint32_t)number;
			return true;
		}
	}
	return false;
}

/* All files of ours that bear a number. */
static void folder_walk(struct backup_folder *folder,
			void (*visit)(void *user, const char *name, enum backup_kind kind,
				      uint32_t number),
			void *user)
{
	int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	if (!dir) {
		backup_fail_errno(folder, ".", "read");
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		enum backup_kind kind;
		uint32_t number;
		if (name_parse(entry->d_name, &kind, &number))
			visit(user, entry->d_name, kind, number);
	}
	closedir(dir);
}

static void visit_number(void *user, const char *name, enum backup_kind kind, uint32_t number)
{
	uint32_t *next = user;
	(void)name, (void)kind;
	if (number >= *next)
		*next = number + 1;
}

uint32_t backup_next_number(struct backup_folder *folder)
{
	uint32_t next = 1;
	folder_walk(folder, visit_number, &next);
	return next;
}

/* Numbers that are needed, one bit each, of segments; of runs there are at most two. */
struct needed {
	struct backup_folder *folder;
	uint8_t *segments;
	uint32_t cap;
	uint32_t runs[2];
};

static bool need_index(struct needed *needed, const char *name)
{
	struct backup_index_in index;
	enum err err = backup_index_open(&index, needed->folder, name);
	for (; err == ERR_OK && index.has_row; backup_index_next(&index)) {
		uint32_t segment = index.row.segment;
		if (segment / 8 >= needed->cap) {
			uint32_t cap = segment / 8 + 64;
			needed->segments = heap_resize(needed->segments, cap);
			memset(needed->segments + needed->cap, 0, cap - needed->cap);
			needed->cap = cap;
		}
		needed->segments[segment / 8] |= (uint8_t)(1 << segment % 8);
	}
	backup_in_close(&index.in);
	return err == ERR_OK && needed->folder->err == ERR_OK;
}

static void visit_unneeded(void *user, const char *name, enum backup_kind kind, uint32_t number)
{
	struct needed *needed = user;
	bool keep = kind == BACKUP_BLOBS ? number / 8 < needed->cap &&
						   (needed->segments[number / 8] & 1 << number % 8)
					 : number == needed->runs[0] || number == needed->runs[1];
	if (!keep)
		unlinkat(needed->folder->fd, name, 0);
}

/* Where anything about what is needed is not certain, nothing goes. */
void backup_prune(struct backup_folder *folder, bool keep_held)
{
	struct needed needed = { .folder = folder };
	struct backup_manifest previous;
	char name[BACKUP_NAME_OCTETS];
	bool good = folder->err == ERR_OK;
	if (good && folder->has_manifest) {
		needed.runs[0] = folder->manifest.run;
		backup_name(BACKUP_INDEX, needed.runs[0], name);
		good = need_index(&needed, name);
	}
	enum err err = good ? backup_manifest_read(folder, BACKUP_PREVIOUS, &previous) : ERR_DISK;
	if (err == ERR_OK) {
		needed.runs[1] = previous.run;
		backup_name(BACKUP_INDEX, previous.run, name);
		good = need_index(&needed, name);
	} else {
		good = good && err == ERR_NOT_FOUND;
	}
	if (good && keep_held)
		good = need_index(&needed, BACKUP_HELD);
	if (good && !keep_held)
		unlinkat(folder->fd, BACKUP_HELD, 0);
	if (good) {
		unlinkat(folder->fd, BACKUP_HELD_NEW, 0);
		folder_walk(folder, visit_unneeded, &needed);
	}
	free(needed.segments);
}
