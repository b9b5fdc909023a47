/* tests/unit/imapd/unreadable.c - what a client is told where the store cannot be read for a moment: that it has
 * missed something, and never that what is there has gone. RFC 5465 sections 3.1 and 5.8. */
#include "tests/unit/imapd/sharing.h"

#include "imapd/view_priv.h"

enum { READS = 12 /* more than any of these commands and news begins */, TURNS = 10 };
#define OVERFLOW "* OK [NOTIFICATIONOVERFLOW] Too much has happened: no more is told\r\n"
#define REFUSED " NO [UNAVAILABLE] The store cannot do that now; try again later\r\n"
#define OTHERS "\"Other Users/bob@example.org/one\""

/* What is told without a command while the nth read fails. */
static void turns_with_failure(struct session *session, unsigned nth, struct buffer *said)
{
	loop_run_once(world.loop, 0);
	failing_read = nth;
	buffer_clear(said);
	for (unsigned i = 0; i < TURNS; i++)
		assert_true(core_turn(&world, session, said));
	failing_read = 0;
}

static bool is(const struct buffer *said, const char *want)
{
	return slice_eq(buffer_slice(said), slice_cstr(want));
}

static bool holds(const struct buffer *said, const char *what)
{
	return slice_find(buffer_slice(said), 0, slice_cstr(what)) < said->len;
}

struct piece {
	const char *request;
	const char *cause; /* a command of another session */
	const char *first; /* of what is to be told */
	bool is_unknown;   /* that it was just this */
};

/* Whichever read fails: it is told as it is, or the client hears that it has missed something. */
static void expect_all_or_overflow(const struct piece *news)
{
	struct buffer said = { 0 }, caused = { 0 };
	struct session *other = signed_in();
	unsigned overflows = 0, told = 0;
	for (unsigned nth = 1; nth <= READS; nth++) {
		struct session *session = signed_in_and_said(news->request);
		buffer_clear(&caused);
		assert_true(core_feed(&world, other, slice_cstr(news->cause), &caused));
		if (news->is_unknown)
			watch_notify_account(world.back.store, world.account_id);
		turns_with_failure(session, nth, &said);
		bool is_overflow = is(&said, OVERFLOW);
		bool is_told = slice_starts_nocase(buffer_slice(&said), slice_cstr(news->first));
		if (is_overflow == is_told)
			fail_msg("read %u of %s: %.*s\nafter %.*s", nth, news->request,
				 SLICE_ARG(buffer_slice(&said)), SLICE_ARG(buffer_slice(&caused)));
		overflows += is_overflow;
		told += is_told;
		core_sign_out(&world, session);
	}
	assert_true(overflows > 0 && told > 0);
	core_sign_out(&world, other);
	buffer_free(&said);
	buffer_free(&caused);
}

static void news_of_names(void **state)
{
	expect_all_or_overflow(&(struct piece){
		.request = "a NOTIFY SET (mailboxes work (MailboxName))\r\n",
		.cause = "x DELETE work\r\nx CREATE work\r\n",
		.first = "* LIST (\\HasNoChildren) \"/\" work\r\n",
	});
}

static void news_of_subscriptions(void **state)
{
	expect_all_or_overflow(&(struct piece){
		.request = "a NOTIFY SET (personal (SubscriptionChange))\r\n",
		.cause = "x UNSUBSCRIBE INBOX\r\nx SUBSCRIBE INBOX\r\n",
		.first = "* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX\r\n",
	});
}

static void news_of_messages(void **state)
{
	struct piece news = {
		.request = "a NOTIFY SET (personal (MessageNew MessageExpunge))\r\n",
		.cause = "x APPEND INBOX {1+}\r\na\r\n",
		.first = "* STATUS INBOX (MESSAGES ",
	};
	expect_all_or_overflow(&news);
	news.is_unknown = true;
	expect_all_or_overflow(&news);
}

static void news_of_annotations(void **state)
{
	expect_all_or_overflow(&(struct piece){
		.request = "a NOTIFY SET (personal (MailboxMetadataChange))\r\n",
		.cause = "x SETMETADATA INBOX (/private/comment \"a\")\r\n"
			 "x SETMETADATA INBOX (/private/comment NIL)\r\n",
		.first = "* METADATA INBOX /private/comment\r\n",
	});
}

static void news_of_others_messages(void **state)
{
	expect_all_or_overflow(&(struct piece){
		.request = "a NOTIFY SET (mailboxes " OTHERS " (MessageNew MessageExpunge))\r\n",
		.cause = "x APPEND " OTHERS " {1+}\r\na\r\n",
		.first = "* STATUS " OTHERS " (MESSAGES ",
	});
}

