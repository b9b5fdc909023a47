/* tests/unit/mda/filing.c - one message into several mailboxes, all or none of them. */
#include "tests/unit/storage/bed.h"
#include "tests/unit/storage/jobs_home.h"

#include "base/log.h"
#include "mda/filing.h"
#include "storage/queue.h"

static struct bed bed;
static struct loop *loop;
static unsigned filed_count, room_count;
static enum err filed_outcome;
static uint64_t filed_blob_id;

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	filed_count++;
	filed_outcome = outcome;
	filed_blob_id = blob_id;
}

static void on_room(void *user)
{
	room_count++;
}

static uint32_t bob_id;

static void begin(void)
{
	bed_begin(&bed, STORE_SERVE);
	assert_int_equal(bed_write(&bed, bed_add_bob, &bob_id), ERR_OK);
	store_start_writer(bed.store);
	loop = loop_new(0);
	filed_count = room_count = 0;
}

static void end(void)
{
	jobs_home(bed.store, loop);
	bed_end(&bed);
	loop_free(loop);
}

static struct filing *new_filing(const char *const *locals, size_t count)
{
	const struct envelope envelope = { .reverse_path = SLICE("alice@example.org"),
					   .recipient_count = (uint32_t)count };
	struct filing *filing = filing_new(bed.store, loop, &envelope, on_filed, on_room, NULL);
	struct read *read = read_begin(bed.store);
	const struct sender stranger = { .config = NULL };
	for (size_t i = 0; i < count; i++) {
		struct buffer path = { 0 };
		buffer_add_format(&path, "%s@Example.ORG", locals[i]);
		struct envelope_recipient recipient = { .forward_path = buffer_slice(&path) };
		assert_int_equal(filing_add_recipient(filing, read, &stranger, &recipient), ERR_OK);
		buffer_free(&path);
	}
	read_end(&read);
	return filing;
}

static void feed(struct filing *filing, struct slice octets)
{
	unsigned before = room_count;
	if (filing_feed(filing, octets))
		return;
	while (room_count == before)
		loop_run_once(loop, 1000);
}

static void wait_filed(void)
{
	while (filed_count == 0)
		loop_run_once(loop, 1000);
}

static uint32_t messages_of(uint32_t account_id)
{
	struct mailbox mailbox = { 0 };
	struct read *read = read_begin(bed.store);
	assert_int_equal(mailbox_find(read, account_id, SLICE("INBOX"), &bed.arena, &mailbox),
			 ERR_OK);
	read_end(&read);
	return mailbox.messages;
}

static const char *const both[] = { "alice", "bob", "ALICE" };

static void files_once_for_each(void **state)
{
	struct message_entry entry;
	struct buffer out = { 0 };
	begin();
	struct filing *filing = new_filing(both, 3);
	feed(filing, SLICE("Subject: x\r\n"));
	feed(filing, SLICE("\r\nhello\r\n"));
	assert_int_equal(filing_size_octets(filing), 21);
	filing_commit(filing);
	assert_int_equal(filed_count, 0); /* never from within the call */
	wait_filed();
	filing_free(&filing);
	assert_int_equal(filed_outcome, ERR_OK);
	assert_int_equal(messages_of(bed.account_id), 1);
	assert_int_equal(messages_of(bob_id), 1);
	struct read *read = read_begin(bed.store);
	assert_int_equal(message_get(read, bed.inbox_id, 1, &entry), ERR_OK);
	assert_true(entry.blob_id == filed_blob_id);
	assert_int_equal(entry.size_octets, 21);
	assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &out), ERR_OK);
	assert_slice(buffer_slice(&out), "Subject: x\r\n\r\nhello\r\n");
	read_end(&read);
	buffer_free(&out);
	end();
}

static void large_messages_wait_for_room(void **state)
{
	struct buffer text = { 0 };
	begin();
	struct filing *filing = new_filing(both, 2);
	for (unsigned i = 0; i < 200; i++) {
		bed_text(&text, i, 60000);
		feed(filing, buffer_slice(&text));
	}
	filing_commit(filing);
	wait_filed();
	assert_int_equal(filed_outcome, ERR_OK);
	assert_true(filing_size_octets(filing) == 200 * 60000);
	filing_free(&filing);
	buffer_free(&text);
	end();
}

