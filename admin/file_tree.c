/* admin/file_tree.c - a folder of mail in files. A folder is a mailbox, named as it is; so is an
 * mbox file, without ".mbox"; .eml files are the messages of their folder. So the trees of
 * Dovecot (LAYOUT=fs), Thunderbird (Work, Work.sbd) and Apple Mail (Work.mbox/mbox) come as they
 * are. Hidden files and what programs keep beside mail are left out, symbolic links are not
 * followed. Runs in the admin's process. */
#include "admin/file_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/maildir.h"
#include "admin/mbox.h"
#include "admin/message_file.h"
#include "admin/seen.h"
#include "mail/text.h"

enum { DEPTH_MAX = 32 };

struct walk {
	struct importer *importer;
	enum mbox_quoting quoting;
	struct arena arena; /* paths and names, of which there are few */
	unsigned depth;
};

/* One folder and its .eml files. */
struct place {
	struct walk *walk;
	const char *path;
	struct slice mailbox;	      /* empty: the top, which is INBOX */
	struct import_target *target; /* of the .eml files; NULL until there is one */
	struct seen *seen;
};

static bool ends_with(struct slice name, struct slice ending)
{
	return name.len > ending.len &&
	       slice_eq_nocase(slice_sub(name, name.len - ending.len, ending.len), ending);
}

/* The mailbox that a file or folder is, below `place`. */
static bool mailbox_of(struct place *place, const char *file_name, struct slice *mailbox_out)
{
	static const char *const endings[] = { ".mbox", ".sbd", ".mbx" };
	struct arena *arena = &place->walk->arena;
	struct slice name = slice_cstr(file_name);
	struct buffer utf8 = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (ends_with(name, slice_cstr(endings[i])))
			name.len -= strlen(endings[i]);
	if (slice_eq(slice_cstr(file_name), SLICE("mbox")) && place->mailbox.len > 0) {
		*mailbox_out = place->mailbox;
		return true;
	}
	if (!mutf7_decode(name, &utf8)) {
		if (!text_is_utf8(name))
			return false;
		buffer_add(&utf8, name);
	}
	if (place->mailbox.len > 0)
		*mailbox_out =
			slice_cstr(arena_format(arena, "%.*s/%.*s", SLICE_ARG(place->mailbox),
						SLICE_ARG(buffer_slice(&utf8))));
	else if (slice_eq_nocase(buffer_slice(&utf8), SLICE("INBOX")))
		*mailbox_out = SLICE("INBOX");
	else
		*mailbox_out = arena_copy(arena, buffer_slice(&utf8));
	buffer_free(&utf8);
	return true;
}

static void import_eml(struct place *place, const char *file_name, const char *path)
{
	struct importer *importer = place->walk->importer;
	struct import_message message = { .where = path };
	if (!place->target) {
		struct import_mailbox wanted = {
			.name = place->mailbox.len ? place->mailbox : SLICE("INBOX"),
			.subscribe = true,
		};
		place->target = importer_open(importer, &wanted);
		if (!place->target)
			return;
		place->seen = seen_new();
	}
	importer_expect(importer, 1);
	int fd = open(place->path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	message_file_import(importer, place->target, fd, file_name, SLICE("eml"), 0, place->seen,
			    &message);
	if (fd >= 0)
		close(fd);
}

/* What mail programs keep beside mail. */
static bool is_beside_mail(struct slice name)
{
	static const char *const endings[] = { ".msf",	".dat", ".lock", ".idx",
					       ".json", ".toc", ".plist" };
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (ends_with(name, slice_cstr(endings[i])))
			return true;
	return slice_starts_nocase(name, SLICE("dovecot")) ||
	       slice_eq(name, SLICE("subscriptions"));
}

static void import_folder(struct walk *walk, const char *path, struct slice mailbox);

static void import_found(struct place *place, const char *file_name)
{
	struct walk *walk = place->walk;
	struct importer *importer = walk->importer;
	struct slice mailbox, name = slice_cstr(file_name);
	struct stat stat;
	const char *path = arena_format(&walk->arena, "%s/%s", place->path, file_name);
	if (lstat(path, &stat) != 0)
		importer_skip_errno(importer, NULL, path, "cannot be looked at");
	else if (S_ISLNK(stat.st_mode))
		importer_skip(importer, NULL, path, "a symbolic link, which might lead anywhere");
	else if (S_ISREG(stat.st_mode) && ends_with(name, SLICE(".eml")))
		import_eml(place, file_name, path);
	else if (!mailbox_of(place, file_name, &mailbox))
		importer_skip(importer, NULL, path, "its name is not UTF-8");
	else if (S_ISDIR(stat.st_mode) && walk->depth < DEPTH_MAX)
		import_folder(walk, path, mailbox);
	else if (S_ISREG(stat.st_mode) && is_beside_mail(name))
		return;
	else if (S_ISREG(stat.st_mode) && access(path, R_OK) != 0)
		importer_skip_errno(importer, NULL, path, "cannot be opened");
	else if (S_ISREG(stat.st_mode) && (stat.st_size == 0 || mbox_is_one(path)))
		mbox_import(importer, path, mailbox, walk->quoting);
	else
		importer_skip(importer, NULL, path, "neither an .eml file nor an mbox");
}

static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* What is in a folder. Of a Maildir only other Maildirs below it: Dovecot's LAYOUT=fs. */
static void import_below(struct walk *walk, const char *path, struct slice mailbox, bool is_maildir)
{
	struct dirent **names = NULL;
	struct place place = { .walk = walk, .path = path, .mailbox = mailbox };
	int count = scandir(path, &names, is_shown, alphasort);
	if (count < 0)
		importer_skip_errno(walk->importer, NULL, path, "cannot be listed");
	walk->depth++;
	for (int i = 0; i < count; i++) {
		const char *below = arena_format(&walk->arena, "%s/%s", path, names[i]->d_name);
		if (!importer_is_over(walk->importer) && (!is_maildir || maildir_is_one(below)))
			import_found(&place, names[i]->d_name);
		free(names[i]);
	}
	walk->depth--;
	free(names);
	if (place.target)
		importer_close(walk->importer, place.target);
	seen_free(&place.seen);
}

static void import_folder(struct walk *walk, const char *path, struct slice mailbox)
{
	bool is_maildir = maildir_is_one(path);
	if (is_maildir)
		maildir_import_folder(walk->importer, path, mailbox, true);
	import_below(walk, path, mailbox, is_maildir);
}

static void import_file(struct walk *walk, const char *path)
{
	struct place place = { .walk = walk, .path = "." };
	if (mbox_is_one(path)) {
		mbox_import(walk->importer, path, SLICE("INBOX"), walk->quoting);
		return;
	}
	import_eml(&place, path, path);
	if (place.target)
		importer_close(walk->importer, place.target);
	seen_free(&place.seen);
}

void file_tree_import(struct importer *importer, const char *path, enum mbox_quoting quoting)
{
	struct walk walk = { .importer = importer, .quoting = quoting };
	struct stat found;
	if (stat(path, &found) != 0 || access(path, R_OK) != 0) {
		importer_fail(importer, "%s cannot be read: %s", path, strerror(errno));
	} else if (S_ISREG(found.st_mode)) {
		import_file(&walk, path);
	} else if (!S_ISDIR(found.st_mode)) {
		importer_fail(importer, "%s is neither a file nor a folder", path);
	} else if (maildir_is_one(path)) {
		maildir_import_tree(importer, path);
		import_below(&walk, path, SLICE_NONE, true);
	} else {
		import_below(&walk, path, SLICE_NONE, false);
	}
	arena_fini(&walk.arena);
}
