/* tests/unit/imapd/notify.c - NOTIFY where it is not known what happened, where more happens than
 * the client reads, and what a session holds that does not listen. */
#include "tests/unit/imapd/world.h"

#include "imapd/access_priv.h"
#include "imapd/notify_priv.h"
#include "storage/message.h"

/* ---- what happens just behind the beginning of a read ---- */

static struct job *behind_read;
static unsigned reads_before;

/* The linker puts it in the place of the one in storage/. */
struct read *__real_read_begin(struct store *store);
struct read *__wrap_read_begin(struct store *store);
struct read *__wrap_read_begin(struct store *store)
{
	struct read *read = __real_read_begin(store);
	struct job *job = behind_read;
	if (!job || reads_before-- > 0)
		return read;
	behind_read = NULL;
	assert_int_equal(store_write_now(store, job), ERR_OK);
	return read;
}

/* How often it is not known what others share, since the store fails. */
static unsigned failures;

enum err __real_access_list_choose(struct read *read, uint32_t account_id,
				   struct access_choice *choice, struct arena *arena,
				   struct access_list *list_out);
enum err __wrap_access_list_choose(struct read *read, uint32_t account_id,
				   struct access_choice *choice, struct arena *arena,
				   struct access_list *list_out);
enum err __wrap_access_list_choose(struct read *read, uint32_t account_id,
				   struct access_choice *choice, struct arena *arena,
				   struct access_list *list_out)
{
	if (failures == 0)
		return __real_access_list_choose(read, account_id, choice, arena, list_out);
	failures--;
	*list_out = (struct access_list){ 0 };
	return ERR_DISK;
}

/* Behind the nth read from now on; 0: now, if it has not been written yet. */
static void write_behind_read(unsigned nth, struct job *job)
{
	if (nth == 0 && behind_read)
		assert_int_equal(store_write_now(world.back.store, behind_read), ERR_OK);
	behind_read = job;
	reads_before = nth - 1;
}

/* One that has said something already. */
static struct session *signed_in_and_said(const char *commands)
{
	struct buffer said = { 0 };
	struct session *session = signed_in();
	assert_true(core_feed(&world, session, slice_cstr(commands), &said));
	buffer_free(&said);
	return session;
}

static void expect(struct session *session, const char *command, const char *want)
{
	struct buffer said = { 0 };
	assert_true(core_feed(&world, session, slice_cstr(command), &said));
	assert_slice(buffer_slice(&said), want);
	buffer_free(&said);
}

/* What is told without a command. */
static void expect_news(struct session *session, const char *want)
{
	struct buffer said = { 0 };
	for (unsigned i = 0; i < 10 && (said.len < strlen(want) || !want[0]); i++)
		assert_true(core_turn(&world, session, &said));
	assert_slice(buffer_slice(&said), want);
	buffer_free(&said);
}

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
	assert_int_equal(run(session, "b SUBSCRIBE elsewhere", "b OK"), 2);
	assert_int_equal(run(session, "b UNSUBSCRIBE elsewhere", "b OK"), 2);
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
	for (unsigned i = 0; i < 10; i++)
		assert_true(core_turn(&world, session, &said));
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
	for (unsigned i = 0; i < 200; i++)
		assert_true(core_turn(&world, session, &said));
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

/* ---- mailboxes of others ---- */

struct sharing {
	struct job job;
	const char *owner, *mailbox; /* "name", or "name-0000" and so on */
	unsigned count;		     /* 0: only the rights of one that is there */
	unsigned rights;
};

