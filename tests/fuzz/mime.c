/* tests/fuzz/mime.c - structures: one whatever the cuts, sound, and the same from the record.
 *
 * The first octet says how the rest is cut; its highest bit, that the rest is a record of
 * mail/digest.h instead of a message. */
#include "mail/header.h"
#include "tests/unit/mail/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Who reads one field alone finds as many there as who reads them all. */
static void try_addresses(struct slice record, enum digest_field field, const size_t *count)
{
	struct slice list;
	struct header_address address;
	bool has_list = digest_find_addresses(record, field, &list);
	assert(has_list || !count);
	size_t taken = 0;
	struct cursor c = cursor_of(has_list ? list : SLICE_NONE);
	while (digest_take_address(&c, &address))
		taken++;
	assert(at_end(&c));
	assert(!count || taken == *count);
}

static void try_record(struct slice record)
{
	struct arena arena = { 0 };
	struct buffer again = { 0 };
	struct mime_envelope envelope;
	struct mime_part *root, *root_again;
	bool has_envelope = digest_decode_envelope(record, &arena, &envelope);
	try_addresses(record, DIGEST_FROM, has_envelope ? &envelope.from_count : NULL);
	try_addresses(record, DIGEST_BCC, has_envelope ? &envelope.bcc_count : NULL);
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
