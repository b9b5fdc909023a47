/* tests/unit/runtime/journal_event.c - an event comes back as it went, whatever of it is known;
 * what is written in any other way is refused. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/heap.h"
#include "runtime/journal_event.h"

static const struct journal_event full = {
	.kind = JOURNAL_DEFERRED,
	.time_unix_ms = 1700000000123,
	.more = 212,
	.service = { (const uint8_t *)"smtp", 4 },
	.conn_id = 0xffffffff,
	.peer = { .address = { 192, 0, 2, 7 }, .family = 4, .port = 54321 },
	.secure = true,
	.client_name = { (const uint8_t *)"mx.example.net", 14 },
	.login = { (const uint8_t *)"alice@example.org", 17 },
	.blob_id = 0x18c0,
	.message_id = { (const uint8_t *)"<1@example.net>", 15 },
	.sender = { (const uint8_t *)"", 0 },
	.recipient = { (const uint8_t *)"bob@example.org", 15 },
	.size_octets = UINT64_MAX,
	.account_id = 3,
	.mailbox_id = 77,
	.uid = 4,
	.queue_id = 9,
	.host = { (const uint8_t *)"mx.example.com", 14 },
	.next_unix_ms = 1700000900000,
	.notice = 0x18c1,
	.command = { (const uint8_t *)"RCPT", 4 },
	.reply = { (const uint8_t *)"451 4.3.0 Later", 15 },
	.why = { (const uint8_t *)"no route", 8 },
};

static void assert_same(const struct journal_event *a, const struct journal_event *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->time_unix_ms, b->time_unix_ms);
	assert_int_equal(a->more, b->more);
	assert_int_equal(a->conn_id, b->conn_id);
	assert_memory_equal(&a->peer, &b->peer, sizeof(a->peer));
	assert_int_equal(a->secure, b->secure);
	assert_int_equal(a->blob_id, b->blob_id);
	assert_int_equal(a->size_octets, b->size_octets);
	assert_int_equal(a->account_id, b->account_id);
	assert_int_equal(a->mailbox_id, b->mailbox_id);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->queue_id, b->queue_id);
	assert_int_equal(a->next_unix_ms, b->next_unix_ms);
	assert_int_equal(a->notice, b->notice);
	const struct slice *texts[][2] = {
		{ &a->service, &b->service }, { &a->client_name, &b->client_name },
		{ &a->login, &b->login },     { &a->message_id, &b->message_id },
		{ &a->sender, &b->sender },   { &a->recipient, &b->recipient },
		{ &a->host, &b->host },	      { &a->command, &b->command },
		{ &a->reply, &b->reply },     { &a->why, &b->why },
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_true(slice_eq(*texts[i][0], *texts[i][1]));
		assert_int_equal(texts[i][0]->ptr == NULL, texts[i][1]->ptr == NULL);
	}
}

static void comes_back_as_it_went(void **state)
{
	const struct journal_event events[] = {
		full,
		{ .kind = JOURNAL_LEFT },
		{ .kind = JOURNAL_RECEIVED, .peer = { .address = { 0x20, 1 }, .family = 6 } },
		{ .kind = JOURNAL_REFUSED, .sender = SLICE(""), .reply = SLICE("550 No") },
	};
	struct buffer octets = { 0 };
	struct journal_event got;
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		buffer_clear(&octets);
		journal_event_encode(&events[i], &octets);
		assert_true(journal_event_decode(buffer_slice(&octets), &got));
		assert_same(&events[i], &got);
	}
	buffer_free(&octets);
}

static void takes_no_room_for_what_is_not_known(void **state)
{
	struct buffer octets = { 0 };
	journal_event_encode(&(struct journal_event){ .kind = JOURNAL_LEFT }, &octets);
	assert_int_equal(octets.len, 1);
	buffer_free(&octets);
}

static void cuts_long_texts(void **state)
{
	struct buffer octets = { 0 };
	struct journal_event got, event = { .kind = JOURNAL_REFUSED };
	char *text = heap_alloc(1000);
	memset(text, 'a', 1000);
	event.why = slice_of(text, 1000);
	journal_event_encode(&event, &octets);
	assert_true(journal_event_decode(buffer_slice(&octets), &got));
	assert_int_equal(got.why.len, JOURNAL_TEXT_MAX_OCTETS);
	free(text);
	buffer_free(&octets);
}

/* Each prefix in memory of its own size, for the sanitizers. A prefix that ends between two
 * fields is an event with fewer of them. */
static void is_refused_when_cut_or_changed(void **state)
{
	struct buffer octets = { 0 }, again = { 0 };
	struct journal_event got;
	journal_event_encode(&full, &octets);
	for (size_t len = 0; len < octets.len; len++) {
		uint8_t *copy = heap_copy(octets.data, len);
		if (journal_event_decode(slice_of(copy, len), &got)) {
			buffer_clear(&again);
			journal_event_encode(&got, &again);
			assert_true(slice_eq(buffer_slice(&again), slice_of(copy, len)));
		}
		free(copy);
	}
	static const struct {
		const char *octets;
		size_t len;
	} wrong[] = {
		{ "", 0 },
		{ "\0", 1 },						/* no kind */
		{ "\x7f", 1 },						/* an unknown one */
		{ "\3\6\0", 3 },					/* a zero */
		{ "\3\6\x81\0", 4 },					/* not the shortest form */
		{ "\3\6\1\6\1", 5 },					/* twice */
		{ "\3\x0c\1\6\1", 5 },					/* out of order */
		{ "\3\6\x80\x80\x80\x80\x10", 7 },			/* more than 32 bits */
		{ "\3\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", 12 }, /* than 64 */
		{ "\3\7\5\1\2\3\4\5", 8 },				/* an address of 5 octets */
		{ "\3\x08\1", 3 },		 /* a port without an address */
		{ "\3\x0a\2", 3 },		 /* TLS, but twice as much */
		{ "\3\x13\1a", 4 },		 /* an unknown text */
		{ "\3\x21\xff\xff\xff\x7f", 6 }, /* longer than all there is */
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		if (journal_event_decode(slice_of(wrong[i].octets, wrong[i].len), &got))
			fail_msg("number %zu was taken", i);
	buffer_free(&octets);
	buffer_free(&again);
}

static void says_what_a_front_may_tell(void **state)
{
	assert_true(journal_kind_is_strangers(JOURNAL_REFUSED));
	assert_true(journal_kind_is_strangers(JOURNAL_LEFT));
	assert_false(journal_kind_is_strangers(JOURNAL_RECEIVED));
	assert_false(journal_kind_is_strangers(JOURNAL_FILED));
	assert_false(journal_kind_is_strangers(JOURNAL_SIGNED_IN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_went),
		cmocka_unit_test(takes_no_room_for_what_is_not_known),
		cmocka_unit_test(cuts_long_texts),
		cmocka_unit_test(is_refused_when_cut_or_changed),
		cmocka_unit_test(says_what_a_front_may_tell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