/* The list of others' mailboxes is compared again with the next news. */
static void news_of_others_names(void **state)
{
	static const char request[] = "a NOTIFY SET (mailboxes " OTHERS " (MailboxName))\r\n";
	static const char there[] = "* LIST (\\HasNoChildren) \"/\" " OTHERS "\r\n";
	struct buffer said = { 0 };
	unsigned later = 0;
	for (unsigned nth = 1; nth <= READS; nth++) {
		share("bob", "one", 0, 0);
		struct session *session = signed_in_and_said(request);
		share("bob", "one", 0, RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT);
		turns_with_failure(session, nth, &said);
		if (said.len == 0) {
			later++;
			share("bob", "two", 0, later % 2 ? 0 : READABLE);
			turns_with_failure(session, 0, &said);
		}
		if (!is(&said, there) && !is(&said, OVERFLOW))
			fail_msg("read %u: %.*s", nth, SLICE_ARG(buffer_slice(&said)));
		core_sign_out(&world, session);
	}
	assert_true(later > 0);
	buffer_free(&said);
}

/* Where it is refused, what was asked for before holds on. */
static void a_request_is_refused_whole(void **state)
{
	static const char command[] = "b NOTIFY SET STATUS (mailboxes (INBOX " OTHERS
				      ") (MessageNew MessageExpunge))\r\n";
	struct buffer said = { 0 };
	struct session *other = signed_in();
	unsigned refused = 0, kept = 0;
	for (unsigned nth = 1; nth <= READS; nth++) {
		struct session *session =
			signed_in_and_said("a NOTIFY SET (mailboxes before (MailboxName))\r\n");
		failing_read = nth;
		buffer_clear(&said);
		assert_true(core_feed(&world, session, slice_cstr(command), &said));
		failing_read = 0;
		bool is_refused = holds(&said, "b" REFUSED);
		if (!is_refused &&
		    !(holds(&said, "* STATUS INBOX (") && holds(&said, "* STATUS " OTHERS " (") &&
		      holds(&said, "b OK NOTIFY completed\r\n")))
			fail_msg("read %u: %.*s", nth, SLICE_ARG(buffer_slice(&said)));
		assert_true(core_feed(&world, other,
				      SLICE("x CREATE before\r\nx DELETE before\r\n"), &said));
		turns_with_failure(session, 0, &said);
		assert_int_equal(holds(&said, "* LIST ("), is_refused);
		refused += is_refused;
		kept += !is_refused;
		core_sign_out(&world, session);
	}
	assert_true(refused >= 3 && kept > 0);
	core_sign_out(&world, other);
	buffer_free(&said);
}

/* Whose rights cannot be read has not lost them. */
static void nobody_is_sent_away(void **state)
{
	static const char *const begins[] = {
		"", "b NOTIFY SET (SELECTED (MessageNew (FLAGS) MessageExpunge))\r\n", "b IDLE\r\n"
	};
	struct buffer said = { 0 };
	struct session *other = signed_in();
	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		for (unsigned nth = 1; nth <= READS; nth++) {
			struct session *session = signed_in_and_said("a SELECT " OTHERS "\r\n");
			assert_true(core_feed(&world, session, slice_cstr(begins[i]), &said));
			assert_true(core_feed(&world, other,
					      SLICE("x APPEND " OTHERS " {1+}\r\na\r\n"), &said));
			turns_with_failure(session, nth, &said);
			failing_read = nth;
			buffer_clear(&said);
			assert_true(core_feed(
				&world, session,
				i == 2 ? SLICE("DONE\r\nc NOOP\r\n") : SLICE("c NOOP\r\n"), &said));
			failing_read = 0;
			assert_true(holds(&said, "c OK ") || holds(&said, "c" REFUSED));
			assert_false(holds(&said, "PERMANENTFLAGS"));
			core_sign_out(&world, session);
		}
	core_sign_out(&world, other);
	buffer_free(&said);
}

