/* admin/restore.c - bode restore FOLDER: the store into the configured state directory, and the
 * files of the server back to their places, or beside what stands there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "admin/admin_priv.h"
#include "admin/backup_priv.h"
#include "base/heap.h"

enum { FILES_MAX = 16 };

struct found {
	struct admin *admin;
	struct backup_file files[FILES_MAX];
	size_t count;
};

static void take_file(void *user, const struct backup_file *file)
{
	struct found *found = user;
	if (found->count == FILES_MAX)
		return;
	found->files[found->count++] = (struct backup_file){
		arena_copy(&found->admin->arena, file->path),
		arena_copy(&found->admin->arena, file->content),
		file->mode,
	};
}

/* The path behind the word, or NULL where it is another word. */
static const char *path_behind(struct admin *admin, struct slice path, const char *word)
{
	struct slice prefix = slice_cstr(word);
	if (path.len <= prefix.len || memcmp(path.ptr, prefix.ptr, prefix.len) != 0)
		return NULL;
	return arena_string(&admin->arena, slice_sub(path, prefix.len, path.len));
}

/* ---- files ---- */

static bool read_whole(const char *path, struct buffer *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;
	while (fd >= 0 && (got = read(fd, buffer_reserve(text, 8192), 8192)) > 0)
		text->len += (size_t)got;
	if (fd >= 0)
		close(fd);
	return fd >= 0 && got == 0;
}

/* False: said. Never through what stands there already. */
static bool write_whole(const char *path, const struct backup_file *file)
{
	int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file->mode & 0777);
	size_t at = 0;
	while (fd >= 0 && at < file->content.len) {
		ssize_t put = write(fd, file->content.ptr + at, file->content.len - at);
		if (put < 0)
			break;
		at += (size_t)put;
	}
	bool good = fd >= 0 && at == file->content.len && fsync(fd) == 0;
	if (!good)
		admin_fail("%s cannot be written: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return good;
}

static bool has_line(struct slice text, struct slice wanted)
{
	struct cursor c = cursor_of(text);
	struct slice line;
	while (take_until_byte(&c, '\n', &line)) {
		take_byte(&c, '\n');
		if (slice_eq(line, wanted))
			return true;
	}
	return slice_eq(cursor_rest(&c), wanted);
}

static void print_lines_only_in(struct slice text, struct slice other, const char *where)
{
	struct cursor c = cursor_of(text);
	struct slice line;
	while (take_until_byte(&c, '\n', &line)) {
		take_byte(&c, '\n');
		if (line.len > 0 && !has_line(other, line))
			printf("  only in %s: %.*s\n", where, SLICE_ARG(line));
	}
}

/* To its place where nothing is; beside it, as PATH.restored, where something else is. */
static bool put_file(struct admin *admin, const struct backup_file *file, const char *path,
		     bool is_config)
{
	struct buffer there = { 0 };
	bool good = true;
	if (access(path, F_OK) != 0 && errno == ENOENT) {
		char *slash = strrchr(path, '/');
		const char *folder = slash && slash != path
					     ? arena_string(&admin->arena,
							    slice_of(path, (size_t)(slash - path)))
					     : ".";
		/* Its folder may be another machine's: then beside the configuration. */
		if (access(folder, F_OK) != 0)
			path = arena_format(&admin->arena, "%s.%s", admin->config_path,
					    slash ? slash + 1 : path);
		if (access(path, F_OK) != 0) {
			good = write_whole(path, file);
			if (good)
				printf("%s: restored\n", path);
			return good;
		}
	}
	if (!read_whole(path, &there)) {
		admin_fail("%s cannot be read: %s", path, strerror(errno));
		good = false;
	} else if (!slice_eq(buffer_slice(&there), file->content)) {
		const char *beside = arena_format(&admin->arena, "%s.restored", path);
		unlink(beside);
		good = write_whole(beside, file);
		if (good)
			printf("%s: another one is there and stays; the backup's is %s\n", path,
			       beside);
		if (good && is_config) {
			print_lines_only_in(buffer_slice(&there), file->content, "yours");
			print_lines_only_in(file->content, buffer_slice(&there), "the backup");
		}
	}
	buffer_wipe(&there);
	return good;
}

/* What root puts into the state directory belongs to whom that belongs to. */
static bool put_own_file(struct admin *admin, const struct backup_file *file, const char *name)
{
	const char *path = arena_format(&admin->arena, "%s/%s", admin->config->state_dir, name);
	if (strchr(name, '/'))
		return false;
	return put_file(admin, file, path, false);
}

