/* tests/fuzz/smtp_content.c - message content in any pieces: what comes out, where it ends and
 * what is refused must not depend on the cuts. The first octet says how to cut. */
#include <assert.h>

#include "base/buffer.h"
#include "smtpd/content_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	struct buffer message;
	struct smtp_content content;
	size_t taken;
	bool has_ended;
};

static void run(struct slice in, size_t piece_octets, struct result *result)
{
	while (!result->has_ended && result->taken < in.len) {
		struct slice piece = slice_sub(in, result->taken, piece_octets), octets;
		struct cursor c = cursor_of(piece);
		enum content_event event;
		while ((event = smtp_content_next(&result->content, &c, &octets)) == CONTENT_RUN)
			buffer_add(&result->message, octets);
		assert(event == CONTENT_END || at_end(&c));
		result->taken = (size_t)(c.at - in.ptr);
		result->has_ended = event == CONTENT_END;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole = { .taken = 0 }, pieces = { .taken = 0 };

	if (size == 0)
		return 0;
	struct slice in = slice_of(data + 1, size - 1);
	run(in, in.len, &whole);
	run(in, (size_t)(data[0] % 16) + 1, &pieces);
	assert(whole.has_ended == pieces.has_ended);
	assert(whole.taken == pieces.taken);
	assert(whole.content.has_bare == pieces.content.has_bare);
	if (!whole.content.has_bare) {
		assert(slice_eq(buffer_slice(&whole.message), buffer_slice(&pieces.message)));
		assert(whole.content.hops == pieces.content.hops);
		assert(whole.content.size_octets == whole.message.len);
		/* The end is CRLF.CRLF, or .CRLF at once. */
		if (whole.has_ended) {
			struct slice end = SLICE("\r\n.\r\n");
			size_t len = whole.taken < end.len ? 3 : end.len;
			assert(memcmp(in.ptr + whole.taken - len, end.ptr + end.len - len, len) ==
			       0);
		}
	}
	buffer_free(&whole.message);
	buffer_free(&pieces.message);
	return 0;
}
