/* storage/chunk.c - the records of chunks, and how they are cut for LMDB's pages.
 *
 * A chunk is one frame of text, or, where there is base64 in it that pays, two: the text, and the octets that
 * the base64 stands for (storage/base64_runs.c). Who wants what comes before an attachment gets it from the
 * first. Text is LZ4's with a dictionary (storage/text_frame.c), the octets zstd's; so is a long text, which
 * has so much in common with itself that zstd makes a fifth less of it, and an older Bode's. Runs in the
 * back, and in the admin's process. */
#include "storage/chunk_priv.h"

#include <assert.h>

#include "base/checksum.h"
#include "storage/base64_runs_priv.h"
#include "storage/compress_priv.h"
#include "storage/lmdb_file_priv.h"
#include "storage/text_frame_priv.h"

/* Of a record: what the frame of the text is, and whether there is one of runs behind it. */
enum chunk_version {
	CHUNK_ZSTD = RECORD_VERSION,
	CHUNK_ZSTD_RUNS = 2,
	CHUNK_TEXT = 3,
	CHUNK_TEXT_RUNS = 4,
};
enum {
	ZSTD_LEVEL = 1,
	TEXT_LONG_OCTETS = 26 * 1024,
	RUNS_MIN_OCTETS = 384, /* decoded; two frames take some octets more than one */
};

/* Its text, by which of the two, and the header that says so. */
struct text_plan {
	const struct dictionary *dictionary; /* NULL: none, or zstd */
	bool is_long;
};

static struct text_plan text_plan(struct store *store, size_t text_octets)
{
	bool is_long = text_octets > TEXT_LONG_OCTETS;
	return (struct text_plan){ is_long ? NULL : dictionary_newest(store), is_long };
}

static void add_text_header(const struct text_plan *plan, bool has_runs, size_t raw_octets,
			    struct buffer *record)
{
	add_record_header(record,
			  plan->is_long ? (has_runs ? CHUNK_ZSTD_RUNS : CHUNK_ZSTD)
					: (has_runs ? CHUNK_TEXT_RUNS : CHUNK_TEXT),
			  plan->dictionary ? plan->dictionary->number : NO_DICTIONARY, raw_octets);
}

static void add_text(const struct text_plan *plan, struct compressor *compressor, struct slice text,
		     struct buffer *record)
{
	if (plan->is_long)
		frame_compress(compressor, text, ZSTD_LEVEL, record);
	else
		text_frame_compress(compressor, plan->dictionary, text, record);
}

void chunk_compress(struct store *store, struct slice raw, struct buffer *record)
{
	assert(raw.len > 0 && raw.len <= BLOB_CHUNK_OCTETS);
	struct base64_runs runs;
	struct compressor *compressor = compressor_take(store);
	buffer_clear(&compressor->text);
	buffer_clear(&compressor->octets);
	base64_runs_split(raw, &runs, &compressor->text, &compressor->octets);
	bool has_runs = runs.octets >= RUNS_MIN_OCTETS;
	struct slice text = has_runs ? buffer_slice(&compressor->text) : raw;
	struct text_plan plan = text_plan(store, text.len);
	size_t start = record->len;
	add_text_header(&plan, has_runs, raw.len, record);
	if (!has_runs) {
		add_text(&plan, compressor, text, record);
	} else {
		base64_runs_encode(&runs, record);
		size_t header = record->len - start;
		buffer_add_be64(record, 0); /* place for both numbers */
		add_text(&plan, compressor, text, record);
		uint8_t *at = record->data + start + header;
		put_be32(at, (uint32_t)(record->len - start - header - 8));
		put_be32(at + 4, (uint32_t)checksum_of(slice_of(record->data + start, header + 4)));
		frame_compress(compressor, buffer_slice(&compressor->octets), ZSTD_LEVEL, record);
	}
	compressor_give(store, compressor);
}

static bool take_chunk_header(struct cursor *c, uint8_t *version, struct record_header *header)
{
	return take_u8(c, version) && *version >= CHUNK_ZSTD && *version <= CHUNK_TEXT_RUNS &&
	       take_record_header(c, BLOB_CHUNK_OCTETS, header) &&
	       (*version >= CHUNK_TEXT || header->dictionary == NO_DICTIONARY);
}

