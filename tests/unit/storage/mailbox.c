/* tests/unit/storage/mailbox.c - names, superiors, renaming, subscriptions, special use,
 * UIDVALIDITY, \Recent. */
#include "tests/unit/storage/bed.h"

#include "base/clock.h"
#include "storage/name_priv.h"

struct op {
	struct bed *bed;
	const char *name, *to;
	struct slice slice; /* instead of name */
	bool on;
	uint64_t mailbox_id;
	uint32_t uid;
};

static struct slice op_name(const struct op *op)
{
	return op->name ? slice_cstr(op->name) : op->slice;
}

static enum err create_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return mailbox_create(write, op->bed->account_id, op_name(op), USE_NONE, &op->mailbox_id);
}
static enum err delete_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return mailbox_delete(write, op->bed->account_id, op_name(op));
}
static enum err rename_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return mailbox_rename(write, op->bed->account_id, op_name(op), slice_cstr(op->to));
}
static enum err subscribe_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return mailbox_subscribe(write, op->bed->account_id, op_name(op), op->on);
}

static enum err create(struct bed *bed, const char *name)
{
	return bed_write(bed, create_run, &(struct op){ .bed = bed, .name = name });
}
static enum err delete (struct bed *bed, const char *name) {
	return bed_write(bed, delete_run, &(struct op){ .bed = bed, .name = name });
}
static enum err rename_to(struct bed *bed, const char *name, const char *to)
{
	return bed_write(bed, rename_run, &(struct op){ .bed = bed, .name = name, .to = to });
}
static enum err subscribe(struct bed *bed, const char *name, bool on)
{
	return bed_write(bed, subscribe_run, &(struct op){ .bed = bed, .name = name, .on = on });
}

/* The list as "a, b(subscribed), c[not there]". */
static void assert_list(struct bed *bed, const char *want)
{
	struct buffer list = { 0 };
	struct slice after = SLICE_NONE;
	struct mailbox_row row;
	struct read *read = read_begin(bed->store);
	while (mailbox_next(read, bed->account_id, after, &row)) {
		buffer_add_format(&list, "%s%.*s%s%s", list.len ? ", " : "", SLICE_ARG(row.name),
				  row.subscribed ? "+" : "", row.mailbox_id ? "" : "-");
		assert_int_equal(mailbox_is_subscribed(read, bed->account_id, row.name),
				 row.subscribed);
		after = row.name;
	}
	assert_slice(buffer_slice(&list), want);
	read_end(&read);
	buffer_free(&list);
}

static void begins_with_the_usual_ones(void **state)
{
	struct bed bed;
	static const struct {
		const char *name;
		enum special_use use;
	} want[] = { { "Archive", USE_ARCHIVE }, { "Drafts", USE_DRAFTS }, { "INBOX", USE_NONE },
		     { "Junk", USE_JUNK },	 { "Sent", USE_SENT },	   { "Trash", USE_TRASH } };
	bed_begin(&bed, STORE_CREATE);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+");
	struct slice after = SLICE_NONE;
	struct mailbox_row row;
	struct read *read = read_begin(bed.store);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct mailbox mailbox;
		assert_true(mailbox_next(read, bed.account_id, after, &row));
		assert_slice(row.name, want[i].name);
		assert_int_equal(row.special_use, want[i].use);
		assert_int_equal(mailbox_get(read, row.mailbox_id, &bed.arena, &mailbox), ERR_OK);
		assert_slice(mailbox.name, want[i].name);
		assert_int_equal(mailbox.special_use, want[i].use);
		assert_int_equal(mailbox.uidnext, 1);
		assert_true(mailbox.uidvalidity > 0);
		assert_true(mailbox.highest_modseq > 0);
		assert_int_equal(mailbox.account_id, bed.account_id);
		after = row.name;
	}
	assert_false(mailbox_next(read, bed.account_id, after, &row));
	assert_false(mailbox_next(read, bed.account_id + 1, SLICE_NONE, &row));
	read_end(&read);
	bed_end(&bed);
}

