/* tests/unit/storage/blob.c - bodies: any stretch of them, damage, sharing, and when they go. */
#include "tests/unit/storage/bed.h"

#include "base/clock.h"
#include "storage/blob_priv.h"
#include "storage/chunk_priv.h"
#include "storage/compress_priv.h"
#include "storage/digest_record_priv.h"
#include "storage/garbage_priv.h"
#include "storage/inspect_priv.h"
#include "tests/unit/failing_reads.h"

static uint64_t blob_of(struct bed *bed, uint32_t uid)
{
	struct message_entry entry;
	struct read *read = read_begin(bed->store);
	assert_int_equal(message_get(read, bed->inbox_id, uid, &entry), ERR_OK);
	read_end(&read);
	return entry.blob_id;
}

static enum err read_all(struct bed *bed, uint64_t blob_id, struct buffer *out)
{
	buffer_clear(out);
	struct read *read = read_begin(bed->store);
	enum err err = blob_read(read, blob_id, 0, UINT64_MAX, out);
	read_end(&read);
	return err;
}

static void reads_any_stretch(void **state)
{
	struct bed bed;
	struct buffer text = { 0 }, out = { 0 };
	bed_begin(&bed, STORE_CREATE);
	bed_text(&text, 1, 200001);
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	struct read *read = read_begin(bed.store);
	srandom(3);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t offset = (uint64_t)random() % 200010, len = (uint64_t)random() % 200010;
		if (i % 3 == 0)
			offset = (uint64_t)random() % 4 * BLOB_CHUNK_OCTETS;
		if (i % 5 == 0)
			len = (uint64_t)random() % 3 * BLOB_CHUNK_OCTETS;
		struct slice want = slice_sub(buffer_slice(&text), offset, len);
		buffer_clear(&out);
		buffer_add_cstr(&out, "x");
		assert_int_equal(blob_read(read, append.entry.blob_id, offset, len, &out), ERR_OK);
		assert_int_equal(out.len, want.len + 1);
		if (want.len)
			assert_memory_equal(out.data + 1, want.ptr, want.len);
	}
	buffer_clear(&out);
	assert_int_equal(blob_read(read, append.entry.blob_id, UINT64_MAX, UINT64_MAX, &out),
			 ERR_OK);
	assert_int_equal(blob_read(read, append.entry.blob_id, 1, UINT64_MAX, &out), ERR_OK);
	assert_int_equal(out.len, 200000);
	assert_int_equal(blob_read(read, 999, 0, 1, &out), ERR_GONE);
	uint64_t size;
	struct slice record;
	assert_int_equal(blob_size(read, 999, &size), ERR_GONE);
	assert_int_equal(blob_digest(read, 999, &bed.arena, &record), ERR_GONE);
	read_end(&read);
	buffer_free(&text);
	buffer_free(&out);
	bed_end(&bed);
}

/* The beginning of each chunk: what is needed, and all of it where that takes no more work. */
static void reads_beginnings(void **state)
{
	struct bed bed;
	struct buffer text = { 0 }, out = { 0 };
	bed_begin(&bed, STORE_CREATE);
	for (unsigned seed = 1; seed <= 2; seed++) { /* with base64, and without */
		bed_text(&text, seed, 150001);
		struct bed_append append = { .mailbox_id = bed.inbox_id,
					     .text = buffer_slice(&text) };
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
		uint64_t blob_id = append.entry.blob_id;
		struct read *read = read_begin(bed.store);
		for (uint32_t chunk = 0; chunk < 4; chunk++)
			for (uint64_t need = 0; need <= BLOB_CHUNK_OCTETS; need += 1 + need * 7) {
				struct slice raw = slice_sub(buffer_slice(&text),
							     (size_t)chunk * BLOB_CHUNK_OCTETS,
							     BLOB_CHUNK_OCTETS);
				buffer_clear(&out);
				assert_int_equal(
					blob_read_beginning(read, blob_id, chunk, need, &out),
					ERR_OK);
				assert_true(out.len >= need || out.len == raw.len);
				assert_true(
					slice_eq(buffer_slice(&out), slice_sub(raw, 0, out.len)));
				if (seed == 2)
					assert_int_equal(out.len, raw.len);
				if (seed == 1 && chunk == 0 && need < 20)
					assert_true(out.len < 100);
			}
		read_end(&read);
	}
	buffer_free(&text);
	buffer_free(&out);
	bed_end(&bed);
}

