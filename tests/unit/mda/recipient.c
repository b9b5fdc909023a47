/* tests/unit/mda/recipient.c - aliases, loops and limits, over a store that is a table here. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "mda/recipient.h"

struct row {
	const char *local; /* of example.org */
	uint32_t account_id;
	const char *targets[4];
};

static const struct row rows[] = {
	{ "alice", 1 },
	{ "bob", 2 },
	{ "info", 0, { "alice@example.org" } },
	{ "all", 0, { "bob@example.org", "info@example.org", "alice@example.org" } },
	{ "round", 0, { "about@example.org" } },
	{ "about", 0, { "round@example.org" } },
	{ "self", 0, { "self@example.org", "bob@example.org" } },
	{ "stale", 0, { "gone@example.org", "bob@example.org" } },
	{ "dead", 0, { "gone@example.org" } },
	{ "out", 0, { "bob@example.org", "bob@elsewhere.example" } },
	{ "out2", 0, { "Bob@elsewhere.example", "bob@elsewhere.example" } },
	{ "broken", 3, { NULL } },
	{ "john smith", 4, { NULL } },
	{ "spaces", 0, { "\"john smith\"@example.org" } },
};

/* deep0 leads to deep1 and so on; wideN names everything of wideN+1 twice. */
static enum err find_made(struct slice local, struct arena *arena, struct address_record *out)
{
	char text[32] = { 0 };
	unsigned number;

	memcpy(text, local.ptr, local.len < 31 ? local.len : 31);
	*out = (struct address_record){ .target_count = 2 };
	out->targets = arena_alloc_array(arena, 2, sizeof(*out->targets));
	if (sscanf(text, "deep%u", &number) == 1) {
		out->targets[0] = slice_cstr(arena_format(arena, "deep%u@example.org", number + 1));
		out->targets[1] = SLICE("alice@example.org");
		return ERR_OK;
	}
	if (sscanf(text, "tree%u", &number) == 1 && number < 100000) {
		/* A binary tree without loops: only a limit ends it. */
		out->targets[0] = slice_cstr(arena_format(arena, "tree%u@example.org", 2 * number));
		out->targets[1] =
			slice_cstr(arena_format(arena, "tree%u@example.org", 2 * number + 1));
		return ERR_OK;
	}
	if (sscanf(text, "many%u", &number) == 1) {
		if (number > RECIPIENT_ACCOUNTS_MAX + 1)
			return ERR_NOT_FOUND;
		*out = (struct address_record){ .account_id = 1000000 - number };
		return ERR_OK;
	}
	if (slice_eq(local, SLICE("crowd")) || slice_eq(local, SLICE("crowds"))) {
		out->target_count = RECIPIENT_ACCOUNTS_MAX + (local.len == 6);
		out->targets = arena_alloc_array(arena, out->target_count, sizeof(*out->targets));
		for (unsigned i = 0; i < out->target_count; i++)
			out->targets[i] =
				slice_cstr(arena_format(arena, "many%u@example.org", i + 1));
		return ERR_OK;
	}
	return ERR_NOT_FOUND;
}

enum err address_find(struct read *read, struct slice local, struct slice domain,
		      struct arena *arena, struct address_record *record_out)
{
	assert_true(domain_is_local(read, domain));
	if (slice_eq(domain, SLICE("second.example"))) {
		*record_out = (struct address_record){ .account_id = 2 };
		return slice_eq(local, SLICE("postmaster")) ? ERR_OK : ERR_NOT_FOUND;
	}
	if (slice_eq(local, SLICE("damaged")))
		return ERR_DAMAGED;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!slice_eq(local, slice_cstr(rows[i].local)))
			continue;
		*record_out = (struct address_record){ .account_id = rows[i].account_id };
		record_out->targets = arena_alloc_array(arena, 4, sizeof(struct slice));
		while (record_out->target_count < 4 && rows[i].targets[record_out->target_count]) {
			record_out->targets[record_out->target_count] =
				slice_cstr(rows[i].targets[record_out->target_count]);
			record_out->target_count++;
		}
		return ERR_OK;
	}
	return find_made(local, arena, record_out);
}

/* A store that fails says no to everything, and tells why when it is asked. */
static enum err store_failure;

enum err read_failure(const struct read *read)
{
	return store_failure;
}

bool domain_is_local(struct read *read, struct slice domain)
{
	if (store_failure != ERR_OK)
		return false;
	return slice_eq(domain, SLICE("example.org")) || slice_eq(domain, SLICE("second.example"));
}

bool domain_next(struct read *read, struct slice after, struct arena *arena,
		 struct slice *domain_out)
{
	if (store_failure != ERR_OK)
		return false;
	if (after.len == 0)
		*domain_out = SLICE("example.org");
	else if (slice_eq(after, SLICE("example.org")))
		*domain_out = SLICE("second.example");
	else
		return false;
	return true;
}

static struct sender sender;

