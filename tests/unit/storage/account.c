/* tests/unit/storage/account.c - domains, accounts, addresses and aliases. */
#include "tests/unit/storage/bed.h"

#include "storage/garbage_priv.h"

struct op {
	const char *local, *domain, *targets[3];
	uint32_t account_id;
	struct slice hash;
	uint64_t octets, messages;
};

#define OP(name, call)                                             \
	static enum err name##_run(struct write *write, void *arg) \
	{                                                          \
		struct op *op = arg;                               \
		(void)op;                                          \
		return call;                                       \
	}                                                          \
	static enum err name(struct bed *bed, struct op op)        \
	{                                                          \
		return bed_write(bed, name##_run, &op);            \
	}

static struct op last; /* what an operation found out */

static enum err add_and_tell(struct write *write, struct op *op)
{
	last = *op;
	return account_add(write, slice_cstr(op->local), slice_cstr(op->domain), op->hash,
			   &last.account_id);
}

static enum err alias_set_all(struct write *write, struct op *op)
{
	struct slice targets[3];
	size_t count = 0;
	while (count < 3 && op->targets[count]) {
		targets[count] = slice_cstr(op->targets[count]);
		count++;
	}
	return alias_set(write, slice_cstr(op->local), slice_cstr(op->domain), targets, count);
}

OP(add_domain, domain_add(write, slice_cstr(op->domain)))
OP(remove_domain, domain_remove(write, slice_cstr(op->domain)))
OP(add_account, add_and_tell(write, op))
OP(remove_account, account_remove(write, op->account_id))
OP(set_hash, account_set_password_hash(write, op->account_id, op->hash))
OP(set_quota, account_set_quota(write, op->account_id, op->octets, op->messages))
OP(set_alias, alias_set_all(write, op))
OP(remove_alias, alias_remove(write, slice_cstr(op->local), slice_cstr(op->domain)))

static void keeps_domains(void **state)
{
	struct bed bed;
	struct slice name = SLICE_NONE;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(add_domain(&bed, (struct op){ .domain = "example.org" }), ERR_EXISTS);
	assert_int_equal(add_domain(&bed, (struct op){ .domain = "b.example" }), ERR_OK);
	assert_int_equal(add_domain(&bed, (struct op){ .domain = "example.org.au" }), ERR_OK);
	assert_int_equal(add_domain(&bed, (struct op){ .domain = "" }), ERR_BAD_INPUT);
	assert_int_equal(remove_domain(&bed, (struct op){ .domain = "example.org" }), ERR_BUSY);
	assert_int_equal(remove_domain(&bed, (struct op){ .domain = "nowhere" }), ERR_NOT_FOUND);
	static const char *const want[] = { "b.example", "example.org", "example.org.au" };
	struct read *read = read_begin(bed.store);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(domain_next(read, name, &bed.arena, &name));
		assert_slice(name, want[i]);
		assert_true(domain_is_local(read, name));
	}
	assert_false(domain_next(read, name, &bed.arena, &name));
	assert_false(domain_is_local(read, SLICE("nowhere")));
	assert_false(domain_is_local(read, SLICE_NONE));
	read_end(&read);
	assert_int_equal(remove_domain(&bed, (struct op){ .domain = "b.example" }), ERR_OK);
	assert_int_equal(remove_domain(&bed, (struct op){ .domain = "b.example" }), ERR_NOT_FOUND);
	bed_end(&bed);
}

