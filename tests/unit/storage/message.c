/* tests/unit/storage/message.c - messages of a mailbox: filing, reading, flags, expunging,
 * copying, the change log, quota. */
#include "storage/expunged.h"
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

struct op {
	uint64_t mailbox_id, to_id;
	struct ranges uids, out, to;
	struct store_flags change;
	uint64_t modseq, octets, messages;
	uint32_t account_id;
	bool flag; /* of moving, of expunging only deleted ones */
};

static enum err store_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return message_store(write, op->mailbox_id, &op->uids, &op->change, &op->out, &op->modseq);
}
static enum err expunge_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return message_expunge(write, op->mailbox_id, &op->uids, op->flag, &op->out);
}
static enum err copy_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return message_copy(write, op->mailbox_id, &op->uids, op->to_id, op->flag, &op->out,
			    &op->to);
}
static enum err quota_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return account_set_quota(write, op->account_id, op->octets, op->messages);
}
static enum err delete_run(struct write *write, void *arg)
{
	return mailbox_delete(write, ((struct op *)arg)->account_id, SLICE("Trash"));
}
static void op_free(struct op *op)
{
	ranges_free(&op->uids);
	ranges_free(&op->out);
	ranges_free(&op->to);
}

static void append_some(struct bed *bed, unsigned count, size_t octets)
{
	struct buffer text = { 0 };
	for (unsigned i = 0; i < count; i++) {
		bed_text(&text, i, octets);
		struct bed_append append = { .mailbox_id = bed->inbox_id,
					     .text = buffer_slice(&text) };
		assert_int_equal(bed_append(bed, &append), ERR_OK);
	}
	buffer_free(&text);
}

static void says_that_it_is_gone(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	append_some(&bed, 1, 100);
	struct op op = { .mailbox_id = bed_mailbox(&bed, "Trash"),
			 .to_id = bed.inbox_id,
			 .account_id = bed.account_id };
	ranges_add(&op.uids, 1, 5);
	assert_int_equal(bed_write(&bed, delete_run, &op), ERR_OK);
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_GONE);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_GONE);
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_GONE);
	op.to_id = op.mailbox_id;
	op.mailbox_id = bed.inbox_id;
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_GONE);
	struct bed_append append = { .mailbox_id = op.to_id, .text = SLICE("a: b\r\n\r\n") };
	assert_int_equal(bed_append(&bed, &append), ERR_GONE);
	struct read *read = read_begin(bed.store);
	struct message_entry entry;
	assert_int_equal(message_get(read, bed.inbox_id, 2, &entry), ERR_NOT_FOUND);
	assert_int_equal(message_changes(read, op.to_id, 0, &op.out, &op.to), ERR_GONE);
	read_end(&read);
	assert_int_equal(mailbox_now(&bed, bed.inbox_id).messages, 1);
	op_free(&op);
	bed_end(&bed);
}

static void keeps_to_the_quota(void **state)
{
	struct bed bed;
	uint32_t bob;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, bed_add_bob, &bob), ERR_OK);
	struct op op = { .account_id = bed.account_id, .octets = 1000, .messages = 0 };
	assert_int_equal(bed_write(&bed, quota_run, &op), ERR_OK);
	append_some(&bed, 2, 400);
	struct buffer text = { 0 };
	bed_text(&text, 3, 201);
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(&bed, &append), ERR_QUOTA);
	append.text.len = 200; /* exactly full */
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	append.text.len = 1;
	assert_int_equal(bed_append(&bed, &append), ERR_QUOTA);
	append.text.len = 0;
	assert_int_equal(bed_append(&bed, &append), ERR_OK);

	op.messages = 4;
	assert_int_equal(bed_write(&bed, quota_run, &op), ERR_OK);
	assert_int_equal(bed_append(&bed, &append), ERR_QUOTA);
	/* A copy takes room, a move within the account does not. */
	op.mailbox_id = bed.inbox_id;
	op.to_id = bed_mailbox(&bed, "Sent");
	ranges_add(&op.uids, 1, 2);
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_QUOTA);
	op.flag = true;
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_OK);
	assert_int_equal(ranges_total(&op.to), 2);
	/* Of another account the other's counts. */
	struct bed bobs = { .store = bed.store, .account_id = bob };
	struct op bob_op = { .account_id = bob, .octets = 500 };
	assert_int_equal(bed_write(&bed, quota_run, &bob_op), ERR_OK);
	op.mailbox_id = op.to_id;
	op.to_id = bed_mailbox(&bobs, "INBOX");
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_QUOTA);
	ranges_clear(&op.uids);
	ranges_add(&op.uids, 1, 1);
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_OK);
	struct account account;
	struct read *read = read_begin(bed.store);
	assert_int_equal(account_get(read, bob, &bed.arena, &account), ERR_OK);
	assert_int_equal(account.used_octets, 400);
	assert_int_equal(account.used_messages, 1);
	assert_int_equal(account_get(read, bed.account_id, &bed.arena, &account), ERR_OK);
	assert_int_equal(account.used_octets, 600);
	assert_int_equal(account.used_messages, 3);
	read_end(&read);
	/* Below what is used already: everything is refused but what frees. */
	op_free(&op);
	op = (struct op){ .account_id = bed.account_id, .octets = 1, .mailbox_id = bed.inbox_id };
	assert_int_equal(bed_write(&bed, quota_run, &op), ERR_OK);
	append.text.len = 1;
	assert_int_equal(bed_append(&bed, &append), ERR_QUOTA);
	ranges_add(&op.uids, 1, UINT32_MAX);
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	assert_int_equal(ranges_total(&op.out), 2);
	op_free(&op);
	op_free(&bob_op);
	buffer_free(&text);
	arena_fini(&bobs.arena);
	bed_end(&bed);
}