static void takes_good_names_only(void **state)
{
	struct bed bed;
	char long_name[MAILBOX_NAME_MAX_OCTETS + 2];
	bed_begin(&bed, STORE_CREATE);
	static const char *const bad[] = { "",	   "/",	    "a/",	"/a",	 "a//b",
					   "a\nb", "a\x7f", "\xff\xfe", "inbox", "Inbox",
					   "a\tb", "\x01",  "inBox/x" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(create(&bed, bad[i]), ERR_BAD_INPUT);
		assert_int_equal(rename_to(&bed, "Sent", bad[i]), ERR_BAD_INPUT);
		assert_int_equal(subscribe(&bed, bad[i], true), i == 12 ? ERR_OK : ERR_BAD_INPUT);
	}
	assert_int_equal(subscribe(&bed, "inBox/x", false), ERR_OK);
	struct op op = { .bed = &bed, .slice = SLICE("a\0b") };
	assert_int_equal(bed_write(&bed, create_run, &op), ERR_BAD_INPUT);
	memset(long_name, 'x', sizeof(long_name));
	op.slice = slice_of(long_name, MAILBOX_NAME_MAX_OCTETS + 1);
	assert_int_equal(bed_write(&bed, create_run, &op), ERR_LIMIT);
	assert_int_equal(bed_write(&bed, subscribe_run, &op), ERR_OK); /* off: was never on */
	op.on = true;
	assert_int_equal(bed_write(&bed, subscribe_run, &op), ERR_LIMIT);
	assert_int_equal(bed_write(&bed, delete_run, &op), ERR_NOT_FOUND);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+");
	op.slice = slice_of(long_name, MAILBOX_NAME_MAX_OCTETS);
	assert_int_equal(bed_write(&bed, create_run, &op), ERR_OK);
	assert_int_equal(create(&bed, "Entwürfe"), ERR_OK);
	assert_int_equal(create(&bed, "日本語/書類"), ERR_OK);
	assert_int_equal(create(&bed, "a*b%c"), ERR_OK);
	assert_int_equal(create(&bed, "INBOX/sub"), ERR_OK);
	assert_int_equal(create(&bed, "INBOX"), ERR_EXISTS);
	bed_end(&bed);
}

/* None stands before another's mailbox; to subscribe to one of others is what names are for. */
static void takes_no_name_of_others(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	static const char *const theirs[] = { "Other Users/bob@example.org", "Shared/a@b",
					      "Other Users/bob@example.org/Work/x", "Shared/@/y" };
	for (size_t i = 0; i < ARRAY_LEN(theirs); i++) {
		assert_int_equal(create(&bed, theirs[i]), ERR_BAD_INPUT);
		assert_int_equal(rename_to(&bed, "Sent", theirs[i]), ERR_BAD_INPUT);
		assert_int_equal(rename_to(&bed, "INBOX", theirs[i]), ERR_BAD_INPUT);
		assert_int_equal(subscribe(&bed, theirs[i], true), ERR_OK);
		assert_int_equal(subscribe(&bed, theirs[i], false), ERR_OK);
	}
	assert_int_equal(create(&bed, "P/bob@example.org/Work"), ERR_OK);
	assert_int_equal(rename_to(&bed, "P", "Shared"), ERR_BAD_INPUT);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, P, P/bob@example.org, "
			  "P/bob@example.org/Work, Sent+, Trash+");
	assert_int_equal(create(&bed, "Shared/Pictures/a@b"), ERR_OK);
	assert_int_equal(create(&bed, "Others/a@b"), ERR_OK);
	assert_int_equal(create(&bed, "a@b/Shared/a@b"), ERR_OK);
	bed_end(&bed);
}

