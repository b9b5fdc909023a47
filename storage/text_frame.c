/* storage/text_frame.c - frames of text, by LZ4. Runs in the back, and in the admin's process. */
#include "storage/text_frame_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "base/heap.h"

void text_frame_compress(struct compressor *compressor, const struct dictionary *dictionary,
			 struct slice raw, struct buffer *record)
{
	enum { QUICKEST = 1 };
	assert(raw.len <= BLOB_CHUNK_OCTETS);
	if (dictionary)
		compressor->lz4 = dictionary->primed;
	else
		LZ4_initStream(&compressor->lz4, sizeof(compressor->lz4));
	buffer_add_be32(record, (uint32_t)checksum_of(raw));
	int bound = LZ4_compressBound((int)raw.len);
	char *at = (char *)buffer_reserve(record, (size_t)bound);
	int len = LZ4_compress_fast_continue(&compressor->lz4, (const char *)raw.ptr, at,
					     (int)raw.len, bound, QUICKEST);
	if (len > 0 && (size_t)len < raw.len)
		record->len += (size_t)len;
	else
		buffer_add(record, raw);
}

void text_window_free(struct text_window **window)
{
	free(*window);
	*window = NULL;
}

static bool window_prepare(struct read *read, uint16_t number)
{
	if (!read->window)
		read->window = heap_alloc(sizeof(*read->window));
	struct text_window *window = read->window;
	if (window->number == number)
		return true;
	const struct dictionary *dictionary = NULL;
	if (number != NO_DICTIONARY && !(dictionary = dictionary_get(read, number))) {
		read->lost_dictionary = number;
		return false;
	}
	window->number = number;
	window->dictionary_len = dictionary ? dictionary->len : 0;
	if (dictionary)
		memcpy(window->octets + DICTIONARY_MAX_OCTETS - dictionary->len, dictionary->octets,
		       dictionary->len);
	return true;
}

bool text_frame_decompress(struct read *read, uint16_t number, struct slice frame,
			   uint32_t raw_octets, struct slice *raw_out)
{
	struct cursor c = cursor_of(frame);
	uint32_t sum;
	if (raw_octets > BLOB_CHUNK_OCTETS || !take_be32(&c, &sum))
		return false;
	struct slice raw = cursor_rest(&c);
	if (raw.len > raw_octets)
		return false;
	if (raw.len < raw_octets) {
		if (!window_prepare(read, number))
			return false;
		struct text_window *window = read->window;
		uint8_t *text = window->octets + DICTIONARY_MAX_OCTETS;
		int len = LZ4_decompress_safe_usingDict(
			(const char *)raw.ptr, (char *)text, (int)raw.len, (int)raw_octets,
			(const char *)text - window->dictionary_len, (int)window->dictionary_len);
		if (len < 0 || (uint32_t)len != raw_octets)
			return false;
		raw = slice_of(text, raw_octets);
	}
	*raw_out = raw;
	return (uint32_t)checksum_of(raw) == sum;
}
