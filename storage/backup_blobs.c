/* storage/backup_blobs.c - bodies in a backup: copied as the store has them, compressed, piece
 * by piece. A record is be64 blob, then items: be32 tag, be32 length, octets; the first is the
 * digest, the others are pieces with their chunk and number as the tag. How long a record is,
 * and its checksum, says the index. In the admin's process. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "storage/backup_priv.h"
#include "storage/blob.h"
#include "storage/blob_priv.h"
#include "storage/chunk_priv.h"
#include "storage/digest_record_priv.h"

enum { ITEM_HEADER_OCTETS = 8, PIECES_OF_CHUNK = 256, ITEM_MAX_OCTETS = 256 << 20 };
#define TAG_DIGEST UINT32_MAX

/* ---- out of the store ---- */

struct copy {
	struct backup_out *out;
	struct checksum sum;
	uint64_t octets;
	struct read *read;
	struct buffer chunk; /* the record that is being put together for a check */
	uint64_t raw_octets;
	bool damaged;
};

static void copy_octets(struct copy *copy, struct slice octets)
{
	checksum_add(&copy->sum, octets);
	copy->octets += octets.len;
	if (copy->out->fd >= 0)
		backup_out_add(copy->out, octets);
}

static void copy_item(struct copy *copy, uint32_t tag, struct slice octets)
{
	uint8_t header[ITEM_HEADER_OCTETS];
	put_be32(header, tag);
	put_be32(header + 4, (uint32_t)octets.len);
	copy_octets(copy, slice_of(header, sizeof(header)));
	copy_octets(copy, octets);
}

/* A chunk is complete: does it give back what was put in? */
static void chunk_check(struct copy *copy)
{
	struct buffer *plain = &copy->read->plain;
	if (copy->chunk.len == 0)
		return;
	buffer_clear(plain);
	if (!chunk_decompress(copy->read, buffer_slice(&copy->chunk), CHUNK_WHOLE, plain))
		copy->damaged = true;
	copy->raw_octets += plain->len;
	buffer_clear(&copy->chunk);
}

enum err backup_blob_copy(struct backup_out *out, struct read *read, struct row *pieces,
			  uint64_t blob_id, struct slice digest, struct backup_row *row,
			  bool *damaged_out)
{
	struct copy copy = { .out = out, .read = read };
	struct key key;
	uint8_t id[8];
	uint64_t size_octets;
	bool check = out->fd >= 0;
	checksum_begin(&copy.sum);
	put_be64(id, blob_id);
	copy_octets(&copy, slice_of(id, sizeof(id)));
	copy_item(&copy, TAG_DIGEST, digest);
	key_piece(&key, blob_id, 0, 0);
	for (bool more = row_seek(pieces, key_slice(&key));
	     more && pieces->key.len == 12 && get_be64(pieces->key.ptr) == blob_id;
	     more = row_next(pieces)) {
		uint32_t tag = get_be32(pieces->key.ptr + 8);
		blob_read_ahead(read, pieces->value.ptr);
		copy_item(&copy, tag, pieces->value);
		if (check && tag % PIECES_OF_CHUNK == 0)
			chunk_check(&copy);
		if (check)
			buffer_add(&copy.chunk, pieces->value);
	}
	if (check)
		chunk_check(&copy);
	buffer_free(&copy.chunk);
	row->blob_id = blob_id;
	row->octets = copy.octets;
	row->sum = checksum_value(&copy.sum);
	row->digest_sum = checksum_of(digest);
	*damaged_out = check && (copy.damaged || !digest_size(digest, &size_octets) ||
				 size_octets != copy.raw_octets);
	return out->folder->err;
}

/* ---- into a store ---- */