/* A commit that comes while the intake has asked to wait. */
static void commits_without_having_waited(void **state)
{
	struct buffer text = { 0 };
	bool refused = false;
	begin();
	struct filing *filing = new_filing(both, 2);
	for (unsigned i = 0; i < 1000 && !refused; i++) {
		bed_text(&text, i, 60000);
		refused = !filing_feed(filing, buffer_slice(&text));
	}
	assert_true(refused);
	filing_commit(filing);
	wait_filed();
	assert_int_equal(filed_outcome, ERR_OK);
	filing_free(&filing);
	assert_int_equal(messages_of(bob_id), 1);
	buffer_free(&text);
	end();
}

static enum err limit_bob(struct write *write, void *arg)
{
	return account_set_quota(write, bob_id, 0, 1);
}

static void quota_of_one_refuses_for_all(void **state)
{
	begin();
	assert_int_equal(bed_write(&bed, limit_bob, NULL), ERR_OK);
	for (unsigned i = 0; i < 2; i++) {
		struct filing *filing = new_filing(both, 2);
		feed(filing, SLICE("x\r\n"));
		filed_count = 0;
		filing_commit(filing);
		wait_filed();
		filing_free(&filing);
		assert_int_equal(filed_outcome, i == 0 ? ERR_OK : ERR_QUOTA);
		assert_int_equal(messages_of(bed.account_id), 1);
		assert_int_equal(messages_of(bob_id), 1);
	}
	end();
}

static enum err remove_bob(struct write *write, void *arg)
{
	return account_remove(write, bob_id);
}

static void an_account_that_goes_refuses_for_all(void **state)
{
	begin();
	struct filing *filing = new_filing(both, 2);
	feed(filing, SLICE("x\r\n"));
	assert_int_equal(bed_write(&bed, remove_bob, NULL), ERR_OK);
	filing_commit(filing);
	assert_int_equal(filed_count, 0);
	wait_filed();
	filing_free(&filing);
	assert_int_equal(filed_outcome, ERR_GONE);
	assert_int_equal(messages_of(bed.account_id), 0);
	end();
}

static void freed_at_any_time(void **state)
{
	begin();
	struct filing *filing = new_filing(both, 2);
	filing_free(&filing);
	filing_free(&filing);
	filing = new_filing(both, 2);
	feed(filing, SLICE("half"));
	filing_free(&filing);
	/* During the commit: nobody is told, and the message is filed all the same. */
	filing = new_filing(both, 2);
	feed(filing, SLICE("x\r\n"));
	filing_commit(filing);
	filing_free(&filing);
	jobs_home(bed.store, loop);
	assert_int_equal(messages_of(bob_id), 1);
	assert_int_equal(filed_count, 0);
	end();
}

static enum err refuse(struct write *write, void *user)
{
	return ERR_GONE;
}

/* Two mailboxes' worth of mail: one here, one elsewhere; or none, where something else refuses. */
static void queues_for_those_elsewhere(void **state)
{
	for (int round = 0; round < 2; round++) {
		struct queue_entry entry;
		uint64_t queue_id = 0;
		begin();
		const struct sender alice = { .account_id = bed.account_id, .may_relay = true };
		struct filing *filing = new_filing(both, 1);
		struct envelope_recipient recipient = { .forward_path = SLICE("Carl@far.example"),
							.orcpt = SLICE("rfc822;c@far.example"),
							.notify = DSN_SUCCESS };
		struct read *read = read_begin(bed.store);
		assert_int_equal(filing_add_recipient(filing, read, &alice, &recipient), ERR_OK);
		read_end(&read);
		if (round == 1)
			filing_set_also(filing, refuse);
		feed(filing, SLICE("Subject: x\r\n\r\nhello\r\n"));
		filing_commit(filing);
		wait_filed();
		filing_free(&filing);
		assert_int_equal(filed_outcome, round == 0 ? ERR_OK : ERR_GONE);
		assert_int_equal(messages_of(bed.account_id), round == 0 ? 1 : 0);
		assert_int_equal(bed_queued(&bed), round == 0 ? 1 : 0);
		read = read_begin(bed.store);
		if (queue_next(read, &queue_id, &bed.arena, &entry)) {
			assert_true(entry.blob_id == filed_blob_id);
			assert_int_equal(entry.account_id, bed.account_id);
			assert_true(slice_eq(entry.destination, SLICE("far.example")));
			assert_true(
				slice_eq(entry.envelope.reverse_path, SLICE("alice@example.org")));
			assert_int_equal(entry.recipient_count, 1);
			assert_true(slice_eq(entry.recipients[0].forward_path,
					     SLICE("Carl@far.example")));
			assert_true(
				slice_eq(entry.recipients[0].orcpt, SLICE("rfc822;c@far.example")));
			assert_int_equal(entry.recipients[0].notify, DSN_SUCCESS);
		}
		read_end(&read);
		end();
	}
}