static void keeps_accounts(void **state)
{
	struct bed bed;
	struct account account;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(
		add_account(&bed, (struct op){ .local = "alice", .domain = "example.org" }),
		ERR_EXISTS);
	assert_int_equal(add_account(&bed, (struct op){ .local = "bob", .domain = "nowhere" }),
			 ERR_NOT_FOUND);
	assert_int_equal(add_account(&bed, (struct op){ .local = "", .domain = "example.org" }),
			 ERR_BAD_INPUT);
	char local[200] = { 0 };
	memset(local, 'x', 193);
	assert_int_equal(add_account(&bed, (struct op){ .local = local, .domain = "example.org" }),
			 ERR_BAD_INPUT);
	assert_int_equal(add_account(&bed, (struct op){ .local = "b@b",
							.domain = "example.org",
							.hash = SLICE("$hash") }),
			 ERR_OK);
	uint32_t bob = last.account_id;
	struct read *read = read_begin(bed.store);
	assert_int_equal(account_find(read, SLICE("b@b@example.org"), &bed.arena, &account),
			 ERR_OK);
	assert_int_equal(account.account_id, bob);
	assert_slice(account.login, "b@b@example.org");
	assert_slice(account.password_hash, "$hash");
	assert_int_equal(account.quota_octets, 0);
	static const char *const unknown[] = {
		"", "@", "bob", "bob@", "@example.org", "carol@example.org"
	};
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		assert_int_equal(account_find(read, slice_cstr(unknown[i]), &bed.arena, &account),
				 ERR_NOT_FOUND);
	uint32_t id = 0;
	assert_true(account_next(read, &id, &bed.arena, &account));
	assert_slice(account.login, "alice@example.org");
	assert_true(account_next(read, &id, &bed.arena, &account));
	assert_int_equal(id, bob);
	assert_false(account_next(read, &id, &bed.arena, &account));
	read_end(&read);

	assert_int_equal(set_hash(&bed, (struct op){ .account_id = bob, .hash = SLICE("$2") }),
			 ERR_OK);
	assert_int_equal(
		set_quota(&bed, (struct op){ .account_id = bob, .octets = 5, .messages = 7 }),
		ERR_OK);
	assert_int_equal(set_hash(&bed, (struct op){ .account_id = 99 }), ERR_NOT_FOUND);
	assert_int_equal(set_quota(&bed, (struct op){ .account_id = 99 }), ERR_NOT_FOUND);
	read = read_begin(bed.store);
	assert_int_equal(account_get(read, bob, &bed.arena, &account), ERR_OK);
	assert_slice(account.password_hash, "$2");
	assert_int_equal(account.quota_octets, 5);
	assert_int_equal(account.quota_messages, 7);
	assert_int_equal(account_get(read, 99, &bed.arena, &account), ERR_NOT_FOUND);
	read_end(&read);
	bed_end(&bed);
}

static void removes_accounts_whole(void **state)
{
	struct bed bed;
	struct account account;
	struct mailbox mailbox;
	struct mailbox_row row;
	struct address_record address;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(add_account(&bed, (struct op){ .local = "bob", .domain = "example.org" }),
			 ERR_OK);
	uint32_t bob = last.account_id;
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = SLICE("a: b\r\n\r\n") };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	assert_int_equal(remove_account(&bed, (struct op){ .account_id = bed.account_id }), ERR_OK);
	assert_int_equal(remove_account(&bed, (struct op){ .account_id = bed.account_id }),
			 ERR_NOT_FOUND);
	struct read *read = read_begin(bed.store);
	assert_int_equal(account_find(read, SLICE("alice@example.org"), &bed.arena, &account),
			 ERR_NOT_FOUND);
	assert_int_equal(
		address_find(read, SLICE("alice"), SLICE("example.org"), &bed.arena, &address),
		ERR_NOT_FOUND);
	assert_int_equal(mailbox_get(read, bed.inbox_id, &bed.arena, &mailbox), ERR_GONE);
	assert_false(mailbox_next(read, bed.account_id, SLICE_NONE, &row));
	assert_true(mailbox_next(read, bob, SLICE_NONE, &row));
	read_end(&read);
	/* A session that has not noticed yet. */
	assert_int_equal(bed_append(&bed, &append), ERR_GONE);
	/* The same name again is somebody else. */
	assert_int_equal(
		add_account(&bed, (struct op){ .local = "alice", .domain = "example.org" }),
		ERR_OK);
	assert_true(last.account_id > bob);
	read = read_begin(bed.store);
	assert_int_equal(mailbox_find(read, last.account_id, SLICE("INBOX"), &bed.arena, &mailbox),
			 ERR_OK);
	assert_int_equal(mailbox.messages, 0);
	read_end(&read);
	assert_int_equal(remove_account(&bed, (struct op){ .account_id = bob }), ERR_OK);
	assert_int_equal(remove_account(&bed, (struct op){ .account_id = last.account_id }),
			 ERR_OK);
	assert_int_equal(remove_domain(&bed, (struct op){ .domain = "example.org" }), ERR_OK);
	bed_end(&bed);
}

