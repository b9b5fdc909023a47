/* storage/compress_priv.h - chunks and digests, compressed and back. */
#pragma once

#include "storage/store_priv.h"

struct compressor;
void compressors_free(struct store *store);

/* Appends the record of a chunk, or of a digest with the text of its structure
 * (mail/structure_text.h) and the size of its message. On the caller's
 * thread: compressing takes most of the work of a message, and the writer is only one. */
void chunk_compress(struct store *store, struct slice raw, struct buffer *record);
void digest_compress(struct store *store, struct slice raw, struct slice structure_text,
		     uint64_t size_octets, struct buffer *record);

/* Octets of the raw chunk. False: damaged. */
bool chunk_raw_octets(struct slice record, uint32_t *raw_octets_out);
/* Appends the raw octets; false: nothing, the record is damaged. */
bool chunk_decompress(struct read *read, struct slice record, struct buffer *out);
bool digest_size(struct slice record, uint64_t *size_octets_out);
/* A slice of the record; ptr NULL: an older Bode wrote it. False: damaged. */
bool digest_structure_text(struct slice record, struct slice *text_out);
bool digest_decompress(struct read *read, struct slice record, struct arena *arena,
		       struct slice *raw_out);

/* How a chunk's record is cut: the length of the piece that starts at `at`. */
size_t piece_octets(const struct store *store, size_t total, size_t at);