static bool put_files(struct found *found)
{
	struct admin *admin = found->admin;
	bool good = true;
	for (size_t i = 0; i < found->count; i++) {
		const struct backup_file *file = &found->files[i];
		const char *path;
		if (path_behind(admin, file->path, BACKUP_CONFIG))
			good &= put_file(admin, file, admin->config_path, true);
		else if ((path = path_behind(admin, file->path, BACKUP_OWN)) != NULL)
			good &= put_own_file(admin, file, path);
		else if ((path = path_behind(admin, file->path, BACKUP_FILE)) != NULL)
			good &= put_file(admin, file, path, false);
	}
	return good;
}

/* ---- where to ---- */

/* The configuration that is there; on a machine without one, the backup's. */
static bool choose_config(struct found *found)
{
	struct admin *admin = found->admin;
	if (access(admin->config_path, F_OK) == 0 || errno != ENOENT)
		return admin_read_config(admin);
	for (size_t i = 0; i < found->count; i++)
		if (path_behind(admin, found->files[i].path, BACKUP_CONFIG)) {
			admin->config =
				config_parse(admin->config_path, found->files[i].content, stderr);
			return admin->config != NULL;
		}
	return admin_read_config(admin); /* says that there is none */
}

static void print_good(const struct backup_facts *facts, const struct backup_counts *counts,
		       const char *state_dir)
{
	char made[32], size[16];
	struct tm tm;
	time_t at = (time_t)facts->made_unix;
	strftime(made, sizeof(made), "%Y-%m-%d %H:%M:%S", localtime_r(&at, &tm));
	admin_format_size(counts->octets, size);
	printf("good: the store of %s is in %s again: %llu users, %llu messages, %llu bodies, %s, "
	       "all checksums right\n",
	       made, state_dir, (unsigned long long)counts->users,
	       (unsigned long long)counts->messages, (unsigned long long)counts->bodies, size);
}

static int run(struct found *found, struct backup_folder *folder,
	       const struct admin_options *options)
{
	struct admin *admin = found->admin;
	struct backup_facts facts;
	struct backup_counts counts;
	struct backup_watcher watcher;
	const char *why = NULL;
	enum err err = backup_folder_choose(folder, options->previous, &facts, &why);
	if (err == ERR_OK)
		err = backup_files(folder, take_file, found, &why);
	if (err != ERR_OK)
		return admin_fail("%s%s", why,
				  err == ERR_DAMAGED && !options->previous
					  ? "; \"bode restore --previous\" takes the state before"
					  : "");
	if (!choose_config(found) || !admin_make_state_dir(admin))
		return EXIT_FAILURE;
	struct progress *progress = progress_new("restore");
	backup_watch(&watcher, progress);
	err = backup_restore(folder, admin->config->state_dir, options->despite_damage, &watcher,
			     &counts, &why);
	progress_free(&progress);
	if (err != ERR_OK)
		return admin_fail("%s", why);
	if (!put_files(found))
		return admin_fail(
			"the store in %s is restored, but not every file beside it (above)",
			admin->config->state_dir);
	if (counts.bodies_damaged > 0)
		return admin_fail(
			"the store is in %s again, but %llu messages of the backup are "
			"damaged and missing; \"bode verify --repair\" puts their entries "
			"aside",
			admin->config->state_dir, (unsigned long long)counts.bodies_damaged);
	print_good(&facts, &counts, admin->config->state_dir);
	return EXIT_SUCCESS;
}

int admin_restore(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct found found = { .admin = admin };
	struct backup_folder *folder = NULL;
	const char *why = NULL;
	if (!admin_parse_options(admin, argc, argv, OPTION_PREVIOUS | OPTION_DESPITE_DAMAGE, 1, 1,
				 &options))
		return ADMIN_WRONG_USAGE;
	const char *path = argv[optind];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return admin_fail("the folder %s cannot be opened: %s", path, strerror(errno));
	/* The sentences say it all; what the log adds are names of damaged messages. */
	log_set_level(LOG_ERROR);
	int status = EXIT_FAILURE;
	char *absolute = realpath(path, NULL); /* the restored store notes it */
	if (backup_folder_open(fd, absolute ? absolute : path, false, &folder, &why) != ERR_OK)
		admin_fail("%s", why);
	else
		status = run(&found, folder, &options);
	backup_folder_close(&folder);
	free(absolute);
	for (size_t i = 0; i < found.count; i++)
		wipe((void *)(uintptr_t)found.files[i].content.ptr, found.files[i].content.len);
	close(fd);
	return status;
}
