/* admin/backup.c - bode backup FOLDER: beside a running server, or without one.
 *
 * Root reads what only root may read (configuration, certificate, key) and opens the folder;
 * the rest runs as the back's user, to whom the folder's files then belong. */
#include "storage/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/admin_priv.h"
#include "admin/backup_priv.h"
#include "base/clock.h"
#include "base/heap.h"
#include "runtime/sandbox.h"

enum { FILES_MAX = 3, FILE_MAX_OCTETS = 1 << 20 };
#define SCRATCH "bode-scratch"

static void on_phase(void *user, enum backup_phase phase, uint64_t total_octets)
{
	static const char *const words[] = { "copying", "proving", "restoring" };
	progress_phase(user, words[phase], PROGRESS_OCTETS, NULL, total_octets);
}

static void on_progress(void *user, uint64_t octets)
{
	progress_set(user, octets);
}

void backup_watch(struct backup_watcher *watcher, struct progress *progress)
{
	*watcher = (struct backup_watcher){ on_phase, on_progress, progress };
}

/* ---- the files ---- */

struct files {
	struct backup_file files[FILES_MAX];
	size_t count;
};

/* False: said what is wrong. */
static bool add_file(struct admin *admin, struct files *files, const char *word, const char *path,
		     const char *name)
{
	struct buffer content = { 0 };
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && fstat(fd, &status) == 0;
	ssize_t got = 0;
	while (good && content.len <= FILE_MAX_OCTETS &&
	       (got = read(fd, buffer_reserve(&content, 8192), 8192)) > 0)
		content.len += (size_t)got;
	if (!good || got < 0)
		good = false, admin_fail("%s cannot be read: %s", path, strerror(errno));
	else if (content.len > FILE_MAX_OCTETS)
		good = false,
		admin_fail("%s is too large for a configuration, certificate or key; name "
			   "the right file in the configuration",
			   path);
	if (fd >= 0)
		close(fd);
	if (good)
		files->files[files->count++] = (struct backup_file){
			.path = slice_cstr(arena_format(&admin->arena, "%s%s", word, name)),
			.content = arena_copy(&admin->arena, buffer_slice(&content)),
			.mode = status.st_mode & 0777,
		};
	buffer_wipe(&content);
	return good;
}

/* A server without a certificate of its own makes one at its first start, perhaps not yet. */
static bool add_own_file(struct admin *admin, struct files *files, const char *name)
{
	const char *path = arena_format(&admin->arena, "%s/%s", admin->config->state_dir, name);
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return true;
	return add_file(admin, files, BACKUP_OWN, path, name);
}

static bool collect_files(struct admin *admin, struct files *files)
{
	const struct config *config = admin->config;
	char *path = realpath(admin->config_path, NULL);
	bool good = add_file(admin, files, BACKUP_CONFIG, admin->config_path,
			     path ? path : admin->config_path);
	free(path);
	if (!config->certificate)
		return good && add_own_file(admin, files, "certificate.pem") &&
		       add_own_file(admin, files, "key.pem");
	return good &&
	       add_file(admin, files, BACKUP_FILE, config->certificate, config->certificate) &&
	       add_file(admin, files, BACKUP_FILE, config->key, config->key);
}

/* ---- the folder ---- */

