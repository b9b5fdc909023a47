/* tests/unit/storage/watch.c - who watches is told after the commit, on his loop, once. */
#include "tests/unit/storage/bed.h"

#include "storage/annotation.h"

struct told {
	struct watch watch;
	unsigned times;
	bool ends_itself;
	struct store *store;
	uint32_t messages; /* as it then finds them */
};

static void on_changed(struct watch *watch)
{
	struct told *told = CONTAINER_OF(watch, struct told, watch);
	struct arena arena = { 0 };
	struct mailbox mailbox;
	told->times++;
	struct read *read = read_begin(told->store);
	if (watch->mailbox_id && mailbox_get(read, watch->mailbox_id, &arena, &mailbox) == ERR_OK)
		told->messages = mailbox.messages;
	read_end(&read);
	arena_fini(&arena);
	if (told->ends_itself)
		watch_end(told->store, watch);
}

static void told_begin(struct told *told, struct bed *bed, struct loop *loop, uint32_t account_id,
		       uint64_t mailbox_id)
{
	*told = (struct told){ .watch = { .changed = on_changed,
					  .loop = loop,
					  .mailbox_id = mailbox_id,
					  .account_id = account_id },
			       .store = bed->store };
	watch_begin(bed->store, &told->watch);
}

static enum err create_run(struct write *write, void *arg)
{
	struct bed *bed = arg;
	uint64_t mailbox_id;
	return mailbox_create(write, bed->account_id, SLICE("new"), USE_NONE, &mailbox_id);
}
static enum err delete_run(struct write *write, void *arg)
{
	return mailbox_delete(write, ((struct bed *)arg)->account_id, SLICE("Trash"));
}
static enum err refused_run(struct write *write, void *arg)
{
	enum err err = create_run(write, arg);
	return err == ERR_OK ? ERR_DENIED : err;
}

static void tells_after_the_commit(void **state)
{
	enum { INBOX, INBOX_TOO, TRASH, ACCOUNT, BOB, BOBS_INBOX, COUNT };
	struct bed bed;
	struct told told[COUNT];
	uint32_t bob;
	bed_begin(&bed, STORE_CREATE);
	struct loop *loop = loop_new(0);
	assert_int_equal(bed_write(&bed, bed_add_bob, &bob), ERR_OK);
	struct bed bobs = { .store = bed.store, .account_id = bob };
	told_begin(&told[INBOX], &bed, loop, bed.account_id, bed.inbox_id);
	told_begin(&told[INBOX_TOO], &bed, loop, bed.account_id, bed.inbox_id);
	told_begin(&told[TRASH], &bed, loop, bed.account_id, bed_mailbox(&bed, "Trash"));
	told_begin(&told[ACCOUNT], &bed, loop, bed.account_id, 0);
	told_begin(&told[BOB], &bed, loop, bob, 0);
	told_begin(&told[BOBS_INBOX], &bed, loop, bob, bed_mailbox(&bobs, "INBOX"));
	arena_fini(&bobs.arena);

#define ASSERT_TOLD(a, b, c, d, e, f)                                        \
	do {                                                                 \
		const unsigned want[COUNT] = { a, b, c, d, e, f };           \
		loop_run_once(loop, 0);                                      \
		for (size_t i = 0; i < COUNT; i++) {                         \
			if (told[i].times != want[i])                        \
				fail_msg("watch %zu: %u", i, told[i].times); \
			told[i].times = 0;                                   \
		}                                                            \
	} while (0)

	ASSERT_TOLD(0, 0, 0, 0, 0, 0);
	/* Once for any number of changes. */
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = SLICE("a: b\r\n\r\n") };
	for (int i = 0; i < 3; i++)
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
	ASSERT_TOLD(1, 1, 0, 1, 0, 0);
	assert_int_equal(told[INBOX].messages, 3);
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	ASSERT_TOLD(1, 1, 0, 1, 0, 0);
	assert_int_equal(bed_write(&bed, refused_run, &bed), ERR_DENIED);
	ASSERT_TOLD(0, 0, 0, 0, 0, 0);
	assert_int_equal(bed_write(&bed, create_run, &bed), ERR_OK);
	ASSERT_TOLD(0, 0, 0, 1, 0, 0);
	assert_int_equal(bed_write(&bed, delete_run, &bed), ERR_OK);
	ASSERT_TOLD(0, 0, 1, 1, 0, 0);
	watch_notify_account(bed.store, bob);
	ASSERT_TOLD(0, 0, 0, 0, 1, 1);

	/* Ended between the commit and the loop, and in the call itself. */
	told[INBOX].ends_itself = true;
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	watch_end(bed.store, &told[INBOX_TOO].watch);
	ASSERT_TOLD(1, 0, 0, 1, 0, 0);
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	ASSERT_TOLD(0, 0, 0, 1, 0, 0);
	watch_end(bed.store, &told[INBOX].watch); /* a second time: nothing */

	assert_int_equal(bed_write(&bed, bed_remove_account, &bed.account_id), ERR_OK);
	ASSERT_TOLD(0, 0, 1, 1, 0, 0);
	for (size_t i = 0; i < COUNT; i++)
		watch_end(bed.store, &told[i].watch);
	loop_free(loop);
	bed_end(&bed);
}

