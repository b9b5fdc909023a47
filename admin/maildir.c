/* admin/maildir.c - importing a Maildir (cur, new, flags in file names) and a Maildir++ tree, with
 * what Dovecot keeps beside it: dovecot-uidlist (UIDs, UIDVALIDITY), dovecot-keywords and
 * subscriptions. A message's date is its file's.
 *
 * Messages come in the order of their UIDs; those without one come last, the oldest first. What
 * is in memory is the list of one folder's file names. Left out: tmp, where nothing is whole, and
 * Dovecot's other indexes. Runs in the admin's process. */
#include "admin/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/message_file.h"
#include "base/heap.h"
#include "mail/maildir.h"

enum { LINE_MAX_OCTETS = 4096, SMALL_FILE_LINES_MAX = 100000 };

struct entry {
	char *file_name;
	struct maildir_name name; /* points into it */
	uint32_t uid;		  /* 0: not known */
	bool is_new;		  /* in new */
};

struct folder {
	struct importer *importer;
	struct import_target *target;
	const char *path;
	int fd;
	struct arena arena;
	struct entry *entries;
	size_t count, cap;
	struct uidlist_header uidlist; /* version 0: there is none */
	struct slice keywords[MAILDIR_KEYWORDS];
};

/* ---- small files ---- */

static FILE *open_small(int folder_fd, const char *name)
{
	int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct stat stat;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
		close(fd);
		return NULL;
	}
	FILE *file = fdopen(fd, "r");
	if (!file)
		close(fd);
	return file;
}

/* A line without its end; a longer one than any such file has is left out. */
static bool read_line(FILE *file, char line[LINE_MAX_OCTETS], struct slice *line_out)
{
	while (fgets(line, LINE_MAX_OCTETS, file)) {
		size_t len = strlen(line);
		bool is_whole = len > 0 && line[len - 1] == '\n';
		if (!is_whole && len == LINE_MAX_OCTETS - 1) {
			int c;
			while ((c = fgetc(file)) != EOF && c != '\n')
				;
			continue;
		}
		*line_out = slice_of(line, len - is_whole);
		return true;
	}
	return false;
}

static int compare_base(const void *a, const void *b)
{
	return slice_compare(((const struct entry *)a)->name.base,
			     ((const struct entry *)b)->name.base);
}

static int compare_place(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	uint32_t x_uid = x->uid ? x->uid : UINT32_MAX, y_uid = y->uid ? y->uid : UINT32_MAX;
	if (x_uid != y_uid)
		return x_uid < y_uid ? -1 : 1;
	uint32_t x_time = maildir_name_time(x->name.base), y_time = maildir_name_time(y->name.base);
	if (x_time != y_time)
		return x_time < y_time ? -1 : 1;
	return slice_compare(x->name.base, y->name.base);
}

/* The entries are in order of base here. */
static void read_uidlist(struct folder *folder)
{
	char line[LINE_MAX_OCTETS];
	struct slice text;
	struct uidlist_entry listed;
	FILE *file = open_small(folder->fd, "dovecot-uidlist");
	if (!file)
		return;
	if (!read_line(file, line, &text) || !uidlist_header_parse(text, &folder->uidlist)) {
		char where[PATH_MAX];
		snprintf(where, sizeof(where), "%s/dovecot-uidlist", folder->path);
		importer_note(folder->importer, where,
			      "not understood, so the messages get new UIDs");
		folder->uidlist = (struct uidlist_header){ 0 };
	}
	while (folder->uidlist.version && read_line(file, line, &text)) {
		if (!uidlist_entry_parse(&folder->uidlist, text, &listed))
			continue;
		struct entry wanted = { .name.base = listed.base };
		struct entry *found = bsearch(&wanted, folder->entries, folder->count,
					      sizeof(*folder->entries), compare_base);
		if (found)
			found->uid = listed.uid;
	}
	fclose(file);
}