static bool is_empty(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	struct dirent *entry;
	unsigned count = 0;
	while (dir && (entry = readdir(dir)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			 strcmp(entry->d_name, "lost+found") != 0;
	if (dir)
		closedir(dir);
	else if (again >= 0)
		close(again);
	return dir && count == 0;
}

/* Made where it is not there. What root makes, or names while it is empty, is given to the
 * back's user. -1: said. */
static int open_folder(struct admin *admin, const char *path)
{
	struct sandbox_user user = { 0 };
	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		admin_fail("the folder %s cannot be made: %s", path, strerror(errno));
		return -1;
	}
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		admin_fail("the folder %s cannot be opened: %s", path, strerror(errno));
		return -1;
	}
	if (geteuid() == 0 && sandbox_find_user(admin->config->user_back, &user) == ERR_OK &&
	    user.uid != 0 && is_empty(fd) && fchown(fd, user.uid, user.gid) != 0) {
		admin_fail("the folder %s cannot be given to user \"%s\": %s", path,
			   admin->config->user_back, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* Absolute, since the working directory changes. */
static void make_absolute(char **path)
{
	char *absolute = realpath(*path, NULL);
	if (absolute) {
		free(*path);
		*path = absolute;
	}
}

/* ---- the command ---- */

static int report(const struct backup_counts *counts, uint64_t milliseconds)
{
	char new_octets[16], kept_octets[16];
	uint64_t kept =
		counts->octets > counts->octets_new ? counts->octets - counts->octets_new : 0;
	admin_format_size(counts->octets_new, new_octets);
	admin_format_size(kept, kept_octets);
	if (counts->segments_renewed > 0)
		fprintf(stderr,
			"bode: %llu damaged file(s) in the folder were found and copied anew: look "
			"at "
			"its disk\n",
			(unsigned long long)counts->segments_renewed);
	if (counts->manifest_damaged)
		fprintf(stderr, "bode: the folder's manifest was damaged and was made anew: look "
				"at its disk\n");
	if (counts->bodies_damaged > 0)
		fprintf(stderr,
			"bode: %llu message(s) are damaged in the store itself, and in the copy as "
			"they are: run \"bode verify\"\n",
			(unsigned long long)counts->bodies_damaged);
	if (!counts->noted)
		fprintf(stderr,
			"bode: the store could not note this backup, so \"bode status\" does "
			"not know of it: is its disk full?\n");
	printf("good: %llu users, %llu messages, %llu bodies, restored for a test and found equal; "
	       "%s copied, %s kept, %llu.%llu s\n",
	       (unsigned long long)counts->users, (unsigned long long)counts->messages,
	       (unsigned long long)counts->bodies, new_octets, kept_octets,
	       (unsigned long long)(milliseconds / 1000),
	       (unsigned long long)(milliseconds % 1000 / 100));
	return EXIT_SUCCESS;
}

/* The proof's place. NULL: said. */
static const char *make_scratch(struct admin *admin, const char *parent)
{
	const char *path = parent ? arena_format(&admin->arena, "%s/" SCRATCH, parent) : SCRATCH;
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return path;
	admin_fail("the folder %s for the proof cannot be made: %s", path, strerror(errno));
	return NULL;
}

static int run(struct admin *admin, int fd, const char *path, const char *scratch_parent,
	       const struct files *files)
{
	struct backup_folder *folder = NULL;
	struct backup_watcher watcher;
	struct backup_counts counts;
	const char *why = NULL;
	uint64_t started_ms = clock_monotonic_ms();
	if (backup_folder_open(fd, path, true, &folder, &why) != ERR_OK)
		return admin_fail("%s", why);
	struct backup_order order = {
		.files = files->files,
		.file_count = files->count,
		.scratch_dir = make_scratch(admin, scratch_parent),
		.watcher = &watcher,
	};
	enum err err = ERR_DENIED;
	if (order.scratch_dir) {
		struct progress *progress = progress_new("backup");
		backup_watch(&watcher, progress);
		err = backup_run(folder, admin->store, &order, &counts, &why);
		progress_free(&progress);
		rmdir(order.scratch_dir);
		if (err != ERR_OK)
			admin_fail("%s", why);
	}
	backup_folder_close(&folder);
	return err == ERR_OK ? report(&counts, clock_monotonic_ms() - started_ms) : EXIT_FAILURE;
}

int admin_backup(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct files files = { .count = 0 };
	if (!admin_parse_options(admin, argc, argv, OPTION_SCRATCH, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_read_config(admin) || !collect_files(admin, &files))
		return EXIT_FAILURE;
	make_absolute(&admin->config->state_dir);
	char *scratch_parent = options.scratch ? realpath(options.scratch, NULL) : NULL;
	if (options.scratch && !scratch_parent)
		return admin_fail("%s cannot be used for the proof: %s", options.scratch,
				  strerror(errno));
	int status = EXIT_FAILURE;
	/* The store first: where there is none, no folder is made. */
	if (access(arena_format(&admin->arena, "%s/store/data.mdb", admin->config->state_dir),
		   F_OK) != 0 &&
	    errno == ENOENT) {
		admin_fail("there is no store in %s yet", admin->config->state_dir);
		free(scratch_parent);
		return EXIT_FAILURE;
	}
	int fd = open_folder(admin, argv[optind]);
	char *path = fd < 0 ? NULL : realpath(argv[optind], NULL);
	/* Through the open directory also where the back's user may not walk down to it. */
	if (fd >= 0 && admin_open_existing_store(admin)) {
		if (fchdir(fd) != 0)
			admin_fail("the folder %s, and what is in it, must belong to the user that "
				   "the server runs as: %s",
				   argv[optind], strerror(errno));
		else
			status = run(admin, fd, path ? path : argv[optind], scratch_parent, &files);
	}
	if (fd >= 0)
		close(fd);
	free(path);
	free(scratch_parent);
	return status;
}
