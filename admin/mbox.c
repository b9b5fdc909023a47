/* admin/mbox.c - importing an mbox file. What programs have noted of a message in its header
 * (Status and its kin) becomes flags and keywords and is left out of the message.
 *
 * A message is known again by its content without those notes, so marks that a program has set
 * since, or messages deleted before it, do not bring it twice. Each is read once to learn its
 * name, and what does not fit into 64 KiB once more to be filed. Runs in the admin's process. */
#include "admin/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/line_ends.h"
#include "admin/message_file.h"
#include "admin/read_at.h"
#include "admin/seen.h"
#include "base/octets.h"
#include "mail/header.h"
#include "mail/maildir.h"
#include "runtime/fingerprint.h"

enum { HEADER_MAX_OCTETS = 256 * 1024, FIRST_OCTETS = 64 * 1024 };

struct mbox_source {
	struct importer *importer;
	struct import_target *target;
	const char *path;
	int fd;
	uint64_t size_octets;
	struct seen *seen;
	struct mbox_reader *reader;
};

/* A message on its way through: its header is gathered, so that notes can be left out. */
struct passage {
	struct buffer header;
	bool in_body;
	struct mbox_marks marks;
	struct buffer first; /* of what has passed */
	uint64_t size_octets;
	struct line_ends ends;
	struct import_item *item; /* the second time: where it goes */
};

/* What came to the file after the run began is not its business. */
static int64_t read_source(void *user, uint64_t offset, uint8_t *into, size_t len)
{
	struct mbox_source *source = user;
	uint64_t left = offset < source->size_octets ? source->size_octets - offset : 0;
	return read_at(source->fd, offset, into, len < left ? len : (size_t)left);
}

static void pass_on(struct passage *passage, struct slice octets)
{
	if (octets.len == 0)
		return;
	if (passage->item) {
		import_feed(passage->item, octets);
		return;
	}
	line_ends_look(&passage->ends, octets);
	passage->size_octets += octets.len;
	if (passage->first.len < FIRST_OCTETS)
		buffer_add(&passage->first,
			   slice_sub(octets, 0, FIRST_OCTETS - passage->first.len));
}

static void pass_header(struct passage *passage, size_t end)
{
	struct slice header = slice_sub(buffer_slice(&passage->header), 0, end);
	struct cursor c = cursor_of(header);
	struct header_field field;
	const uint8_t *kept = header.ptr;
	while (take_header_field(&c, &field)) {
		if (!mbox_marks_note(&passage->marks, field.name, field.value))
			continue;
		pass_on(passage, slice_of(kept, (size_t)(field.whole.ptr - kept)));
		kept = field.whole.ptr + field.whole.len;
	}
	struct slice all = buffer_slice(&passage->header);
	if (all.len > 0)
		pass_on(passage, slice_of(kept, (size_t)(all.ptr + all.len - kept)));
	passage->in_body = true;
	buffer_free(&passage->header);
}

/* Where the empty line ends; 0 while it has not come. Looked for from `from` on. */
static size_t find_header_end(struct slice octets, size_t from)
{
	for (size_t at = from; at < octets.len; at++) {
		at = slice_find_byte(octets, at, '\n');
		if (at + 1 < octets.len && octets.ptr[at + 1] == '\n')
			return at + 2;
		if (at + 2 < octets.len && octets.ptr[at + 1] == '\r' && octets.ptr[at + 2] == '\n')
			return at + 3;
	}
	return 0;
}

static bool give(void *user, struct slice octets)
{
	struct passage *passage = user;
	if (passage->in_body) {
		pass_on(passage, octets);
		return true;
	}
	size_t from = passage->header.len > 2 ? passage->header.len - 2 : 0;
	buffer_add(&passage->header, octets);
	size_t end = find_header_end(buffer_slice(&passage->header), from);
	if (end > 0)
		pass_header(passage, end);
	else if (passage->header.len > HEADER_MAX_OCTETS)
		pass_header(passage, 0);
	return true;
}

static bool pass(struct mbox_source *source, const struct mbox_message *found,
		 struct passage *passage)
{
	bool good = mbox_content(source->reader, found, give, passage);
	if (!passage->in_body)
		pass_header(passage, passage->header.len);
	return good;
}

static void name_message(struct mbox_source *source, const struct passage *passage,
			 const struct mbox_message *found, struct import_message *message)
{
	uint8_t numbers[20] = { 0 };
	put_be64(numbers, passage->size_octets);
	put_be64(numbers + 8, (uint64_t)found->date_unix);
	struct slice pieces[] = { SLICE("mbox"), slice_of(numbers, sizeof(numbers)),
				  buffer_slice(&passage->first) };
	uint8_t *name = message->name.octets;
	fingerprint(pieces, ARRAY_LEN(pieces), name, SOURCE_NAME_OCTETS);
	put_be32(numbers + 16, seen_count(source->seen, get_be64(name)));
	fingerprint(pieces, ARRAY_LEN(pieces), name, SOURCE_NAME_OCTETS);
}