static void keeps_aliases(void **state)
{
	struct bed bed;
	struct address_record record;
	bed_begin(&bed, STORE_CREATE);
	struct op info = { .local = "info",
			   .domain = "example.org",
			   .targets = { "alice@example.org", "x@elsewhere.example" } };
	assert_int_equal(set_alias(&bed, info), ERR_OK);
	struct op op = info;
	op.domain = "nowhere";
	assert_int_equal(set_alias(&bed, op), ERR_NOT_FOUND);
	op = info;
	op.local = "alice";
	assert_int_equal(set_alias(&bed, op), ERR_EXISTS);
	op = info;
	op.targets[0] = NULL;
	assert_int_equal(set_alias(&bed, op), ERR_BAD_INPUT);
	assert_int_equal(add_account(&bed, info), ERR_EXISTS);

	struct read *read = read_begin(bed.store);
	assert_int_equal(
		address_find(read, SLICE("info"), SLICE("example.org"), &bed.arena, &record),
		ERR_OK);
	assert_int_equal(record.account_id, 0);
	assert_int_equal(record.target_count, 2);
	assert_slice(record.targets[0], "alice@example.org");
	assert_slice(record.targets[1], "x@elsewhere.example");
	struct slice local = SLICE_NONE, domain = SLICE_NONE;
	assert_true(address_next(read, &local, &domain, &bed.arena, &record));
	assert_slice(local, "alice");
	assert_slice(domain, "example.org");
	assert_int_equal(record.account_id, bed.account_id);
	assert_true(address_next(read, &local, &domain, &bed.arena, &record));
	assert_slice(local, "info");
	assert_int_equal(record.target_count, 2);
	assert_false(address_next(read, &local, &domain, &bed.arena, &record));
	read_end(&read);

	info.targets[1] = NULL;
	assert_int_equal(set_alias(&bed, info), ERR_OK);
	read = read_begin(bed.store);
	assert_int_equal(
		address_find(read, SLICE("info"), SLICE("example.org"), &bed.arena, &record),
		ERR_OK);
	assert_int_equal(record.target_count, 1);
	read_end(&read);
	op = info;
	op.local = "alice";
	assert_int_equal(remove_alias(&bed, op), ERR_NOT_FOUND);
	assert_int_equal(remove_domain(&bed, info), ERR_BUSY);
	assert_int_equal(remove_alias(&bed, info), ERR_OK);
	assert_int_equal(remove_alias(&bed, info), ERR_NOT_FOUND);
	bed_end(&bed);
}

static enum err set_names(struct write *write, void *arg)
{
	const struct op *op = arg;
	return domain_set_alias(write, slice_cstr(op->domain), slice_cstr(op->targets[0]));
}

static enum err set_domain(struct write *write, void *arg)
{
	return domain_set(write, SLICE("example.org"), arg);
}

static void domains_may_have_other_names(void **state)
{
	struct bed bed;
	struct domain_record record;
	struct op names = { .domain = "other.example", .targets = { "example.org" } };
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, set_names, &names), ERR_OK);
	assert_int_equal(bed_write(&bed, set_names, &names), ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_true(domain_is_local(read, SLICE("other.example")));
	assert_int_equal(domain_get(read, SLICE("other.example"), &bed.arena, &record), ERR_OK);
	assert_slice(record.alias_of, "example.org");
	assert_int_equal(domain_get(read, SLICE("nowhere"), &bed.arena, &record), ERR_NOT_FOUND);
	read_end(&read);
	/* No circles, no chains, and no address where none would be looked for. */
	struct op op = { .domain = "third.example", .targets = { "other.example" } };
	assert_int_equal(bed_write(&bed, set_names, &op), ERR_BAD_INPUT);
	op.targets[0] = "nowhere";
	assert_int_equal(bed_write(&bed, set_names, &op), ERR_NOT_FOUND);
	op.targets[0] = "third.example";
	assert_int_equal(bed_write(&bed, set_names, &op), ERR_NOT_FOUND);
	assert_int_equal(add_domain(&bed, op), ERR_OK);
	assert_int_equal(bed_write(&bed, set_names, &op), ERR_BAD_INPUT);
	op.domain = "example.org"; /* has addresses, and another name */
	assert_int_equal(bed_write(&bed, set_names, &op), ERR_BUSY);
	op = (struct op){ .local = "x", .domain = "other.example", .targets = { "a@b.example" } };
	assert_int_equal(set_alias(&bed, op), ERR_BAD_INPUT);
	assert_int_equal(add_account(&bed, op), ERR_BAD_INPUT);
	op = (struct op){ .domain = "example.org" };
	assert_int_equal(remove_alias(&bed, (struct op){ .local = "no", .domain = "example.org" }),
			 ERR_NOT_FOUND);
	assert_int_equal(remove_domain(&bed, op), ERR_BUSY);
	assert_int_equal(remove_domain(&bed, names), ERR_OK);
	bed_end(&bed);
}

