/* storage/blob.c - message bodies: reading, writing and erasing their chunks, and counting who
 * refers to them. A blob that was erased is not found; its number is never given again.
 * Runs in the back, and in the admin's process. */
#include "storage/blob_priv.h"

#include <sys/mman.h>

#include "base/heap.h"
#include "storage/chunk_priv.h"
#include "storage/digest_record_priv.h"
#include "storage/garbage_priv.h"

/* ---- reading ---- */

static enum err damaged(uint64_t blob_id, const char *where, uint32_t chunk)
{
	log_error(NULL, EVENT("blob-damaged"), HEX("msg", blob_id), WORD("where", where),
		  NUM("chunk", chunk));
	return ERR_DAMAGED;
}

static enum err digest_record(struct read *read, uint64_t blob_id, struct slice *record_out)
{
	struct key key;
	key_be64(&key, blob_id);
	enum err err = db_get_next(read, DB_DIGEST, key_slice(&key), record_out);
	return err == ERR_NOT_FOUND ? ERR_GONE : err;
}

enum err blob_size(struct read *read, uint64_t blob_id, uint64_t *size_octets_out)
{
	struct slice record;
	enum err err = digest_record(read, blob_id, &record);
	if (err == ERR_OK && !digest_size(record, size_octets_out))
		err = damaged(blob_id, "digest", 0);
	return err;
}

enum err blob_digest(struct read *read, uint64_t blob_id, struct arena *arena,
		     struct slice *record_out)
{
	struct slice record;
	enum err err = digest_record(read, blob_id, &record);
	if (err == ERR_OK && !digest_decompress(read, record, arena, record_out))
		err = damaged(blob_id, "digest", 0);
	return err;
}

bool blob_digest_glance(struct read *read, uint64_t blob_id, struct slice *record_out)
{
	struct slice record;
	return digest_record(read, blob_id, &record) == ERR_OK && digest_glance(record, record_out);
}

enum err blob_structure_text(struct read *read, uint64_t blob_id, struct slice *text_out)
{
	struct slice record;
	enum err err = digest_record(read, blob_id, &record);
	if (err == ERR_OK && !digest_structure_text(record, text_out))
		err = damaged(blob_id, "digest", 0);
	return err;
}

void blob_read_ahead(struct read *read, const uint8_t *from)
{
	enum { READ_AHEAD_OCTETS = 256 * 1024, PAGE_OCTETS = 4096 };
	if (read->ahead && from >= read->ahead && from < read->ahead + READ_AHEAD_OCTETS)
		return;
	read->ahead = from - (uintptr_t)from % PAGE_OCTETS;
	madvise((void *)(uintptr_t)read->ahead, READ_AHEAD_OCTETS, MADV_WILLNEED);
}

struct slice chunk_collect(struct row *row, uint64_t blob_id, uint32_t chunk, bool *more)
{
	struct read *read = row->read;
	struct slice first = row->value;
	bool is_single = true;
	uint32_t piece = 1;
	struct key key;
	blob_read_ahead(read, first.ptr);
	while ((*more = row_next(row))) {
		key_piece(&key, blob_id, chunk, piece);
		if (!slice_eq(row->key, key_slice(&key)))
			break;
		if (is_single) {
			is_single = false;
			buffer_clear(&read->stored);
			buffer_add(&read->stored, first);
		}
		buffer_add(&read->stored, row->value);
		piece++;
	}
	return is_single ? first : buffer_slice(&read->stored);
}

/* Rows that could not be read look as if they were not there: that is the store's failure, which may be over
 * with the next attempt, and no damage. */
static enum err chunk_unread(const struct row *row, uint64_t blob_id, const char *where,
			     uint32_t chunk)
{
	enum err err = read_failure(row->read);
	return err == ERR_OK ? damaged(blob_id, where, chunk) : err;
}

/* Appends at least the first `need_octets` of a chunk that has `raw` of them; the row is where it
 * should begin. */