static enum err run_share(struct write *write, struct job *job)
{
	const struct sharing *sharing = CONTAINER_OF(job, struct sharing, job);
	const struct acl_entry entry = { ACL_ANYONE, false, sharing->rights };
	struct read *read = write_read(write);
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct account account = { 0 };
	char login[60], name[60];
	enum err err;
	snprintf(login, sizeof(login), "%s@example.org", sharing->owner);
	err = account_find(read, slice_cstr(login), &arena, &account);
	if (err == ERR_NOT_FOUND)
		err = account_add(write, slice_cstr(sharing->owner), SLICE("example.org"),
				  SLICE("x"), &account.account_id);
	for (unsigned i = 0; i < sharing->count && err == ERR_OK; i++) {
		uint64_t mailbox_id;
		snprintf(name, sizeof(name), sharing->count > 1 ? "%s-%04u" : "%s",
			 sharing->mailbox, i);
		err = mailbox_create(write, account.account_id, slice_cstr(name), USE_NONE,
				     &mailbox_id);
		if (err == ERR_OK)
			err = acl_change(write, mailbox_id, ACL_SET, &entry);
	}
	if (sharing->count == 0 && err == ERR_OK)
		err = mailbox_find(read, account.account_id, slice_cstr(sharing->mailbox), &arena,
				   mailbox);
	if (sharing->count == 0 && err == ERR_OK)
		err = acl_change(write, mailbox->mailbox_id, ACL_SET, &entry);
	arena_fini(&arena);
	return err;
}

static struct sharing sharing_of(const char *owner, const char *mailbox, unsigned count,
				 unsigned rights)
{
	return (struct sharing){ { .run = run_share }, owner, mailbox, count, rights };
}

static void share(const char *owner, const char *mailbox, unsigned count, unsigned rights)
{
	struct sharing sharing = sharing_of(owner, mailbox, count, rights);
	assert_int_equal(store_write_now(world.back.store, &sharing.job), ERR_OK);
}

enum { READABLE = RIGHT_LOOKUP | RIGHT_READ };
#define GONE(name) \
	"* LIST (\\NonExistent \\NoAccess \\HasNoChildren) \"/\" \"Other Users/" name "\"\r\n"
#define THERE(name) "* LIST (\\HasNoChildren) \"/\" \"Other Users/" name "\"\r\n"

enum { READS = 8 }; /* more than any of these commands and news begins */

/* What is committed behind any of the reads that tell of what came before is told by the next. */
static void nothing_is_lost_between_reading_and_news(void **state)
{
	share("bob", "one", 1, READABLE);
	share("bob", "two", 1, READABLE);
	struct session *session =
		signed_in_and_said("a NOTIFY SET (mailboxes (\"Other Users/bob@example.org/one\" "
				   "\"Other Users/bob@example.org/two\") (MailboxName))\r\n");
	for (unsigned nth = 1; nth <= READS; nth++) {
		struct sharing two = sharing_of("bob", "two", 0, nth % 2 ? 0 : READABLE);
		share("bob", "one", 0, two.rights);
		loop_run_once(world.loop, 0);
		write_behind_read(nth, &two.job);
		struct buffer said = { 0 };
		for (unsigned i = 0; i < 20; i++) {
			assert_true(core_turn(&world, session, &said));
			if (i == 10)
				write_behind_read(0, NULL);
		}
		assert_slice(buffer_slice(&said),
			     two.rights ? THERE("bob@example.org/one") THERE("bob@example.org/two")
					: GONE("bob@example.org/one") GONE("bob@example.org/two"));
		buffer_free(&said);
	}
	core_sign_out(&world, session);
}

/* What is granted while NOTIFY begins is in its list: that it is taken again is told. */
static void nothing_is_lost_as_it_begins(void **state)
{
	const char *line = "a NOTIFY SET (mailboxes \"Other Users/dora@example.org/new\" "
			   "(MailboxName))\r\n";
	share("dora", "new", 1, 0);
	for (unsigned nth = 1; nth <= READS; nth++) {
		struct sharing given = sharing_of("dora", "new", 0, READABLE);
		struct session *session = signed_in();
		struct buffer said = { 0 };
		write_behind_read(nth, &given.job);
		assert_true(core_feed(&world, session, slice_cstr(line), &said));
		for (unsigned i = 0; i < 10; i++)
			assert_true(core_turn(&world, session, &said));
		write_behind_read(0, NULL);
		share("dora", "new", 0, READABLE);
		for (unsigned i = 0; i < 10; i++)
			assert_true(core_turn(&world, session, &said));
		share("dora", "new", 0, 0);
		expect_news(session, GONE("dora@example.org/new"));
		buffer_free(&said);
		core_sign_out(&world, session);
	}
}

