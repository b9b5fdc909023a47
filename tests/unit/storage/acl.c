/* tests/unit/storage/acl.c - lists of rights: who has which, what a new mailbox inherits, and what
 * goes with an account or a mailbox. */
#include "tests/unit/storage/bed.h"

#include "storage/acl.h"
#include "storage/verify.h"

static uint32_t bob, carol; /* other accounts of the store */

static enum err add_others(struct write *write, void *arg)
{
	enum err err = account_add(write, SLICE("bob"), SLICE("example.org"), SLICE("$x"), &bob);
	return err == ERR_OK ? account_add(write, SLICE("carol"), SLICE("example.org"), SLICE("$x"),
					   &carol)
			     : err;
}

static void begin(struct bed *bed)
{
	bed_begin(bed, STORE_CREATE);
	assert_int_equal(bed_write(bed, add_others, NULL), ERR_OK);
}

struct acl_job {
	uint64_t mailbox_id;
	enum acl_change change;
	struct acl_entry entry;
};

static enum err run_change(struct write *write, void *arg)
{
	const struct acl_job *c = arg;
	return acl_change(write, c->mailbox_id, c->change, &c->entry);
}

static enum err change(struct bed *bed, uint64_t mailbox_id, enum acl_change how,
		       uint32_t account_id, bool is_negative, unsigned rights)
{
	struct acl_job c = { mailbox_id, how, { account_id, is_negative, rights } };
	return bed_write(bed, run_change, &c);
}

static unsigned rights(struct bed *bed, uint32_t account_id, uint64_t mailbox_id)
{
	struct read *read = read_begin(bed->store);
	unsigned found = acl_rights(read, account_id, bed->account_id, mailbox_id);
	read_end(&read);
	return found;
}

static size_t count_entries(struct bed *bed, uint64_t mailbox_id)
{
	struct acl_entry entry;
	struct read *read = read_begin(bed->store);
	size_t count = 0;
	for (bool more = acl_next(read, mailbox_id, NULL, &entry); more; count++)
		more = acl_next(read, mailbox_id, &entry, &entry);
	read_end(&read);
	return count;
}

static size_t count_shared(struct bed *bed, uint32_t account_id)
{
	struct acl_shared shared;
	struct read *read = read_begin(bed->store);
	size_t count = 0;
	for (bool more = acl_shared_next(read, account_id, NULL, &shared); more; count++) {
		assert_int_equal(shared.owner_id, bed->account_id);
		more = acl_shared_next(read, account_id, &shared, &shared);
	}
	read_end(&read);
	return count;
}

static void told(void *user, const struct verify_problem *problem)
{
	fail_msg("%s: %s", verify_kind_word(problem->kind), problem->what);
}

static void end(struct bed *bed)
{
	struct verify_watcher watcher = { .problem = told };
	struct verify_counts counts;
	assert_int_equal(verify_run(bed->store, false, &watcher, &counts), ERR_OK);
	bed_end(bed);
}

static void owners_have_all(void **state)
{
	struct bed bed;
	begin(&bed);
	assert_int_equal(rights(&bed, bed.account_id, bed.inbox_id), RIGHTS_ALL);
	assert_int_equal(rights(&bed, bob, bed.inbox_id), 0);
	assert_int_equal(change(&bed, bed.inbox_id, ACL_SET, bed.account_id, true, RIGHT_READ),
			 ERR_BAD_INPUT);
	assert_int_equal(rights(&bed, bed.account_id, bed.inbox_id), RIGHTS_ALL);
	end(&bed);
}