static enum err chunk_read(struct row *row, bool *more, uint64_t blob_id, uint32_t chunk,
			   uint64_t raw, uint64_t need_octets, struct buffer *out)
{
	uint32_t raw_octets;
	struct key key;
	key_piece(&key, blob_id, chunk, 0);
	if (!*more || !slice_eq(row->key, key_slice(&key)))
		return chunk_unread(row, blob_id, "missing", chunk);
	struct slice record = chunk_collect(row, blob_id, chunk, more);
	if (!chunk_raw_octets(record, &raw_octets) || raw_octets != raw ||
	    !chunk_decompress(row->read, record, (uint32_t)need_octets, out))
		return chunk_unread(row, blob_id, "chunk", chunk);
	return ERR_OK;
}

static uint64_t chunk_octets(uint64_t size, uint32_t chunk)
{
	uint64_t left = size - (uint64_t)chunk * BLOB_CHUNK_OCTETS;
	return left < BLOB_CHUNK_OCTETS ? left : BLOB_CHUNK_OCTETS;
}

enum err blob_read_beginning(struct read *read, uint64_t blob_id, uint32_t chunk,
			     uint64_t need_octets, struct buffer *out)
{
	uint64_t size;
	enum err err = blob_size(read, blob_id, &size);
	if (err != ERR_OK || (uint64_t)chunk * BLOB_CHUNK_OCTETS >= size)
		return err;
	struct row row;
	struct key key;
	uint64_t raw = chunk_octets(size, chunk);
	row_open(&row, read, DB_BLOB);
	key_piece(&key, blob_id, chunk, 0);
	bool more = row_seek(&row, key_slice(&key));
	err = chunk_read(&row, &more, blob_id, chunk, raw, need_octets < raw ? need_octets : raw,
			 out);
	row_close(&row);
	return err;
}

enum err blob_read(struct read *read, uint64_t blob_id, uint64_t offset, uint64_t len,
		   struct buffer *out)
{
	uint64_t size;
	enum err err = blob_size(read, blob_id, &size);
	if (err != ERR_OK || offset >= size || len == 0)
		return err;
	uint64_t end = len < size - offset ? offset + len : size;
	struct row row;
	struct key key;
	uint32_t chunk = (uint32_t)(offset / BLOB_CHUNK_OCTETS);
	row_open(&row, read, DB_BLOB);
	key_piece(&key, blob_id, chunk, 0);
	bool more = row_seek(&row, key_slice(&key));
	for (; offset < end && err == ERR_OK; chunk++) {
		uint64_t start = (uint64_t)chunk * BLOB_CHUNK_OCTETS;
		uint64_t raw = chunk_octets(size, chunk);
		uint64_t stop = end < start + raw ? end : start + raw;
		bool is_whole = offset == start && stop == start + raw;
		struct buffer *to = is_whole ? out : &read->plain;
		if (!is_whole)
			buffer_clear(to);
		err = chunk_read(&row, &more, blob_id, chunk, raw, stop - start, to);
		if (err == ERR_OK && !is_whole)
			buffer_add(out, slice_sub(buffer_slice(to), offset - start, stop - offset));
		offset = stop;
	}
	row_close(&row);
	return err;
}

/* ---- writing ---- */

uint64_t blob_new_id(struct write *write)
{
	write_touch(write);
	return write->head.next_blob_id++;
}

/* The newest blob's rows come last: LMDB then fills its pages to the brim. Large messages that
 * arrive at the same time take turns; theirs go in between. */
static unsigned put_flags(const struct write *write, uint64_t blob_id)
{
	return blob_id + 1 == write->head.next_blob_id ? PUT_APPEND : PUT_ANY;
}

enum err blob_put_chunk(struct write *write, uint64_t blob_id, uint32_t chunk, struct slice record)
{
	enum err err = ERR_OK;
	struct key key;
	uint32_t piece = 0;
	for (size_t at = 0; at < record.len && err == ERR_OK; piece++) {
		size_t len = piece_octets(write->store, record.len, at);
		key_piece(&key, blob_id, chunk, piece);
		err = db_put(write, DB_BLOB, key_slice(&key), slice_sub(record, at, len),
			     put_flags(write, blob_id));
		at += len;
	}
	return err;
}