static void read_keywords(struct folder *folder)
{
	char line[LINE_MAX_OCTETS];
	struct slice text, keyword;
	unsigned index;
	FILE *file = open_small(folder->fd, "dovecot-keywords");
	if (!file)
		return;
	for (int i = 0; i < SMALL_FILE_LINES_MAX && read_line(file, line, &text); i++)
		if (maildir_keyword_parse(text, &index, &keyword))
			folder->keywords[index] = arena_copy(&folder->arena, keyword);
	fclose(file);
}

/* ---- one folder ---- */

static char *path_of(struct folder *folder, const char *middle, const char *name)
{
	return arena_format(&folder->arena, "%s/%s/%s", folder->path, middle, name);
}

static void list_files(struct folder *folder, const char *name, bool is_new)
{
	int fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *found;
	if (!dir) {
		/* A Maildir whose `new` was removed is still one. */
		if (errno != ENOENT || !is_new)
			importer_skip_errno(folder->importer, folder->target,
					    path_of(folder, name, ""), "cannot be opened");
		if (fd >= 0)
			close(fd);
		return;
	}
	while (errno = 0, (found = readdir(dir))) {
		struct entry entry = { .is_new = is_new };
		if (found->d_name[0] == '.')
			continue;
		entry.file_name = arena_string(&folder->arena, slice_cstr(found->d_name));
		if (!maildir_name_parse(slice_cstr(entry.file_name), &entry.name)) {
			importer_skip(folder->importer, folder->target,
				      path_of(folder, name, found->d_name),
				      "no message has such a name");
			continue;
		}
		if (folder->count == folder->cap) {
			folder->cap = folder->cap ? folder->cap * 2 : 256;
			folder->entries = heap_resize(folder->entries, folder->cap * sizeof(entry));
		}
		folder->entries[folder->count++] = entry;
	}
	if (errno != 0)
		importer_skip_errno(folder->importer, folder->target, path_of(folder, name, ""),
				    "cannot be listed");
	closedir(dir);
}

static void import_entry(struct folder *folder, const struct entry *entry, int fd, const char *name)
{
	char where[PATH_MAX];
	struct import_message message = { .uid = entry->uid, .flags = entry->name.flags };
	snprintf(where, sizeof(where), "%s/%s/%s", folder->path, name, entry->file_name);
	message.where = where;
	if (entry->name.passed)
		message.keywords[message.keyword_count++] = SLICE("$Forwarded");
	for (unsigned i = 0; i < MAILDIR_KEYWORDS; i++)
		if ((entry->name.keywords >> i & 1) && folder->keywords[i].len > 0)
			message.keywords[message.keyword_count++] = folder->keywords[i];
	message_file_import(folder->importer, folder->target, fd, entry->file_name,
			    entry->name.base, maildir_name_time(entry->name.base), NULL, &message);
}