/* Many watches of few accounts, begun and ended in any order. */
static void keeps_many(void **state)
{
	enum { MANY = 20000 };
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	struct loop *loop = loop_new(0);
	struct told *told = calloc(MANY, sizeof(*told));
	for (uint32_t i = 0; i < MANY; i++)
		told_begin(&told[i], &bed, loop, i % 5000, i % 3);
	watch_notify_account(bed.store, 4096); /* shares a place in the table with account 0 */
	loop_run_once(loop, 0);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(told[i].times, i % 5000 == 4096);
	for (uint32_t i = 0; i < MANY; i++)
		watch_end(bed.store, &told[i * 7919 % MANY].watch);
	watch_notify_account(bed.store, 4096);
	loop_run_once(loop, 0);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(told[i].times, i % 5000 == 4096);
	free(told);
	loop_free(loop);
	bed_end(&bed);
}

static enum err rename_run(struct write *write, void *arg)
{
	struct bed *bed = arg;
	enum err err =
		mailbox_rename(write, bed->account_id, SLICE("Trash"), SLICE("Bin/of/Alice"));
	if (err == ERR_OK)
		err = mailbox_subscribe(write, bed->account_id, SLICE("elsewhere"), true);
	return err == ERR_OK ? annotation_set(write, bed->account_id, bed->inbox_id,
					      SLICE("/private/comment"), SLICE("mine"))
			     : err;
}
static enum err flags_run(struct write *write, void *arg)
{
	struct bed *bed = arg;
	struct range run = { 1, 1 };
	struct ranges uids = { .runs = &run, .count = 1 };
	struct store_flags change = { .change = FLAGS_ADD, .flags = FLAG_FLAGGED };
	uint64_t modseq;
	return message_store(write, bed->inbox_id, &uids, &change, NULL, &modseq);
}

static void assert_news(struct cursor *at, unsigned kinds, uint64_t mailbox_id, const char *name)
{
	struct watch_news news;
	assert_true(watch_news_next(at, &news));
	assert_int_equal(news.kinds, kinds);
	assert_int_equal(news.mailbox_id, mailbox_id);
	assert_slice(news.name, name);
}

/* What happened, for who asks; not what he did himself; of much, that it was much. */
static void keeps_what_changed(void **state)
{
	struct bed bed;
	struct told told;
	struct buffer news;
	bed_begin(&bed, STORE_CREATE);
	struct loop *loop = loop_new(0);
	told_begin(&told, &bed, loop, bed.account_id, 0);
	told.watch.keeps_news = true;
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = SLICE("a: b\r\n\r\n") };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	assert_int_equal(bed_write(&bed, flags_run, &bed), ERR_OK);
	assert_int_equal(bed_write(&bed, rename_run, &bed), ERR_OK);
	struct bed_job own = { .job = { .run = bed_job_run, .origin = &told.watch },
			       .run = create_run,
			       .arg = &bed };
	assert_int_equal(store_write_now(bed.store, &own.job), ERR_OK);

	watch_take_news(bed.store, &told.watch, &news);
	struct cursor at = cursor_of(buffer_slice(&news));
	assert_news(&at, WATCH_ARRIVED | WATCH_FLAGS, bed.inbox_id, "");
	assert_news(&at, WATCH_CREATED, 0, "Bin");
	assert_news(&at, WATCH_UIDVALIDITY, bed_mailbox(&bed, "Bin"), "");
	assert_news(&at, WATCH_CREATED, 0, "Bin/of");
	assert_news(&at, WATCH_UIDVALIDITY, bed_mailbox(&bed, "Bin/of"), "");
	assert_news(&at, WATCH_RENAMED, 0, "Bin/of/Alice");
	assert_news(&at, WATCH_UIDVALIDITY, bed_mailbox(&bed, "Bin/of/Alice"), "");
	assert_news(&at, WATCH_SUBSCRIPTION, 0, "elsewhere");
	assert_news(&at, WATCH_ANNOTATION, bed.inbox_id, "/private/comment");
	assert_true(at_end(&at));
	buffer_free(&news);
	watch_take_news(bed.store, &told.watch, &news);
	assert_int_equal(news.len, 0);

	for (unsigned i = 0; i < 10 * 1000; i++)
		watch_publish(bed.store,
			      &(struct change_note){
				      .account_id = bed.account_id,
				      .news = { .kinds = WATCH_FLAGS, .mailbox_id = 1000 + i } });
	watch_notify_account(bed.store, bed.account_id);
	watch_take_news(bed.store, &told.watch, &news);
	assert_true(news.len <= 17 * 1024);
	at = cursor_of(buffer_slice(&news));
	assert_news(&at, WATCH_ANYTHING, 0, "");
	buffer_free(&news);
	watch_notify_account(bed.store, bed.account_id); /* kept, and freed with the watch */
	watch_end(bed.store, &told.watch);
	loop_run_once(loop, 0);
	loop_free(loop);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_after_the_commit),
		cmocka_unit_test(keeps_many),
		cmocka_unit_test(keeps_what_changed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
