/* storage/backup_file.c - the files of a backup: written whole and synced before they get their
 * name, read with every octet checked before one is believed. In the admin's process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/backup_priv.h"

enum { PIECE_OCTETS = 256 * 1024, SUM_OCTETS = 8 };

enum err backup_fail(struct backup_folder *folder, enum err err, const char *format, ...)
{
	if (folder->err == ERR_OK) {
		va_list args;
		va_start(args, format);
		vsnprintf(folder->why, sizeof(folder->why), format, args);
		va_end(args);
		folder->err = err;
	}
	return folder->err;
}

enum err backup_fail_errno(struct backup_folder *folder, const char *name, const char *doing)
{
	int code = errno;
	enum err err = code == ENOSPC || code == EDQUOT || code == EFBIG  ? ERR_FULL
		       : code == EACCES || code == EPERM || code == EROFS ? ERR_DENIED
									  : ERR_DISK;
	return backup_fail(folder, err, "%s/%s cannot be %s: %s", folder->path, name, doing,
			   strerror(code));
}

/* ---- writing ---- */

void backup_out_open(struct backup_out *out, struct backup_folder *folder, const char *name,
		     const char *magic)
{
	*out = (struct backup_out){ .folder = folder, .fd = -1 };
	snprintf(out->name, sizeof(out->name), "%s", name);
	checksum_begin(&out->sum);
	if (folder->err != ERR_OK)
		return;
	/* What a run that ended early left under this name goes; never through a link. */
	unlinkat(folder->fd, name, 0);
	out->fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			 0600);
	if (out->fd < 0)
		backup_fail_errno(folder, name, "made");
	backup_out_add(out, slice_of(magic, BACKUP_MAGIC_OCTETS));
}

static void flush(struct backup_out *out)
{
	size_t at = 0;
	while (at < out->waiting.len && out->fd >= 0 && out->folder->err == ERR_OK) {
		ssize_t put = write(out->fd, out->waiting.data + at, out->waiting.len - at);
		if (put >= 0)
			at += (size_t)put;
		else if (errno != EINTR)
			backup_fail_errno(out->folder, out->name, "written");
	}
	buffer_clear(&out->waiting);
}

void backup_out_add(struct backup_out *out, struct slice octets)
{
	checksum_add(&out->sum, octets);
	out->octets += octets.len;
	if (out->fd < 0)
		return;
	buffer_add(&out->waiting, octets);
	if (out->waiting.len >= PIECE_OCTETS)
		flush(out);
}

void backup_out_sync(struct backup_out *out)
{
	flush(out);
	if (out->fd >= 0 && out->folder->err == ERR_OK && fsync(out->fd) != 0)
		backup_fail_errno(out->folder, out->name, "written");
}

void backup_folder_sync(struct backup_folder *folder)
{
	if (folder->err == ERR_OK && fsync(folder->fd) != 0)
		backup_fail_errno(folder, ".", "written");
}

void backup_out_seal(struct backup_out *out, const char *final_name)
{
	uint8_t sum[SUM_OCTETS];
	put_be64(sum, checksum_value(&out->sum));
	backup_out_add(out, slice_of(sum, sizeof(sum)));
	backup_out_sync(out);
	if (out->folder->err == ERR_OK && strcmp(out->name, final_name) != 0 &&
	    renameat(out->folder->fd, out->name, out->folder->fd, final_name) != 0)
		backup_fail_errno(out->folder, out->name, "renamed");
	backup_folder_sync(out->folder);
	backup_out_close(out);
}

void backup_out_close(struct backup_out *out)
{
	flush(out);
	if (out->fd >= 0)
		close(out->fd);
	out->fd = -1;
	buffer_free(&out->waiting);
}

/* ---- reading ---- */

static enum err in_damaged(struct backup_in *in, const char *how)
{
	return backup_fail(in->folder, ERR_DAMAGED, "%s/%s is damaged (%s)", in->folder->path,
			   in->name, how);
}

/* The next piece into in->ahead, behind what was not taken yet. */
static bool in_fill(struct backup_in *in)
{
	uint64_t left = in->end - in->at;
	size_t want = left < PIECE_OCTETS ? (size_t)left : PIECE_OCTETS;
	buffer_drop_front(&in->ahead, in->taken);
	in->taken = 0;
	ssize_t got;
	do
		got = pread(in->fd, buffer_reserve(&in->ahead, want), want, (off_t)in->at);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		backup_fail_errno(in->folder, in->name, "read");
	if (got <= 0)
		return false;
	in->ahead.len += (size_t)got;
	in->at += (uint64_t)got;
	return true;
}

static enum err in_check(struct backup_in *in, const char *magic)
{
	struct stat status;
	struct checksum sum;
	uint8_t expected[SUM_OCTETS];
	if (fstat(in->fd, &status) != 0)
		return backup_fail_errno(in->folder, in->name, "read");
	if (!S_ISREG(status.st_mode) || status.st_size < BACKUP_MAGIC_OCTETS + SUM_OCTETS)
		return in_damaged(in, "it has been cut short");
	checksum_begin(&sum);
	in->end = (uint64_t)status.st_size - SUM_OCTETS;
	bool first = true;
	while (in->at < in->end && in_fill(in)) {
		struct slice piece = buffer_slice(&in->ahead);
		if (first && (piece.len < BACKUP_MAGIC_OCTETS ||
			      memcmp(piece.ptr, magic, BACKUP_MAGIC_OCTETS) != 0))
			return in_damaged(in, "its first octets are others");
		first = false;
		checksum_add(&sum, piece);
		in->taken = in->ahead.len;
	}
	if (in->folder->err != ERR_OK)
		return in->folder->err;
	if (in->at != in->end || pread(in->fd, expected, SUM_OCTETS, (off_t)in->end) != SUM_OCTETS)
		return in_damaged(in, "it has been cut short");
	if (get_be64(expected) != checksum_value(&sum))
		return in_damaged(in, "its checksum is another");
	in->at = BACKUP_MAGIC_OCTETS;
	in->taken = 0;
	buffer_clear(&in->ahead);
	return ERR_OK;
}

enum err backup_in_open(struct backup_in *in, struct backup_folder *folder, const char *name,
			const char *magic)
{
	*in = (struct backup_in){ .folder = folder, .fd = -1 };
	snprintf(in->name, sizeof(in->name), "%s", name);
	if (folder->err != ERR_OK)
		return folder->err;
	in->fd = openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (in->fd < 0 && errno == ENOENT)
		return ERR_NOT_FOUND;
	enum err err = in->fd < 0 ? backup_fail_errno(folder, name, "opened") : in_check(in, magic);
	if (err != ERR_OK)
		backup_in_close(in);
	return err;
}

struct slice backup_in_take(struct backup_in *in, size_t len)
{
	while (in->fd >= 0 && in->ahead.len - in->taken < len && in->at < in->end)
		if (!in_fill(in))
			break;
	struct slice got = slice_sub(buffer_slice(&in->ahead), in->taken, len);
	in->taken += got.len;
	return got;
}

void backup_in_close(struct backup_in *in)
{
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
	buffer_free(&in->ahead);
}
