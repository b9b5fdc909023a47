/* admin/export.c - bode export: a user's mail into a new folder, as Maildir++ or mbox, while the
 * server runs. What is damaged is left out and said. Runs in the admin's process. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/export_priv.h"
#include "admin/shown.h"
#include "admin/table.h"
#include "admin/user.h"
#include "base/heap.h"

enum { BATCH_ENTRIES = 256, PIECE_OCTETS = 256 * 1024 };

void exporter_fail(struct exporter *exporter, const char *format, ...)
{
	va_list args;
	if (exporter->is_over)
		return;
	exporter->is_over = true;
	progress_hide(exporter->progress);
	va_start(args, format);
	admin_vfail(format, args);
	va_end(args);
}

void exporter_skip(struct exporter *exporter, struct export_mailbox *mailbox, uint32_t uid,
		   enum err why)
{
	progress_hide(exporter->progress);
	fputs("bode: skipped ", stderr);
	print_shown(stderr, mailbox->name);
	fprintf(stderr, ", UID %u: %s\n", uid,
		why == ERR_DAMAGED ? "its content is damaged in the store" : err_word(why));
	exporter->skipped++;
	mailbox->skipped++;
}

void exporter_skip_mailbox(struct exporter *exporter, struct slice name, const char *why)
{
	progress_hide(exporter->progress);
	fputs("bode: skipped the mailbox ", stderr);
	print_shown(stderr, name);
	fprintf(stderr, ": %s\n", why);
	exporter->skipped++;
}

void exporter_note(struct exporter *exporter, struct slice name, const char *what)
{
	progress_hide(exporter->progress);
	fputs("bode: ", stderr);
	print_shown(stderr, name);
	fprintf(stderr, ": %s\n", what);
}

/* ---- reading ---- */

void export_walk(struct exporter *exporter, struct export_mailbox *mailbox,
		 bool (*visit)(void *user, const struct message_entry *entry), void *user)
{
	struct message_entry *entries = heap_alloc_array(BATCH_ENTRIES, sizeof(*entries));
	uint32_t from_uid = 1;
	size_t count;
	do {
		count = 0;
		struct read *read = read_begin(exporter->admin->store);
		struct message_cursor *cursor =
			message_cursor_open(read, mailbox->mailbox.mailbox_id, from_uid);
		while (count < BATCH_ENTRIES && message_cursor_next(cursor, &entries[count]))
			count++;
		message_cursor_close(&cursor);
		read_end(&read);
		for (size_t i = 0; i < count; i++) {
			/* What came since is for the next export: the lists were begun. */
			if (exporter->is_over || entries[i].uid >= mailbox->mailbox.uidnext ||
			    !visit(user, &entries[i]))
				goto out;
			progress_add(exporter->progress, 1);
		}
		if (count > 0)
			from_uid = entries[count - 1].uid + 1;
	} while (count == BATCH_ENTRIES);
out:
	free(entries);
}

/* CRLF becomes LF; a CR at the end of a piece waits for what follows. */
static void unix_lines(struct slice octets, bool *cr_waits, struct buffer *out)
{
	buffer_clear(out);
	for (size_t at = 0; at < octets.len;) {
		size_t end = slice_find_byte(octets, at, '\r');
		if (*cr_waits && octets.ptr[at] != '\n')
			buffer_add_byte(out, '\r');
		*cr_waits = false;
		buffer_add(out, slice_sub(octets, at, end - at));
		if (end < octets.len)
			*cr_waits = true;
		at = end + 1;
	}
}

enum err export_content(struct exporter *exporter, const struct export_mailbox *mailbox,
			const struct message_entry *entry,
			bool (*give)(void *user, struct slice octets), void *user)
{
	struct buffer piece = { 0 }, lines = { 0 };
	bool as_it_is = ranges_contains(&mailbox->crlf_uids, entry->uid), cr_waits = false;
	enum err err = ERR_OK;
	uint64_t at = 0;
	while (err == ERR_OK && at < entry->size_octets) {
		buffer_clear(&piece);
		struct read *read = read_begin(exporter->admin->store);
		err = blob_read(read, entry->blob_id, at, PIECE_OCTETS, &piece);
		read_end(&read);
		if (err == ERR_OK && piece.len == 0)
			err = ERR_DAMAGED; /* shorter than its entry says */
		if (err != ERR_OK)
			break;
		at += piece.len;
		struct slice octets = buffer_slice(&piece);
		if (!as_it_is) {
			unix_lines(octets, &cr_waits, &lines);
			octets = buffer_slice(&lines);
		}
		if (octets.len > 0 && !give(user, octets))
			err = ERR_CANCELLED;
	}
	if (err == ERR_OK && cr_waits && !give(user, SLICE("\r")))
		err = ERR_CANCELLED;
	buffer_free(&piece);
	buffer_free(&lines);
	return err;
}

/* ---- writing ---- */

