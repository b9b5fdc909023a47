/* tests/unit/runtime/program_message.c - a program's head: what is said is heard, exactly, and nothing
 * else. */
#include "tests/unit/unit.h"

#include "runtime/program_message.h"

static struct buffer head;

static void make(uint32_t count)
{
	const struct program_message message = {
		.reverse_path = SLICE("cron@example.org"),
		.size_octets = 4711,
		.recipient_count = count,
	};
	buffer_clear(&head);
	program_encode(&message, &head);
	program_encode_recipient(&(struct program_recipient){ .forward_path = SLICE("a@b") },
				 &head);
	program_encode_recipient(&(struct program_recipient){ .forward_path = SLICE("root@b"),
							      .fallback = SLICE("postmaster@b") },
				 &head);
}

static void said_is_heard(void **state)
{
	struct program_message message;
	struct program_recipient recipient;

	make(2);
	assert_true(program_decode(buffer_slice(&head), &message));
	assert_slice(message.reverse_path, "cron@example.org");
	assert_int_equal(message.size_octets, 4711);
	assert_int_equal(message.recipient_count, 2);
	struct slice rest = message.recipients;
	assert_true(program_next_recipient(&rest, &recipient));
	assert_slice(recipient.forward_path, "a@b");
	assert_int_equal(recipient.fallback.len, 0);
	assert_true(program_next_recipient(&rest, &recipient));
	assert_slice(recipient.fallback, "postmaster@b");
	assert_false(program_next_recipient(&rest, &recipient));
}

static void nothing_else_is(void **state)
{
	struct program_message message;
	struct buffer path = { 0 };

	make(2);
	for (size_t len = 0; len < head.len; len++)
		assert_false(program_decode(slice_sub(buffer_slice(&head), 0, len), &message));
	buffer_add_byte(&head, 0);
	assert_false(program_decode(buffer_slice(&head), &message));
	make(0);
	assert_false(program_decode(buffer_slice(&head), &message));
	make(1);
	assert_false(program_decode(buffer_slice(&head), &message));
	make(UINT32_MAX);
	assert_false(program_decode(buffer_slice(&head), &message));
	/* Neither what ends a line nor more than an address can have. */
	for (unsigned octet = 0; octet < 256; octet++) {
		make(2);
		head.data[head.len - 1] = (uint8_t)octet;
		assert_int_equal(program_decode(buffer_slice(&head), &message),
				 octet >= 0x20 && octet != 0x7f);
	}
	for (size_t len = PROGRAM_PATH_MAX_OCTETS; len <= PROGRAM_PATH_MAX_OCTETS + 1; len++) {
		const struct program_message one = { .recipient_count = 1 };
		buffer_clear(&path);
		for (size_t i = 0; i < len; i++)
			buffer_add_byte(&path, 'x');
		buffer_clear(&head);
		program_encode(&one, &head);
		program_encode_recipient(
			&(struct program_recipient){ .forward_path = buffer_slice(&path) }, &head);
		assert_int_equal(program_decode(buffer_slice(&head), &message),
				 len == PROGRAM_PATH_MAX_OCTETS);
	}
	buffer_free(&path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(said_is_heard),
		cmocka_unit_test(nothing_else_is),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	buffer_free(&head);
	return failed;
}
