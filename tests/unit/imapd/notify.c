/* tests/unit/imapd/notify.c - NOTIFY where it is not known what happened, where more happens than
 * the client reads, and what a session holds that does not listen. */
#include "tests/unit/imapd/news.h"

#include "imapd/notify_priv.h"
#include "storage/message.h"

static void anything_may_have_changed(void **state)
{
	struct session *other = signed_in_and_said("x CREATE walked\r\nx CREATE still\r\n");
	struct session *session =
		signed_in_and_said("a NOTIFY SET (personal (MessageNew MessageExpunge FlagChange)) "
				   "(mailboxes none (MailboxName))\r\n");
	/* Names are wanted, too, and what happened to them is not known. */
	watch_notify_account(world.back.store, world.account_id);
	expect_news(session,
		    "* OK [NOTIFICATIONOVERFLOW] Too much has happened: no more is told\r\n");
	/* As after NOTIFY NONE: nothing is watched any more. */
	assert_null(notify_origin(CONTAINER_OF(session, struct imap_session, session)));
	expect(other, "x RENAME still moved\r\n", "x OK RENAME completed\r\n");
	expect(session, "b NOOP\r\n", "b OK Completed\r\n");
	core_sign_out(&world, session);
	core_sign_out(&world, other);
}

/* Who wants nothing of other mailboxes has a session that rests, whatever it subscribes to. */
static void nothing_wanted_is_nothing_to_do(void **state)
{
	struct session *session = signed_in_and_said("a NOTIFY NONE\r\n");
	run(session, "b SUBSCRIBE elsewhere", "b OK");
	assert_false(notify_is_due(CONTAINER_OF(session, struct imap_session, session)));
	run(session, "b UNSUBSCRIBE elsewhere", "b OK");
	assert_false(notify_is_due(CONTAINER_OF(session, struct imap_session, session)));
	core_sign_out(&world, session);
}

/* Of messages it is found out: by another process, or where more changed than a watch keeps. */
static void changed_mailboxes_are_found(void **state)
{
	struct buffer said = { 0 };
	struct session *session =
		signed_in_and_said("a NOTIFY SET (personal (MessageNew MessageExpunge))\r\n");
	struct session *other = signed_in();
	watch_notify_account(world.back.store, world.account_id);
	expect_news(session, ""); /* nothing has */
	assert_true(core_feed(&world, other, SLICE("x APPEND walked {3+}\r\nabc\r\n"), &said));
	watch_notify_account(world.back.store, world.account_id);
	buffer_clear(&said);
	hear_turns(session, 10, &said);
	assert_slice(slice_sub(buffer_slice(&said), 0, 19), "* STATUS walked (ME");
	buffer_free(&said);
	core_sign_out(&world, session);
	core_sign_out(&world, other);
}

static enum err run_create_many(struct write *write, struct job *job)
{
	enum { MANY = 3000 };
	char name[40];
	uint64_t mailbox_id;
	enum err err = ERR_OK;
	for (unsigned i = 0; i < MANY && err == ERR_OK; i++) {
		snprintf(name, sizeof(name), "many-%04u", i);
		err = mailbox_create(write, world.account_id, slice_cstr(name), USE_NONE,
				     &mailbox_id);
	}
	return err;
}

/* A client that asks for everything and does not read: what is kept of it is bounded, and so is
 * what waits to be sent; then it is told that it has missed something. */
