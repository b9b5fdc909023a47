/* storage/digest_record.c - the records of digests: a zstd frame, and before it the text of the
 * structure, which is short as it is: FETCH BODYSTRUCTURE wants nothing else. Runs in the back, and
 * in the admin's process. */
#include "storage/digest_record_priv.h"

#include <assert.h>

#include "base/checksum.h"
#include "storage/compress_priv.h"

enum {
	DIGEST_LEVEL = -1, /* half a kilobyte of names and numbers: little to gain, so in a hurry */
	DIGEST_RAW_MAX_OCTETS = 256 << 20, /* more is damage */
	/* Version of a digest's record: what stands in the clear before the frame is read without it. */
	DIGEST_WITH_TEXT = 2,
};

void digest_compress(struct store *store, struct slice raw, struct slice structure_text,
		     uint64_t size_octets, struct buffer *record)
{
	assert(raw.len <= DIGEST_RAW_MAX_OCTETS && structure_text.len <= DIGEST_RAW_MAX_OCTETS);
	add_record_header(record, DIGEST_WITH_TEXT, raw.len);
	put_be40(buffer_reserve(record, 5), size_octets);
	record->len += 5;
	buffer_add_be32(record, (uint32_t)checksum_of(structure_text));
	buffer_add_block(record, structure_text);
	struct compressor *compressor = compressor_take(store);
	frame_compress(compressor, raw, DIGEST_LEVEL, record);
	compressor_give(store, compressor);
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
	    !take_record_header(c, DIGEST_RAW_MAX_OCTETS, &header_out->raw_octets) ||
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