/* A store that fails for a moment ends nothing. */
static void what_could_not_be_read_is_told_later(void **state)
{
	const char *line = "a NOTIFY SET (mailboxes \"Other Users/finn@example.org/f\" "
			   "(MailboxName))\r\n";
	share("finn", "f", 1, 0);
	share("finn", "g", 1, READABLE);
	struct session *session = signed_in();
	failures = 1;
	expect(session, line,
	       "a NO [UNAVAILABLE] The store cannot do that now; try again later\r\n");
	expect(session, line, "a OK NOTIFY completed\r\n");
	failures = 1;
	share("finn", "f", 0, READABLE);
	expect_news(session, "");
	assert_int_equal(failures, 0);
	share("finn", "g", 0, 0);
	expect_news(session, THERE("finn@example.org/f"));
	core_sign_out(&world, session);
}

/* However much others share with everybody, one's own mailboxes are told of; and so are those of
 * others, as long as it is not several who share thousands. */
static void nobody_takes_it_from_others(void **state)
{
	enum { MUCH = 1900 };
	share("mallory", "m", MUCH, READABLE);
	struct session *own = signed_in();
	struct session *session = signed_in_and_said(
		"s SUBSCRIBE mine\r\ns SUBSCRIBE \"Other Users/erin@example.org/e\"\r\n");
	expect(session,
	       "a NOTIFY SET (subscribed (MessageNew MessageExpunge MailboxName)) "
	       "(subtree \"Other Users\" (MailboxName))\r\n",
	       "a OK NOTIFY completed\r\n");
	share("erin", "e", 1, READABLE);
	expect_news(session, "* LIST (\\HasNoChildren \\Subscribed) \"/\" "
			     "\"Other Users/erin@example.org/e\"\r\n"
			     "* LIST (\\NonExistent \\NoAccess \\HasChildren) \"/\" "
			     "\"Other Users/erin@example.org\"\r\n");
	share("mallory2", "m", MUCH, READABLE);
	struct buffer said = { 0 };
	for (unsigned i = 0; i < 200; i++)
		assert_true(core_turn(&world, session, &said));
	buffer_clear(&said);
	/* Now they are too many, which is said once, and not that the client's own are. */
	share("mallory3", "m", MUCH, READABLE);
	share("mallory3", "n", 1, READABLE);
	expect_news(session, "* NO Too many mailboxes of others: nothing is told of them\r\n");
	share("mallory3", "o", 1, READABLE);
	expect_news(session, "");
	assert_true(core_feed(&world, own, SLICE("x CREATE mine\r\n"), &said));
	buffer_clear(&said);
	for (unsigned i = 0; i < 10; i++)
		assert_true(core_turn(&world, session, &said));
	assert_slice(buffer_slice(&said), "* LIST (\\HasNoChildren \\Subscribed) \"/\" mine\r\n");
	buffer_clear(&said);
	/* Of whom nothing is wanted, nothing is looked at. */
	expect(session, "b NOTIFY SET (subscribed (MessageNew MessageExpunge MailboxName))\r\n",
	       "b OK NOTIFY completed\r\n");
	share("erin", "e", 0, 0);
	expect_news(session, "* LIST (\\NonExistent \\NoAccess \\HasNoChildren \\Subscribed) \"/\" "
			     "\"Other Users/erin@example.org/e\"\r\n");
	buffer_free(&said);
	core_sign_out(&world, session);
	core_sign_out(&world, own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anything_may_have_changed),
		cmocka_unit_test(nothing_wanted_is_nothing_to_do),
		cmocka_unit_test(changed_mailboxes_are_found),
		cmocka_unit_test(a_flood_is_cut_off),
		cmocka_unit_test(news_between_turns_lose_no_command),
		cmocka_unit_test(nothing_is_lost_between_reading_and_news),
		cmocka_unit_test(nothing_is_lost_as_it_begins),
		cmocka_unit_test(what_could_not_be_read_is_told_later),
		cmocka_unit_test(nobody_takes_it_from_others),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
