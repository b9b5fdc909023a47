/* tests/unit/imapd/list.c - LIST over many names, with patterns that are work: others have their turn
 * meanwhile. RFC 9051 section 6.3.9 */
#include "tests/unit/unit.h"

#include "tests/unit/imapd/core.h"

#include "storage/mailbox.h"

enum { MAILBOXES = 150 };

static struct core_world world;

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
	struct buffer line = { 0 }, said = { 0 };
	struct job job = { .run = create_run };
	struct session *session = core_sign_in(&world, 1);
	assert_int_equal(store_write_now(world.back.store, &job), ERR_OK);
	assert_true(core_feed(&world, session, SLICE_NONE, &said));

	assert_true(core_turns_of(&world, session, "a LIST \"\" *-77\r\n", &said) < MAILBOXES / 2);
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("a-77\r\na OK")) < said.len);

	buffer_add_cstr(&line, "b LIST \"\" (*-77");
	for (unsigned i = 0; i < 31; i++) {
		buffer_add_byte(&line, ' ');
		for (unsigned k = 0; k < 50; k++)
			buffer_add_cstr(&line, "*a");
		buffer_add_cstr(&line, "b");
	}
	buffer_add_cstr(&line, ")\r\n");
	buffer_add_byte(&line, '\0');
	assert_true(core_turns_of(&world, session, (const char *)line.data, &said) >=
		    MAILBOXES / 2);
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("a-77\r\nb OK")) < said.len);
	buffer_free(&line);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* A command that is many small pieces of work is not one large one. */
static void searches_of_many_mailboxes_take_turns(void **state)
{
	struct buffer said = { 0 };
	struct session *session = core_sign_in(&world, 1);
	assert_true(core_feed(&world, session, SLICE_NONE, &said));
	buffer_clear(&said);
	assert_true(core_turns_of(&world, session, "a ESEARCH IN (personal) ALL\r\n", &said) >= 1);
	assert_slice(buffer_slice(&said), "a OK ESEARCH completed\r\n");
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* So that each of ten thousand mailboxes is not compared with as many names. */
static void sources_have_a_limit(void **state)
{
	struct buffer line = { 0 }, said = { 0 };
	struct session *session = core_sign_in(&world, 1);
	assert_true(core_feed(&world, session, SLICE_NONE, &said));
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

static int start(void **state)
{
	core_world_start(&world);
	return 0;
}

static int stop(void **state)
{
	core_world_stop(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_that_are_work_take_turns),
		cmocka_unit_test(searches_of_many_mailboxes_take_turns),
		cmocka_unit_test(sources_have_a_limit),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