/* All sizes that a record can have, and more: the pieces add up. Those with pages of their own
 * come first and fill them, but for an eighth of the last; of the others eight fit into a leaf,
 * and there are at most seven. A piece's number has eight bits. */
static void check_cuts(size_t page, size_t total)
{
	enum { PAGE_HEADER = 16, NODE = 2 + 8 + 12, LEAF_PIECES = 8 }; /* LMDB's */
	struct store store = { .page_octets = page };
	size_t leaf_max = (page - PAGE_HEADER) / LEAF_PIECES / 2 * 2 - NODE;
	size_t own_min = (page - PAGE_HEADER) / 2; /* less would not leave the leaf */
	size_t at = 0, pieces = 0, in_leaves = 0, first = 0;
	while (at < total) {
		size_t len = piece_octets(&store, total, at);
		assert_in_range(len, 1, total - at);
		if (len > leaf_max) {
			size_t pages = (len + PAGE_HEADER + page - 1) / page;
			assert_int_equal(in_leaves, 0);
			assert_true(len > own_min);
			assert_true(pages <= 2);
			size_t wasted = pages * page - PAGE_HEADER - len;
			assert_true(wasted < page - (LEAF_PIECES - 1) * leaf_max);
			assert_true(wasted == 0 || at + len == total);
		} else {
			if (in_leaves++ == 0)
				first = len;
			/* All alike, but for the last. */
			assert_true(len == first || at + len == total);
			assert_true(len + LEAF_PIECES * 2 > first);
		}
		at += len;
		pieces++;
	}
	assert_int_equal(at, total);
	assert_in_range(in_leaves, 0, LEAF_PIECES - 1);
	assert_true(pieces <= 256);
}

static void cuts_records_into_pieces(void **state)
{
	enum { RECORD_MAX = BLOB_CHUNK_OCTETS + BLOB_CHUNK_OCTETS / 8 };
	for (size_t total = 1; total <= RECORD_MAX; total++)
		check_cuts(4096, total);
	for (size_t page = 8192; page <= 65536; page *= 2)
		for (size_t total = 1; total <= RECORD_MAX; total += total < 1000 ? 1 : 5)
			check_cuts(page, total);
}

struct recut {
	uint64_t blob_id;
	uint32_t chunk;
	size_t piece_octets;
};

static enum err recut_run(struct write *write, void *arg)
{
	const struct recut *recut = arg;
	struct key key;
	struct row row;
	bool more;
	row_open(&row, write_read(write), DB_BLOB);
	key_piece(&key, recut->blob_id, recut->chunk, 0);
	assert_true(row_seek(&row, key_slice(&key)));
	struct slice record =
		arena_copy(&write->arena, chunk_collect(&row, recut->blob_id, recut->chunk, &more));
	row_close(&row);
	for (uint32_t piece = 0; piece < 256; piece++) {
		key_piece(&key, recut->blob_id, recut->chunk, piece);
		if (db_has(write_read(write), DB_BLOB, key_slice(&key)))
			assert_int_equal(db_del(write, DB_BLOB, key_slice(&key)), ERR_OK);
		struct slice part =
			slice_sub(record, piece * recut->piece_octets, recut->piece_octets);
		if (part.len > 0)
			assert_int_equal(db_put(write, DB_BLOB, key_slice(&key), part, PUT_ANY),
					 ERR_OK);
	}
	return ERR_OK;
}

/* Other versions cut in other ways: what they wrote is read all the same. */
static void reads_what_was_cut_otherwise(void **state)
{
	static const size_t sizes[] = { 300, 438, 998, 1501, 2018, 4080, 8176, 100000 };
	struct buffer text = { 0 }, out = { 0 };
	bed_text(&text, 1, 150000);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct bed bed;
		bed_begin(&bed, STORE_CREATE);
		struct bed_append append = { .mailbox_id = bed.inbox_id,
					     .text = buffer_slice(&text) };
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
		/* The one between keeps the cut of today. */
		for (uint32_t chunk = 0; chunk <= 2; chunk += 2) {
			struct recut recut = { append.entry.blob_id, chunk, sizes[i] };
			assert_int_equal(bed_write(&bed, recut_run, &recut), ERR_OK);
		}
		assert_int_equal(read_all(&bed, append.entry.blob_id, &out), ERR_OK);
		assert_true(slice_eq(buffer_slice(&out), buffer_slice(&text)));
		bed_end(&bed);
	}
	buffer_free(&text);
	buffer_free(&out);
}

