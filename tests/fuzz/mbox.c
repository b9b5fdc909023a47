/* tests/fuzz/mbox.c - messages of an mbox come in order, do not overlap, and hold no more than
 * the file; the walk ends. */
#include <assert.h>

#include "mail/mbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t read_at(void *user, uint64_t offset, uint8_t *into, size_t len)
{
	struct slice part = slice_sub(*(struct slice *)user, offset, len);
	if (part.len)
		memcpy(into, part.ptr, part.len);
	return (int64_t)part.len;
}

static bool count(void *user, struct slice octets)
{
	assert(octets.len > 0);
	*(uint64_t *)user += octets.len;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice file = slice_of(data, size);
	struct mbox_message message;
	struct mbox_marks marks = { 0 };
	enum mbox_result result;
	uint64_t at = 0, last = 0;
	for (int quoting = MBOX_QUOTING_AUTO; quoting <= MBOX_QUOTING_NONE; quoting++) {
		struct mbox_reader *reader =
			mbox_reader_new(read_at, &file, (enum mbox_quoting)quoting);
		at = last = 0;
		while ((result = mbox_next(reader, &at, &message)) != MBOX_END) {
			uint64_t total = 0;
			assert(result != MBOX_UNREADABLE && at > last && at <= size + 1);
			assert(message.from_at >= last && message.start_at <= message.end_at);
			assert(message.end_at <= message.next_at && message.next_at <= size + 1);
			assert(mbox_content(reader, &message, count, &total));
			assert(total <= message.end_at - message.start_at);
			last = at;
		}
		mbox_reader_free(&reader);
	}
	size_t colon = slice_find_byte(file, 0, ':');
	mbox_marks_note(&marks, slice_sub(file, 0, colon), slice_sub(file, colon + 1, size));
	buffer_free(&marks.keywords);
	return 0;
}
