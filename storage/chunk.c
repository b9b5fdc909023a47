/* storage/chunk.c - the records of chunks, and how they are cut for LMDB's pages.
 *
 * A chunk is one zstd frame, or, where there is base64 in it that pays, two: the text, and the
 * octets that the base64 stands for (storage/base64_runs.c). Who wants what comes before an
 * attachment gets it from the first. Runs in the back, and in the admin's process. */
#include "storage/chunk_priv.h"

#include <assert.h>

#include "base/checksum.h"
#include "storage/base64_runs_priv.h"
#include "storage/compress_priv.h"
#include "storage/lmdb_file_priv.h"

enum {
	CHUNK_LEVEL = 1,
	CHUNK_WITH_RUNS = 2,   /* a record's version; one without runs has the first */
	RUNS_MIN_OCTETS = 384, /* decoded; two frames take some octets more than one */
};

void chunk_compress(struct store *store, struct slice raw, struct buffer *record)
{
	assert(raw.len > 0 && raw.len <= BLOB_CHUNK_OCTETS);
	struct base64_runs runs;
	struct compressor *compressor = compressor_take(store);
	buffer_clear(&compressor->text);
	buffer_clear(&compressor->octets);
	base64_runs_split(raw, &runs, &compressor->text, &compressor->octets);
	if (runs.octets < RUNS_MIN_OCTETS) {
		add_record_header(record, RECORD_VERSION, raw.len);
		frame_compress(compressor, raw, CHUNK_LEVEL, record);
	} else {
		size_t start = record->len;
		add_record_header(record, CHUNK_WITH_RUNS, raw.len);
		base64_runs_encode(&runs, record);
		size_t header = record->len - start;
		buffer_add_be64(record, 0); /* place for both numbers */
		frame_compress(compressor, buffer_slice(&compressor->text), CHUNK_LEVEL, record);
		uint8_t *at = record->data + start + header;
		put_be32(at, (uint32_t)(record->len - start - header - 8));
		put_be32(at + 4, (uint32_t)checksum_of(slice_of(record->data + start, header + 4)));
		frame_compress(compressor, buffer_slice(&compressor->octets), CHUNK_LEVEL, record);
	}
	compressor_give(store, compressor);
}

bool chunk_raw_octets(struct slice record, uint32_t *raw_octets_out)
{
	struct cursor c = cursor_of(record);
	uint8_t version;
	return take_u8(&c, &version) && version >= RECORD_VERSION && version <= CHUNK_WITH_RUNS &&
	       take_record_header(&c, BLOB_CHUNK_OCTETS, raw_octets_out);
}

static bool plain_decompress(struct read *read, struct slice record, struct buffer *out)
{
	struct cursor c = cursor_of(record);
	uint32_t raw_octets;
	if (!take_byte(&c, RECORD_VERSION) ||
	    !take_record_header(&c, BLOB_CHUNK_OCTETS, &raw_octets) ||
	    !frame_decompress(read, cursor_rest(&c), buffer_reserve(out, raw_octets), raw_octets))
		return false;
	out->len += raw_octets;
	return true;
}

static bool scratch_decompress(struct read *read, struct slice frame, uint32_t raw_octets,
			       struct buffer *scratch)
{
	buffer_clear(scratch);
	/* Not nothing: there may be no text at all, and an empty buffer has no address. */
	if (!frame_decompress(read, frame, buffer_reserve(scratch, raw_octets + 1), raw_octets))
		return false;
	scratch->len = raw_octets;
	return true;
}

static bool runs_decompress(struct read *read, struct slice record, uint32_t need_octets,
			    struct buffer *out)
{
	struct cursor c = cursor_of(record);
	struct base64_runs runs;
	struct slice text_frame;
	uint32_t raw_octets, frame_octets, sum;
	/* The frames' checksums do not cover the list, which says where they belong. */
	if (!take_byte(&c, CHUNK_WITH_RUNS) ||
	    !take_record_header(&c, BLOB_CHUNK_OCTETS, &raw_octets) ||
	    !take_base64_runs(&c, raw_octets, &runs) || !take_be32(&c, &frame_octets))
		return false;
	struct slice header = slice_of(record.ptr, (size_t)(c.at - record.ptr));
	if (!take_be32(&c, &sum) || (uint32_t)checksum_of(header) != sum ||
	    !take_octets(&c, frame_octets, &text_frame) ||
	    !scratch_decompress(read, text_frame, runs.text_octets, &read->text))
		return false;
	bool wants_runs = runs.list[0].text_octets < need_octets;
	if (wants_runs && !scratch_decompress(read, cursor_rest(&c), runs.octets, &read->octets))
		return false;
	buffer_reserve(out, raw_octets);
	base64_runs_join(&runs, buffer_slice(&read->text), buffer_slice(&read->octets), need_octets,
			 out);
	return true;
}

bool chunk_decompress(struct read *read, struct slice record, uint32_t need_octets,
		      struct buffer *out)
{
	return record.len > 0 && record.ptr[0] == CHUNK_WITH_RUNS
		       ? runs_decompress(read, record, need_octets, out)
		       : plain_decompress(read, record, out);
}

/* A value that is more than half a leaf gets pages of its own, rounded up: a chunk would waste
 * half a page on average. So what fills such pages exactly is cut off first, two pages at a time,
 * and what is left over goes into leaves, which it shares with others, in pieces of which four
 * fill one. Larger pieces left a third more of the file unused when mail came and went: of what
 * the removed ones leave behind, stretches of many pages are few, and large leftovers leave
 * large holes in the leaves. */
size_t piece_octets(const struct store *store, size_t total, size_t at)
{
	enum { LEAF_PIECES = 4, PIECE_KEY_OCTETS = 12 };
	size_t page = store->page_octets;
	size_t one = page - LMDB_PAGE_HEADER_OCTETS, two = 2 * page - LMDB_PAGE_HEADER_OCTETS;
	size_t leaf_max = ((one / LEAF_PIECES) & ~(size_t)1) - LMDB_NODE_POINTER_OCTETS -
			  LMDB_NODE_HEADER_OCTETS - PIECE_KEY_OCTETS;
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
