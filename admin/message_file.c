/* admin/message_file.c - one file, one message: Maildir and .eml. Runs in the admin's process. */
#include "admin/message_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/line_ends.h"
#include "admin/read_at.h"
#include "admin/seen.h"
#include "base/octets.h"
#include "mail/date.h"
#include "mail/header.h"
#include "runtime/fingerprint.h"

enum { PIECE_OCTETS = 64 * 1024 };

static ssize_t read_piece(int fd, uint8_t *piece, uint64_t offset)
{
	return (ssize_t)read_at(fd, offset, piece, PIECE_OCTETS);
}

/* -1: said. */
static int open_message(struct importer *importer, struct import_target *target, int folder_fd,
			const char *file_name, const char *where, struct stat *stat_out)
{
	/* O_NONBLOCK: a pipe in the place of a message must not hold the run. */
	int fd = openat(folder_fd, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ELOOP)
		importer_skip(importer, target, where,
			      "a symbolic link, which might lead anywhere");
	else if (fd < 0)
		importer_skip_errno(importer, target, where, "cannot be opened");
	if (fd < 0)
		return -1;
	if (fstat(fd, stat_out) != 0)
		importer_skip_errno(importer, target, where, "cannot be read");
	else if (!S_ISREG(stat_out->st_mode))
		importer_skip(importer, target, where, "no file");
	else if (stat_out->st_size == 0)
		importer_skip(importer, target, where, "the file is empty");
	else
		return fd;
	close(fd);
	return -1;
}

static void name_message(struct import_message *message, struct slice unique, uint32_t order,
			 uint64_t size_octets, struct slice first, struct seen *times)
{
	uint8_t size[8], count[4] = { 0 };
	put_be64(size, size_octets);
	struct slice pieces[] = { SLICE("file"), unique, slice_of(size, sizeof(size)), first,
				  slice_of(count, sizeof(count)) };
	fingerprint(pieces, ARRAY_LEN(pieces), message->name.octets, sizeof(message->name.octets));
	if (times) {
		put_be32(count, seen_count(times, get_be64(message->name.octets + 8)));
		fingerprint(pieces, ARRAY_LEN(pieces), message->name.octets,
			    sizeof(message->name.octets));
	}
	if (order)
		put_be32(message->name.octets, order);
}

/* The first piece was read already. False: errno. */
static bool look_at_lines(int fd, uint64_t size_octets, uint8_t *piece, size_t first,
			  enum source_form *form_out)
{
	struct line_ends ends = { 0 };
	ssize_t got = (ssize_t)first;
	for (uint64_t at = 0; got > 0; at += (uint64_t)got) {
		if (at > 0 && (got = read_piece(fd, piece, at)) < 0)
			return false;
		line_ends_look(&ends, slice_of(piece, (size_t)got));
		if (at + (uint64_t)got >= size_octets)
			break;
	}
	*form_out = line_ends_form(&ends);
	return true;
}

static bool feed_file(int fd, struct import_item *item, uint8_t *piece, size_t first,
		      bool piece_is_first)
{
	ssize_t got = (ssize_t)first;
	uint64_t at = 0;
	if (!piece_is_first && (got = read_piece(fd, piece, 0)) < 0)
		return false;
	while (got > 0) {
		import_feed(item, slice_of(piece, (size_t)got));
		at += (uint64_t)got;
		if (got < PIECE_OCTETS)
			break;
		got = read_piece(fd, piece, at);
	}
	return got >= 0;
}

bool message_date(struct slice header, int64_t *unix_out)
{
	struct header_field date;
	return header_find(header, SLICE("Date"), &date) && date_parse(date.value, unix_out);
}

void message_file_import(struct importer *importer, struct import_target *target, int folder_fd,
			 const char *file_name, struct slice unique, uint32_t order,
			 struct seen *times, struct import_message *message)
{
	static uint8_t piece[PIECE_OCTETS];
	struct stat stat;
	int fd = open_message(importer, target, folder_fd, file_name, message->where, &stat);
	if (fd < 0)
		return;
	uint64_t size_octets = (uint64_t)stat.st_size;
	ssize_t first = read_piece(fd, piece, 0);
	if (first < 0) {
		importer_skip_errno(importer, target, message->where, "cannot be read");
		goto out;
	}
	name_message(message, unique, order, size_octets, slice_of(piece, (size_t)first), times);
	if (importer_knows(importer, target, &message->name))
		goto out;
	if (!look_at_lines(fd, size_octets, piece, (size_t)first, &message->form)) {
		importer_skip_errno(importer, target, message->where, "cannot be read");
		goto out;
	}
	/* A Maildir's file is as old as its message; who has saved an .eml did that when he liked. */
	if (!times || !message_date(slice_of(piece, (size_t)first), &message->internal_unix))
		message->internal_unix = stat.st_mtim.tv_sec;
	struct import_item *item = import_begin(importer, target, message);
	if (feed_file(fd, item, piece, (size_t)first, first < PIECE_OCTETS)) {
		import_commit(&item);
	} else {
		importer_skip_errno(importer, target, message->where, "cannot be read");
		import_abandon(&item);
	}
out:
	close(fd);
}
