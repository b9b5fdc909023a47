/* storage/chunk_priv.h - the records of chunks: compressed and back, and cut for LMDB's pages. */
#pragma once

#include "storage/store_priv.h"

/* Appends the record, on the caller's thread. */
void chunk_compress(struct store *store, struct slice raw, struct buffer *record);
/* Octets of the raw chunk. False: damaged. */
bool chunk_raw_octets(struct slice record, uint32_t *raw_octets_out) MUST_USE;
/* Appends the raw octets, at least the first `need_octets` of them: what comes behind takes time of
 * its own where it is an attachment in base64, and is left out then. False: nothing appended, the
 * record is damaged, as far as was looked. */
#define CHUNK_WHOLE UINT32_MAX
bool chunk_decompress(struct read *read, struct slice record, uint32_t need_octets,
		      struct buffer *out) MUST_USE;

/* How a chunk's record is cut: the length of the piece that starts at `at`. */
size_t piece_octets(const struct store *store, size_t total, size_t at);
