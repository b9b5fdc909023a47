/* tests/unit/storage/message.c - messages of a mailbox: filing, reading, flags, expunging,
 * copying, the change log, quota. */
#include "tests/unit/storage/bed.h"

static struct mailbox mailbox_now(struct bed *bed, uint64_t mailbox_id)
{
	struct mailbox mailbox = { 0 };
	struct read *read = read_begin(bed->store);
	assert_int_equal(mailbox_get(read, mailbox_id, &bed->arena, &mailbox), ERR_OK);
	read_end(&read);
	return mailbox;
}

static void files_and_reads_back(void **state)
{
	struct bed bed;
	struct buffer text = { 0 }, out = { 0 };
	bed_begin(&bed, STORE_CREATE);
	const size_t sizes[] = { 0, 1, 100, 4096, 65535, 65536, 65537, 200000, 1000000 };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		bed_text(&text, (unsigned)i, sizes[i]);
		struct bed_append append = { .mailbox_id = bed.inbox_id,
					     .text = slice_sub(buffer_slice(&text), 0, sizes[i]),
					     .entry.internal_unix = -5,
					     .entry.flags = FLAG_FLAGGED };
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
		assert_int_equal(append.uid, i + 1);
		struct message_entry entry;
		uint64_t size;
		struct read *read = read_begin(bed.store);
		assert_int_equal(message_get(read, bed.inbox_id, append.uid, &entry), ERR_OK);
		assert_int_equal(entry.internal_unix, -5);
		assert_int_equal(entry.flags, FLAG_FLAGGED);
		assert_int_equal(entry.size_octets, sizes[i]);
		assert_int_equal(blob_size(read, entry.blob_id, &size), ERR_OK);
		assert_int_equal(size, sizes[i]);
		buffer_clear(&out);
		assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &out), ERR_OK);
		assert_int_equal(out.len, sizes[i]);
		if (sizes[i])
			assert_memory_equal(out.data, text.data, sizes[i]);
		read_end(&read);
	}
	buffer_free(&text);
	buffer_free(&out);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_and_reads_back),
	};
	(void)mailbox_now;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