struct damage {
	uint64_t blob_id;
	uint32_t chunk, piece;
	enum { FLIP, CUT, REMOVE, DIGEST } how;
	size_t at;
};

static enum err damage_run(struct write *write, void *arg)
{
	struct damage *damage = arg;
	struct key key;
	struct slice value;
	enum database db = damage->how == DIGEST ? DB_DIGEST : DB_BLOB;
	key_piece(&key, damage->blob_id, damage->chunk, damage->piece);
	if (damage->how == DIGEST)
		key_be64(&key, damage->blob_id);
	enum err err = db_get(write_read(write), db, key_slice(&key), &value);
	if (err != ERR_OK || damage->how == REMOVE)
		return err == ERR_OK ? db_del(write, db, key_slice(&key)) : err;
	struct slice copy = arena_copy(&write->arena, value);
	uint8_t *octets = (uint8_t *)(uintptr_t)copy.ptr;
	octets[damage->at % copy.len] ^= 0x10;
	if (damage->how == CUT)
		copy.len /= 2;
	return db_put(write, db, key_slice(&key), copy, PUT_ANY);
}

static void notices_damage(void **state)
{
	struct buffer text = { 0 }, out = { 0 };
	bed_text(&text, 1, 150000);
	static const struct damage damages[] = {
		{ .chunk = 1, .how = FLIP, .at = 0 },
		{ .chunk = 1, .how = FLIP, .at = 2 },
		{ .chunk = 1, .how = FLIP, .at = 6 },
		{ .chunk = 1, .how = FLIP, .at = 9 },
		{ .chunk = 1, .how = FLIP, .at = 20000 },
		{ .chunk = 1, .piece = 1, .how = FLIP },
		{ .chunk = 1, .how = CUT },
		{ .chunk = 1, .piece = 1, .how = REMOVE },
		{ .chunk = 1, .how = REMOVE },
	};
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		struct bed bed;
		bed_begin(&bed, STORE_CREATE);
		struct bed_append append = { .mailbox_id = bed.inbox_id,
					     .text = buffer_slice(&text) };
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
		struct damage damage = damages[i];
		damage.blob_id = append.entry.blob_id;
		assert_int_equal(bed_write(&bed, damage_run, &damage), ERR_OK);
		assert_int_equal(read_all(&bed, append.entry.blob_id, &out), ERR_DAMAGED);
		/* What came before the damage is right. */
		assert_int_equal(out.len, BLOB_CHUNK_OCTETS);
		assert_memory_equal(out.data, text.data, out.len);
		/* And what comes behind it can still be read. */
		struct read *read = read_begin(bed.store);
		buffer_clear(&out);
		assert_int_equal(blob_read(read, append.entry.blob_id, 2 * BLOB_CHUNK_OCTETS,
					   UINT64_MAX, &out),
				 ERR_OK);
		assert_int_equal(out.len, 150000 - 2 * BLOB_CHUNK_OCTETS);
		read_end(&read);
		bed_end(&bed);
	}
	for (size_t at = 0; at < 60; at++) {
		struct bed bed;
		struct slice record;
		uint64_t size;
		bed_begin(&bed, STORE_CREATE);
		struct bed_append append = { .mailbox_id = bed.inbox_id,
					     .text = buffer_slice(&text) };
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
		struct read *read = read_begin(bed.store);
		struct slice whole;
		assert_int_equal(blob_digest(read, append.entry.blob_id, &bed.arena, &whole),
				 ERR_OK);
		struct slice whole_structure;
		assert_int_equal(blob_structure_text(read, append.entry.blob_id, &whole_structure),
				 ERR_OK);
		whole_structure = arena_copy(&bed.arena, whole_structure);
		assert_true(whole_structure.len > 10);
		read_end(&read);
		struct damage damage = { .blob_id = append.entry.blob_id, .how = DIGEST, .at = at };
		assert_int_equal(bed_write(&bed, damage_run, &damage), ERR_OK);
		read = read_begin(bed.store);
		bool size_is_wrong =
			blob_size(read, append.entry.blob_id, &size) != ERR_OK || size != 150000;
		enum err err = blob_digest(read, append.entry.blob_id, &bed.arena, &record);
		/* zstd leaves a bit of its header unused. */
		assert_true(err == ERR_DAMAGED || size_is_wrong ||
			    (err == ERR_OK && slice_eq(record, whole)));
		struct slice structure;
		err = blob_structure_text(read, append.entry.blob_id, &structure);
		/* Without its version nobody knows that it has a text, and with a wrong length it is
		 * another. */
		assert_true(err == ERR_DAMAGED ||
			    (err == ERR_OK && slice_eq(structure, whole_structure)));
		read_end(&read);
		bed_end(&bed);
	}
	buffer_free(&text);
	buffer_free(&out);
}