enum err blob_put_digest(struct write *write, uint64_t blob_id, struct slice record)
{
	struct key key;
	key_be64(&key, blob_id);
	return db_put(write, DB_DIGEST, key_slice(&key), record, put_flags(write, blob_id));
}

enum err blob_erase(struct write *write, uint64_t blob_id, size_t *rows)
{
	struct key key;
	struct row row;
	key_be64(&key, blob_id);
	enum err err = db_del(write, DB_DIGEST, key_slice(&key));
	if (err == ERR_NOT_FOUND)
		err = ERR_OK;
	row_open(&row, write_read(write), DB_BLOB);
	key_piece(&key, blob_id, 0, 0);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && *rows > 0 && more && row.key.len == 12 &&
	       get_be64(row.key.ptr) == blob_id) {
		err = row_delete(&row);
		more = row_next(&row);
		(*rows)--;
	}
	row_close(&row);
	return err;
}

/* ---- who refers to it ---- */

void blob_add_fresh(struct write *write, uint64_t blob_id)
{
	if (write->fresh_count == write->fresh_cap) {
		write->fresh_cap = write->fresh_cap ? write->fresh_cap * 2 : 16;
		write->fresh_blobs = heap_resize(write->fresh_blobs,
						 write->fresh_cap * sizeof(*write->fresh_blobs));
	}
	write->fresh_blobs[write->fresh_count++] = blob_id;
}

/* Jobs file what they bring at once, so it is one of the last. */
static bool fresh_remove(struct write *write, uint64_t blob_id)
{
	for (size_t i = write->fresh_count; i > 0; i--)
		if (write->fresh_blobs[i - 1] == blob_id) {
			write->fresh_blobs[i - 1] = write->fresh_blobs[--write->fresh_count];
			return true;
		}
	return false;
}

static bool is_fresh(const struct write *write, uint64_t blob_id)
{
	for (size_t i = write->fresh_count; i > 0; i--)
		if (write->fresh_blobs[i - 1] == blob_id)
			return true;
	return false;
}

static enum err count_get(struct write *write, struct key *key, uint64_t blob_id,
			  uint64_t *count_out)
{
	struct slice value;
	key_be64(key, blob_id);
	*count_out = 1; /* without a row */
	enum err err = db_get(write_read(write), DB_REFERENCE, key_slice(key), &value);
	if (err == ERR_OK && !number_decode(value, count_out))
		err = damaged(blob_id, "reference", 0);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err count_put(struct write *write, struct key *key, uint64_t count)
{
	uint8_t value[9] = { RECORD_VERSION };
	put_be64(value + 1, count);
	return db_put(write, DB_REFERENCE, key_slice(key), slice_of(value, sizeof(value)), PUT_ANY);
}

enum err blob_may_reference(struct write *write, uint64_t blob_id)
{
	struct key key;
	if (is_fresh(write, blob_id))
		return ERR_OK;
	key_be64(&key, blob_id);
	if (!db_has(write_read(write), DB_DIGEST, key_slice(&key)))
		return ERR_GONE;
	key_garbage(&key, GARBAGE_BLOB, blob_id);
	return db_has(write_read(write), DB_GARBAGE, key_slice(&key)) ? ERR_GONE : ERR_OK;
}

enum err blob_reference(struct write *write, uint64_t blob_id)
{
	struct key key;
	uint64_t count;
	if (fresh_remove(write, blob_id))
		return ERR_OK;
	enum err err = count_get(write, &key, blob_id, &count);
	return err == ERR_OK ? count_put(write, &key, count + 1) : err;
}

enum err blob_release(struct write *write, uint64_t blob_id)
{
	struct key key;
	uint64_t count;
	enum err err = count_get(write, &key, blob_id, &count);
	if (err != ERR_OK)
		return err;
	if (count > 2)
		return count_put(write, &key, count - 1);
	if (count == 2)
		return db_del(write, DB_REFERENCE, key_slice(&key));
	return garbage_add(write, GARBAGE_BLOB, blob_id,
			   write->now_unix + write->store->garbage_delay_seconds);
}
