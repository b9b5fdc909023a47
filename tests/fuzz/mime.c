/* tests/fuzz/mime.c - structures: one whatever the cuts, sound, and the same from the record.
 *
 * The first octet says how the rest is cut; its highest bit, that the rest is a record of
 * mail/digest.h instead of a message. */
#include "mail/header.h"
#include "tests/unit/mail/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_record(struct slice record)
{
	struct arena arena = { 0 };
	struct buffer again = { 0 };
	struct mime_envelope envelope;
	struct mime_part *root, *root_again;
	bool has_envelope = digest_decode_envelope(record, &arena, &envelope);
	if (digest_decode(record, &arena, &root)) {
		assert(has_envelope);
		structure_check_places(root, 0, INT64_MAX);
		digest_encode(root, &again);
		assert(digest_decode(buffer_slice(&again), &arena, &root_again));
	}
	buffer_free(&again);
	arena_fini(&arena);
}

static void try_message(struct slice message, uint32_t seed)
{
	struct arena arena = { 0 };
	struct buffer whole = { 0 }, pieces = { 0 }, decoded = { 0 };
	struct mime_part *root = structure_parse(message, &arena);
	structure_check(root, message, 0, message.len, 1, true);
	assert(root->header_start == 0 && root->body_end == message.len);
	assert(root->body_start == header_end(message));
	digest_encode(root, &whole);
	digest_encode(structure_parse_pieces(message, 1 + seed % 128, seed, &arena), &pieces);
	assert(slice_eq(buffer_slice(&whole), buffer_slice(&pieces)));
	assert(digest_decode(buffer_slice(&whole), &arena, &root));
	structure_check(root, message, 0, message.len, 1, true);
	digest_encode(root, &decoded);
	assert(slice_eq(buffer_slice(&whole), buffer_slice(&decoded)));
	buffer_free(&whole);
	buffer_free(&pieces);
	buffer_free(&decoded);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of(data + 1, size - 1);
	if (size == 0)
		return 0;
	if (data[0] & 0x80)
		try_record(rest);
	else
		try_message(rest, data[0]);
	return 0;
}