/* Whichever step it is that fails, and whether those behind it do: none says that octets are damaged, and
 * what was read is right. */
static void what_cannot_be_read_is_not_damaged(void **state)
{
	enum { OCTETS = 150000 };
	struct bed bed;
	struct buffer text = { 0 }, out = { 0 };
	bed_begin(&bed, STORE_CREATE);
	bed_text(&text, 1, OCTETS);
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	for (unsigned way = 0; way < 4; way++) {
		bool is_beginning = way % 2;
		size_t offset = is_beginning ? 2 * BLOB_CHUNK_OCTETS : 0, least = text.len;
		unsigned failed = 0;
		fails_for_good = way / 2;
		failed_reads = 1;
		for (int at = 0; failed_reads > 0; at++) {
			struct read *read = read_begin(bed.store);
			buffer_clear(&out);
			failed_reads = 0;
			steps_left = at;
			enum err err = is_beginning
					       ? blob_read_beginning(read, append.entry.blob_id, 2,
								     UINT64_MAX, &out)
					       : blob_read(read, append.entry.blob_id, 0,
							   UINT64_MAX, &out);
			steps_left = NEVER;
			read_end(&read);
			assert_true(err == ERR_OK || (err == ERR_DISK && failed_reads > 0));
			assert_true(slice_eq(buffer_slice(&out),
					     slice_sub(buffer_slice(&text), offset, out.len)));
			assert_true(err != ERR_OK || offset + out.len == text.len);
			least = out.len < least ? out.len : least;
			failed += err != ERR_OK;
		}
		assert_int_equal(least, 0);
		assert_true(failed >= 3); /* its digest, its first row, one behind that */
	}
	fails_for_good = false;
	buffer_free(&text);
	buffer_free(&out);
	bed_end(&bed);
}

static uint8_t digest_version_of(struct read *read, uint64_t blob_id)
{
	struct key key;
	struct slice record;
	key_be64(&key, blob_id);
	assert_int_equal(db_get(read, DB_DIGEST, key_slice(&key), &record), ERR_OK);
	return record.ptr[0];
}

struct older {
	uint64_t blob_id;
	uint8_t version;
};

/* The record of the first two versions: a frame; in the first nothing stands before it. */
static enum err make_older_run(struct write *write, void *arg)
{
	enum { HEADER = 1 + 2 + 4 + 5, SUM = 4 };
	struct older *older = arg;
	struct key key;
	struct slice record, raw;
	struct buffer out = { 0 };
	key_be64(&key, older->blob_id);
	assert_int_equal(db_get(write_read(write), DB_DIGEST, key_slice(&key), &record), ERR_OK);
	assert_int_equal(record.ptr[0], 3);
	assert_true(digest_decompress(write_read(write), record, &write->arena, &raw));
	size_t text = SUM + 4 + get_be32(record.ptr + HEADER + SUM);
	buffer_add(&out, slice_sub(record, 0, HEADER + (older->version == 1 ? 0 : text)));
	out.data[0] = older->version;
	struct compressor *compressor = compressor_take(write->store);
	frame_compress(compressor, raw, -1, &out);
	compressor_give(write->store, compressor);
	enum err err = db_put(write, DB_DIGEST, key_slice(&key), buffer_slice(&out), PUT_ANY);
	buffer_free(&out);
	return err;
}

static void reads_digests_of_an_older_bode(void **state)
{
	for (uint8_t version = 1; version <= 2; version++) {
		struct bed bed;
		struct slice before, after, structure;
		struct inspection inspection;
		uint64_t size;
		bed_begin(&bed, STORE_CREATE);
		struct bed_append append = { .mailbox_id = bed.inbox_id,
					     .text = SLICE("Subject: a\r\n\r\nx\r\n") };
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
		struct older older = { append.entry.blob_id, version };
		struct read *read = read_begin(bed.store);
		assert_int_equal(blob_digest(read, older.blob_id, &bed.arena, &before), ERR_OK);
		read_end(&read);
		assert_int_equal(bed_write(&bed, make_older_run, &older), ERR_OK);
		read = read_begin(bed.store);
		assert_int_equal(digest_version_of(read, older.blob_id), version);
		assert_int_equal(blob_digest(read, older.blob_id, &bed.arena, &after), ERR_OK);
		assert_true(slice_eq(before, after));
		assert_int_equal(blob_size(read, older.blob_id, &size), ERR_OK);
		assert_int_equal(size, append.text.len);
		assert_int_equal(blob_structure_text(read, older.blob_id, &structure), ERR_OK);
		assert_int_equal(structure.ptr == NULL, version == 1);
		/* It is not wrong for that. */
		inspect_begin(&inspection, older.blob_id);
		assert_true(inspect_step(&inspection, read, 1 << 20));
		assert_true(inspection_is_good(&inspection));
		assert_int_equal(inspection.rebuilt.len, 0);
		inspect_end(&inspection);
		read_end(&read);
		bed_end(&bed);
	}
}

