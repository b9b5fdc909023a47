/* storage/compress.c - chunks and digests as zstd frames with a checksum of what was put in
 * (RFC 8878 section 3.1.1), and how their records are cut for LMDB's pages. Before a digest's frame
 * stands the text of the structure: it is short as it is, and FETCH BODYSTRUCTURE wants nothing else.
 *
 * Each record names the dictionary it was made with. There is none yet: 0.
 * Runs in the back, and in the admin's process. */
#include "storage/compress_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "base/heap.h"

enum {
	CHUNK_LEVEL = 1,
	DIGEST_LEVEL = -1, /* half a kilobyte of names and numbers: little to gain, so in a hurry */
	NO_DICTIONARY = 0,
	DIGEST_RAW_MAX_OCTETS = 256 << 20, /* more is damage */
	/* Version of a digest's record: what stands in the clear before the frame is read without it. */
	DIGEST_WITH_TEXT = 2,
};

/* Some hundred kilobytes each, so they are shared: no more than there are threads. */
struct compressor {
	struct compressor *next;
	ZSTD_CCtx *zstd;
};

static struct compressor *compressor_take(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	struct compressor *compressor = store->idle_compressors;
	if (compressor)
		store->idle_compressors = compressor->next;
	pthread_mutex_unlock(&store->lock);
	if (compressor)
		return compressor;
	compressor = heap_alloc(sizeof(*compressor));
	compressor->zstd = ZSTD_createCCtx();
	if (!compressor->zstd)
		abort(); /* no memory */
	ZSTD_CCtx_setParameter(compressor->zstd, ZSTD_c_checksumFlag, 1);
	return compressor;
}

static void compressor_give(struct store *store, struct compressor *compressor)
{
	pthread_mutex_lock(&store->lock);
	compressor->next = store->idle_compressors;
	store->idle_compressors = compressor;
	pthread_mutex_unlock(&store->lock);
}

void compressors_free(struct store *store)
{
	while (store->idle_compressors) {
		struct compressor *compressor = store->idle_compressors;
		store->idle_compressors = compressor->next;
		ZSTD_freeCCtx(compressor->zstd);
		free(compressor);
	}
}

static void add_frame(struct store *store, struct slice raw, int level, struct buffer *record)
{
	struct compressor *compressor = compressor_take(store);
	ZSTD_CCtx_setParameter(compressor->zstd, ZSTD_c_compressionLevel, level);
	size_t bound = ZSTD_compressBound(raw.len);
	uint8_t *at = buffer_reserve(record, bound);
	size_t len = ZSTD_compress2(compressor->zstd, at, bound, raw.ptr, raw.len);
	compressor_give(store, compressor);
	assert(!ZSTD_isError(len));
	record->len += len;
}

void chunk_compress(struct store *store, struct slice raw, struct buffer *record)
{
	assert(raw.len > 0 && raw.len <= BLOB_CHUNK_OCTETS);
	buffer_add_byte(record, RECORD_VERSION);
	buffer_add_be16(record, NO_DICTIONARY);
	buffer_add_be32(record, (uint32_t)raw.len);
	add_frame(store, raw, CHUNK_LEVEL, record);
}

void digest_compress(struct store *store, struct slice raw, struct slice structure_text,
		     uint64_t size_octets, struct buffer *record)
{
	assert(raw.len <= DIGEST_RAW_MAX_OCTETS && structure_text.len <= DIGEST_RAW_MAX_OCTETS);
	buffer_add_byte(record, DIGEST_WITH_TEXT);
	buffer_add_be16(record, NO_DICTIONARY);
	buffer_add_be32(record, (uint32_t)raw.len);
	put_be40(buffer_reserve(record, 5), size_octets);
	record->len += 5;
	buffer_add_be32(record, (uint32_t)checksum_of(structure_text));
	buffer_add_block(record, structure_text);
	add_frame(store, raw, DIGEST_LEVEL, record);
}

static bool frame_decompress(struct read *read, struct slice frame, void *out, size_t raw_octets)
{
	if (!read->decompressor && !(read->decompressor = ZSTD_createDCtx()))
		abort(); /* no memory */
	return ZSTD_decompressDCtx(read->decompressor, out, raw_octets, frame.ptr, frame.len) ==
	       raw_octets;
}

