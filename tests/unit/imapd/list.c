/* tests/unit/imapd/list.c - LIST over many names, with patterns that are work: others have their turn
 * meanwhile. RFC 9051 section 6.3.9 */
#include "tests/unit/imapd/world.h"

#include "imapd/access_priv.h"
#include "storage/account.h"

enum { MAILBOXES = 150 };

static enum err create_run(struct write *write, struct job *job)
{
	char name[300];
	uint64_t mailbox_id;
	enum err err = ERR_OK;
	memset(name, 'a', sizeof(name));
	for (unsigned i = 0; i < MAILBOXES && err == ERR_OK; i++) {
		snprintf(name + 200, sizeof(name) - 200, "-%u", i);
		err = mailbox_create(write, world.account_id, slice_cstr(name), USE_NONE,
				     &mailbox_id);
	}
	return err;
}

static void patterns_that_are_work_take_turns(void **state)
{
	struct buffer line = { 0 };
	struct job job = { .run = create_run };
	struct session *session = signed_in();
	assert_int_equal(store_write_now(world.back.store, &job), ERR_OK);

	assert_true(run(session, "a LIST \"\" *-77", "a-77\r\na OK") < MAILBOXES / 2);

	buffer_add_cstr(&line, "b LIST \"\" (*-77");
	for (unsigned i = 0; i < 31; i++) {
		buffer_add_byte(&line, ' ');
		for (unsigned k = 0; k < 50; k++)
			buffer_add_cstr(&line, "*a");
		buffer_add_cstr(&line, "b");
	}
	buffer_add_cstr(&line, ")");
	buffer_add_byte(&line, '\0');
	assert_true(run(session, (const char *)line.data, "a-77\r\nb OK") >= MAILBOXES / 2);
	buffer_free(&line);
	core_sign_out(&world, session);
}

/* A command that is many small pieces of work is not one large one. */
static void searches_of_many_mailboxes_take_turns(void **state)
{
	struct buffer said = { 0 };
	struct session *session = signed_in();
	assert_true(run_in_turns(session, "a ESEARCH IN (personal) ALL", &said) >= 2);
	assert_slice(buffer_slice(&said), "a OK ESEARCH completed\r\n");
	buffer_free(&said);
	core_sign_out(&world, session);
}

static enum err share_run(struct write *write, struct job *job)
{
	static const char *const owners[] = { "bob", "carol" };
	const struct acl_entry anyone = { ACL_ANYONE, false, RIGHT_LOOKUP };
	enum err err = ERR_OK;
	for (unsigned i = 0; i < ARRAY_LEN(owners) && err == ERR_OK; i++) {
		unsigned count = i == 0 ? ACCESS_LIST_MAX_OF_OWNER + 100 : 1;
		uint32_t owner_id;
		err = account_add(write, slice_cstr(owners[i]), SLICE("example.org"), SLICE("x"),
				  &owner_id);
		for (unsigned k = 0; k < count && err == ERR_OK; k++) {
			char name[20];
			uint64_t mailbox_id;
			snprintf(name, sizeof(name), "m%u", k);
			err = mailbox_create(write, owner_id, slice_cstr(name), USE_NONE,
					     &mailbox_id);
			if (err == ERR_OK)
				err = acl_change(write, mailbox_id, ACL_SET, &anyone);
		}
	}
	return err;
}

/* One who shares thousands of mailboxes with everybody does not hide what others share. */
static void owners_have_their_part_of_the_list(void **state)
{
	struct arena arena = { 0 };
	struct access_gathering g = { .account_id = world.account_id,
				      .rights = RIGHTS_TO_KNOW,
				      .arena = &arena };
	struct job job = { .run = share_run };
	unsigned of_bob = 0, of_carol = 0;
	assert_int_equal(store_write_now(world.back.store, &job), ERR_OK);
	while (!g.is_whole) {
		struct read *read = read_begin(world.back.store);
		assert_int_equal(access_gather_on(&g, read), ERR_OK);
		read_end(&read);
	}
	access_gathering_fini(&g);
	for (size_t i = 0; i < g.list.count; i++) {
		struct slice name = g.list.rows[i].name;
		of_bob += slice_find(name, 0, SLICE("bob")) < name.len;
		of_carol += slice_find(name, 0, SLICE("carol")) < name.len;
	}
	assert_int_equal(of_bob, ACCESS_LIST_MAX_OF_OWNER);
	assert_int_equal(of_carol, 1);
	arena_fini(&arena);
}

/* So that each of ten thousand mailboxes is not compared with as many names. */
static void sources_have_a_limit(void **state)
{
	struct buffer line = { 0 }, said = { 0 };
	struct session *session = signed_in();
	buffer_add_cstr(&line, "c ESEARCH IN (mailboxes (");
	for (unsigned i = 0; i < 1000; i++)
		buffer_add_format(&line, "%sm%u", i == 0 ? "" : " ", i);
	size_t fits = line.len;
	buffer_add_cstr(&line, ")) ALL\r\n");
	buffer_clear(&said);
	assert_true(core_feed(&world, session, buffer_slice(&line), &said));
	assert_slice(buffer_slice(&said), "c OK ESEARCH completed\r\n");
	line.len = fits;
	buffer_add_cstr(&line, " m1000)) ALL\r\n");
	buffer_clear(&said);
	assert_true(core_feed(&world, session, buffer_slice(&line), &said));
	assert_slice(buffer_slice(&said), "c BAD IN wants a list of known sources\r\n");
	buffer_free(&line);
	buffer_free(&said);
	core_sign_out(&world, session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_that_are_work_take_turns),
		cmocka_unit_test(searches_of_many_mailboxes_take_turns),
		cmocka_unit_test(sources_have_a_limit),
		cmocka_unit_test(owners_have_their_part_of_the_list),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