bool export_write(struct exporter *exporter, FILE *file, struct slice octets)
{
	if (octets.len == 0 || fwrite(octets.ptr, 1, octets.len, file) == octets.len)
		return true;
	exporter_fail(exporter, "%s cannot be written: %s", exporter->path, strerror(errno));
	return false;
}

bool export_close(struct exporter *exporter, FILE **file, const char *path)
{
	FILE *closing = *file;
	*file = NULL;
	if (!closing || fclose(closing) == 0)
		return true;
	exporter_fail(exporter, "%s cannot be written: %s", path, strerror(errno));
	return false;
}

/* ---- the command ---- */

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = dir != NULL;
	while (empty && (entry = readdir(dir)))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (dir)
		closedir(dir);
	return empty;
}

/* False: said. */
static bool make_folder(const char *path)
{
	if (mkdir(path, 0700) == 0)
		return true;
	if (errno != EEXIST)
		admin_fail("%s cannot be made: %s", path, strerror(errno));
	else if (!is_empty(path))
		admin_fail("%s is there already and not an empty folder; name a new one", path);
	else
		return true;
	return false;
}

static void export_one(struct exporter *exporter, uint64_t mailbox_id, bool is_maildir,
		       struct table *table)
{
	struct export_mailbox mailbox = { 0 };
	struct read *read = read_begin(exporter->admin->store);
	enum err err = mailbox_get(read, mailbox_id, &exporter->arena, &mailbox.mailbox);
	if (err == ERR_OK) {
		mailbox.name = mailbox.mailbox.name;
		source_uids(read, mailbox_id, SOURCE_CRLF, &mailbox.crlf_uids);
	}
	read_end(&read);
	if (err == ERR_GONE)
		return; /* deleted meanwhile */
	if (err != ERR_OK) {
		exporter_fail(exporter, "a mailbox cannot be read: %s", err_word(err));
		return;
	}
	if (is_maildir)
		export_maildir(exporter, &mailbox);
	else
		export_mbox(exporter, &mailbox);
	const uint64_t counts[] = { mailbox.exported, mailbox.skipped };
	table_text(table, mailbox.name);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		char text[24];
		snprintf(text, sizeof(text), "%llu", (unsigned long long)counts[i]);
		table_number(table, counts[i], text);
	}
	ranges_free(&mailbox.crlf_uids);
}

static void export_all(struct exporter *exporter, bool is_maildir, struct table *table)
{
	struct slice after = SLICE_NONE;
	struct mailbox_row row;
	for (;;) {
		struct read *read = read_begin(exporter->admin->store);
		bool more = mailbox_next(read, exporter->account_id, after, &row);
		uint64_t mailbox_id = more ? row.mailbox_id : 0;
		if (more)
			after = arena_copy(&exporter->arena, row.name);
		read_end(&read);
		if (!more || exporter->is_over)
			break;
		if (mailbox_id != 0)
			export_one(exporter, mailbox_id, is_maildir, table);
	}
	if (is_maildir && !exporter->is_over)
		export_subscriptions(exporter);
}

/* What was written is on the disk when the command ends. */
static void sync_folder(struct exporter *exporter)
{
	int fd = open(exporter->path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	if (fd < 0 || syncfs(fd) != 0)
		exporter_fail(exporter, "%s cannot be written: %s", exporter->path,
			      strerror(errno));
	if (fd >= 0)
		close(fd);
}

int admin_export(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "mailbox", "exported", "skipped" };
	struct admin_options options;
	struct account account;
	if (!admin_parse_options(admin, argc, argv, OPTION_USER | OPTION_FORMAT | OPTION_JSON, 1, 1,
				 &options))
		return ADMIN_WRONG_USAGE;
	const char *format = options.format ? options.format : "maildir";
	bool is_maildir = strcmp(format, "maildir") == 0;
	if (!options.user)
		return admin_usage(admin, "whose mail it is is missing: --user");
	if (!is_maildir && strcmp(format, "mbox") != 0)
		return admin_usage(admin, "\"%s\" is no format: maildir or mbox", format);
	struct exporter exporter = { .admin = admin, .path = argv[optind] };
	/* The folder is where who runs the command may write. */
	admin->keeps_user = true;
	if (!user_find(admin, options.user, &account) || !make_folder(exporter.path))
		return EXIT_FAILURE;
	exporter.account_id = account.account_id;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	exporter.progress = progress_new("export");
	progress_phase(exporter.progress, "mail", PROGRESS_ITEMS, "messages",
		       account.used_messages);
	export_all(&exporter, is_maildir, table);
	if (!exporter.is_over)
		sync_folder(&exporter);
	progress_free(&exporter.progress);
	table_print(table, "the user has no mailboxes");
	if (exporter.skipped > 0)
		fprintf(stderr, "bode: skipped %llu; each is listed above with the reason\n",
			(unsigned long long)exporter.skipped);
	arena_fini(&exporter.arena);
	return exporter.is_over || exporter.skipped ? EXIT_FAILURE : EXIT_SUCCESS;
}