static void domains_keep_what_is_said_of_them(void **state)
{
	struct bed bed;
	struct domain_record record = { .senders = SENDERS_DOMAIN, .hides_clients = true };
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, set_domain, &record), ERR_OK);
	struct read *read = read_begin(bed.store);
	record = (struct domain_record){ .senders = SENDERS_OWN };
	assert_int_equal(domain_get(read, SLICE("example.org"), &bed.arena, &record), ERR_OK);
	assert_int_equal(record.senders, SENDERS_DOMAIN);
	assert_true(record.hides_clients);
	assert_int_equal(record.alias_of.len, 0);
	read_end(&read);
	record = (struct domain_record){ .senders = SENDERS_OWN };
	assert_int_equal(bed_write(&bed, set_domain, &record), ERR_OK);
	read = read_begin(bed.store);
	assert_int_equal(domain_get(read, SLICE("example.org"), &bed.arena, &record), ERR_OK);
	assert_int_equal(record.senders, SENDERS_OWN);
	assert_false(record.hides_clients);
	read_end(&read);
	bed_end(&bed);
}

static enum err set_post(struct write *write, void *arg)
{
	struct op *op = arg;
	struct slice posters[] = { SLICE("alice@example.org"), SLICE("ed@elsewhere.example") };
	return alias_set_post(write, slice_cstr(op->local), slice_cstr(op->domain), POST_MEMBERS,
			      posters, ARRAY_LEN(posters));
}

/* Who may post stays when the members change. */
static void lists_keep_who_may_post(void **state)
{
	struct bed bed;
	struct address_record record;
	struct op list = { .local = "",
			   .domain = "example.org",
			   .targets = { "alice@example.org", "x@elsewhere.example" } };
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, set_post, &list), ERR_NOT_FOUND);
	assert_int_equal(set_alias(&bed, list), ERR_OK); /* the catch-all: a list like another */
	assert_int_equal(bed_write(&bed, set_post, &list), ERR_OK);
	list.targets[1] = NULL;
	assert_int_equal(set_alias(&bed, list), ERR_OK);
	struct read *read = read_begin(bed.store);
	struct slice local = SLICE_NONE, domain = SLICE_NONE;
	assert_true(address_next(read, &local, &domain, &bed.arena, &record));
	assert_slice(local, "");
	assert_int_equal(record.target_count, 1);
	assert_int_equal(record.post, POST_MEMBERS);
	assert_int_equal(record.poster_count, 2);
	assert_slice(record.posters[1], "ed@elsewhere.example");
	assert_true(address_next(read, &local, &domain, &bed.arena, &record));
	assert_slice(local, "alice");
	assert_false(address_next(read, &local, &domain, &bed.arena, &record));
	read_end(&read);
	list.local = "alice";
	assert_int_equal(bed_write(&bed, set_post, &list), ERR_NOT_FOUND);
	bed_end(&bed);
}

/* What a batch has written its own reads see, before it is committed. */
static enum err own_view(struct write *write, void *arg)
{
	struct bed *bed = arg;
	struct account account;
	struct mailbox mailbox;
	uint32_t account_id, id = 0;
	struct read *read = write_read(write);
	assert_int_equal(domain_add(write, SLICE("new.example")), ERR_OK);
	assert_int_equal(
		account_add(write, SLICE("new"), SLICE("new.example"), SLICE("$"), &account_id),
		ERR_OK);
	assert_int_equal(account_find(read, SLICE("new@new.example"), &bed->arena, &account),
			 ERR_OK);
	while (account_next(read, &id, &bed->arena, &account))
		;
	assert_int_equal(id, account_id);
	assert_int_equal(account_set_quota(write, account_id, 1, 2), ERR_OK);
	assert_int_equal(account_get(read, account_id, &bed->arena, &account), ERR_OK);
	assert_int_equal(account.quota_messages, 2);
	assert_int_equal(mailbox_find(read, account_id, SLICE("INBOX"), &bed->arena, &mailbox),
			 ERR_OK);
	assert_int_equal(account_remove(write, account_id), ERR_OK);
	assert_int_equal(account_get(read, account_id, &bed->arena, &account), ERR_NOT_FOUND);
	assert_int_equal(mailbox_get(read, mailbox.mailbox_id, &bed->arena, &mailbox), ERR_GONE);
	id = 0;
	while (account_next(read, &id, &bed->arena, &account))
		;
	assert_int_equal(id, bed->account_id);
	return ERR_OK;
}

static void sees_its_own_writes(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, own_view, &bed), ERR_OK);
	struct account account;
	uint32_t id = 0;
	struct read *read = read_begin(bed.store);
	assert_true(account_next(read, &id, &bed.arena, &account));
	assert_false(account_next(read, &id, &bed.arena, &account));
	read_end(&read);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_domains),
		cmocka_unit_test(keeps_accounts),
		cmocka_unit_test(removes_accounts_whole),
		cmocka_unit_test(keeps_aliases),
		cmocka_unit_test(domains_may_have_other_names),
		cmocka_unit_test(domains_keep_what_is_said_of_them),
		cmocka_unit_test(lists_keep_who_may_post),
		cmocka_unit_test(sees_its_own_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