static enum err segment_open(struct backup_blobs_in *in, uint32_t segment)
{
	char name[BACKUP_NAME_OCTETS];
	if (in->is_open && in->segment == segment)
		return ERR_OK;
	backup_blobs_close(in);
	backup_name(BACKUP_BLOBS, segment, name);
	int fd = openat(in->folder->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return ERR_DAMAGED;
	if (fd < 0)
		return backup_fail_errno(in->folder, name, "opened");
	in->fd = fd;
	in->is_open = true;
	in->segment = segment;
	return ERR_OK;
}

/* Up to `len` octets from `at` of the record into in->octets. */
static enum err record_read(struct backup_blobs_in *in, const struct backup_row *row, uint64_t at,
			    size_t len)
{
	char name[BACKUP_NAME_OCTETS];
	buffer_clear(&in->octets);
	if (at > row->octets || len > row->octets - at)
		return ERR_DAMAGED;
	uint8_t *to = buffer_reserve(&in->octets, len);
	while (in->octets.len < len) {
		ssize_t got = pread(in->fd, to + in->octets.len, len - in->octets.len,
				    (off_t)(row->offset + at + in->octets.len));
		if (got == 0 || (got < 0 && errno == EIO))
			return ERR_DAMAGED; /* cut short, or a bad sector */
		if (got < 0 && errno != EINTR) {
			backup_name(BACKUP_BLOBS, in->segment, name);
			return backup_fail_errno(in->folder, name, "read");
		}
		in->octets.len += got > 0 ? (size_t)got : 0;
	}
	return ERR_OK;
}

enum err backup_blob_check(struct backup_blobs_in *in, const struct backup_row *row)
{
	enum { READ_OCTETS = 256 * 1024 };
	struct checksum sum;
	checksum_begin(&sum);
	enum err err = segment_open(in, row->segment);
	for (uint64_t at = 0; at < row->octets && err == ERR_OK; at += READ_OCTETS) {
		uint64_t left = row->octets - at;
		err = record_read(in, row, at, left < READ_OCTETS ? (size_t)left : READ_OCTETS);
		if (err == ERR_OK)
			checksum_add(&sum, buffer_slice(&in->octets));
	}
	return err == ERR_OK && checksum_value(&sum) != row->sum ? ERR_DAMAGED : err;
}

/* One item; *at moves behind it. Tags ascend, as the store's order wants it. */
static enum err item_put(struct backup_blobs_in *in, const struct backup_row *row,
			 struct write *write, uint64_t *at, int64_t *last_tag)
{
	struct key key;
	enum err err = record_read(in, row, *at, ITEM_HEADER_OCTETS);
	if (err != ERR_OK)
		return err;
	uint32_t tag = get_be32(in->octets.data), len = get_be32(in->octets.data + 4);
	bool is_digest = *at == 8;
	*at += ITEM_HEADER_OCTETS;
	if (is_digest != (tag == TAG_DIGEST) || (!is_digest && (int64_t)tag <= *last_tag) ||
	    len == 0 || len > ITEM_MAX_OCTETS)
		return ERR_DAMAGED;
	if ((err = record_read(in, row, *at, len)) != ERR_OK)
		return err;
	*at += len;
	if (!is_digest)
		*last_tag = tag;
	key_be64(&key, row->blob_id);
	if (!is_digest)
		key_piece(&key, row->blob_id, tag / PIECES_OF_CHUNK, tag % PIECES_OF_CHUNK);
	return db_put(write, is_digest ? DB_DIGEST : DB_BLOB, key_slice(&key),
		      buffer_slice(&in->octets), PUT_APPEND);
}

enum err backup_blob_put(struct backup_blobs_in *in, const struct backup_row *row,
			 struct write *write)
{
	uint64_t at = 8;
	int64_t last_tag = -1;
	enum err err = segment_open(in, row->segment);
	if (err == ERR_OK)
		err = record_read(in, row, 0, 8);
	if (err == ERR_OK && get_be64(in->octets.data) != row->blob_id)
		err = ERR_DAMAGED;
	while (err == ERR_OK && at < row->octets)
		err = item_put(in, row, write, &at, &last_tag);
	return err;
}

void backup_blobs_close(struct backup_blobs_in *in)
{
	if (in->is_open)
		close(in->fd);
	in->is_open = false;
	buffer_free(&in->octets);
}