static void import_entries(struct folder *folder)
{
	int cur_fd = openat(folder->fd, "cur", O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
	int new_fd = openat(folder->fd, "new", O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
	for (size_t i = 0; i < folder->count && !importer_is_over(folder->importer); i++) {
		const struct entry *entry = &folder->entries[i];
		import_entry(folder, entry, entry->is_new ? new_fd : cur_fd,
			     entry->is_new ? "new" : "cur");
	}
	if (cur_fd >= 0)
		close(cur_fd);
	if (new_fd >= 0)
		close(new_fd);
}

void maildir_import_folder(struct importer *importer, const char *path, struct slice mailbox,
			   bool subscribe)
{
	struct folder folder = { .importer = importer, .path = path };
	folder.fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	if (folder.fd < 0) {
		importer_skip_errno(importer, NULL, path, "cannot be opened");
		return;
	}
	/* The target comes first, so that what is skipped is counted there; its UIDVALIDITY is
	 * known only behind the first line of the list. */
	struct import_mailbox wanted = { .name = mailbox, .subscribe = subscribe };
	FILE *file = open_small(folder.fd, "dovecot-uidlist");
	char line[LINE_MAX_OCTETS];
	struct slice text;
	struct uidlist_header header = { 0 };
	if (file && read_line(file, line, &text) && uidlist_header_parse(text, &header)) {
		wanted.uidvalidity = header.uidvalidity;
		wanted.uidnext = header.uidnext;
	}
	if (file)
		fclose(file);
	folder.target = importer_open(importer, &wanted);
	if (folder.target) {
		list_files(&folder, "cur", false);
		list_files(&folder, "new", true);
		if (folder.count > 0)
			qsort(folder.entries, folder.count, sizeof(*folder.entries), compare_base);
		read_uidlist(&folder);
		read_keywords(&folder);
		if (folder.count > 0)
			qsort(folder.entries, folder.count, sizeof(*folder.entries), compare_place);
		importer_expect(importer, folder.count);
		import_entries(&folder);
		importer_close(importer, folder.target);
	}
	free(folder.entries);
	arena_fini(&folder.arena);
	close(folder.fd);
}

/* ---- a tree ---- */

bool maildir_is_one(const char *path)
{
	struct stat stat;
	char cur[PATH_MAX];
	snprintf(cur, sizeof(cur), "%s/cur", path);
	return lstat(cur, &stat) == 0 && S_ISDIR(stat.st_mode);
}

static int is_folder_name(const struct dirent *entry)
{
	return entry->d_name[0] == '.' && entry->d_name[1] != '\0' &&
	       strcmp(entry->d_name, "..") != 0;
}

static void import_subscriptions(struct importer *importer, FILE *file, const char *path)
{
	char line[LINE_MAX_OCTETS];
	struct slice text;
	struct buffer mailbox = { 0 };
	bool is_version_2 = false;
	for (int i = 0; i < SMALL_FILE_LINES_MAX && read_line(file, line, &text); i++) {
		if (i == 0 && (is_version_2 = slice_eq(text, SLICE("V\t2"))))
			continue;
		if (text.len == 0)
			continue;
		buffer_clear(&mailbox);
		if (subscription_decode(is_version_2, text, &mailbox))
			importer_subscribe(importer, buffer_slice(&mailbox));
		else
			importer_skip(importer, NULL, path, "a line of it names no mailbox");
	}
	buffer_free(&mailbox);
}

static void import_tree_folder(struct importer *importer, const char *root, const char *name,
			       bool subscribe)
{
	struct buffer mailbox = { 0 };
	struct stat stat;
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	if (lstat(path, &stat) != 0)
		importer_skip_errno(importer, NULL, path, "cannot be looked at");
	else if (S_ISLNK(stat.st_mode))
		importer_skip(importer, NULL, path, "a symbolic link, which might lead anywhere");
	else if (!S_ISDIR(stat.st_mode))
		; /* a file of some program */
	else if (!maildir_is_one(path))
		importer_skip(importer, NULL, path, "no Maildir folder: it has no folder cur");
	else if (!maildir_folder_decode(slice_cstr(name), &mailbox))
		importer_skip(importer, NULL, path,
			      "its name is no folder's: neither modified UTF-7 nor UTF-8, or a "
			      "level is empty");
	else
		maildir_import_folder(importer, path, buffer_slice(&mailbox), subscribe);
	buffer_free(&mailbox);
}

void maildir_import_tree(struct importer *importer, const char *path)
{
	struct dirent **names = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	FILE *subscriptions = fd < 0 ? NULL : open_small(fd, "subscriptions");
	maildir_import_folder(importer, path, SLICE("INBOX"), true);
	int count = scandir(path, &names, is_folder_name, alphasort);
	if (count < 0)
		importer_skip_errno(importer, NULL, path, "cannot be listed");
	for (int i = 0; i < count; i++) {
		if (!importer_is_over(importer))
			import_tree_folder(importer, path, names[i]->d_name, !subscriptions);
		free(names[i]);
	}
	free(names);
	if (subscriptions) {
		import_subscriptions(importer, subscriptions,
				     "the file subscriptions of the Maildir");
		fclose(subscriptions);
	}
	if (fd >= 0)
		close(fd);
}
