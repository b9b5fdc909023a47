/* storage/compress_priv.h - what is compressed: zstd frames, each with a checksum of what was put in
 * (RFC 8878 section 3.1.1), and what stands before them in each record. Chunks (storage/chunk.c) and
 * digests (storage/digest_record.c) are made of them, and of frames of text (storage/text_frame.c). */
#pragma once

#include <lz4.h>

#include "storage/store_priv.h"

/* Some hundred kilobytes each, so they are shared: no more than there are threads. */
struct compressor {
	struct compressor *next;
	ZSTD_CCtx *zstd;
	LZ4_stream_t lz4;	    /* text_frame.c */
	struct buffer text, octets; /* scratch of who has taken it */
};

struct compressor *compressor_take(struct store *store);
void compressor_give(struct store *store, struct compressor *compressor);
void compressors_free(struct store *store);

/* Appends the frame. On the caller's thread: compressing takes most of the work of a message, and
 * the writer is only one. */
void frame_compress(struct compressor *compressor, struct slice raw, int level,
		    struct buffer *record);
/* False: damaged, or not just so many octets. */
bool frame_decompress(struct read *read, struct slice frame, void *out, size_t raw_octets) MUST_USE;

/* The beginning of each record: version, dictionary (storage/dictionary_priv.h; 0: none), octets as they
 * were. */
struct record_header {
	uint16_t dictionary;
	uint32_t raw_octets;
};
void add_record_header(struct buffer *record, uint8_t version, uint16_t dictionary,
		       size_t raw_octets);
/* Behind the version. */
bool take_record_header(struct cursor *c, uint32_t max, struct record_header *header_out);