/* A MODSEQ that is still to be told is not below what the client has been told. */
static void modseqs_that_are_not_told_count(void **state)
{
	struct session *session = signed_in_and_said(
		"a ENABLE CONDSTORE\r\na APPEND work {1+}\r\na\r\na SELECT work\r\n");
	const struct imap_view *view = CONTAINER_OF(session, struct imap_session, session)->view;
	struct buffer said = { 0 };
	unsigned left = 0;
	for (unsigned nth = 1; nth <= READS; nth++) {
		failing_read = nth;
		assert_true(core_feed(&world, session,
				      nth % 2 ? SLICE("b STORE 1 +FLAGS.SILENT (\\Flagged)\r\n")
					      : SLICE("b STORE 1 -FLAGS.SILENT (\\Flagged)\r\n"),
				      &said));
		failing_read = 0;
		if (view->touched.count > 0) {
			left++;
			assert_true(view->told_modseq < view->modseq);
		}
		buffer_clear(&said);
		assert_true(core_feed(&world, session, SLICE("c NOOP\r\n"), &said));
		assert_int_equal(view->touched.count, 0);
		assert_int_equal(view->told_modseq, view->modseq);
	}
	assert_true(left > 0);
	core_sign_out(&world, session);
	buffer_free(&said);
}

/* What NOTIFY asks of a new message is told now or later, once. */
static void new_messages_are_told_later(void **state)
{
	struct buffer now = { 0 }, later = { 0 };
	struct session *other = signed_in();
	unsigned left = 0;
	for (unsigned nth = 1; nth <= READS; nth++) {
		struct session *session = signed_in_and_said(
			"a SELECT INBOX\r\n"
			"a NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge))\r\n");
		assert_true(
			core_feed(&world, other, SLICE("x APPEND INBOX {1+}\r\na\r\n"), &later));
		turns_with_failure(session, nth, &now);
		buffer_clear(&later);
		assert_true(core_feed(&world, session, SLICE("c NOOP\r\n"), &later));
		bool is_left = holds(&later, " FETCH (UID ");
		if (is_left == holds(&now, " FETCH (UID "))
			fail_msg("read %u: %.*s\nlater: %.*s", nth, SLICE_ARG(buffer_slice(&now)),
				 SLICE_ARG(buffer_slice(&later)));
		left += is_left;
		core_sign_out(&world, session);
	}
	assert_true(left > 1 && left < READS);
	core_sign_out(&world, other);
	buffer_free(&now);
	buffer_free(&later);
}

/* Who had the mailbox selected for longer than the change log reaches back. */
static void what_was_not_compared_is_compared_later(void **state)
{
	enum { CHANGES = 2100 /* more than the log keeps */ };
	struct buffer said = { 0 };
	struct session *sessions[READS];
	unsigned later = 0;
	struct session *other = signed_in_and_said("a SELECT INBOX\r\n");
	for (unsigned i = 0; i < READS; i++)
		sessions[i] = signed_in_and_said("a SELECT INBOX\r\n");
	run(other, "f STORE 2 +FLAGS.SILENT (\\Answered)", "f OK");
	run_by_turns(other, CHANGES, "f STORE 1 +FLAGS.SILENT (\\Draft)",
		     "f STORE 1 -FLAGS.SILENT (\\Draft)");
	for (unsigned i = 0; i < READS; i++) {
		failing_read = i + 1;
		buffer_clear(&said);
		assert_true(core_feed(&world, sessions[i], SLICE("b NOOP\r\n"), &said));
		failing_read = 0;
		bool is_told = holds(&said, "* 2 FETCH (UID 2 FLAGS (\\Answered");
		later += !is_told;
		buffer_clear(&said);
		assert_true(core_feed(&world, sessions[i], SLICE("c NOOP\r\n"), &said));
		assert_int_equal(holds(&said, "* 2 FETCH (UID 2 FLAGS (\\Answered"), !is_told);
		core_sign_out(&world, sessions[i]);
	}
	assert_true(later >= 2 && later < READS);
	core_sign_out(&world, other);
	buffer_free(&said);
}

static int setup(void **state)
{
	int result = world_setup(state);
	struct buffer said = { 0 };
	if (result != 0)
		return result;
	share("bob", "one", 1, RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT);
	share("bob", "two", 1, READABLE);
	struct session *session = signed_in_and_said("a CREATE work\r\n");
	core_sign_out(&world, session);
	buffer_free(&said);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(news_of_names),
		cmocka_unit_test(news_of_subscriptions),
		cmocka_unit_test(news_of_messages),
		cmocka_unit_test(news_of_annotations),
		cmocka_unit_test(news_of_others_messages),
		cmocka_unit_test(news_of_others_names),
		cmocka_unit_test(a_request_is_refused_whole),
		cmocka_unit_test(nobody_is_sent_away),
		cmocka_unit_test(modseqs_that_are_not_told_count),
		cmocka_unit_test(new_messages_are_told_later),
		cmocka_unit_test(what_was_not_compared_is_compared_later),
	};
	return cmocka_run_group_tests(tests, setup, world_teardown);
}
