/* admin/export_maildir.c - a mailbox as a folder of a Maildir++ tree, with the files by which
 * Dovecot keeps UIDs (dovecot-uidlist), keywords (dovecot-keywords) and subscriptions. A file is
 * as old as its message. Runs in the admin's process. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/export_priv.h"
#include "mail/maildir.h"

struct folder {
	struct exporter *exporter;
	struct export_mailbox *mailbox;
	const char *path;
	FILE *uidlist;
	/* The letter of each keyword's bit; 0: none. */
	char letters[MAILBOX_KEYWORDS_MAX];
	uint64_t forwarded; /* the bit of $Forwarded, which has a flag as well */
	FILE *file;	    /* being written */
	uint64_t written_octets;
};

/* ---- folders ---- */

/* A level must not hold the separator. */
static struct slice without_dots(struct exporter *exporter, struct slice name)
{
	char *text = arena_string(&exporter->arena, name);
	for (size_t i = 0; i < name.len; i++)
		if (text[i] == '.')
			text[i] = '_';
	return slice_of(text, name.len);
}

/* NULL: skipped, or over; said. */
static const char *make_folder(struct exporter *exporter, struct slice name)
{
	struct arena *arena = &exporter->arena;
	const char *path = exporter->path;
	struct buffer folder = { 0 };
	if (!slice_eq(name, SLICE("INBOX"))) {
		if (slice_find_byte(name, 0, '.') < name.len)
			exporter_note(exporter, name,
				      "a Maildir's folders have no dots in their names: each "
				      "becomes an underscore");
		if (!maildir_folder_encode(without_dots(exporter, name), &folder)) {
			buffer_free(&folder);
			exporter_skip_mailbox(exporter, name,
					      "its name is too long for a Maildir's folder");
			return NULL;
		}
		path = arena_format(arena, "%s/%.*s", path, SLICE_ARG(buffer_slice(&folder)));
		buffer_free(&folder);
		if (mkdir(path, 0700) != 0 && errno == EEXIST) {
			exporter_skip_mailbox(exporter, name,
					      "another mailbox has the same folder name");
			return NULL;
		}
		int mark = open(arena_format(arena, "%s/maildirfolder", path),
				O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (mark >= 0)
			close(mark);
	}
	static const char *const below[] = { "cur", "new", "tmp" };
	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		const char *inner = arena_format(arena, "%s/%s", path, below[i]);
		if (mkdir(inner, 0700) == 0)
			continue;
		exporter_fail(exporter, "%s cannot be made: %s", inner, strerror(errno));
		return NULL;
	}
	return path;
}

static FILE *create(struct exporter *exporter, const char *path)
{
	FILE *file = fopen(path, "wxe");
	if (!file)
		exporter_fail(exporter, "%s cannot be written: %s", path, strerror(errno));
	return file;
}

static void write_keywords(struct folder *folder)
{
	struct exporter *exporter = folder->exporter;
	struct mailbox *mailbox = &folder->mailbox->mailbox;
	FILE *file = NULL;
	char letter = 'a';
	const char *path = arena_format(&exporter->arena, "%s/dovecot-keywords", folder->path);
	for (size_t i = 0; i < mailbox->keyword_count; i++) {
		struct slice keyword = mailbox->keywords[i];
		if (!keyword.ptr)
			continue;
		/* Also the letter P, but Dovecot knows it only as a keyword. */
		if (slice_eq_nocase(keyword, SLICE("$Forwarded")))
			folder->forwarded |= (uint64_t)1 << i;
		if (letter > 'z') {
			exporter_note(exporter, folder->mailbox->name,
				      "a Maildir's folder has at most 26 keywords; the others are "
				      "left out");
			break;
		}
		if (!file && !(file = create(exporter, path)))
			return;
		fprintf(file, "%d %.*s\n", letter - 'a', SLICE_ARG(keyword));
		folder->letters[i] = letter++;
	}
	export_close(exporter, &file, path);
}

/* ---- messages ---- */

static bool give(void *user, struct slice octets)
{
	struct folder *folder = user;
	folder->written_octets += octets.len;
	return export_write(folder->exporter, folder->file, octets);
}