static void check(const char *local, const char *domain, enum err want, const char *want_ids)
{
	struct arena arena = { 0 };
	struct address address = { slice_cstr(local), slice_cstr(domain) };
	struct destinations found = { 0 };
	char ids[256] = "";

	enum err err = recipient_resolve(NULL, &sender, &address, &arena, &found);
	for (size_t i = 0; i < found.account_count && i < 10; i++)
		snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%u ", found.account_ids[i]);
	for (size_t i = 0; i < found.remote_count && i < 10; i++)
		snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%.*s%s ",
			 SLICE_ARG(found.remotes[i].address),
			 found.remotes[i].is_recipient ? "!" : "");
	if (err != want || strcmp(ids, want_ids) != 0)
		fail_msg("%s@%s: %s \"%s\"", local, domain, err_word(err), ids);
	arena_fini(&arena);
}

static void plain_addresses(void **state)
{
	check("alice", "example.org", ERR_OK, "1 ");
	check("Alice", "EXAMPLE.Org", ERR_OK, "1 ");
	check("nobody", "example.org", ERR_NOT_FOUND, "");
	check("alice", "elsewhere.example", ERR_DENIED, "");
	check("alice", "[127.0.0.1]", ERR_DENIED, "");
	check("damaged", "example.org", ERR_DAMAGED, "");
}

static void aliases(void **state)
{
	check("info", "example.org", ERR_OK, "1 ");
	check("all", "example.org", ERR_OK, "1 2 ");
	check("stale", "example.org", ERR_OK, "2 ");
	check("dead", "example.org", ERR_NOT_FOUND, "");
	check("out", "example.org", ERR_OK, "2 bob@elsewhere.example ");
	check("spaces", "example.org", ERR_OK, "4 ");
}

static void addresses_elsewhere_need_the_right_to_relay(void **state)
{
	check("Ann", "Elsewhere.Example", ERR_DENIED, "");
	sender.may_relay = true;
	check("Ann", "Elsewhere.Example", ERR_OK, "Ann@elsewhere.example! ");
	check("a b", "elsewhere.example", ERR_OK, "\"a b\"@elsewhere.example! ");
	check("alice", "[127.0.0.1]", ERR_DENIED, "");
	check("nobody", "example.org", ERR_NOT_FOUND, "");
	sender.may_relay = false;
}

/* Which recipient led where first; each place once, in whatever way it was reached. */
static void recipients_of_one_message_add_up(void **state)
{
	static const char *const locals[] = { "alice", "out", "all", "out2" };
	struct arena arena = { 0 };
	struct destinations found = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(locals); i++) {
		struct address address = { slice_cstr(locals[i]), SLICE("example.org") };
		assert_int_equal(recipient_resolve(NULL, &sender, &address, &arena, &found),
				 ERR_OK);
	}
	assert_int_equal(found.recipient_count, 4);
	assert_int_equal(found.account_count, 2);
	assert_int_equal(found.remote_count, 2);
	assert_slice(found.remotes[0].address, "bob@elsewhere.example");
	assert_int_equal(found.remotes[0].recipient, 1);
	assert_slice(found.remotes[1].address, "Bob@elsewhere.example");
	assert_int_equal(found.remotes[1].recipient, 3);
	arena_fini(&arena);
}

static void loops_are_cut(void **state)
{
	check("round", "example.org", ERR_NOT_FOUND, "");
	check("self", "example.org", ERR_OK, "2 ");
}

static void limits_hold(void **state)
{
	char local[32];
	check("deep0", "example.org", ERR_LIMIT, "");
	check("tree1", "example.org", ERR_LIMIT, "");
	check("crowds", "example.org", ERR_LIMIT, "");
	snprintf(local, sizeof(local), "many%u", 7u);
	check(local, "example.org", ERR_OK, "999993 ");
}

static void a_crowd_at_its_limit_is_taken(void **state)
{
	struct arena arena = { 0 };
	struct address address = { SLICE("crowd"), SLICE("example.org") };
	struct destinations found = { 0 };

	assert_int_equal(recipient_resolve(NULL, &sender, &address, &arena, &found), ERR_OK);
	assert_int_equal(found.account_count, RECIPIENT_ACCOUNTS_MAX);
	for (size_t i = 1; i < found.account_count; i++)
		assert_true(found.account_ids[i - 1] < found.account_ids[i]);
	assert_true(destinations_have_account(&found, 1000000 - 17));
	assert_false(destinations_have_account(&found, 17));
	arena_fini(&arena);
}

static void postmaster_without_a_domain(void **state)
{
	check("Postmaster", "", ERR_OK, "2 ");
	check("alice", "", ERR_DENIED, "");
}

static void a_store_that_fails_refuses_nobody(void **state)
{
	store_failure = ERR_DISK;
	check("alice", "example.org", ERR_DISK, "");
	check("alice", "elsewhere.example", ERR_DISK, "");
	check("postmaster", "", ERR_DISK, "");
	store_failure = ERR_OK;
	check("alice", "example.org", ERR_OK, "1 ");
	check("alice", "elsewhere.example", ERR_DENIED, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_addresses),
		cmocka_unit_test(aliases),
		cmocka_unit_test(addresses_elsewhere_need_the_right_to_relay),
		cmocka_unit_test(recipients_of_one_message_add_up),
		cmocka_unit_test(loops_are_cut),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(a_crowd_at_its_limit_is_taken),
		cmocka_unit_test(postmaster_without_a_domain),
		cmocka_unit_test(a_store_that_fails_refuses_nobody),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