static void add_keywords(const struct passage *passage, struct import_message *message)
{
	struct slice words = buffer_slice(&passage->marks.keywords);
	for (size_t at = 0; at < words.len && message->keyword_count < IMPORT_KEYWORDS_MAX;) {
		size_t end = slice_find_byte(words, at, ' ');
		message->keywords[message->keyword_count++] = slice_sub(words, at, end - at);
		at = end + 1;
	}
}

static void import_message(struct mbox_source *source, const struct mbox_message *found,
			   const char *where)
{
	struct passage passage = { 0 }, again = { 0 };
	struct import_message message = { .where = where, .internal_unix = found->date_unix };
	if (!pass(source, found, &passage)) {
		importer_skip_errno(source->importer, source->target, where, "cannot be read");
		goto out;
	}
	if (passage.marks.is_internal &&
	    slice_find(buffer_slice(&passage.first), 0, SLICE("FOLDER INTERNAL DATA")) <
		    passage.first.len)
		goto out; /* where an IMAP server keeps notes of the mailbox: no message */
	if (passage.size_octets == 0) {
		importer_skip(source->importer, source->target, where, "the message is empty");
		goto out;
	}
	name_message(source, &passage, found, &message);
	if (importer_knows(source->importer, source->target, &message.name))
		goto out;
	message.flags = passage.marks.flags;
	message.form = line_ends_form(&passage.ends);
	add_keywords(&passage, &message);
	if (message.internal_unix == 0)
		message_date(buffer_slice(&passage.first), &message.internal_unix);
	struct import_item *item = import_begin(source->importer, source->target, &message);
	again.item = item;
	bool good = true;
	if (passage.size_octets <= FIRST_OCTETS)
		import_feed(item, buffer_slice(&passage.first));
	else
		good = pass(source, found, &again);
	if (good) {
		import_commit(&item);
	} else {
		importer_skip_errno(source->importer, source->target, where, "cannot be read");
		import_abandon(&item);
	}
out:
	buffer_free(&passage.header);
	buffer_free(&passage.first);
	buffer_free(&passage.marks.keywords);
	buffer_free(&again.header);
	buffer_free(&again.marks.keywords);
}

static void import_messages(struct mbox_source *source)
{
	struct mbox_message found;
	enum mbox_result result = MBOX_MESSAGE;
	uint64_t at = 0;
	for (uint64_t number = 1; !importer_is_over(source->importer); number++) {
		char where[PATH_MAX + 64];
		uint64_t from_at = at;
		result = mbox_next(source->reader, &at, &found);
		if (result == MBOX_END)
			break;
		snprintf(where, sizeof(where), "%s, message %llu (octets %llu to %llu)",
			 source->path, (unsigned long long)number, (unsigned long long)from_at,
			 (unsigned long long)at);
		if (result == MBOX_UNREADABLE) {
			importer_skip_errno(source->importer, source->target, where,
					    "cannot be read, nor what follows");
			break;
		}
		importer_expect(source->importer, 1);
		if (result == MBOX_NO_MBOX)
			importer_skip(source->importer, source->target, where,
				      "it begins with no \"From \" line");
		else
			import_message(source, &found, where);
	}
}

bool mbox_is_one(const char *path)
{
	char first[5];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	ssize_t got = read(fd, first, sizeof(first));
	close(fd);
	return got == sizeof(first) && memcmp(first, "From ", sizeof(first)) == 0;
}

void mbox_import(struct importer *importer, const char *path, struct slice mailbox,
		 enum mbox_quoting quoting)
{
	struct mbox_source source = { .importer = importer, .path = path };
	struct import_mailbox wanted = { .name = mailbox, .subscribe = true };
	struct stat stat;
	source.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (source.fd < 0 || fstat(source.fd, &stat) != 0) {
		importer_skip_errno(importer, NULL, path, "cannot be opened");
	} else if (!S_ISREG(stat.st_mode)) {
		importer_skip(importer, NULL, path, "no file");
	} else if ((source.target = importer_open(importer, &wanted))) {
		source.size_octets = (uint64_t)stat.st_size;
		source.seen = seen_new();
		source.reader = mbox_reader_new(read_source, &source, quoting);
		import_messages(&source);
		importer_close(importer, source.target);
		mbox_reader_free(&source.reader);
		seen_free(&source.seen);
	}
	if (source.fd >= 0)
		close(source.fd);
}