static void grants_add_up_and_negative_ones_win(void **state)
{
	struct bed bed;
	begin(&bed);
	uint64_t id = bed.inbox_id;
	assert_int_equal(change(&bed, id, ACL_SET, ACL_ANYONE, false, RIGHT_LOOKUP | RIGHT_READ),
			 ERR_OK);
	assert_int_equal(change(&bed, id, ACL_SET, bob, false, RIGHT_INSERT), ERR_OK);
	assert_int_equal(rights(&bed, bob, id), RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT);
	assert_int_equal(rights(&bed, carol, id), RIGHT_LOOKUP | RIGHT_READ);
	assert_int_equal(change(&bed, id, ACL_ADD, bob, false, RIGHT_SEEN), ERR_OK);
	assert_int_equal(change(&bed, id, ACL_REMOVE, bob, false, RIGHT_INSERT), ERR_OK);
	assert_int_equal(rights(&bed, bob, id), RIGHT_LOOKUP | RIGHT_READ | RIGHT_SEEN);
	assert_int_equal(change(&bed, id, ACL_SET, bob, true, RIGHT_READ), ERR_OK);
	assert_int_equal(rights(&bed, bob, id), RIGHT_LOOKUP | RIGHT_SEEN);
	assert_int_equal(change(&bed, id, ACL_SET, ACL_ANYONE, true, RIGHT_LOOKUP), ERR_OK);
	assert_int_equal(rights(&bed, bob, id), RIGHT_SEEN);
	assert_int_equal(rights(&bed, carol, id), RIGHT_READ);
	assert_int_equal(count_entries(&bed, id), 4);
	assert_int_equal(change(&bed, id, ACL_SET, bob, true, 0), ERR_OK);
	assert_int_equal(change(&bed, id, ACL_SET, bob, false, 0), ERR_OK);
	assert_int_equal(rights(&bed, bob, id), RIGHT_READ);
	assert_int_equal(change(&bed, id, ACL_SET, 3000, false, RIGHT_READ), ERR_NOT_FOUND);
	assert_int_equal(change(&bed, 3000, ACL_SET, bob, false, RIGHT_READ), ERR_GONE);
	end(&bed);
}

static void finds_what_is_shared(void **state)
{
	struct bed bed;
	begin(&bed);
	uint64_t sent = bed_mailbox(&bed, "Sent"), drafts = bed_mailbox(&bed, "Drafts");
	assert_int_equal(count_shared(&bed, bob), 0);
	assert_int_equal(change(&bed, sent, ACL_SET, bob, false, RIGHT_LOOKUP), ERR_OK);
	assert_int_equal(change(&bed, drafts, ACL_SET, ACL_ANYONE, false, RIGHT_LOOKUP), ERR_OK);
	assert_int_equal(change(&bed, sent, ACL_SET, ACL_ANYONE, false, RIGHT_LOOKUP), ERR_OK);
	assert_int_equal(count_shared(&bed, bob), 2);
	assert_int_equal(count_shared(&bed, carol), 2);
	assert_int_equal(count_shared(&bed, bed.account_id), 0); /* its own */
	assert_int_equal(change(&bed, sent, ACL_SET, ACL_ANYONE, false, 0), ERR_OK);
	assert_int_equal(count_shared(&bed, carol), 1);
	/* A negative entry alone keeps the row of the index: verify agrees in end(). */
	assert_int_equal(change(&bed, sent, ACL_SET, bob, true, RIGHT_READ), ERR_OK);
	assert_int_equal(change(&bed, sent, ACL_SET, bob, false, 0), ERR_OK);
	assert_int_equal(count_shared(&bed, bob), 2);
	end(&bed);
}

struct making {
	uint32_t account_id;
	const char *name;
	bool for_other;
	uint64_t mailbox_id;
};
static enum err run_make(struct write *write, void *arg)
{
	struct making *m = arg;
	return (m->for_other ? mailbox_create_for_other : mailbox_create)(
		write, m->account_id, slice_cstr(m->name), USE_NONE, &m->mailbox_id);
}
static uint64_t make(struct bed *bed, const char *name, bool for_other)
{
	struct making m = { bed->account_id, name, for_other, 0 };
	assert_int_equal(bed_write(bed, run_make, &m), ERR_OK);
	return m.mailbox_id;
}

static void new_ones_inherit(void **state)
{
	struct bed bed;
	begin(&bed);
	uint64_t work = make(&bed, "Work", false);
	assert_int_equal(change(&bed, work, ACL_SET, bob, false, RIGHT_LOOKUP | RIGHT_READ),
			 ERR_OK);
	assert_int_equal(change(&bed, work, ACL_SET, carol, true, RIGHT_READ), ERR_OK);
	uint64_t deep = make(&bed, "Work/a/b", false);
	assert_int_equal(rights(&bed, bob, deep), RIGHT_LOOKUP | RIGHT_READ);
	assert_int_equal(rights(&bed, bob, bed_mailbox(&bed, "Work/a")), RIGHT_LOOKUP | RIGHT_READ);
	assert_int_equal(count_entries(&bed, deep), 2);
	/* The owner's own at the top is private; what another makes there is not. */
	assert_int_equal(change(&bed, bed.inbox_id, ACL_SET, bob, false, RIGHT_CREATE), ERR_OK);
	assert_int_equal(rights(&bed, bob, make(&bed, "Mine", false)), 0);
	assert_int_equal(rights(&bed, bob, make(&bed, "Ours", true)), RIGHT_CREATE);
	end(&bed);
}