static void info_of(const struct folder *folder, const struct message_entry *entry,
		    struct buffer *info)
{
	struct maildir_name name = { .flags = entry->flags };
	name.passed = (entry->keywords & folder->forwarded) != 0;
	for (unsigned i = 0; i < MAILBOX_KEYWORDS_MAX; i++)
		if ((entry->keywords >> i & 1) && folder->letters[i])
			name.keywords |= (uint32_t)1 << (folder->letters[i] - 'a');
	maildir_info_format(&name, info);
}

/* By custom time, what makes it unique, host; then the sizes, as Dovecot has them: of the file
 * and with CRLF. */
static bool publish(struct folder *folder, const struct message_entry *entry, const char *tmp)
{
	struct exporter *exporter = folder->exporter;
	struct buffer info = { 0 };
	char base[128], path[PATH_MAX];
	snprintf(base, sizeof(base), "%lld.M%uV%u.bode,S=%llu,W=%llu",
		 (long long)(entry->internal_unix > 0 ? entry->internal_unix : 0), entry->uid,
		 folder->mailbox->mailbox.uidvalidity, (unsigned long long)folder->written_octets,
		 (unsigned long long)entry->size_octets);
	info_of(folder, entry, &info);
	snprintf(path, sizeof(path), "%s/cur/%s%.*s", folder->path, base,
		 SLICE_ARG(buffer_slice(&info)));
	buffer_free(&info);
	if (rename(tmp, path) != 0) {
		exporter_fail(exporter, "%s cannot be written: %s", path, strerror(errno));
		return false;
	}
	fprintf(folder->uidlist, "%u :%s\n", entry->uid, base);
	folder->mailbox->exported++;
	return true;
}

static bool export_message(void *user, const struct message_entry *entry)
{
	struct folder *folder = user;
	struct exporter *exporter = folder->exporter;
	char tmp[PATH_MAX];
	const struct timespec times[2] = { { .tv_sec = entry->internal_unix },
					   { .tv_sec = entry->internal_unix } };
	snprintf(tmp, sizeof(tmp), "%s/tmp/%u", folder->path, entry->uid);
	folder->written_octets = 0;
	folder->file = create(exporter, tmp);
	if (!folder->file)
		return false;
	enum err err = export_content(exporter, folder->mailbox, entry, give, folder);
	if (err == ERR_OK && fflush(folder->file) == 0)
		futimens(fileno(folder->file), times);
	bool closed = export_close(exporter, &folder->file, tmp);
	if (err == ERR_OK && closed)
		return publish(folder, entry, tmp);
	unlink(tmp);
	if (err == ERR_OK || err == ERR_CANCELLED)
		return false; /* cannot be written: said */
	if (err != ERR_GONE)  /* else expunged meanwhile */
		exporter_skip(exporter, folder->mailbox, entry->uid, err);
	return true;
}

void export_maildir(struct exporter *exporter, struct export_mailbox *mailbox)
{
	struct folder folder = { .exporter = exporter, .mailbox = mailbox };
	folder.path = make_folder(exporter, mailbox->name);
	if (!folder.path)
		return;
	const char *uidlist = arena_format(&exporter->arena, "%s/dovecot-uidlist", folder.path);
	if (!(folder.uidlist = create(exporter, uidlist)))
		return;
	fprintf(folder.uidlist, "3 V%u N%u\n", mailbox->mailbox.uidvalidity,
		mailbox->mailbox.uidnext);
	write_keywords(&folder);
	export_walk(exporter, mailbox, export_message, &folder);
	export_close(exporter, &folder.uidlist, uidlist);
}

void export_subscriptions(struct exporter *exporter)
{
	struct buffer lines = { 0 };
	struct mailbox_row row;
	buffer_add_cstr(&lines, "V\t2\n\n");
	struct read *read = read_begin(exporter->admin->store);
	for (struct slice after = SLICE_NONE; mailbox_next(read, exporter->account_id, after, &row);
	     after = row.name)
		if (row.subscribed &&
		    !subscription_encode(without_dots(exporter, row.name), &lines))
			exporter_note(exporter, row.name, "its subscription is left out");
	read_end(&read);
	const char *path = arena_format(&exporter->arena, "%s/subscriptions", exporter->path);
	FILE *file = create(exporter, path);
	if (file)
		export_write(exporter, file, buffer_slice(&lines));
	export_close(exporter, &file, path);
	buffer_free(&lines);
}