static enum err add_out(struct write *write, void *arg)
{
	struct slice target = SLICE("x@elsewhere.example");
	return alias_set(write, SLICE("out"), SLICE("example.org"), &target, 1);
}

static struct filing *new_filing_out(void)
{
	static const char *const out[] = { "Out" };
	assert_int_equal(bed_write(&bed, add_out, NULL), ERR_OK);
	return new_filing(out, 1);
}

/* What leaves by an alias is marked; what comes back marked does not leave again. */
static void loops_through_other_servers_are_cut(void **state)
{
	static const char *const texts[] = {
		"Return-Path: <>\r\nReceived: x\r\nX: y\r\nDelivered-To: out2@example.org\r\n\r\n"
		"Delivered-To: out@example.org\r\n",
		"Return-Path: <>\r\nReceived: x\r\ndelivered-TO:  OUT@Example.org "
		"\r\n\r\nhello\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		for (size_t step = 1; step < 200; step += 66) {
			struct buffer out = { 0 };
			begin();
			struct filing *filing = new_filing_out();
			struct slice rest = slice_cstr(texts[i]);
			for (; rest.len > 0; rest = slice_sub(rest, step, rest.len))
				feed(filing, slice_sub(rest, 0, step));
			filing_commit(filing);
			wait_filed();
			filing_free(&filing);
			assert_int_equal(filed_outcome, i == 0 ? ERR_OK : ERR_LOOP);
			assert_int_equal(bed_queued(&bed), i == 0 ? 1 : 0);
			struct read *read = read_begin(bed.store);
			if (i == 0) {
				static const char top[] =
					"Return-Path: <>\r\nDelivered-To: Out@Example.ORG\r\n"
					"Received: x\r\n";
				assert_int_equal(
					blob_read(read, filed_blob_id, 0, UINT64_MAX, &out),
					ERR_OK);
				assert_true(
					slice_starts_nocase(buffer_slice(&out), slice_cstr(top)));
			}
			read_end(&read);
			buffer_free(&out);
			end();
		}
	}
}

static enum err add_mixed(struct write *write, void *arg)
{
	const struct slice targets[] = { SLICE("x@far.example"), SLICE("b\xc3\xb6@far.example"),
					 SLICE("y@far.example") };
	return alias_set(write, SLICE("mixed"), SLICE("example.org"), targets, ARRAY_LEN(targets));
}

/* RFC 6531 section 3.4: who is sent a path in UTF-8 has to be told, and nobody else. */
static void an_alias_may_lead_to_a_name_in_utf8(void **state)
{
	static const char *const mixed[] = { "mixed" };
	struct queue_entry entry;
	uint64_t queue_id = 0;
	begin();
	assert_int_equal(bed_write(&bed, add_mixed, NULL), ERR_OK);
	struct filing *filing = new_filing(mixed, 1);
	feed(filing, SLICE("Return-Path: <>\r\nSubject: x\r\n\r\nhello\r\n"));
	filing_commit(filing);
	wait_filed();
	filing_free(&filing);
	assert_int_equal(filed_outcome, ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_true(queue_next(read, &queue_id, &bed.arena, &entry));
	assert_int_equal(entry.recipient_count, 2);
	assert_slice(entry.recipients[1].forward_path, "y@far.example");
	assert_false(entry.envelope.is_utf8);
	assert_true(queue_next(read, &queue_id, &bed.arena, &entry));
	assert_int_equal(entry.recipient_count, 1);
	assert_slice(entry.recipients[0].forward_path, "b\xc3\xb6@far.example");
	assert_true(entry.envelope.is_utf8);
	assert_false(queue_next(read, &queue_id, &bed.arena, &entry));
	read_end(&read);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_for_those_elsewhere),
		cmocka_unit_test(an_alias_may_lead_to_a_name_in_utf8),
		cmocka_unit_test(files_once_for_each),
		cmocka_unit_test(large_messages_wait_for_room),
		cmocka_unit_test(commits_without_having_waited),
		cmocka_unit_test(quota_of_one_refuses_for_all),
		cmocka_unit_test(an_account_that_goes_refuses_for_all),
		cmocka_unit_test(freed_at_any_time),
		cmocka_unit_test(loops_through_other_servers_are_cut),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
