/* tests/unit/imapd/notify_others.c - NOTIFY of others' mailboxes: what is committed while a session reads,
 * a store that fails, more than is told of, and a list that takes many turns. */
#include "tests/unit/imapd/sharing.h"

#define GONE(name) \
	"* LIST (\\NonExistent \\NoAccess \\HasNoChildren) \"/\" \"Other Users/" name "\"\r\n"
#define THERE(name) "* LIST (\\HasNoChildren) \"/\" \"Other Users/" name "\"\r\n"

#define TOO_MUCH_OF_OTHERS "* NO [LIMIT] Too much of others' mailboxes: no more is told of them\r\n"

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
		hear_turns(session, 10, &said);
		write_behind_read(0, NULL);
		hear_turns(session, 10, &said);
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
		hear_turns(session, 10, &said);
		write_behind_read(0, NULL);
		share("dora", "new", 0, READABLE);
		hear_turns(session, 10, &said);
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

/* After a long list that takes up to a second. */
static void hear_until(struct session *session, const char *what, struct buffer *said)
{
	for (unsigned i = 0; i < 1000; i++) {
		if (slice_find(buffer_slice(said), 0, slice_cstr(what)) < said->len)
			return;
		loop_run_once(world.loop, 1000);
		hear_turns(session, 1, said);
	}
	fail_msg("%s: %.*s", what, SLICE_ARG(buffer_slice(said)));
}

/* However much others share with everybody, one's own mailboxes are told of; and so are those of
 * others, as long as it is not several who share thousands. */