/* Behind the version. */
static bool take_frame_header(struct cursor *c, uint32_t max, uint32_t *raw_octets_out)
{
	uint16_t dictionary;
	return take_be16(c, &dictionary) && dictionary == NO_DICTIONARY &&
	       take_be32(c, raw_octets_out) && *raw_octets_out <= max;
}

bool chunk_raw_octets(struct slice record, uint32_t *raw_octets_out)
{
	struct cursor c = cursor_of(record);
	return take_byte(&c, RECORD_VERSION) &&
	       take_frame_header(&c, BLOB_CHUNK_OCTETS, raw_octets_out);
}

bool chunk_decompress(struct read *read, struct slice record, struct buffer *out)
{
	struct cursor c = cursor_of(record);
	uint32_t raw_octets;
	if (!take_byte(&c, RECORD_VERSION) ||
	    !take_frame_header(&c, BLOB_CHUNK_OCTETS, &raw_octets) ||
	    !frame_decompress(read, cursor_rest(&c), buffer_reserve(out, raw_octets), raw_octets))
		return false;
	out->len += raw_octets;
	return true;
}

/* All that stands before the frame. */
struct digest_header {
	uint32_t raw_octets;
	uint64_t size_octets;
	uint32_t text_sum;
	struct slice text; /* ptr NULL: of an older Bode */
};

static bool take_digest_header(struct cursor *c, struct digest_header *header_out)
{
	struct slice size;
	uint8_t version;
	header_out->text = SLICE_NONE;
	if (!take_u8(c, &version) || version == 0 || version > DIGEST_WITH_TEXT ||
	    !take_frame_header(c, DIGEST_RAW_MAX_OCTETS, &header_out->raw_octets) ||
	    !take_octets(c, 5, &size))
		return false;
	header_out->size_octets = get_be40(size.ptr);
	return version < DIGEST_WITH_TEXT ||
	       (take_be32(c, &header_out->text_sum) && take_block(c, &header_out->text));
}

bool digest_size(struct slice record, uint64_t *size_octets_out)
{
	struct cursor c = cursor_of(record);
	struct digest_header header;
	if (!take_digest_header(&c, &header))
		return false;
	*size_octets_out = header.size_octets;
	return true;
}

bool digest_structure_text(struct slice record, struct slice *text_out)
{
	struct cursor c = cursor_of(record);
	struct digest_header header;
	if (!take_digest_header(&c, &header))
		return false;
	*text_out = header.text;
	return !header.text.ptr || (uint32_t)checksum_of(header.text) == header.text_sum;
}

bool digest_decompress(struct read *read, struct slice record, struct arena *arena,
		       struct slice *raw_out)
{
	struct cursor c = cursor_of(record);
	struct digest_header header;
	if (!take_digest_header(&c, &header))
		return false;
	void *raw = arena_alloc(arena, header.raw_octets);
	*raw_out = slice_of(raw, header.raw_octets);
	return frame_decompress(read, cursor_rest(&c), raw, header.raw_octets);
}

/* A value that is more than half a leaf gets pages of its own, rounded up: a chunk would waste
 * half a page on average. So what fills such pages exactly is cut off first, two pages at a time,
 * and what is left over goes into leaves, which it shares with others, in pieces of which four
 * fill one. Larger pieces left a third more of the file unused when mail came and went: of what
 * the removed ones leave behind, stretches of many pages are few, and large leftovers leave
 * large holes in the leaves. */
size_t piece_octets(const struct store *store, size_t total, size_t at)
{
	enum { PAGE_HEADER = 16, NODE_HEADER = 8, NODE_POINTER = 2, PIECE_KEY = 12 };
	enum { LEAF_PIECES = 4 };
	size_t page = store->page_octets, one = page - PAGE_HEADER, two = 2 * page - PAGE_HEADER;
	size_t leaf_max =
		((one / LEAF_PIECES) & ~(size_t)1) - NODE_POINTER - NODE_HEADER - PIECE_KEY;
	size_t tail_max = LEAF_PIECES * leaf_max;
	size_t twos = total - total % two, tail = total % two;
	if (at < twos)
		return two;
	/* Nearly a page more: it may as well have it. */
	if (tail > one + tail_max || (tail < one && tail > tail_max))
		return tail;
	if (tail >= one) {
		if (at == twos)
			return one;
		tail -= one;
	}
	size_t pieces = (tail + leaf_max - 1) / leaf_max;
	size_t even = (tail + pieces - 1) / pieces;
	size_t left = total - at;
	return left < even ? left : even;
}