/* A client may ask for one keyword too many again and again, or for one after the other that no message
 * gets: the mailbox is looked through once. */
static void looks_for_unused_keywords_once(void **state)
{
	struct bed bed;
	char names[MAILBOX_KEYWORDS_MAX + 2][16];
	struct slice keywords[MAILBOX_KEYWORDS_MAX + 2];
	bed_begin(&bed, STORE_CREATE);
	append_some(&bed, 3, 100);
	const struct keyword_look *look = &bed.store->keyword_looks[bed.inbox_id % KEYWORD_LOOKS];
	struct op op = { .mailbox_id = bed.inbox_id };
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		snprintf(names[i], sizeof(names[i]), "k%zu", i);
		keywords[i] = slice_cstr(names[i]);
	}
	op.change = (struct store_flags){ .change = FLAGS_ADD,
					  .keywords = keywords,
					  .keyword_count = MAILBOX_KEYWORDS_MAX };
	ranges_add(&op.uids, 1, 2);
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
	op.change.keywords = &keywords[MAILBOX_KEYWORDS_MAX];
	op.change.keyword_count = 1;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(bed_write(&bed, store_run, &op), ERR_LIMIT);
	assert_int_equal(look->rows, 1); /* which has them all */

	op.change.keywords = &keywords[5];
	op.change.change = FLAGS_REMOVE;
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
	op.change.change = FLAGS_ADD;
	ranges_clear(&op.uids);
	ranges_add(&op.uids, 99, 99);
	for (unsigned i = 0; i < 4; i++) {
		op.change.keywords = &keywords[MAILBOX_KEYWORDS_MAX + i % 2];
		assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
		assert_slice(mailbox_now(&bed, bed.inbox_id).keywords[5], i % 2 ? "k65" : "k64");
	}
	assert_int_equal(look->rows, 1 + 3);

	/* Where looking is work, changes in between do not buy another look. */
	((struct keyword_look *)(uintptr_t)look)->last_rows = 100 * 1000;
	op.change.change = FLAGS_REMOVE;
	op.change.keywords = &keywords[6];
	ranges_clear(&op.uids);
	ranges_add(&op.uids, 1, 2);
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
	op.change.change = FLAGS_ADD;
	op.change.keywords = &keywords[MAILBOX_KEYWORDS_MAX];
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_LIMIT);
	((struct keyword_look *)(uintptr_t)look)->looked_unix -= 60;
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
	assert_int_equal(look->rows, 1 + 3 + 3);
	op_free(&op);
	bed_end(&bed);
}