static void nobody_takes_it_from_others(void **state)
{
	enum { MUCH = 1900, CHANGES = 50 };
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
	hear_turns(session, 200, &said);
	/* It is made once a second, whatever happens meanwhile; what happened last is told in the end. */
	int64_t began_ms = clock_unix_ms();
	turns_of_list = 0;
	for (unsigned i = 0; i < CHANGES; i++) {
		share("mallory2", "m-0000", 0, i % 2 ? READABLE : 0);
		hear_turns(session, 200, &said);
	}
	share("mallory2", "m-0001", 0, 0);
	hear_until(session, "mallory2@example.org/m-0001\"\r\n", &said);
	uint64_t seconds = (uint64_t)(clock_unix_ms() - began_ms) / 1000;
	assert_true(turns_of_list <= (2 + seconds) * (2 * MUCH / 64 + 4));
	buffer_clear(&said);
	/* Now they are too many, which is said once, and not that the client's own are. */
	share("mallory3", "m", MUCH, READABLE);
	share("mallory3", "n", 1, READABLE);
	buffer_clear(&said);
	hear_until(session, "\r\n", &said);
	assert_slice(buffer_slice(&said), TOO_MUCH_OF_OTHERS);
	share("mallory3", "o", 1, READABLE);
	expect_news(session, "");
	/* Who asks for them all now is refused, and not told that it is done. */
	expect(session, "b NOTIFY SET (subtree \"Other Users\" (MailboxName))\r\n",
	       "b NO [NOTIFICATIONOVERFLOW] Too many mailboxes of others\r\n");
	assert_true(core_feed(&world, own, SLICE("x CREATE mine\r\n"), &said));
	buffer_clear(&said);
	hear_turns(session, 10, &said);
	static const struct slice made =
		SLICE("* LIST (\\HasNoChildren \\Subscribed) \"/\" mine\r\n"
		      "* STATUS mine (UIDVALIDITY ");
	assert_true(slice_starts_nocase(buffer_slice(&said), made));
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

static void anything_may_have_happened_to(const char *owner)
{
	struct arena arena = { 0 };
	struct account account;
	char login[60];
	struct read *read = read_begin(world.back.store);
	snprintf(login, sizeof(login), "%s@example.org", owner);
	assert_int_equal(account_find(read, slice_cstr(login), &arena, &account), ERR_OK);
	read_end(&read);
	arena_fini(&arena);
	watch_notify_account(world.back.store, account.account_id);
}

/* Another process has written for one who shares: what cannot be told of his mailboxes ends nothing that
 * is about others'. */
static void what_others_do_elsewhere_ends_no_more_than_theirs(void **state)
{
	share("ivan", "i", 1, READABLE | RIGHT_INSERT);
	share("judy", "j", 1, READABLE | RIGHT_INSERT);
	struct session *own = signed_in_and_said("x CREATE inner\r\n");
	struct session *session = signed_in_and_said(
		"a NOTIFY SET (personal (MessageNew MessageExpunge ServerMetadataChange)) "
		"(mailboxes \"Other Users/ivan@example.org/i\" (MessageNew MessageExpunge)) "
		"(mailboxes \"Other Users/judy@example.org/j\" (MailboxMetadataChange))\r\n");
	struct buffer said = { 0 };
	for (unsigned i = 0; i < 2; i++) {
		run(own, "x APPEND \"Other Users/ivan@example.org/i\" {1+}\r\na", "x OK");
		anything_may_have_happened_to("ivan");
		buffer_clear(&said);
		hear_turns(session, 10, &said);
		assert_true(slice_starts_nocase(
			buffer_slice(&said),
			SLICE("* STATUS \"Other Users/ivan@example.org/i\" (MESSAGES ")));
		assert_true(slice_find(buffer_slice(&said), 0, SLICE("* NO ")) == said.len);
		assert_true(slice_find(buffer_slice(&said), 0, SLICE("* OK ")) == said.len);
	}
	/* Of her annotations it is not known. */
	anything_may_have_happened_to("judy");
	expect_news(session, TOO_MUCH_OF_OTHERS);
	anything_may_have_happened_to("judy");
	expect_news(session, "");
	run(own, "x APPEND inner {1+}\r\na", "x OK");
	buffer_clear(&said);
	hear_turns(session, 10, &said);
	assert_true(slice_starts_nocase(buffer_slice(&said), SLICE("* STATUS inner (MESSAGES ")));
	buffer_free(&said);
	core_sign_out(&world, session);
	core_sign_out(&world, own);
}

/* ---- in turns ---- */

#define OF(owner, name) "\"Other Users/" owner "@example.org/" name "\""
#define HAS_CHILDREN(owner)                                                          \
	"* LIST (\\NonExistent \\NoAccess \\HasChildren) \"/\" \"Other Users/" owner \
	"@example.org\"\r\n"
#define GONE_OF(owner, name) GONE(owner "@example.org/" name) HAS_CHILDREN(owner)
#define THERE_OF(owner, name) THERE(owner "@example.org/" name) HAS_CHILDREN(owner)

enum { SHARED = 500 /* by each of two */, TURNS = 2 * SHARED / 64 };
static const char many_of_others[] = "a NOTIFY SET (subtree (\"Other Users/gina@example.org\" "
				     "\"Other Users/hugo@example.org\") (MailboxName))";

/* Something has changed in a list that takes many turns, and the first of them are over. */
static struct session *in_the_middle_of_a_list(const char *mailbox, unsigned rights)
{
	struct session *session = signed_in_and_said(many_of_others);
	struct cursor nothing = cursor_of(SLICE_NONE);
	struct buffer said = { 0 };
	assert_true(core_feed(&world, session, SLICE("\r\n"), &said));
	buffer_free(&said);
	share("gina", mailbox, 0, rights);
	loop_run_once(world.loop, 0);
	turns_of_list = 0;
	take_the_clock();
	assert_int_equal(session_drive(session, &nothing), STEP_WAIT);
	assert_in_range(turns_of_list, 1, 2);
	assert_int_equal(session->out.len, 0);
	return session;
}

static void the_list_is_made_in_turns(void **state)
{
	share("gina", "g", SHARED, READABLE);
	share("hugo", "h", SHARED, READABLE);
	struct session *session = signed_in();
	struct buffer said = { 0 };
	take_the_clock();
	turns_of_list = 0;
	assert_true(run_in_turns(session, many_of_others, &said) >= TURNS);
	assert_true(turns_of_list >= TURNS);
	assert_slice(buffer_slice(&said), "a OK NOTIFY completed\r\n");
	/* So with LIST, of each name once. */
	turns_of_list = 0;
	assert_true(run_in_turns(session, "b LIST \"\" \"Other Users/gina@example.org/%\"",
				 &said) >= TURNS);
	assert_true(turns_of_list >= TURNS);
	unsigned lines = 0;
	for (size_t i = 0; i < said.len; i++)
		lines += said.data[i] == '\n';
	assert_int_equal(lines, SHARED + 1);
	give_the_clock_back();
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* The answer comes before the list is whole. */
static void expect_first(struct session *session, const char *line, const char *want)
{
	struct cursor in = cursor_of(slice_cstr(line));
	struct buffer said = { 0 };
	while (said.len == 0) {
		assert_int_equal(session_drive(session, &in), STEP_WAIT);
		core_drain(session, &said);
	}
	assert_slice(buffer_slice(&said), want);
	assert_true(turns_of_list < TURNS);
	buffer_free(&said);
}

/* What the client says has its turn before what it is to be told. */
static void a_command_does_not_wait_for_the_list(void **state)
{
	struct session *session = in_the_middle_of_a_list("g-0000", 0);
	expect_first(session, "b NOOP\r\n", "b OK Completed\r\n");
	expect_news(session, GONE_OF("gina", "g-0000"));
	/* In IDLE, too. */
	expect(session, "c IDLE\r\n", "+ idling\r\n");
	share("gina", "g-0000", 0, READABLE);
	loop_run_once(world.loop, 0);
	turns_of_list = 0;
	expect_first(session, "DONE\r\n", "c OK IDLE completed\r\n");
	expect_news(session, THERE_OF("gina", "g-0000"));
	give_the_clock_back();
	core_sign_out(&world, session);
}

static void another_request_ends_the_list(void **state)
{
	struct session *session = in_the_middle_of_a_list("g-0000", 0);
	expect(session, "b NOTIFY NONE\r\n", "b OK NOTIFY completed\r\n");
	expect_news(session, "");
	core_sign_out(&world, session);
	/* One that comes in its place knows already what was to be told. */
	session = in_the_middle_of_a_list("g-0000", READABLE);
	expect(session,
	       "b NOTIFY SET (mailboxes (" OF("gina", "g-0000") " " OF(
		       "hugo", "h-0000") ") (MailboxName))\r\n",
	       "b OK NOTIFY completed\r\n");
	share("hugo", "h-0000", 0, 0);
	expect_news(session, GONE("hugo@example.org/h-0000"));
	share("hugo", "h-0000", 0, READABLE);
	expect_news(session, THERE("hugo@example.org/h-0000"));
	give_the_clock_back();
	core_sign_out(&world, session);
}

/* So is news, of which nothing may be wanted: one's own, and others'. */
static void news_is_told_in_turns(void **state)
{
	enum { MANY = 300 };
	static const struct {
		const char *request, *before, *after; /* the mailbox's number */
	} cases[] = {
		{ "a NOTIFY SET (personal (MailboxName))\r\n", "own-", "" },
		{ "a NOTIFY SET (subtree \"Other Users/lena@example.org\" (MailboxName))\r\n",
		  "\"Other Users/lena@example.org/l-", "\"" },
	};
	struct session *own = signed_in();
	share("alice", "own", MANY, 0);
	share("lena", "l", MANY, READABLE | RIGHT_INSERT);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct session *session = signed_in_and_said(cases[i].request);
		struct cursor nothing = cursor_of(SLICE_NONE);
		unsigned turns = 1;
		for (unsigned k = 0; k < MANY; k++) {
			char line[200];
			snprintf(line, sizeof(line), "x APPEND %s%04u%s {1+}\r\na", cases[i].before,
				 k, cases[i].after);
			run(own, line, "x OK");
		}
		loop_run_once(world.loop, 0);
		clock_set_fake_unix_ms((int64_t)clock_monotonic_ms());
		while (session_drive(session, &nothing) != STEP_INPUT)
			turns++;
		clock_set_fake_unix_ms(-1);
		assert_true(turns > 1);
		assert_int_equal(session->out.len, 0);
		core_sign_out(&world, session);
	}
	core_sign_out(&world, own);
}

static void a_client_leaves_in_the_middle(void **state)
{
	struct session *session = in_the_middle_of_a_list("g-0000", 0);
	core_sign_out(&world, session);
	session = signed_in();
	struct buffer line = { 0 };
	buffer_add_cstr(&line, many_of_others);
	buffer_add_cstr(&line, "\r\n");
	struct cursor in = cursor_of(buffer_slice(&line));
	assert_int_equal(session_drive(session, &in), STEP_WAIT);
	core_sign_out(&world, session);
	give_the_clock_back();
	buffer_free(&line);
	share("gina", "g-0000", 0, READABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_between_reading_and_news),
		cmocka_unit_test(nothing_is_lost_as_it_begins),
		cmocka_unit_test(what_could_not_be_read_is_told_later),
		cmocka_unit_test(nobody_takes_it_from_others),
		cmocka_unit_test(what_others_do_elsewhere_ends_no_more_than_theirs),
		cmocka_unit_test(the_list_is_made_in_turns),
		cmocka_unit_test(a_command_does_not_wait_for_the_list),
		cmocka_unit_test(another_request_ends_the_list),
		cmocka_unit_test(news_is_told_in_turns),
		cmocka_unit_test(a_client_leaves_in_the_middle),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