/* Of many parts that are alike zstd makes little. */
static void compresses_long_digests(void **state)
{
	struct bed bed;
	struct buffer text = { 0 };
	struct slice digest;
	bed_begin(&bed, STORE_CREATE);
	buffer_add_cstr(&text, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (unsigned i = 0; i < 100; i++)
		buffer_add_cstr(&text,
				"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx\r\n");
	buffer_add_cstr(&text, "--b--\r\n");
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_int_equal(digest_version_of(read, append.entry.blob_id), 2);
	assert_int_equal(blob_digest(read, append.entry.blob_id, &bed.arena, &digest), ERR_OK);
	assert_true(digest.len > 2000);
	read_end(&read);
	buffer_free(&text);
	bed_end(&bed);
}

/* In the clear a digest is shown where it stands, and as it stands; else not at all. */
static void shows_digests_in_place(void **state)
{
	struct store store = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct read read = { .store = &store };
	struct buffer record = { 0 }, long_digest = { 0 };
	struct arena arena = { 0 };
	struct slice want = SLICE("names and numbers, names and numbers"), got;
	digest_compress(&store, want, SLICE("(\"TEXT\" \"PLAIN\")"), 4711, &record);
	assert_true(digest_glance(buffer_slice(&record), &got));
	assert_true(slice_eq(got, want));
	assert_ptr_equal(got.ptr + got.len, record.data + record.len);
	for (size_t len = 0; len < record.len; len++)
		assert_false(digest_glance(slice_sub(buffer_slice(&record), 0, len), &got));
	record.data[record.len - 1] ^= 1;
	assert_true(digest_glance(buffer_slice(&record), &got));
	assert_false(slice_eq(got, want));
	assert_false(digest_decompress(&read, buffer_slice(&record), &arena, &got));
	for (unsigned i = 0; i < 200; i++)
		buffer_add(&long_digest, want);
	buffer_clear(&record);
	digest_compress(&store, buffer_slice(&long_digest), SLICE("(\"TEXT\")"), 4711, &record);
	assert_true(record.len < long_digest.len / 2);
	assert_false(digest_glance(buffer_slice(&record), &got));
	assert_true(digest_decompress(&read, buffer_slice(&record), &arena, &got));
	compressors_free(&store);
	ZSTD_freeDCtx(read.decompressor);
	arena_fini(&arena);
	buffer_free(&record);
	buffer_free(&long_digest);
}

/* The record of a digest in the clear, changed in any bit or cut: the same, or damage. */
static void notices_damage_of_digests(void **state)
{
	struct store store = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct read read = { .store = &store };
	struct buffer record = { 0 };
	struct arena arena = { 0 };
	struct slice want = SLICE("names and numbers, names and numbers"), got, text;
	digest_compress(&store, want, SLICE("(\"TEXT\" \"PLAIN\")"), 4711, &record);
	enum { SIZE = 7, SIZE_END = 12 };
	for (size_t bit = 0; bit < record.len * 8; bit++) {
		record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		bool is_good = digest_decompress(&read, buffer_slice(&record), &arena, &got);
		/* The size is checked by the chunks; the text has a checksum of its own. */
		if (is_good)
			assert_true(slice_eq(got, want) &&
				    ((bit / 8 >= SIZE && bit / 8 < SIZE_END) ||
				     !digest_structure_text(buffer_slice(&record), &text)));
		record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < record.len; len++)
		assert_false(digest_decompress(&read, slice_sub(buffer_slice(&record), 0, len),
					       &arena, &got));
	assert_true(digest_decompress(&read, buffer_slice(&record), &arena, &got));
	assert_true(slice_eq(got, want));
	read_scratch_free(&read);
	arena_fini(&arena);
	buffer_free(&record);
}

static void collect(struct store *store)
{
	struct garbage_walk walk = { 0 };
	uint64_t wait_ms = 0;
	while (wait_ms <= 1000)
		assert_int_equal(garbage_step(store, &walk, &wait_ms), ERR_OK);
}

static enum err append_again(struct write *write, void *arg)
{
	struct bed_append *append = arg;
	return message_append(write, append->mailbox_id, &append->entry, NULL, 0, &append->uid);
}

/* One small message, at a moment of the test's; returns its body. */
static uint64_t begin_with_one(struct bed *bed, struct bed_append *append, int64_t now_ms)
{
	clock_set_fake_unix_ms(now_ms);
	bed_begin(bed, STORE_CREATE);
	*append =
		(struct bed_append){ .mailbox_id = bed->inbox_id, .text = SLICE("a: b\r\n\r\nx") };
	assert_int_equal(bed_append(bed, append), ERR_OK);
	return blob_of(bed, 1);
}

/* A FETCH under way can still read what was expunged; later it is gone, and its number with
 * it. */
static void stays_for_a_while(void **state)
{
	struct bed bed;
	struct bed_append append;
	struct buffer out = { 0 };
	int64_t now_ms = 1700000000000;
	uint64_t blob_id = begin_with_one(&bed, &append, now_ms);
	assert_int_equal(bed_expunge(&bed, 1, 1), ERR_OK);
	collect(bed.store);
	assert_int_equal(read_all(&bed, blob_id, &out), ERR_OK);
	assert_slice(buffer_slice(&out), "a: b\r\n\r\nx");
	/* But nobody can file it any more. */
	assert_int_equal(bed_write(&bed, append_again, &append), ERR_GONE);
	clock_set_fake_unix_ms(now_ms + GARBAGE_DELAY_SECONDS * 1000 + 1000);
	struct read *before = read_begin(bed.store);
	collect(bed.store);
	assert_int_equal(read_all(&bed, blob_id, &out), ERR_GONE);
	assert_int_equal(bed_write(&bed, append_again, &append), ERR_GONE);
	/* A read that began before still sees it. */
	buffer_clear(&out);
	assert_int_equal(blob_read(before, blob_id, 0, 100, &out), ERR_OK);
	assert_slice(buffer_slice(&out), "a: b\r\n\r\nx");
	read_end(&before);
	append.text = SLICE("another");
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	assert_true(append.entry.blob_id > blob_id);
	buffer_free(&out);
	clock_set_fake_unix_ms(-1);
	bed_end(&bed);
}

static void stays_while_somebody_has_it(void **state)
{
	struct bed bed;
	struct bed_append append;
	struct buffer out = { 0 };
	int64_t now_ms = 1700000000000;
	uint64_t blob_id = begin_with_one(&bed, &append, now_ms);
	struct bed_append again = append;
	again.mailbox_id = bed_mailbox(&bed, "Sent");
	assert_int_equal(bed_write(&bed, append_again, &again), ERR_OK);
	assert_int_equal(bed_write(&bed, append_again, &again), ERR_OK);
	assert_int_equal(bed_expunge(&bed, 1, 1), ERR_OK);
	clock_set_fake_unix_ms(now_ms += GARBAGE_DELAY_SECONDS * 1000 + 1000);
	collect(bed.store);
	assert_int_equal(read_all(&bed, blob_id, &out), ERR_OK);
	bed.inbox_id = again.mailbox_id;
	assert_int_equal(bed_expunge(&bed, 1, 1), ERR_OK);
	clock_set_fake_unix_ms(now_ms + GARBAGE_DELAY_SECONDS * 1000 + 1000);
	collect(bed.store);
	assert_int_equal(read_all(&bed, blob_id, &out), ERR_OK);
	buffer_free(&out);
	clock_set_fake_unix_ms(-1);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_any_stretch),
		cmocka_unit_test(reads_beginnings),
		cmocka_unit_test(cuts_records_into_pieces),
		cmocka_unit_test(reads_what_was_cut_otherwise),
		cmocka_unit_test(notices_damage),
		cmocka_unit_test(what_cannot_be_read_is_not_damaged),
		cmocka_unit_test(reads_digests_of_an_older_bode),
		cmocka_unit_test(compresses_long_digests),
		cmocka_unit_test(shows_digests_in_place),
		cmocka_unit_test(notices_damage_of_digests),
		cmocka_unit_test(stays_for_a_while),
		cmocka_unit_test(stays_while_somebody_has_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