bool chunk_raw_octets(struct slice record, uint32_t *raw_octets_out)
{
	struct cursor c = cursor_of(record);
	uint8_t version;
	struct record_header header;
	if (!take_chunk_header(&c, &version, &header))
		return false;
	*raw_octets_out = header.raw_octets;
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

static bool text_decompress(struct read *read, uint8_t version, uint16_t dictionary,
			    struct slice frame, uint32_t raw_octets, struct slice *text_out)
{
	if (version >= CHUNK_TEXT)
		return text_frame_decompress(read, dictionary, frame, raw_octets, text_out);
	bool is_good = scratch_decompress(read, frame, raw_octets, &read->text);
	*text_out = buffer_slice(&read->text);
	return is_good;
}

bool chunk_decompress(struct read *read, struct slice record, uint32_t need_octets,
		      struct buffer *out)
{
	struct cursor c = cursor_of(record);
	uint8_t version;
	struct record_header header;
	struct base64_runs runs;
	struct slice text_frame, text;
	uint32_t frame_octets, sum;
	if (!take_chunk_header(&c, &version, &header))
		return false;
	if (version == CHUNK_ZSTD || version == CHUNK_TEXT) {
		if (!text_decompress(read, version, header.dictionary, cursor_rest(&c),
				     header.raw_octets, &text))
			return false;
		buffer_add(out, text);
		return true;
	}
	/* The frames' checksums do not cover the list, which says where they belong. */
	if (!take_base64_runs(&c, header.raw_octets, &runs) || !take_be32(&c, &frame_octets))
		return false;
	struct slice before = slice_of(record.ptr, (size_t)(c.at - record.ptr));
	if (!take_be32(&c, &sum) || (uint32_t)checksum_of(before) != sum ||
	    !take_octets(&c, frame_octets, &text_frame) ||
	    !text_decompress(read, version, header.dictionary, text_frame, runs.text_octets, &text))
		return false;
	bool wants_runs = runs.list[0].text_octets < need_octets;
	if (wants_runs && !scratch_decompress(read, cursor_rest(&c), runs.octets, &read->octets))
		return false;
	buffer_reserve(out, header.raw_octets);
	base64_runs_join(&runs, text, buffer_slice(&read->octets), need_octets, out);
	return true;
}

/* A value that is more than half a leaf gets pages of its own, rounded up: a chunk would waste
 * half a page on average. So what fills such pages exactly is cut off first, two pages at a time,
 * and what is left over goes into leaves, which it shares with others, in pieces of which eight
 * fill one. A leaf ends with a hole of half a piece on average, and each piece takes 22 octets of
 * its own: larger ones leave more holes, smaller ones more headers. What would fill more than seven
 * of the eight gets a page: leaves lose as much, and are half empty when mail came and went, while
 * a page is free as a whole. More than two pages at a time make a smaller file at first, and a
 * larger one then: of what the removed ones leave behind, stretches of many pages are few. */
size_t piece_octets(const struct store *store, size_t total, size_t at)
{
	enum { LEAF_PIECES = 8, PIECE_KEY_OCTETS = 12 };
	size_t page = store->page_octets;
	size_t one = page - LMDB_PAGE_HEADER_OCTETS, two = 2 * page - LMDB_PAGE_HEADER_OCTETS;
	size_t leaf_max = ((one / LEAF_PIECES) & ~(size_t)1) - LMDB_NODE_POINTER_OCTETS -
			  LMDB_NODE_HEADER_OCTETS - PIECE_KEY_OCTETS;
	size_t tail_max = (LEAF_PIECES - 1) * leaf_max;
	size_t twos = total - total % two, tail = total % two;
	if (at < twos)
		return two;
	if (tail > one + tail_max || (tail < one && tail > tail_max))
		return tail;
	if (tail >= one) {
		if (at == twos)
			return one;
		tail -= one;
	}
	size_t pieces = (tail + leaf_max - 1) / leaf_max;
	size_t even = (tail + pieces - 1) / pieces;
	even += even % 2; /* as the node's length would be */
	size_t left = total - at;
	return left < even ? left : even;
}
