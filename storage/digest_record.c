/* storage/digest_record.c - the records of digests: the text of the structure, which is all that
 * FETCH BODYSTRUCTURE wants, and the digest. Most are some hundred octets of names and numbers, of
 * which zstd would save a tenth, and a search of 100,000 envelopes would spend a third of its time to
 * undo it: they stand as they are, with a checksum. A long one is a zstd frame where that saves a
 * quarter of it. Runs in the back, and in the admin's process. */
#include "storage/digest_record_priv.h"

#include <assert.h>

#include "base/checksum.h"
#include "storage/compress_priv.h"
#include "storage/dictionary_priv.h"

enum {
	DIGEST_LEVEL = -1,		   /* little to gain, so in a hurry */
	DIGEST_CLEAR_OCTETS = 512,	   /* up to here it is not even tried */
	DIGEST_RAW_MAX_OCTETS = 256 << 20, /* more is damage */
};
/* Of a record. In the first there is no text; a digest in the clear is all that the third changes. */
enum digest_version {
	DIGEST_WITHOUT_TEXT = RECORD_VERSION,
	DIGEST_COMPRESSED = 2,
	DIGEST_CLEAR = 3,
};

void digest_compress(struct store *store, struct slice raw, struct slice structure_text,
		     uint64_t size_octets, struct buffer *record)
{
	assert(raw.len <= DIGEST_RAW_MAX_OCTETS && structure_text.len <= DIGEST_RAW_MAX_OCTETS);
	size_t start = record->len;
	add_record_header(record, DIGEST_COMPRESSED, NO_DICTIONARY, raw.len);
	put_be40(buffer_reserve(record, 5), size_octets);
	record->len += 5;
	buffer_add_be32(record, (uint32_t)checksum_of(structure_text));
	buffer_add_block(record, structure_text);
	size_t before = record->len;
	if (raw.len > DIGEST_CLEAR_OCTETS) {
		struct compressor *compressor = compressor_take(store);
		frame_compress(compressor, raw, DIGEST_LEVEL, record);
		compressor_give(store, compressor);
		if (record->len - before <= raw.len - raw.len / 4)
			return;
		record->len = before;
	}
	record->data[start] = DIGEST_CLEAR;
	buffer_add_be32(record, (uint32_t)checksum_of(raw));
	buffer_add(record, raw);
}

/* All that stands before the digest. */
struct digest_header {
	uint8_t version;
	uint32_t raw_octets;
	uint64_t size_octets;
	uint32_t text_sum;
	struct slice text; /* ptr NULL: of an older Bode */
};

static bool take_digest_header(struct cursor *c, struct digest_header *header_out)
{
	struct slice size;
	struct record_header record;
	header_out->text = SLICE_NONE;
	if (!take_u8(c, &header_out->version) || header_out->version < DIGEST_WITHOUT_TEXT ||
	    header_out->version > DIGEST_CLEAR ||
	    !take_record_header(c, DIGEST_RAW_MAX_OCTETS, &record) ||
	    record.dictionary != NO_DICTIONARY || !take_octets(c, 5, &size))
		return false;
	header_out->raw_octets = record.raw_octets;
	header_out->size_octets = get_be40(size.ptr);
	return header_out->version == DIGEST_WITHOUT_TEXT ||
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

/* What stands behind the header. */
static bool take_clear_digest(struct cursor *c, const struct digest_header *header,
			      uint32_t *sum_out, struct slice *raw_out)
{
	if (!take_be32(c, sum_out) || cursor_left(c) != header->raw_octets)
		return false;
	*raw_out = cursor_rest(c);
	return true;
}

bool digest_glance(struct slice record, struct slice *raw_out)
{
	struct cursor c = cursor_of(record);
	struct digest_header header;
	uint32_t sum;
	return take_digest_header(&c, &header) && header.version == DIGEST_CLEAR &&
	       take_clear_digest(&c, &header, &sum, raw_out);
}

bool digest_decompress(struct read *read, struct slice record, struct arena *arena,
		       struct slice *raw_out)
{
	struct cursor c = cursor_of(record);
	struct digest_header header;
	if (!take_digest_header(&c, &header))
		return false;
	uint32_t sum;
	struct slice stored;
	if (header.version == DIGEST_CLEAR) {
		if (!take_clear_digest(&c, &header, &sum, &stored) ||
		    (uint32_t)checksum_of(stored) != sum)
			return false;
		*raw_out = arena_copy(arena, stored);
		return true;
	}
	void *raw = arena_alloc(arena, header.raw_octets);
	*raw_out = slice_of(raw, header.raw_octets);
	return frame_decompress(read, cursor_rest(&c), raw, header.raw_octets);
}
