/* storage/compress.c - zstd frames with a checksum of what was put in (RFC 8878 section 3.1.1), and
 * what makes and reads them. Runs in the back, and in the admin's process. */
#include "storage/compress_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"

struct compressor *compressor_take(struct store *store)
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

void compressor_give(struct store *store, struct compressor *compressor)
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
		buffer_free(&compressor->text);
		buffer_free(&compressor->octets);
		free(compressor);
	}
}

void frame_compress(struct compressor *compressor, struct slice raw, int level,
		    struct buffer *record)
{
	ZSTD_CCtx_setParameter(compressor->zstd, ZSTD_c_compressionLevel, level);
	size_t bound = ZSTD_compressBound(raw.len);
	uint8_t *at = buffer_reserve(record, bound);
	size_t len = ZSTD_compress2(compressor->zstd, at, bound, raw.ptr, raw.len);
	assert(!ZSTD_isError(len));
	record->len += len;
}

bool frame_decompress(struct read *read, struct slice frame, void *out, size_t raw_octets)
{
	if (!read->decompressor && !(read->decompressor = ZSTD_createDCtx()))
		abort(); /* no memory */
	return ZSTD_decompressDCtx(read->decompressor, out, raw_octets, frame.ptr, frame.len) ==
	       raw_octets;
}

void add_record_header(struct buffer *record, uint8_t version, uint16_t dictionary,
		       size_t raw_octets)
{
	buffer_add_byte(record, version);
	buffer_add_be16(record, dictionary);
	buffer_add_be32(record, (uint32_t)raw_octets);
}

bool take_record_header(struct cursor *c, uint32_t max, struct record_header *header)
{
	return take_be16(c, &header->dictionary) && take_be32(c, &header->raw_octets) &&
	       header->raw_octets <= max;
}
