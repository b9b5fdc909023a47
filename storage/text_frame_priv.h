/* storage/text_frame_priv.h - frames of text: be32 checksum of the octets, then one block of LZ4, or the
 * octets as they are where that would not be shorter.
 *
 * Text is what is read most: each search goes through all of it. LZ4 gives it back four times as fast as
 * zstd, and with a dictionary (storage/dictionary_priv.h) it takes about as little room. */
#pragma once

#include "storage/compress_priv.h"
#include "storage/dictionary_priv.h"

/* Appends the frame; `dictionary` may be NULL. */
void text_frame_compress(struct compressor *compressor, const struct dictionary *dictionary,
			 struct slice raw, struct buffer *record);

/* Where text comes out: with the dictionary right before it, as if it were the beginning of the same text,
 * which is how LZ4 is quickest. */
struct text_window {
	uint16_t number; /* of the dictionary that is there */
	size_t dictionary_len;
	uint8_t octets[DICTIONARY_MAX_OCTETS + BLOB_CHUNK_OCTETS]; /* the text from the border on */
};
void text_window_free(struct text_window **window);

/* What comes out lives until the read's next. False: damaged, not just so many octets, or the
 * dictionary is missing. */
bool text_frame_decompress(struct read *read, uint16_t dictionary, struct slice frame,
			   uint32_t raw_octets, struct slice *raw_out) MUST_USE;