/* Each name once, in whatever case; as many as there are bits; none where one too many. */
static void keeps_keywords(void **state)
{
	struct bed bed;
	char names[MAILBOX_KEYWORDS_MAX + 1][16], long_name[KEYWORD_MAX_OCTETS + 1];
	struct slice keywords[MAILBOX_KEYWORDS_MAX + 1];
	bed_begin(&bed, STORE_CREATE);
	append_some(&bed, 3, 100);
	struct op op = { .mailbox_id = bed.inbox_id, .to_id = bed_mailbox(&bed, "Sent") };
	op.change = (struct store_flags){ .change = FLAGS_ADD, .keywords = keywords };
	ranges_add(&op.uids, 1, 2);
	keywords[0] = SLICE("$Forwarded");
	keywords[1] = SLICE("$forwarded");
	keywords[2] = SLICE("Work");
	op.change.keyword_count = 3;
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
	struct mailbox mailbox = mailbox_now(&bed, bed.inbox_id);
	assert_int_equal(mailbox.keyword_count, 2);
	assert_slice(mailbox.keywords[0], "$Forwarded");
	keywords[0] = SLICE("unheard-of");
	keywords[1] = SLICE("WORK");
	op.change.change = FLAGS_REMOVE;
	op.change.keyword_count = 2;
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
	assert_int_equal(mailbox_now(&bed, bed.inbox_id).keyword_count, 2);
	struct message_entry entry;
	struct read *read = read_begin(bed.store);
	assert_int_equal(message_get(read, bed.inbox_id, 2, &entry), ERR_OK);
	assert_int_equal(entry.keywords, 1);
	read_end(&read);

	op.change.change = FLAGS_ADD;
	op.change.keyword_count = 1;
	memset(long_name, 'k', sizeof(long_name));
	keywords[0] = slice_of(long_name, sizeof(long_name));
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_LIMIT);
	keywords[0] = SLICE_NONE;
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_BAD_INPUT);
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		snprintf(names[i], sizeof(names[i]), "k%zu", i);
		keywords[i] = slice_cstr(names[i]);
	}
	op.change.keyword_count = MAILBOX_KEYWORDS_MAX; /* two are there, one of them unused */
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_LIMIT);
	assert_int_equal(mailbox_now(&bed, bed.inbox_id).keyword_count, 2);
	op.change.keyword_count--;
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
	assert_int_equal(mailbox_now(&bed, bed.inbox_id).keyword_count, MAILBOX_KEYWORDS_MAX);
	struct slice one_more = SLICE("one-more");
	struct bed_append append = { .mailbox_id = bed.inbox_id,
				     .text = SLICE("a: b\r\n\r\n"),
				     .keywords = &one_more,
				     .keyword_count = 1 };
	assert_int_equal(bed_append(&bed, &append), ERR_LIMIT);
	one_more = SLICE("K7");
	assert_int_equal(bed_append(&bed, &append), ERR_OK);

	/* Copied by name: only what is in use is taken along, and only where there is room. */
	ranges_clear(&op.uids);
	ranges_add(&op.uids, append.uid, append.uid);
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_OK);
	mailbox = mailbox_now(&bed, op.to_id);
	assert_int_equal(mailbox.keyword_count, 1);
	assert_slice(mailbox.keywords[0], "k7");
	append.mailbox_id = op.to_id;
	one_more = SLICE("of its own");
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	one_more = SLICE("and another"); /* one too many for the 62 that now come */
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	ranges_add(&op.uids, 1, 1);
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_LIMIT);
	assert_int_equal(mailbox_now(&bed, op.to_id).messages, 3);
	assert_int_equal(mailbox_now(&bed, op.to_id).keyword_count, 3);

	/* What no message has any more makes room; what was expunged and may return does not. */
	ranges_clear(&op.uids);
	ranges_add(&op.uids, 1, 3);
	append.mailbox_id = bed.inbox_id;
	one_more = SLICE("one-more");
	assert_int_equal(bed_append(&bed, &append), ERR_LIMIT);
	struct slice gone = SLICE("k5");
	op.change = (struct store_flags){ .change = FLAGS_REMOVE,
					  .keywords = &gone,
					  .keyword_count = 1 };
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	mailbox = mailbox_now(&bed, bed.inbox_id);
	assert_int_equal(mailbox.keyword_count, MAILBOX_KEYWORDS_MAX);
	for (size_t i = 0; i < mailbox.keyword_count; i++)
		assert_false(slice_eq(mailbox.keywords[i], gone));
	store_set_undelete_seconds(bed.store, 3600);
	ranges_clear(&op.uids);
	ranges_add(&op.uids, append.uid, append.uid);
	op.flag = false;
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	one_more = SLICE("and yet another");
	assert_int_equal(bed_append(&bed, &append), ERR_LIMIT);
	op_free(&op);
	bed_end(&bed);
}

/* The log is bounded; who was away longer than it reaches is told so, and never less than
 * happened. */
