/* tests/unit/imapd/append.c - MULTIAPPEND and CATENATE as a session runs them: what is whole waits in
 * the store, not in memory, whatever its size. */
#include "tests/unit/imapd/world.h"

#include "imapd/append_priv.h"
#include "storage/message.h"

enum { SMALL_OCTETS = 180 * 1000, LARGE_OCTETS = 1500 * 1000, SMALL_COUNT = 8 };

/* Octets that do not compress, each message others. */
static void make_message(struct buffer *message, size_t octets, unsigned seed)
{
	size_t end = message->len + octets;
	srandom(seed);
	buffer_add_cstr(message, "a: b\r\n\r\n");
	while (message->len < end)
		buffer_add_byte(message, (uint8_t)random());
}

/* As the `number`th message of the command. */
static void send(struct session *session, unsigned number, size_t octets)
{
	struct buffer line = { 0 }, said = { 0 };
	if (number == 1)
		buffer_add_cstr(&line, "a APPEND INBOX");
	buffer_add_format(&line, " ~{%zu+}\r\n", octets);
	assert_true(core_feed(&world, session, buffer_slice(&line), &said));
	buffer_clear(&line);
	make_message(&line, octets, number);
	assert_true(core_feed(&world, session, buffer_slice(&line), &said));
	assert_int_equal(said.len, 0);
	buffer_free(&line);
	buffer_free(&said);
}

static uint64_t jobs_so_far(void)
{
	struct store_counters counters;
	store_counters(world.back.store, &counters);
	return counters.jobs;
}

static void assert_message(uint32_t uid, size_t octets)
{
	struct arena arena = { 0 };
	struct mailbox mailbox;
	struct message_entry entry;
	struct buffer body = { 0 }, sent = { 0 };
	struct read *read = read_begin(world.back.store);
	assert_int_equal(mailbox_find(read, world.account_id, SLICE("INBOX"), &arena, &mailbox),
			 ERR_OK);
	assert_int_equal(message_get(read, mailbox.mailbox_id, uid, &entry), ERR_OK);
	assert_int_equal(entry.size_octets, octets);
	assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &body), ERR_OK);
	make_message(&sent, octets, uid);
	assert_true(slice_eq(buffer_slice(&body), buffer_slice(&sent)));
	read_end(&read);
	buffer_free(&body);
	buffer_free(&sent);
	arena_fini(&arena);
}

static void whole_messages_wait_in_the_store(void **state)
{
	struct buffer said = { 0 };
	struct session *session = signed_in();
	uint64_t before = jobs_so_far();

	/* Five of them are below a MiB, and none is so large that its chunks go by themselves. */
	for (unsigned i = 1; i <= 5; i++)
		send(session, i, SMALL_OCTETS);
	assert_int_equal(jobs_so_far(), before);
	for (unsigned i = 6; i <= SMALL_COUNT; i++)
		send(session, i, SMALL_OCTETS);
	assert_int_equal(jobs_so_far(), before + 1);

	/* One of more than a MiB behind those that wait, and one behind it. */
	send(session, SMALL_COUNT + 1, LARGE_OCTETS);
	send(session, SMALL_COUNT + 2, SMALL_OCTETS);
	buffer_clear(&said);
	assert_true(core_feed(&world, session, SLICE("\r\n"), &said));
	assert_true(slice_starts_nocase(buffer_slice(&said), SLICE("a OK [APPENDUID ")));
	for (unsigned i = 1; i <= SMALL_COUNT + 2; i++)
		assert_message(i, i == SMALL_COUNT + 1 ? LARGE_OCTETS : SMALL_OCTETS);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* CATENATE of large messages: octet for octet, beside what waits already. */
static void others_are_copied_in_pieces(void **state)
{
	struct arena arena = { 0 };
	struct buffer said = { 0 }, body = { 0 }, want = { 0 };
	struct mailbox mailbox;
	struct message_entry entry;
	struct session *session = signed_in();
	/* The large one of the test before, twice, between small ones. */
	assert_true(core_feed(&world, session,
			      SLICE("a APPEND Sent CATENATE (URL /INBOX/;UID=9 TEXT {3+}\r\nabc"
				    " URL /INBOX/;UID=9/;PARTIAL=1000000.100000 URL /INBOX/;UID=1)"
				    " {3+}\r\nxyz CATENATE (URL /INBOX/;UID=2)\r\n"),
			      &said));
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("a OK [APPENDUID ")) < said.len);
	make_message(&want, LARGE_OCTETS, SMALL_COUNT + 1);
	buffer_add_cstr(&want, "abc");
	buffer_add(&want, slice_sub(buffer_slice(&want), 1000000, 100000));
	make_message(&body, SMALL_OCTETS, 1);
	buffer_add(&want, buffer_slice(&body));
	buffer_clear(&body);

	struct read *read = read_begin(world.back.store);
	assert_int_equal(mailbox_find(read, world.account_id, SLICE("Sent"), &arena, &mailbox),
			 ERR_OK);
	assert_int_equal(mailbox.messages, 3);
	assert_int_equal(message_get(read, mailbox.mailbox_id, 1, &entry), ERR_OK);
	assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &body), ERR_OK);
	assert_true(slice_eq(buffer_slice(&body), buffer_slice(&want)));
	read_end(&read);
	arena_fini(&arena);
	buffer_free(&said);
	buffer_free(&body);
	buffer_free(&want);
	core_sign_out(&world, session);
}

/* An empty part takes nothing off the size that a message may have, so they are counted. */
static void parts_have_a_limit(void **state)
{
	struct buffer said = { 0 };
	struct session *session = signed_in();
	assert_true(
		core_feed(&world, session, SLICE("a APPEND INBOX CATENATE (TEXT {0+}\r\n"), &said));
	for (unsigned i = 1; i < APPEND_PARTS_MAX; i++)
		assert_true(core_feed(&world, session, SLICE(" TEXT {0+}\r\n"), &said));
	assert_int_equal(said.len, 0);
	assert_true(core_feed(&world, session, SLICE(" TEXT {0+}\r\n)\r\nb NOOP\r\n"), &said));
	assert_slice(buffer_slice(&said), "a NO [LIMIT] Too many parts for one command\r\n"
					  "b OK Completed\r\n");
	buffer_free(&said);
	core_sign_out(&world, session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_messages_wait_in_the_store),
		cmocka_unit_test(others_are_copied_in_pieces),
		cmocka_unit_test(parts_have_a_limit),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
