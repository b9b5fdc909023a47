/* tests/unit/imapd/gone.c - messages that go before the client has been told all about them. RFC 9051
 * sections 7.4.1 and 7.5.1. */
#include "tests/unit/imapd/news.h"

#include "storage/expunged.h"

static struct session *other;

static int setup(void **state)
{
	int result = world_setup(state);
	if (result != 0)
		return result;
	/* As by default: what is deleted stays in the store for a while. */
	store_set_undelete_seconds(world.back.store, 86400);
	other = signed_in();
	return 0;
}

static int teardown(void **state)
{
	core_sign_out(&world, other);
	return world_teardown(state);
}

static bool holds(const struct buffer *said, const char *what)
{
	return slice_find(buffer_slice(said), 0, slice_cstr(what)) < said->len;
}

/* A mailbox with one message, which the session has selected and the other one has, too. */
static struct session *selected(const char *name, const char *first_commands)
{
	char line[100];
	snprintf(line, sizeof(line), "a CREATE %s", name);
	run(other, line, "a OK");
	snprintf(line, sizeof(line), "a APPEND %s {1+}\r\na", name);
	run(other, line, "a OK");
	snprintf(line, sizeof(line), "a SELECT %s", name);
	run(other, line, "a OK");
	struct session *session = signed_in_and_said(first_commands);
	run(session, line, "* 1 EXISTS");
	return session;
}

/* Another message comes; the command's job sees that; then this happens; then the command goes on. */
static void run_with_gap(struct session *session, const char *mailbox, const char *command,
			 const char *in_the_gap, struct buffer *said)
{
	char line[100];
	snprintf(line, sizeof(line), "a APPEND %s {1+}\r\na", mailbox);
	run(other, line, "a OK");
	snprintf(line, sizeof(line), "c %s\r\n", command);
	struct cursor in = cursor_of(slice_cstr(line));
	while (!session->job_out)
		assert_int_equal(session_drive(session, &in), STEP_WAIT);
	while (session->job_out)
		loop_run_once(world.loop, 1000);
	struct buffer ignored = { 0 };
	assert_true(core_feed(&world, other, slice_cstr(in_the_gap), &ignored));
	buffer_clear(said);
	assert_true(core_feed(&world, session, SLICE_NONE, said));
	assert_true(holds(said, "c OK "));
	buffer_free(&ignored);
}

/* The client has been told of one, so there is no second that could be expunged. */
static void what_comes_and_goes_never_was(void **state)
{
	static const struct {
		const char *mailbox, *first_commands, *command;
	} cases[] = {
		{ "store", "", "UID STORE 1 +FLAGS (\\Flagged)" },
		{ "silent", "", "UID STORE 1 +FLAGS.SILENT (\\Flagged)" },
		{ "fetch", "", "UID FETCH 1 BODY[]" },
		{ "vanished", "e ENABLE QRESYNC\r\n", "UID STORE 1 +FLAGS (\\Flagged)" },
	};
	struct buffer said = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct session *session = selected(cases[i].mailbox, cases[i].first_commands);
		run_with_gap(session, cases[i].mailbox, cases[i].command,
			     "d UID STORE 2 +FLAGS.SILENT (\\Deleted)\r\ne EXPUNGE\r\n", &said);
		if (holds(&said, " EXPUNGE\r\n") || holds(&said, "* VANISHED "))
			fail_msg("%s: %.*s", cases[i].mailbox, SLICE_ARG(buffer_slice(&said)));
		/* The numbers go on from what it has been told. */
		char line[100];
		snprintf(line, sizeof(line), "a APPEND %s {1+}\r\na", cases[i].mailbox);
		run(other, line, "a OK");
		run(session, "n NOOP", "* 2 EXISTS\r\n");
		run(session, "f FETCH 2 UID", "* 2 FETCH (UID 3)\r\n");
		run(other, "d UID STORE 3 +FLAGS.SILENT (\\Deleted)", "d OK");
		run(other, "d UID EXPUNGE 3", "d OK");
		run(session, "n NOOP",
		    cases[i].first_commands[0] ? "* VANISHED 3\r\n" : "* 2 EXPUNGE\r\n");
		core_sign_out(&world, session);
	}
	buffer_free(&said);
}

/* With the mailbox; what has been told of it goes, and nothing else. */
static void what_goes_with_its_mailbox_never_was(void **state)
{
	struct buffer said = { 0 };
	struct session *session = selected("deleted", "");
	run_with_gap(session, "deleted", "UID STORE 1 +FLAGS (\\Flagged)", "d DELETE deleted\r\n",
		     &said);
	assert_true(holds(&said, "* 1 EXPUNGE\r\n"));
	assert_false(holds(&said, "* 2 EXPUNGE\r\n"));
	core_sign_out(&world, session);
	buffer_free(&said);
}

/* A keyword that has lost its name with the mailbox is not told as taken away. */
static void flags_go_with_their_mailbox(void **state)
{
	struct session *session = selected("flagged", "");
	run(other, "s STORE 1 +FLAGS.SILENT ($Label)", "s OK");
	run(session, "n NOOP", "$Label");
	run(other, "d DELETE flagged", "d OK");
	run(session, "f FETCH 1 FLAGS", "f NO [EXPUNGEISSUED]");
	run(session, "n NOOP", "* 1 EXPUNGE\r\n");
	core_sign_out(&world, session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_and_goes_never_was),
		cmocka_unit_test(what_goes_with_its_mailbox_never_was),
		cmocka_unit_test(flags_go_with_their_mailbox),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
