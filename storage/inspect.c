/* storage/inspect.c - one stored message, looked at from end to end.
 *
 * A body is erased digest first, so where a digest is, all its chunks must be; and a blob without
 * one is either on its way in, on its way out, or damaged. Nothing is logged here: who asked
 * decides. Runs in the back, and in the admin's process. */
#include "storage/inspect_priv.h"

#include "mail/digest.h"
#include "mail/structure_text.h"
#include "storage/blob_priv.h"
#include "storage/chunk_priv.h"
#include "storage/digest_record_priv.h"

void inspect_begin(struct inspection *inspection, uint64_t blob_id)
{
	*inspection = (struct inspection){ .blob_id = blob_id };
	inspection->parser = mime_parser_new(&inspection->arena);
}

static void damaged_chunks(struct inspection *inspection, uint32_t chunk, uint32_t count)
{
	if (count == 0)
		return;
	if (inspection->damaged == 0)
		inspection->first_damaged = chunk;
	inspection->damaged += count;
}

/* The digest says how many chunks there are and how long each is; without one, all but the last
 * are full. */
static uint64_t chunk_octets(const struct inspection *inspection, uint32_t chunk)
{
	uint64_t start = (uint64_t)chunk * BLOB_CHUNK_OCTETS;
	if (!inspection->digest_is_good)
		return BLOB_CHUNK_OCTETS;
	if (start >= inspection->size_octets)
		return 0;
	uint64_t left = inspection->size_octets - start;
	return left < BLOB_CHUNK_OCTETS ? left : BLOB_CHUNK_OCTETS;
}

static void take_chunk(struct inspection *inspection, struct read *read, uint32_t chunk,
		       struct slice record)
{
	uint64_t want = chunk_octets(inspection, chunk);
	uint32_t raw;
	inspection->stored_octets += record.len;
	if (want == 0) {
		inspection->strays++; /* behind the end */
		return;
	}
	damaged_chunks(inspection, inspection->next_chunk, chunk - inspection->next_chunk);
	inspection->next_chunk = chunk + 1;
	buffer_clear(&read->plain);
	bool is_good = chunk_raw_octets(record, &raw) && !inspection->ends_short &&
		       (inspection->digest_is_good ? raw == want : raw <= want) &&
		       chunk_decompress(read, record, CHUNK_WHOLE, &read->plain);
	if (!is_good) {
		damaged_chunks(inspection, chunk, 1);
		return;
	}
	inspection->ends_short = raw < BLOB_CHUNK_OCTETS;
	inspection->chunks++;
	inspection->octets += raw;
	if (inspection->damaged == 0)
		mime_parser_feed(inspection->parser, buffer_slice(&read->plain));
}

static void look_at_digest(struct inspection *inspection, struct read *read)
{
	struct key key;
	struct slice record, raw, text;
	struct arena arena = { 0 };
	key_be64(&key, inspection->blob_id);
	inspection->has_digest = db_get(read, DB_DIGEST, key_slice(&key), &record) == ERR_OK;
	/* The checksums cover the text and what is compressed; the size before them is checked by the
	 * chunks. */
	inspection->digest_is_good = inspection->has_digest &&
				     digest_size(record, &inspection->size_octets) &&
				     digest_structure_text(record, &text) &&
				     digest_decompress(read, record, &arena, &raw);
	arena_fini(&arena);
}

/* Whether a blob without digest is none of our business. */
static bool is_in_motion(const struct inspection *inspection, struct read *read)
{
	struct key key;
	key_be64(&key, inspection->blob_id);
	if (db_has(read, DB_PENDING, key_slice(&key)))
		return true;
	key_garbage(&key, GARBAGE_BLOB, inspection->blob_id);
	return db_has(read, DB_GARBAGE, key_slice(&key));
}

/* Whether the record says what the message does; one of an older Bode has no text of the structure. */
static bool is_digest_of(struct slice record, const struct mime_part *root, struct slice text,
			 struct read *read, struct arena *arena)
{
	struct slice raw, stored_text;
	return digest_decompress(read, record, arena, &raw) && digest_is_of(raw, root) &&
	       digest_structure_text(record, &stored_text) &&
	       (!stored_text.ptr || slice_eq(stored_text, text));
}

static void compare(struct inspection *inspection, struct read *read)
{
	struct key key;
	struct slice record;
	struct arena arena = { 0 };
	struct buffer digest = { 0 }, text = { 0 };
	struct mime_part *root = mime_parser_finish(&inspection->parser);
	structure_text_encode(root, &text);
	key_be64(&key, inspection->blob_id);
	bool is_same = inspection->digest_is_good &&
		       inspection->size_octets == inspection->octets &&
		       db_get(read, DB_DIGEST, key_slice(&key), &record) == ERR_OK &&
		       is_digest_of(record, root, buffer_slice(&text), read, &arena);
	inspection->digest_differs = inspection->digest_is_good && !is_same;
	if (!is_same) {
		digest_encode(root, &digest);
		digest_compress(read->store, buffer_slice(&digest), buffer_slice(&text),
				inspection->octets, &inspection->rebuilt);
	}
	buffer_free(&digest);
	buffer_free(&text);
	arena_fini(&arena);
}

static void finish(struct inspection *inspection, struct read *read)
{
	if (inspection->digest_is_good) {
		uint64_t chunks =
			(inspection->size_octets + BLOB_CHUNK_OCTETS - 1) / BLOB_CHUNK_OCTETS;
		if (inspection->next_chunk < chunks)
			damaged_chunks(inspection, inspection->next_chunk,
				       (uint32_t)(chunks - inspection->next_chunk));
	}
	if (inspection->damaged == 0)
		compare(inspection, read);
}

bool inspect_step(struct inspection *inspection, struct read *read, uint64_t octets)
{
	struct row row;
	struct key key;
	uint64_t stop = inspection->stored_octets + octets;
	look_at_digest(inspection, read);
	row_open(&row, read, DB_BLOB);
	key_piece(&key, inspection->blob_id, inspection->next_chunk, 0);
	bool more = row_seek(&row, key_slice(&key));
	if (!inspection->has_digest) {
		bool has_rows =
			more && row.key.len == 12 && get_be64(row.key.ptr) == inspection->blob_id;
		inspection->is_gone =
			is_in_motion(inspection, read) || (!has_rows && inspection->next_chunk > 0);
	}
	bool is_over = false;
	while (!inspection->is_gone && !is_over) {
		is_over =
			!more || row.key.len != 12 || get_be64(row.key.ptr) != inspection->blob_id;
		if (is_over || inspection->stored_octets >= stop)
			break;
		uint32_t at = get_be32(row.key.ptr + 8);
		if ((at & 0xff) == 0) {
			struct slice record =
				chunk_collect(&row, inspection->blob_id, at >> 8, &more);
			take_chunk(inspection, read, at >> 8, record);
		} else {
			inspection->strays++;
			more = row_next(&row);
		}
	}
	row_close(&row);
	if (is_over && !inspection->is_gone)
		finish(inspection, read);
	return is_over || inspection->is_gone;
}

bool inspection_is_good(const struct inspection *inspection)
{
	return inspection->is_gone || (inspection->digest_is_good && !inspection->digest_differs &&
				       inspection->damaged == 0 && inspection->strays == 0);
}

void inspect_end(struct inspection *inspection)
{
	mime_parser_free(&inspection->parser);
	arena_fini(&inspection->arena);
	buffer_free(&inspection->rebuilt);
}
