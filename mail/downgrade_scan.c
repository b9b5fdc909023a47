/* mail/downgrade_scan.c - what kind of octets a stretch of a message has, how long it gets encoded, and
 * reading it in chunks (mail/downgrade.h). Runs in the back. */
#include "mail/downgrade_priv.h"

enum { LINE_MAX_OCTETS = 998 }; /* RFC 2045 section 2.7 */

void scan_octets(struct scan *scan, struct slice octets)
{
	for (size_t i = 0; i < octets.len; i++) {
		uint8_t c = octets.ptr[i];
		if (c == '\n') {
			if (!scan->after_return)
				scan->has_bare = true;
			else
				scan->line_octets--;
			if (scan->line_octets > LINE_MAX_OCTETS)
				scan->has_long = true;
			scan->line_octets = 0;
			scan->after_return = false;
			continue;
		}
		if (scan->after_return)
			scan->has_bare = true;
		scan->after_return = c == '\r';
		scan->line_octets++;
		if (c >= 0x80)
			scan->has_8bit = true;
		else if (c == 0)
			scan->has_nul = true;
	}
}

void scan_end(struct scan *scan)
{
	if (scan->after_return)
		scan->has_bare = true;
	if (scan->line_octets > LINE_MAX_OCTETS)
		scan->has_long = true;
}

enum err chunk_reader_get(struct chunk_reader *reader, const struct downgrade_source *source,
			  uint64_t at, uint64_t max, struct slice *piece_out)
{
	*piece_out = SLICE_NONE;
	if (at >= reader->size || max == 0)
		return ERR_DAMAGED;
	if (at < reader->chunk_at || at - reader->chunk_at >= reader->chunk.len) {
		uint64_t len = DOWNGRADE_CHUNK_OCTETS;
		reader->chunk_at = at - at % DOWNGRADE_CHUNK_OCTETS;
		if (len > reader->size - reader->chunk_at)
			len = reader->size - reader->chunk_at;
		buffer_clear(&reader->chunk);
		enum err err =
			source->read(source->user, reader->chunk_at, (size_t)len, &reader->chunk);
		if (err == ERR_OK && reader->chunk.len != len)
			err = ERR_DAMAGED;
		if (err != ERR_OK) {
			buffer_clear(&reader->chunk);
			return err;
		}
	}
	if (max > DOWNGRADE_CHUNK_OCTETS)
		max = DOWNGRADE_CHUNK_OCTETS;
	*piece_out = slice_sub(buffer_slice(&reader->chunk), (size_t)(at - reader->chunk_at),
			       (size_t)max);
	return ERR_OK;
}

static uint64_t base64_octets(uint64_t octets)
{
	uint64_t rest = octets % ENCODED_GROUP_OCTETS;
	return octets / ENCODED_GROUP_OCTETS * (ENCODED_GROUP_OCTETS / 3 * 4 + 2) +
	       (rest > 0 ? (rest + 2) / 3 * 4 + 2 : 0);
}

enum err measure_body(struct chunk_reader *reader, const struct downgrade_source *source,
		      uint64_t start, uint64_t end, enum transfer_encoding from,
		      struct measure *measure_out)
{
	struct transfer_decoder *decoder = transfer_decoder_new(from);
	struct transfer_encoder quoted = { .encoding = ENCODING_QUOTED_PRINTABLE };
	struct buffer octets = { 0 }, text = { 0 };
	struct slice piece;
	enum err err = ERR_OK;
	uint64_t count = 0;
	*measure_out = (struct measure){ .has_nul = false };
	for (uint64_t at = start; decoder && err == ERR_OK; at += piece.len) {
		uint64_t left = end - at;
		piece = SLICE_NONE;
		buffer_clear(&octets);
		if (left > 0)
			err = chunk_reader_get(reader, source, at,
					       left < BODY_PIECE_OCTETS ? left : BODY_PIECE_OCTETS,
					       &piece);
		transfer_decode(decoder, piece, &octets);
		if (left == 0)
			transfer_decoder_finish(&decoder, &octets);
		count += octets.len;
		measure_out->has_nul |= slice_find_byte(buffer_slice(&octets), 0, 0) < octets.len;
		buffer_clear(&text);
		if (!measure_out->has_nul)
			transfer_encode(&quoted, buffer_slice(&octets), &text);
		measure_out->quoted_octets += text.len;
	}
	transfer_decoder_finish(&decoder, &octets);
	buffer_clear(&text);
	transfer_encoder_finish(&quoted, end == reader->size, &text);
	measure_out->quoted_octets += text.len;
	measure_out->octets = count;
	measure_out->base64_octets = base64_octets(count);
	buffer_free(&octets);
	buffer_free(&text);
	return err;
}