static void prunes_the_change_log(void **state)
{
	enum { CHANGES = 3000 };
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	append_some(&bed, 10, 100);
	struct op op = { .mailbox_id = bed.inbox_id };
	uint64_t first = mailbox_now(&bed, bed.inbox_id).highest_modseq;
	ranges_add(&op.uids, 3, 3);
	for (unsigned i = 0; i < CHANGES; i++) {
		op.change = (struct store_flags){ .change = FLAGS_SET, .flags = i % 2 ? 1 : 2 };
		assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
		assert_int_equal(op.modseq, first + i + 1);
	}
	struct mailbox mailbox = mailbox_now(&bed, bed.inbox_id);
	assert_int_equal(mailbox.highest_modseq, first + CHANGES);
	assert_in_range(mailbox.highest_modseq - mailbox.pruned_modseq, 1000, 2100);
	struct ranges changed = { 0 }, vanished = { 0 };
	struct read *read = read_begin(bed.store);
	assert_int_equal(
		message_changes(read, bed.inbox_id, mailbox.pruned_modseq - 1, &changed, &vanished),
		ERR_GONE);
	assert_int_equal(message_changes(read, bed.inbox_id, 0, &changed, &vanished), ERR_GONE);
	assert_int_equal(
		message_changes(read, bed.inbox_id, mailbox.pruned_modseq, &changed, &vanished),
		ERR_OK);
	assert_int_equal(ranges_total(&changed), 1);
	assert_true(ranges_contains(&changed, 3));
	ranges_clear(&changed);
	assert_int_equal(
		message_changes(read, bed.inbox_id, mailbox.highest_modseq, &changed, &vanished),
		ERR_OK);
	assert_int_equal(changed.count + vanished.count, 0);
	read_end(&read);
	ranges_free(&changed);
	ranges_free(&vanished);
	op_free(&op);
	bed_end(&bed);
}

static enum err fill_run(struct write *write, void *arg)
{
	struct bed_append *append = arg;
	enum err err = bed_append_run(write, arg);
	for (unsigned i = 1; i < 50000 && err == ERR_OK; i++)
		err = message_append(write, append->mailbox_id, &append->entry, NULL, 0,
				     &append->uid);
	return err;
}

/* A change so large that it does not fit the log by itself. */
static void changes_many_at_once(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	struct bed_append append = { .mailbox_id = bed.inbox_id };
	append.intake = intake_new(bed.store, NULL, NULL, NULL);
	intake_feed(append.intake, SLICE("a: b\r\n\r\n"));
	assert_int_equal(intake_finish(append.intake), ERR_OK);
	assert_int_equal(bed_write(&bed, fill_run, &append), ERR_OK);
	intake_free(&append.intake);
	struct op op = { .mailbox_id = bed.inbox_id,
			 .to_id = bed_mailbox(&bed, "Sent"),
			 .change = { .change = FLAGS_ADD, .flags = FLAG_DELETED } };
	uint64_t before = mailbox_now(&bed, bed.inbox_id).highest_modseq;
	ranges_add(&op.uids, 1, 1);
	for (uint32_t uid = 3; uid < 50000; uid += 2)
		ranges_add(&op.uids, uid, uid); /* and 50,001, which is not there */
	ranges_add(&op.uids, 50000, UINT32_MAX);
	assert_int_equal(bed_write(&bed, store_run, &op), ERR_OK);
	assert_int_equal(ranges_total(&op.out), 25001);
	struct mailbox mailbox = mailbox_now(&bed, bed.inbox_id);
	assert_int_equal(mailbox.deleted, 25001);
	assert_int_equal(mailbox.unseen, 50000);
	struct ranges changed = { 0 }, vanished = { 0 };
	struct read *read = read_begin(bed.store);
	assert_int_equal(message_changes(read, bed.inbox_id, before, &changed, &vanished), ERR_OK);
	assert_int_equal(ranges_total(&changed), 25001);
	message_uids(read, bed.inbox_id, 100, &vanished);
	assert_int_equal(ranges_total(&vanished), 49901);
	assert_int_equal(vanished.count, 1);
	read_end(&read);
	ranges_clear(&op.uids);
	ranges_add(&op.uids, 1, UINT32_MAX);
	op.flag = true;
	assert_int_equal(bed_write(&bed, expunge_run, &op), ERR_OK);
	assert_int_equal(ranges_total(&op.out), 25001);
	assert_int_equal(bed_write(&bed, copy_run, &op), ERR_OK);
	assert_int_equal(ranges_total(&op.to), 24999);
	mailbox = mailbox_now(&bed, bed.inbox_id);
	assert_int_equal(mailbox.messages, 0);
	assert_int_equal(mailbox.size_octets, 0);
	mailbox = mailbox_now(&bed, op.to_id);
	assert_int_equal(mailbox.messages, 24999);
	assert_int_equal(mailbox.size_octets, 24999 * 8);
	ranges_free(&changed);
	ranges_free(&vanished);
	op_free(&op);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_and_reads_back),
		cmocka_unit_test(says_that_it_is_gone),
		cmocka_unit_test(keeps_to_the_quota),
		cmocka_unit_test(keeps_keywords),
		cmocka_unit_test(looks_for_unused_keywords_once),
		cmocka_unit_test(prunes_the_change_log),
		cmocka_unit_test(changes_many_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