static void a_flood_is_cut_off(void **state)
{
	struct session *session = signed_in_and_said("a NOTIFY SET (personal (MailboxName))\r\n");
	struct job job = { .run = run_create_many };
	struct buffer said = { 0 };
	assert_int_equal(store_write_now(world.back.store, &job), ERR_OK);
	hear_turns(session, 200, &said);
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("[NOTIFICATIONOVERFLOW]")) < said.len);
	assert_true(said.len < 16 * 1024);
	buffer_free(&said);

	/* STATUS of all of them comes as the client reads. */
	const char *command = "b NOTIFY SET STATUS (personal (MessageNew MessageExpunge))\r\n";
	struct cursor in = cursor_of(slice_cstr(command));
	size_t most = 0, all = 0;
	enum step step;
	do {
		step = session_drive(session, &in);
		if (session->out.len > most)
			most = session->out.len;
		all += session->out.len;
		buffer_clear(&session->out);
	} while (step == STEP_WAIT);
	assert_true(all > 100 * 1000);
	assert_true(most < SESSION_OUT_HIGH_OCTETS + 4096);
	core_sign_out(&world, session);
}

/* Commands that have come wait for their turn; what is told meanwhile does not end that. */
static void news_between_turns_lose_no_command(void **state)
{
	enum { COMMANDS = 1000 };
	struct buffer line = { 0 }, said = { 0 };
	struct session *session =
		signed_in_and_said("a NOTIFY SET (personal (MessageNew MessageExpunge))\r\n");
	for (unsigned i = 0; i < COMMANDS; i++)
		buffer_add_cstr(&line, "x NOOP\r\n");
	struct cursor in = cursor_of(buffer_slice(&line));
	unsigned turns = 0;
	while (session_drive(session, &in) == STEP_WAIT) {
		core_drain(session, &said);
		/* STEP_INPUT would close the session of a client that has sent all it wanted to. */
		assert_int_equal(session->class->notify(session, NEWS_CHANGED), STEP_WAIT);
		turns++;
	}
	core_drain(session, &said);
	assert_true(turns > 0);
	assert_int_equal(session->class->notify(session, NEWS_CHANGED), STEP_INPUT);
	assert_int_equal(said.len, COMMANDS * strlen("x OK Completed\r\n"));
	buffer_free(&line);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* What was kept back is told by the next NOTIFY (section 3.1), too where the change log no longer says
 * what it was. */
static void changes_before_the_log_come_out(void **state)
{
	enum { LOGGED = 2300 };
	struct buffer said = { 0 };
	struct session *other = signed_in_and_said("x CREATE logged\r\n"
						   "x APPEND logged {3+}\r\nabc\r\n"
						   "x APPEND logged {3+}\r\nabc\r\n"
						   "x SELECT logged\r\n");
	struct session *session = signed_in_and_said("a SELECT logged\r\n"
						     "a NOTIFY SET (personal (MailboxName))\r\n");
	expect(other, "x STORE 1 +FLAGS.SILENT (\\Answered)\r\n", "x OK STORE completed\r\n");
	for (unsigned i = 0; i < LOGGED; i++)
		expect(other,
		       i % 2 == 0 ? "x STORE 2 +FLAGS.SILENT (\\Flagged)\r\n"
				  : "x STORE 2 -FLAGS.SILENT (\\Flagged)\r\n",
		       "x OK STORE completed\r\n");
	expect(session, "b NOOP\r\n", "b OK Completed\r\n");
	struct cursor in = cursor_of(
		SLICE("c NOTIFY SET (selected (MessageNew MessageExpunge))\r\nd NOOP\r\n"));
	while (session_drive(session, &in) == STEP_WAIT)
		core_drain(session, &said);
	core_drain(session, &said);
	assert_slice(buffer_slice(&said), "* 1 FETCH (UID 1 FLAGS (\\Answered))\r\n"
					  "* 2 FETCH (UID 2 FLAGS ())\r\n"
					  "c OK NOTIFY completed\r\nd OK Completed\r\n");
	buffer_free(&said);
	core_sign_out(&world, session);
	core_sign_out(&world, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anything_may_have_changed),
		cmocka_unit_test(nothing_wanted_is_nothing_to_do),
		cmocka_unit_test(changed_mailboxes_are_found),
		cmocka_unit_test(a_flood_is_cut_off),
		cmocka_unit_test(news_between_turns_lose_no_command),
		cmocka_unit_test(changes_before_the_log_come_out),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
