/* tests/unit/mda/recipient.c - aliases, loops and limits, over a store that is a table here. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "mda/recipient.h"
#include "mda/srs.h"
#include "storage/queue.h"

struct row {
	const char *local; /* of example.org */
	uint32_t account_id;
	const char *targets[4];
	enum list_post post;
	const char *poster;
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
	{ "bob-private", 5, { NULL } },
	{ "users", 0, { "alice@example.org" }, POST_USERS },
	{ "members",
	  0,
	  { "alice@example.org", "friend@elsewhere.example" },
	  POST_MEMBERS,
	  "bob@example.org" },
	{ "news", 0, { "all@example.org" }, POST_NOBODY, "Editor@elsewhere.example" },
	{ "everything", 0, { "bob@example.org", "news@example.org" } },
	{ "spaces", 0, { "\"john smith\"@example.org" } },
};

/* deep0 leads to deep1 and so on; wideN names everything of wideN+1 twice. */
static enum err find_made(struct slice local, struct arena *arena, struct address_record *out)
{
	char text[32] = { 0 };
	unsigned number;

	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(local));
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
	if (slice_eq(domain, SLICE("catch.example"))) {
		*record_out = (struct address_record){ .account_id = local.len ? 7 : 8 };
		return local.len == 0 || slice_eq(local, SLICE("carol")) ? ERR_OK : ERR_NOT_FOUND;
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
		record_out->post = rows[i].post;
		record_out->posters = arena_alloc_array(arena, 1, sizeof(struct slice));
		record_out->poster_count = rows[i].poster ? 1 : 0;
		record_out->posters[0] = slice_cstr(rows[i].poster);
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

bool queue_secret(struct read *read, uint8_t secret_out[QUEUE_SECRET_OCTETS])
{
	memset(secret_out, 7, QUEUE_SECRET_OCTETS);
	return true;
}

bool domain_is_local(struct read *read, struct slice domain)
{
	static const char *const domains[] = { "example.org", "second.example", "catch.example",
					       "other-name.example" };
	for (size_t i = 0; i < ARRAY_LEN(domains); i++)
		if (store_failure == ERR_OK && slice_eq(domain, slice_cstr(domains[i])))
			return true;
	return false;
}

enum err domain_get(struct read *read, struct slice domain, struct arena *arena,
		    struct domain_record *record_out)
{
	*record_out = (struct domain_record){ .senders = SENDERS_OWN };
	if (slice_eq(domain, SLICE("other-name.example")))
		record_out->alias_of = SLICE("example.org");
	return domain_is_local(read, domain) ? ERR_OK : ERR_NOT_FOUND;
}

bool account_next(struct read *read, uint32_t *account_id, struct arena *arena,
		  struct account *account_out)
{
	*account_id = 1;
	return store_failure == ERR_OK;
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

static char our_name[] = "mx.example.net", plus_or_dash[] = "+-";
static struct config config = { .hostname = our_name, .separators = plus_or_dash };
static struct sender sender = { .config = &config };

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
			 SLICE_ARG(found.remotes[i].address), found.remotes[i].via.len ? "" : "!");
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

static void details_are_cut_off(void **state)
{
	check("alice+lists", "example.org", ERR_OK, "1 ");
	check("Alice-a+b", "example.org", ERR_OK, "1 ");
	check("info+x", "example.org", ERR_OK, "1 ");
	check("bob-private", "example.org", ERR_OK, "5 "); /* an address itself */
	check("+alice", "example.org", ERR_NOT_FOUND, "");
	check("nobody+alice", "example.org", ERR_NOT_FOUND, "");
	config.separators = NULL;
	check("alice+lists", "example.org", ERR_NOT_FOUND, "");
	config.separators = plus_or_dash;
}

static void other_names_and_catch_all(void **state)
{
	check("info", "other-name.example", ERR_OK, "1 ");
	check("nobody", "other-name.example", ERR_NOT_FOUND, "");
	check("Carol", "catch.example", ERR_OK, "7 ");
	check("carol+x", "catch.example", ERR_OK, "7 ");
	check("whoever", "catch.example", ERR_OK, "8 ");
}

/* What comes back to a path that was rewritten here: only reports do, and only to paths of ours. */
static void rewritten_paths_lead_back(void **state)
{
	uint8_t secret[QUEUE_SECRET_OCTETS];
	struct arena arena = { 0 };
	struct address to;
	queue_secret(NULL, secret);
	struct slice path = srs_forward(secret, SLICE("Ann@far.example"), SLICE("example.org"),
					clock_unix(), &arena);
	assert_true(address_parse(path, &arena, &to));
	const char *local = arena_format(&arena, "%.*s", SLICE_ARG(to.local));
	check(local, "example.org", ERR_OK, "Ann@far.example ");
	check(local, "other-name.example", ERR_OK, "Ann@far.example ");
	check(local, "mx.example.net", ERR_OK, "Ann@far.example ");
	check(local, "elsewhere.example", ERR_DENIED, "");
	sender.reverse_path = SLICE("spammer@elsewhere.example");
	check(local, "example.org", ERR_NOT_FOUND, "");
	sender.reverse_path = SLICE_NONE;
	check("SRS0=AAAAAA=AA=far.example=ann", "example.org", ERR_NOT_FOUND, "");
	path = srs_forward(secret, SLICE("bob@example.org"), SLICE("example.org"), clock_unix(),
			   &arena);
	assert_true(address_parse(path, &arena, &to));
	check(arena_format(&arena, "%.*s", SLICE_ARG(to.local)), "example.org", ERR_OK, "2 ");
	arena_fini(&arena);
}

/* RFC 5321 section 4.1.3: as good as a domain, for who may send anywhere. */
static void literals_elsewhere(void **state)
{
	check("X", "[192.0.2.9]", ERR_DENIED, "");
	sender.may_relay = true;
	check("X", "[192.0.2.9]", ERR_OK, "X@[192.0.2.9]! ");
	check("x", "[IPv6:2001:db8::9]", ERR_OK, "x@[IPv6:2001:db8::9]! ");
	check("x", "[other:9]", ERR_DENIED, "");
	check("x", "[192.0.2.0/24]", ERR_DENIED, "");
	sender.may_relay = false;
}

/* RFC 5321 sections 4.1.3 and 4.5.1 */
static void roles_are_always_read(void **state)
{
	config.postmaster = NULL;
	check("abuse", "example.org", ERR_OK, "2 "); /* the postmaster of the second */
	check("abuse", "", ERR_OK, "2 ");
	config.postmaster = (char[]){ "info@example.org" };
	check("Postmaster", "", ERR_OK, "1 ");
	check("abuse", "example.org", ERR_OK, "1 ");
	check("postmaster", "second.example", ERR_OK, "2 "); /* its own */
	check("abuse", "catch.example", ERR_OK, "1 ");
	check("postmaster", "MX.example.net", ERR_OK, "1 ");
	check("alice", "mx.example.net", ERR_NOT_FOUND, "");
	check("postmaster", "[192.0.2.1]", ERR_DENIED, "");
	config.literals = (char *[]){ (char[]){ "192.0.2.1" }, (char[]){ "2001:db8::1" } };
	config.literal_count = 2;
	check("postmaster", "[192.0.2.1]", ERR_OK, "1 ");
	check("postmaster", "[IPv6:2001:DB8:0::1]", ERR_OK, "1 ");
	check("postmaster", "[192.0.2.2]", ERR_DENIED, "");
	check("alice", "[192.0.2.1]", ERR_NOT_FOUND, "");
	config.hostname = (char[]){ "example.org" };
	check("alice", "[192.0.2.1]", ERR_OK, "1 ");
	config.hostname = our_name;
	/* One that leads nowhere, or to itself, does not stand in the way. */
	config.postmaster = (char[]){ "abuse@example.org" };
	check("abuse", "example.org", ERR_OK, "2 ");
	config.postmaster = (char[]){ "round@example.org" };
	check("abuse", "example.org", ERR_OK, "2 ");
	config.postmaster = (char[]){ "noc@elsewhere.example" };
	check("abuse", "example.org", ERR_OK, "noc@elsewhere.example ");
	config.postmaster = NULL;
}

static void as(uint32_t account_id, const char *reverse_path)
{
	sender.account_id = account_id;
	sender.may_relay = account_id != 0;
	sender.reverse_path = slice_cstr(reverse_path);
}

static void lists_take_mail_from_who_may_post(void **state)
{
	static const char members[] = "1 friend@elsewhere.example ";
	as(0, "alice@example.org"); /* says a stranger */
	check("users", "example.org", ERR_REFUSED, "");
	check("members", "example.org", ERR_REFUSED, "");
	check("news", "example.org", ERR_REFUSED, "");
	check("everything", "example.org", ERR_REFUSED, "");
	as(0, "");
	check("members", "example.org", ERR_REFUSED, "");
	as(0, "Friend@Elsewhere.example");
	check("members", "example.org", ERR_OK, members);
	as(0, "editor@elsewhere.example");
	check("news", "example.org", ERR_OK, "1 2 ");
	check("everything", "example.org", ERR_OK, "1 2 ");
	as(1, "alice@example.org");
	check("users", "example.org", ERR_OK, "1 ");
	check("members", "example.org", ERR_OK, members);
	check("news", "example.org", ERR_REFUSED, "");
	as(2, "bob@example.org");
	check("members", "example.org", ERR_OK, members);
	as(7, "friend@elsewhere.example"); /* who signs in is who he is */
	check("members", "example.org", ERR_REFUSED, "");
	as(0, NULL);
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
		cmocka_unit_test(details_are_cut_off),
		cmocka_unit_test(other_names_and_catch_all),
		cmocka_unit_test(literals_elsewhere),
		cmocka_unit_test(roles_are_always_read),
		cmocka_unit_test(rewritten_paths_lead_back),
		cmocka_unit_test(lists_take_mail_from_who_may_post),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
