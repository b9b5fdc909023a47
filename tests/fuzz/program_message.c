/* tests/fuzz/program_message.c - the head of a program's message: what is read is what would be written, and
 * no path has an octet that could end a line. */
#include <assert.h>
#include <stdlib.h>

#include "runtime/program_message.h"

static void check_path(struct slice path)
{
	assert(path.len <= PROGRAM_PATH_MAX_OCTETS);
	for (size_t i = 0; i < path.len; i++)
		assert(path.ptr[i] >= 0x20 && path.ptr[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program_message message;
	struct program_recipient recipient;
	struct buffer again = { 0 };
	uint8_t *copy = malloc(size + 1); /* so that reading behind it is found */

	memcpy(copy, data, size);
	struct slice head = slice_of(copy, size);
	if (program_decode(head, &message)) {
		struct slice rest = message.recipients;
		check_path(message.reverse_path);
		program_encode(&message, &again);
		for (uint32_t i = 0; i < message.recipient_count; i++) {
			assert(program_next_recipient(&rest, &recipient));
			check_path(recipient.forward_path);
			check_path(recipient.fallback);
			program_encode_recipient(&recipient, &again);
		}
		assert(!program_next_recipient(&rest, &recipient));
		assert(slice_eq(buffer_slice(&again), head));
	}
	buffer_free(&again);
	free(copy);
	return 0;
}