static void makes_superiors_too(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(create(&bed, "a/b/c"), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, a, a/b, a/b/c");
	assert_int_equal(create(&bed, "a/b"), ERR_EXISTS);
	assert_int_equal(delete (&bed, "a/b"), ERR_OK);
	assert_int_equal(delete (&bed, "a/b"), ERR_NOT_FOUND);
	assert_int_equal(delete (&bed, "INBOX"), ERR_BAD_INPUT);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, a, a/b/c");
	assert_int_equal(create(&bed, "a/b/d"), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, a, a/b, a/b/c, a/b/d");
	bed_end(&bed);
}

static void renames_with_inferiors(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	for (const char *const *name = (const char *const[]){ "a/b/c", "a b", "a-b", "a/x", NULL };
	     *name; name++)
		assert_int_equal(create(&bed, *name), ERR_OK);
	uint64_t a = bed_mailbox(&bed, "a"), c = bed_mailbox(&bed, "a/b/c");
	assert_int_equal(subscribe(&bed, "a/b/c", true), ERR_OK);
	assert_int_equal(rename_to(&bed, "a", "z/new"), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, a b, a-b, a/b/c+-, z, "
			  "z/new, z/new/b, z/new/b/c, z/new/x");
	assert_int_equal(bed_mailbox(&bed, "z/new"), a);
	assert_int_equal(bed_mailbox(&bed, "z/new/b/c"), c);
	struct mailbox mailbox;
	struct read *read = read_begin(bed.store);
	assert_int_equal(mailbox_get(read, c, &bed.arena, &mailbox), ERR_OK);
	assert_slice(mailbox.name, "z/new/b/c");
	read_end(&read);

	assert_int_equal(rename_to(&bed, "a", "b"), ERR_NOT_FOUND);
	assert_int_equal(rename_to(&bed, "z", "z/new/deeper"), ERR_BAD_INPUT);
	assert_int_equal(rename_to(&bed, "z", "z"), ERR_EXISTS);
	assert_int_equal(rename_to(&bed, "z", "a b"), ERR_EXISTS);
	assert_int_equal(rename_to(&bed, "z", "INBOX"), ERR_EXISTS);
	/* Of those below one is there already: then nothing moves. */
	assert_int_equal(create(&bed, "q/b/c"), ERR_OK);
	assert_int_equal(delete (&bed, "q"), ERR_OK);
	assert_int_equal(rename_to(&bed, "z/new", "q"), ERR_EXISTS);
	assert_int_equal(bed_mailbox(&bed, "z/new/b/c"), c);
	/* A superior that is no mailbox itself takes those below along. */
	assert_int_equal(delete (&bed, "z/new/b"), ERR_OK);
	assert_int_equal(rename_to(&bed, "z/new/b", "y"), ERR_OK);
	assert_int_equal(bed_mailbox(&bed, "y/c"), c);
	/* A name too long only for one below. */
	char deep[MAILBOX_NAME_MAX_OCTETS];
	memset(deep, 'd', sizeof(deep));
	deep[sizeof(deep) - 1] = 0;
	assert_int_equal(rename_to(&bed, "y", deep), ERR_LIMIT);
	assert_int_equal(rename_to(&bed, "y/c", deep), ERR_OK);
	assert_int_equal(bed_mailbox(&bed, deep), c);
	bed_end(&bed);
}

/* RFC 9051 section 6.3.6: the messages go, INBOX and what is below it stays. */
static void renames_inbox(void **state)
{
	struct bed bed;
	struct message_entry entry;
	bed_begin(&bed, STORE_CREATE);
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = SLICE("a: b\r\n\r\n") };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	assert_int_equal(create(&bed, "INBOX/sub"), ERR_OK);
	assert_int_equal(rename_to(&bed, "INBOX", "Sent"), ERR_EXISTS);
	assert_int_equal(rename_to(&bed, "INBOX", "old/mail"), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, INBOX/sub, Junk+, Sent+, Trash+, old, "
			  "old/mail");
	assert_int_equal(bed_mailbox(&bed, "INBOX"), bed.inbox_id);
	struct mailbox inbox, old;
	struct read *read = read_begin(bed.store);
	assert_int_equal(mailbox_get(read, bed.inbox_id, &bed.arena, &inbox), ERR_OK);
	assert_int_equal(mailbox_find(read, bed.account_id, SLICE("old/mail"), &bed.arena, &old),
			 ERR_OK);
	assert_int_equal(inbox.messages, 0);
	assert_int_equal(inbox.uidnext, 3);
	assert_int_equal(old.messages, 2);
	assert_int_equal(message_get(read, old.mailbox_id, 2, &entry), ERR_OK);
	assert_int_equal(message_get(read, bed.inbox_id, 2, &entry), ERR_NOT_FOUND);
	read_end(&read);
	bed_end(&bed);
}

static void keeps_subscriptions_by_name(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(subscribe(&bed, "later", true), ERR_OK);
	assert_int_equal(subscribe(&bed, "later", true), ERR_OK);
	assert_int_equal(subscribe(&bed, "never", false), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, later+-");
	assert_int_equal(bed_mailbox(&bed, "later"), 0);
	assert_int_equal(create(&bed, "later"), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, later+");
	assert_int_equal(delete (&bed, "later"), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, later+-");
	assert_int_equal(delete (&bed, "later"), ERR_NOT_FOUND);
	assert_int_equal(subscribe(&bed, "later", false), ERR_OK);
	assert_int_equal(subscribe(&bed, "Sent", false), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent, Trash+");
	bed_end(&bed);
}

/* A session whose account was removed meanwhile. */
static void knows_no_account_that_is_gone(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	bed.account_id += 100;
	assert_int_equal(create(&bed, "x"), ERR_NOT_FOUND);
	assert_int_equal(delete (&bed, "Sent"), ERR_NOT_FOUND);
	assert_int_equal(rename_to(&bed, "Sent", "x"), ERR_NOT_FOUND);
	assert_int_equal(rename_to(&bed, "INBOX", "x"), ERR_NOT_FOUND);
	assert_int_equal(subscribe(&bed, "Sent", true), ERR_NOT_FOUND);
	assert_int_equal(subscribe(&bed, "Sent", false), ERR_NOT_FOUND);
	assert_list(&bed, "");
	bed_end(&bed);
}

/* However the clock runs. */
static void never_gives_a_uidvalidity_again(void **state)
{
	struct bed bed;
	struct mailbox mailbox;
	uint32_t last = 0;
	bed_begin(&bed, STORE_CREATE);
	static const int64_t times_s[] = { 1800000000, 1800000000, 1800000000, 1700000000,
					   1,	       1800000001, 1900000000 };
	for (size_t i = 0; i < ARRAY_LEN(times_s); i++) {
		clock_set_fake_unix_ms(times_s[i] * 1000);
		assert_int_equal(create(&bed, "x"), ERR_OK);
		struct read *read = read_begin(bed.store);
		assert_int_equal(
			mailbox_find(read, bed.account_id, SLICE("x"), &bed.arena, &mailbox),
			ERR_OK);
		read_end(&read);
		assert_true(mailbox.uidvalidity > last);
		last = mailbox.uidvalidity;
		if (i % 2)
			assert_int_equal(rename_to(&bed, "x",
						   i == 1   ? "y"
						   : i == 3 ? "z"
							    : "w"),
					 ERR_OK);
		else
			assert_int_equal(delete (&bed, "x"), ERR_OK);
		store_close(&bed.store);
		bed_open(&bed, STORE_SERVE);
	}
	assert_int_equal(last, 1900000000);
	clock_set_fake_unix_ms(-1);
	bed_end(&bed);
}

static enum err claim_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return mailbox_claim_recent(write, op->mailbox_id, &op->uid);
}

static void gives_recent_to_one_session(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	struct op op = { .mailbox_id = bed.inbox_id };
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = SLICE("a: b\r\n\r\n") };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	assert_int_equal(bed_write(&bed, claim_run, &op), ERR_OK);
	assert_int_equal(op.uid, 1);
	assert_int_equal(bed_write(&bed, claim_run, &op), ERR_OK);
	assert_int_equal(op.uid, 3);
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	assert_int_equal(bed_write(&bed, claim_run, &op), ERR_OK);
	assert_int_equal(op.uid, 3);
	op.mailbox_id = 999;
	assert_int_equal(bed_write(&bed, claim_run, &op), ERR_GONE);
	bed_end(&bed);
}

static enum err many_run(struct write *write, void *arg)
{
	struct op *op = arg;
	char name[32];
	enum err err = ERR_OK;
	for (unsigned i = 0; i < 10000 && err == ERR_OK; i++) {
		snprintf(name, sizeof(name), "many%u", i);
		uint64_t mailbox_id;
		err = op->on ? mailbox_subscribe(write, op->bed->account_id, slice_cstr(name), true)
			     : mailbox_create(write, op->bed->account_id, slice_cstr(name),
					      USE_NONE, &mailbox_id);
		op->uid = i;
		if (err == ERR_LIMIT)
			return ERR_OK;
	}
	return err;
}

/* Names cost room: there may be so many, and subscriptions count. */
static void has_a_limit(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	struct op op = { .bed = &bed };
	assert_int_equal(bed_write(&bed, many_run, &op), ERR_OK);
	assert_int_equal(op.uid, 10000 - 6);
	assert_int_equal(create(&bed, "x"), ERR_LIMIT);
	assert_int_equal(subscribe(&bed, "x", true), ERR_LIMIT);
	assert_int_equal(delete (&bed, "many0"), ERR_OK);
	assert_int_equal(create(&bed, "x/y"), ERR_LIMIT);
	assert_int_equal(subscribe(&bed, "x", true), ERR_OK);
	assert_int_equal(create(&bed, "x"), ERR_LIMIT); /* it has a row, but may need one */
	/* One name goes as another comes, unless a subscription stays with the old one. */
	assert_int_equal(rename_to(&bed, "many1", "other"), ERR_OK);
	assert_int_equal(rename_to(&bed, "other", "others/other"), ERR_LIMIT);
	assert_int_equal(subscribe(&bed, "other", true), ERR_OK);
	assert_int_equal(rename_to(&bed, "other", "many1"), ERR_LIMIT);
	assert_int_equal(rename_to(&bed, "other", "x"), ERR_OK); /* which waits for it */
	assert_int_equal(rename_to(&bed, "x", "many1"), ERR_LIMIT);
	assert_int_equal(subscribe(&bed, "other", false), ERR_OK);
	assert_int_equal(rename_to(&bed, "x", "many1"), ERR_OK);
	assert_int_equal(subscribe(&bed, "x", false), ERR_OK);
	assert_int_equal(create(&bed, "x"), ERR_OK);
	bed_end(&bed);
}

#define COMPOSED "\xc3\xa9t\xc3\xa9"
#define DECOMPOSED "e\xcc\x81te\xcc\x81"

static uint64_t find(struct bed *bed, const char *name)
{
	struct mailbox mailbox = { 0 };
	struct read *read = read_begin(bed->store);
	(void)!mailbox_find(read, bed->account_id, slice_cstr(name), &bed->arena, &mailbox);
	read_end(&read);
	return mailbox.mailbox_id;
}

static void is_known_by_any_form_of_its_name(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(create(&bed, DECOMPOSED "/x"), ERR_OK);
	assert_int_equal(create(&bed, DECOMPOSED), ERR_EXISTS);
	assert_int_equal(create(&bed, COMPOSED), ERR_EXISTS);
	assert_int_equal(subscribe(&bed, DECOMPOSED, true), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, " COMPOSED
			  "+, " COMPOSED "/x");
	assert_true(find(&bed, DECOMPOSED) != 0);
	assert_int_equal(find(&bed, DECOMPOSED), find(&bed, COMPOSED));
	assert_int_equal(rename_to(&bed, DECOMPOSED, "e\xcc\x81"), ERR_OK);
	assert_int_equal(subscribe(&bed, DECOMPOSED, false), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, \xc3\xa9, \xc3\xa9/x");
	assert_int_equal(delete (&bed, "e\xcc\x81/x"), ERR_OK);
	assert_int_equal(delete (&bed, "e\xcc\x81"), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+");
	bed_end(&bed);
}

/* As it was before names were composed. */
static enum err decompose_run(struct write *write, void *arg)
{
	struct bed *bed = arg;
	const struct name_row nothing = { 0 };
	struct name_row row;
	struct account_slot *account;
	struct mailbox_slot *slot;
	enum err err = account_slot_get(write, bed->account_id, &account);
	if (err == ERR_OK)
		err = name_get(write_read(write), bed->account_id, SLICE(COMPOSED), &row);
	if (err == ERR_OK)
		err = name_put(write, account, SLICE(COMPOSED), &nothing);
	if (err == ERR_OK)
		err = name_put(write, account, SLICE(DECOMPOSED), &row);
	if (err == ERR_OK)
		err = mailbox_slot_get(write, row.mailbox_id, &slot);
	if (err != ERR_OK)
		return err;
	slot->record.mailbox.name = SLICE(DECOMPOSED);
	mailbox_slot_dirty(write, slot);
	return ERR_OK;
}

static void an_old_name_is_found_as_it_is(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(create(&bed, COMPOSED), ERR_OK);
	uint64_t old_id = find(&bed, COMPOSED);
	assert_int_equal(bed_write(&bed, decompose_run, &bed), ERR_OK);
	assert_int_equal(find(&bed, DECOMPOSED), old_id);
	assert_int_equal(find(&bed, COMPOSED), 0);
	assert_int_equal(subscribe(&bed, DECOMPOSED, true), ERR_OK);
	/* Beside another, too. */
	assert_int_equal(create(&bed, COMPOSED), ERR_OK);
	assert_int_equal(find(&bed, DECOMPOSED), old_id);
	assert_list(&bed,
		    "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+, " DECOMPOSED "+, " COMPOSED);
	assert_int_equal(subscribe(&bed, DECOMPOSED, false), ERR_OK);
	assert_int_equal(delete (&bed, COMPOSED), ERR_OK);
	/* What makes it one of today's. */
	assert_int_equal(rename_to(&bed, DECOMPOSED, COMPOSED), ERR_OK);
	assert_int_equal(find(&bed, COMPOSED), old_id);
	assert_int_equal(find(&bed, DECOMPOSED), old_id);
	assert_int_equal(delete (&bed, DECOMPOSED), ERR_OK);
	assert_list(&bed, "Archive+, Drafts+, INBOX+, Junk+, Sent+, Trash+");
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_with_the_usual_ones),
		cmocka_unit_test(takes_good_names_only),
		cmocka_unit_test(takes_no_name_of_others),
		cmocka_unit_test(makes_superiors_too),
		cmocka_unit_test(renames_with_inferiors),
		cmocka_unit_test(renames_inbox),
		cmocka_unit_test(keeps_subscriptions_by_name),
		cmocka_unit_test(knows_no_account_that_is_gone),
		cmocka_unit_test(never_gives_a_uidvalidity_again),
		cmocka_unit_test(gives_recent_to_one_session),
		cmocka_unit_test(has_a_limit),
		cmocka_unit_test(is_known_by_any_form_of_its_name),
		cmocka_unit_test(an_old_name_is_found_as_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
