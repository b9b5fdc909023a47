/* admin/export_mbox.c - a mailbox as an mbox file in the dialect mboxrd: every line that begins
 * with "From ", or '>'s and that, gets one '>' more, so that nothing is lost. Flags are in Status
 * and X-Status, keywords in X-Keywords, on top of the header. UIDs have no place in it.
 *
 * "Work/Old" is the file Work/Old.mbox; names are in modified UTF-7, as Dovecot has them. Runs in
 * the admin's process. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/export_priv.h"
#include "mail/header.h"
#include "mail/mbox.h"
#include "mail/text.h"

struct mbox_file {
	struct exporter *exporter;
	struct export_mailbox *mailbox;
	FILE *file;
	const struct message_entry *entry;
	long long start_at; /* where this message begins */
	bool has_begun;
	uint8_t matched; /* how much of "From " the line has so far; NO_MATCH: it is another */
	bool ends_line;
};
enum { NO_MATCH = 255 };

/* ---- names ---- */

/* NULL: skipped or over, said. */
static FILE *create(struct exporter *exporter, struct slice name, const char **path_out)
{
	struct arena *arena = &exporter->arena;
	struct buffer path = { 0 };
	FILE *file = NULL;
	buffer_add_format(&path, "%s/", exporter->path);
	for (size_t at = 0; at <= name.len;) {
		size_t end = slice_find_byte(name, at, '/'), start = path.len;
		if (at > 0) {
			buffer_add_byte(&path, '/');
			start++;
		}
		if (!mutf7_encode(slice_sub(name, at, end - at), &path)) {
			exporter_skip_mailbox(exporter, name, "no file can have its name");
			goto out;
		}
		if (path.data[start] == '.') /* hidden, or no name at all */
			path.data[start] = '_';
		if (end < name.len)
			mkdir(arena_string(arena, buffer_slice(&path)), 0700);
		at = end + 1;
	}
	buffer_add_cstr(&path, ".mbox");
	*path_out = arena_string(arena, buffer_slice(&path));
	file = fopen(*path_out, "wxe");
	if (!file && errno == EEXIST)
		exporter_skip_mailbox(exporter, name, "another mailbox has the same file name");
	else if (!file && (errno == ENAMETOOLONG || errno == ENOTDIR))
		exporter_skip_mailbox(exporter, name, "no file can have its name");
	else if (!file)
		exporter_fail(exporter, "%s cannot be written: %s", *path_out, strerror(errno));
out:
	buffer_free(&path);
	return file;
}

/* ---- messages ---- */

static struct slice sender_of(struct slice first)
{
	struct header_field field;
	if (!header_find(first, SLICE("Return-Path"), &field))
		return SLICE_NONE;
	struct slice path = slice_trim(field.value);
	if (path.len >= 2 && path.ptr[0] == '<' && path.ptr[path.len - 1] == '>')
		path = slice_sub(path, 1, path.len - 2);
	return path.len <= 320 ? path : SLICE_NONE;
}

static void head_format(const struct mbox_file *mbox, struct slice first, struct buffer *head)
{
	const struct message_entry *entry = mbox->entry;
	const struct mailbox *mailbox = &mbox->mailbox->mailbox;
	uint8_t flags = entry->flags;
	mbox_from_line_format(sender_of(first), entry->internal_unix, head);
	buffer_add_format(head, "Status: %sO\n", flags & FLAG_SEEN ? "R" : "");
	if (flags & (FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT))
		buffer_add_format(head, "X-Status: %s%s%s%s\n", flags & FLAG_ANSWERED ? "A" : "",
				  flags & FLAG_DELETED ? "D" : "", flags & FLAG_FLAGGED ? "F" : "",
				  flags & FLAG_DRAFT ? "T" : "");
	if (entry->keywords == 0)
		return;
	buffer_add_cstr(head, "X-Keywords:");
	for (size_t i = 0; i < mailbox->keyword_count; i++)
		if ((entry->keywords >> i & 1) && mailbox->keywords[i].ptr)
			buffer_add_format(head, " %.*s", SLICE_ARG(mailbox->keywords[i]));
	buffer_add_byte(head, '\n');
}

/* A '>' goes before "From ", and as well behind the '>'s that stand there: they all look alike. */
static void quote(struct mbox_file *mbox, struct slice octets, struct buffer *quoted)
{
	static const char from[] = "From ";
	for (size_t i = 0; i < octets.len; i++) {
		uint8_t c = octets.ptr[i];
		if (mbox->matched != NO_MATCH && c == (uint8_t)from[mbox->matched]) {
			if (from[++mbox->matched] != '\0')
				continue;
			buffer_add_cstr(quoted, ">From ");
			mbox->matched = NO_MATCH;
			continue;
		}
		if (mbox->matched != NO_MATCH)
			buffer_add(quoted, slice_of(from, mbox->matched));
		bool still_at_start = c == '>' && mbox->matched == 0;
		mbox->matched = c == '\n' || still_at_start ? 0 : NO_MATCH;
		buffer_add_byte(quoted, c);
	}
	mbox->ends_line = octets.ptr[octets.len - 1] == '\n';
}

static bool give(void *user, struct slice octets)
{
	struct mbox_file *mbox = user;
	struct buffer out = { 0 };
	if (!mbox->has_begun)
		head_format(mbox, octets, &out);
	mbox->has_begun = true;
	quote(mbox, octets, &out);
	bool good = export_write(mbox->exporter, mbox->file, buffer_slice(&out));
	buffer_free(&out);
	return good;
}

/* What a damaged message has left in the file goes. */
static bool take_back(struct mbox_file *mbox)
{
	if (fflush(mbox->file) == 0 && ftruncate(fileno(mbox->file), mbox->start_at) == 0 &&
	    fseeko(mbox->file, mbox->start_at, SEEK_SET) == 0)
		return true;
	exporter_fail(mbox->exporter, "%s cannot be written: %s", mbox->exporter->path,
		      strerror(errno));
	return false;
}

static bool export_message(void *user, const struct message_entry *entry)
{
	struct mbox_file *mbox = user;
	mbox->entry = entry;
	mbox->start_at = ftello(mbox->file);
	mbox->has_begun = false;
	mbox->matched = 0;
	mbox->ends_line = false;
	enum err err = export_content(mbox->exporter, mbox->mailbox, entry, give, mbox);
	if (err == ERR_CANCELLED)
		return false; /* said */
	if (err != ERR_OK) {
		if (err != ERR_GONE) /* else expunged meanwhile */
			exporter_skip(mbox->exporter, mbox->mailbox, entry->uid, err);
		return take_back(mbox);
	}
	if (mbox->matched != NO_MATCH)
		export_write(mbox->exporter, mbox->file, slice_of("From ", mbox->matched));
	mbox->mailbox->exported++;
	return export_write(mbox->exporter, mbox->file,
			    mbox->ends_line ? SLICE("\n") : SLICE("\n\n"));
}

void export_mbox(struct exporter *exporter, struct export_mailbox *mailbox)
{
	struct mbox_file mbox = { .exporter = exporter, .mailbox = mailbox };
	const char *path = NULL;
	if (!(mbox.file = create(exporter, mailbox->name, &path)))
		return;
	export_walk(exporter, mailbox, export_message, &mbox);
	export_close(exporter, &mbox.file, path);
}