static enum err run_shared(struct write *write, void *arg)
{
	return account_add_shared(write, SLICE("office"), SLICE("example.org"), arg);
}
static void shared_accounts_share_all(void **state)
{
	struct bed bed;
	struct account account;
	begin(&bed);
	uint32_t alice = bed.account_id;
	assert_int_equal(bed_write(&bed, run_shared, &bed.account_id), ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_int_equal(account_get(read, bed.account_id, &bed.arena, &account), ERR_OK);
	read_end(&read);
	assert_int_equal(account.flags, ACCOUNT_IS_SHARED);
	assert_int_equal(account.password_hash.len, 0);
	uint64_t inbox = bed_mailbox(&bed, "INBOX");
	assert_int_equal(bed_mailbox(&bed, "Sent"), 0);
	assert_int_equal(change(&bed, inbox, ACL_SET, alice, false, RIGHT_READ), ERR_OK);
	assert_int_equal(rights(&bed, alice, make(&bed, "Offers", false)), RIGHT_READ);
	end(&bed);
}

static enum err delete_sent(struct write *write, void *arg)
{
	return mailbox_delete(write, ((struct bed *)arg)->account_id, SLICE("Sent"));
}
static enum err rename_sent(struct write *write, void *arg)
{
	return mailbox_rename(write, ((struct bed *)arg)->account_id, SLICE("Sent"), SLICE("Out"));
}

static void go_with_mailboxes_and_accounts(void **state)
{
	struct bed bed;
	begin(&bed);
	uint64_t sent = bed_mailbox(&bed, "Sent");
	assert_int_equal(change(&bed, sent, ACL_SET, bob, false, RIGHT_READ), ERR_OK);
	assert_int_equal(change(&bed, sent, ACL_SET, carol, false, RIGHT_READ), ERR_OK);
	assert_int_equal(change(&bed, bed.inbox_id, ACL_SET, bob, true, RIGHT_READ), ERR_OK);
	assert_int_equal(bed_write(&bed, rename_sent, &bed), ERR_OK);
	assert_int_equal(rights(&bed, bob, sent), RIGHT_READ);
	/* The grantee. */
	assert_int_equal(bed_write(&bed, bed_remove_account, &bob), ERR_OK);
	assert_int_equal(count_entries(&bed, sent), 1);
	assert_int_equal(count_entries(&bed, bed.inbox_id), 0);
	assert_int_equal(count_shared(&bed, bob), 0);
	/* The mailbox. */
	assert_int_equal(bed_write(&bed, rename_sent, &bed), ERR_NOT_FOUND);
	uint64_t again = make(&bed, "Sent", false);
	assert_int_equal(change(&bed, again, ACL_SET, carol, false, RIGHT_READ), ERR_OK);
	assert_int_equal(bed_write(&bed, delete_sent, &bed), ERR_OK);
	assert_int_equal(count_entries(&bed, again), 0);
	assert_int_equal(count_shared(&bed, carol), 1);
	/* The owner. */
	assert_int_equal(bed_write(&bed, bed_remove_account, &bed.account_id), ERR_OK);
	assert_int_equal(count_shared(&bed, carol), 0);
	end(&bed);
}

static enum err fill(struct write *write, void *arg)
{
	struct bed *bed = arg;
	enum err err = ERR_OK;
	for (unsigned i = 0; i <= ACL_ENTRIES_MAX && err == ERR_OK; i++) {
		uint32_t account_id;
		char name[16];
		snprintf(name, sizeof(name), "u%u", i);
		err = account_add(write, slice_cstr(name), SLICE("example.org"), SLICE("$x"),
				  &account_id);
		struct acl_entry entry = { account_id, false, RIGHT_READ };
		if (err == ERR_OK)
			err = acl_change(write, bed->inbox_id, ACL_SET, &entry);
		if (i == ACL_ENTRIES_MAX && err == ERR_LIMIT)
			return ERR_OK;
	}
	return err == ERR_OK ? ERR_DAMAGED : err;
}
static void are_limited_in_number(void **state)
{
	struct bed bed;
	begin(&bed);
	assert_int_equal(bed_write(&bed, fill, &bed), ERR_OK);
	assert_int_equal(count_entries(&bed, bed.inbox_id), ACL_ENTRIES_MAX);
	end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owners_have_all),
		cmocka_unit_test(grants_add_up_and_negative_ones_win),
		cmocka_unit_test(finds_what_is_shared),
		cmocka_unit_test(new_ones_inherit),
		cmocka_unit_test(shared_accounts_share_all),
		cmocka_unit_test(go_with_mailboxes_and_accounts),
		cmocka_unit_test(are_limited_in_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
