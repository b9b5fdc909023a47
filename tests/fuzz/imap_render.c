/* tests/fuzz/imap_render.c - an arbitrary message is taken apart, its structure written as a
 * digest and read again, and rendered; what a client would get is read back strictly. */
#include "base/heap.h"
#include "imapd/bodystructure_priv.h"
#include "imapd/envelope_priv.h"
#include "imapd/section_range_priv.h"
#include "mail/digest.h"
#include "tests/fuzz/imap_strict.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(const struct mime_part *root, bool utf8)
{
	struct buffer out = { 0 };
	envelope_render(&out, root->envelope, utf8);
	assert(strict_envelope_is_right(buffer_slice(&out), utf8));
	buffer_clear(&out);
	bool is_good = bodystructure_render(&out, root, FORM_BODY, utf8);
	assert(is_good);
	assert(strict_body_is_right(buffer_slice(&out), utf8, false));
	buffer_clear(&out);
	is_good = bodystructure_render(&out, root, FORM_BODYSTRUCTURE, utf8);
	assert(is_good);
	assert(strict_body_is_right(buffer_slice(&out), utf8, true));
	buffer_free(&out);
}

/* A text of the structure that the store has lost octets of. */
static void render_damaged(struct slice text)
{
	struct buffer out = { 0 };
	if (!bodystructure_tell(&out, text, FORM_BODYSTRUCTURE, false))
		assert(out.len == 0);
	buffer_free(&out);
}

/* Every part that can be named lies within the message. */
static void resolve(const struct mime_part *root, size_t size)
{
	static const enum section_text texts[] = { SECTION_WHOLE, SECTION_HEADER, SECTION_TEXT,
						   SECTION_MIME };
	for (uint32_t first = 1; first < 4; first++) {
		for (uint32_t second = 0; second < 4; second++) {
			uint32_t numbers[] = { first, second };
			for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
				struct section section = { .part = numbers,
							   .part_count = second ? 2 : 1,
							   .text = texts[i] };
				const struct mime_part *part;
				struct octet_range range;
				if (section_resolve(&section, root, size, &range, &part))
					assert(range.start <= range.end && range.end <= size);
			}
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = { 0 };
	struct buffer record = { 0 };
	struct mime_part *again;
	size_t cut = size ? data[0] % size : 0;

	struct mime_parser *parser = mime_parser_new(&arena);
	mime_parser_feed(parser, slice_of(data, cut));
	mime_parser_feed(parser, slice_of(data + cut, size - cut));
	struct mime_part *root = mime_parser_finish(&parser);
	digest_encode(root, &record);
	bool decoded = digest_decode(buffer_slice(&record), &arena, &again);
	assert(decoded);
	render(again, false);
	render(again, true);
	resolve(again, size);
	render_damaged(slice_of(data, size));
	buffer_free(&record);
	arena_fini(&arena);
	return 0;
}
