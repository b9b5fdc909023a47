/* tests/unit/smtpd/session.c - the session against a back that the test plays: what a dialog
 * cannot show, since the real back is never slow, full or dead at the moment one would like. */
#include "tests/unit/smtpd/settings.h"

#include <stdlib.h>

#include "base/clock.h"
#include "tests/unit/smtpd/fake_link.h"

static struct config *config;
static struct front front;
static struct smtp_session *session;
static struct buffer unread; /* what the session has left of its input */
static enum step last_step;
static unsigned woken_count;

static void drive(void)
{
	struct cursor in = cursor_of(buffer_slice(&unread));
	size_t left = cursor_left(&in);
	last_step = session_drive(&session->session, &in);
	buffer_drop_front(&unread, left - cursor_left(&in));
}

static void on_woken(struct session *s)
{
	woken_count++;
	drive();
}

static void say(const char *text)
{
	buffer_add_cstr(&unread, text);
	drive();
}

/* What stands to be sent, taken away. */
static void expect(const char *want)
{
	struct slice got = buffer_slice(&session->session.out);
	if (!slice_eq(got, slice_cstr(want)))
		fail_msg("got \"%.*s\", want \"%s\"", SLICE_ARG(got), want);
	buffer_clear(&session->session.out);
}

static void expect_start(const char *want)
{
	struct slice got = buffer_slice(&session->session.out);
	if (!slice_starts_nocase(got, slice_cstr(want)))
		fail_msg("got \"%.*s\", want \"%s...\"", SLICE_ARG(got), want);
	buffer_clear(&session->session.out);
}

static void news(enum news what)
{
	session_wake_news(&session->session, what);
}

static void start(enum config_service service, bool secure)
{
	struct peer peer = { .address = { 192, 0, 2, 7 }, .family = 4 };
	fake_reset();
	buffer_clear(&unread);
	woken_count = 0;
	session = smtp_session_new(&front, service, &peer, secure);
	session->session.woken = on_woken;
	say("");
	expect("220 mx.example.org ESMTP Bode\r\n");
	say("HELO client.example\r\n");
	expect("250 mx.example.org\r\n");
}

/* The connection is gone. */
static void leave(void)
{
	buffer_free(&session->session.out);
	session->session.class->free(&session->session);
	session = NULL;
	buffer_free(&unread);
}

static void finish(void)
{
	leave();
	fake_reset();
}

static void begin_message(void)
{
	say("MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
	fake_verdict(RECIPIENT_OK);
	expect("250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n"
	       "354 Start mail input; end with <CRLF>.<CRLF>\r\n");
}

/* ---- limits ---- */

/* With so little for everybody; the address of start() is used up only by what a test does. */
static void start_limited(void)
{
	static const struct config limited = {
		.messages_per_minute = 2,
		.commands_per_minute = 8,
		.errors_per_hour = 2,
		.unknown_recipients_per_hour = 1,
	};
	clock_set_fake_unix_ms(1000 * 1000);
	front.limits = limits_new(&limited, 64);
	start(SERVICE_SMTP, false);
}

static void finish_limited(void)
{
	finish();
	limits_free(&front.limits);
	clock_set_fake_unix_ms(-1);
}

static void messages_have_a_limit(void **state)
{
	start_limited();
	say("MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\n");
	expect("250 2.1.0 Sender OK\r\n250 2.0.0 OK\r\n250 2.1.0 Sender OK\r\n250 2.0.0 OK\r\n");
	say("MAIL FROM:<>\r\n");
	expect("450 4.7.1 Too many messages from your address, try again later\r\n");
	clock_set_fake_unix_ms(1000 * 1000 + 31 * 1000);
	say("MAIL FROM:<>\r\n");
	expect("250 2.1.0 Sender OK\r\n");
	finish_limited();
}

static void commands_have_a_limit(void **state)
{
	start_limited();
	say("NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n");
	expect_start("250 2.0.0 OK\r\n");
	say("NOOP\r\nNOOP\r\n");
	expect("421 4.7.0 mx.example.org Too many commands from your address, try again later\r\n");
	assert_int_equal(last_step, STEP_CLOSE);
	finish_limited();
}

/* Then a known one gets the same answer as an unknown one. */
static void unknown_recipients_have_a_limit(void **state)
{
	start_limited();
	say("MAIL FROM:<>\r\nRCPT TO:<nobody@example.org>\r\n");
	fake_verdict(RECIPIENT_UNKNOWN);
	expect("250 2.1.0 Sender OK\r\n550 5.1.1 No such mailbox here\r\n");
	unsigned asked = fake.asked_count;
	say("RCPT TO:<alice@example.org>\r\n");
	expect("450 4.7.1 Too many unknown recipients from your address, try again later\r\n");
	assert_slice(buffer_slice(&fake.noted_reply),
		     "450 4.7.1 Too many unknown recipients from your address, try again later");
	assert_slice(buffer_slice(&fake.noted_recipient), "alice@example.org");
	assert_int_equal(fake.asked_count, asked);
	finish_limited();
}

static void errors_have_a_limit(void **state)
{
	start_limited();
	say("GET / HTTP/1.1\r\nA\r\nB\r\n");
	expect("500 5.5.1 Command not recognized\r\n500 5.5.1 Command not recognized\r\n"
	       "500 5.5.1 Command not recognized\r\n"
	       "421 4.7.0 mx.example.org Too many errors, closing connection\r\n");
	assert_int_equal(last_step, STEP_CLOSE);
	finish_limited();
}

/* ---- pace ---- */

static void start_at(int64_t now_ms)
{
	clock_set_fake_unix_ms(now_ms);
	start(SERVICE_SMTP, false);
}

static void finish_paced(void)
{
	finish();
	clock_set_fake_unix_ms(-1);
}

/* The default: 50 octets a second on average over 5 minutes. */
static void a_dribbled_message_is_cut_off(void **state)
{
	start_at(1000 * 1000);
	begin_message();
	say("Subject: a\r\n");
	clock_set_fake_unix_ms(1000 * 1000 + 299 * 1000);
	say("b\r\n");
	assert_int_equal(last_step, STEP_INPUT);
	clock_set_fake_unix_ms(1000 * 1000 + 301 * 1000);
	say("c\r\n");
	expect("421 4.4.2 mx.example.org Too slow, closing connection\r\n");
	assert_int_equal(last_step, STEP_CLOSE);
	assert_int_equal(fake.abandoned_count, 1);
	finish_paced();
}

static void a_slow_line_is_fast_enough(void **state)
{
	char line[102];
	start_at(1000 * 1000);
	begin_message();
	memset(line, 'a', 98);
	memcpy(line + 98, "\r\n", 3);
	for (unsigned second = 0; second < 2000; second++) {
		clock_set_fake_unix_ms(1000 * 1000 + second * 1000);
		say(line);
		assert_int_equal(last_step, STEP_INPUT);
		if (fake.unanswered_octets > 100 * 1000)
			fake_credit((uint32_t)fake.unanswered_octets);
	}
	say(".\r\n");
	fake_filed(ERR_OK);
	expect_start("250 2.0.0 ");
	finish_paced();
}

static void time_that_we_take_is_ours(void **state)
{
	start_at(1000 * 1000);
	begin_message();
	say("Subject: a\r\n.\r\n");
	clock_set_fake_unix_ms(1000 * 1000 + 900 * 1000); /* the disk is slow */
	fake_filed(ERR_OK);
	expect_start("250 2.0.0 ");
	say("NOOP\r\n");
	expect("250 2.0.0 OK\r\n");
	finish_paced();
}

static void a_dribbled_command_is_cut_off(void **state)
{
	start_at(1000 * 1000);
	say("NO");
	clock_set_fake_unix_ms(1000 * 1000 + 299 * 1000);
	say("O");
	expect("");
	clock_set_fake_unix_ms(1000 * 1000 + 301 * 1000);
	say("P");
	expect("421 4.4.2 mx.example.org Too slow, closing connection\r\n");
	assert_int_equal(last_step, STEP_CLOSE);
	finish_paced();
}

/* It leaves nothing behind that could be counted, and goes on for ever. */
static void a_dribbled_line_that_is_too_long_is_cut_off(void **state)
{
	static char line[20001];
	start_at(1000 * 1000);
	memset(line, 'x', sizeof(line) - 1);
	say(line);
	for (unsigned minute = 1; minute < 5; minute++) {
		clock_set_fake_unix_ms(1000 * 1000 + minute * 60 * 1000);
		say("x");
		assert_int_equal(last_step, STEP_INPUT);
	}
	clock_set_fake_unix_ms(1000 * 1000 + 301 * 1000);
	say("x");
	expect("421 4.4.2 mx.example.org Too slow, closing connection\r\n");
	assert_int_equal(last_step, STEP_CLOSE);
	finish_paced();
}

static void an_accepted_message_makes_known(void **state)
{
	start_limited();
	assert_false(limits_knows(front.limits, &session->client.peer));
	begin_message();
	say(".\r\n");
	fake_filed(ERR_OK);
	expect_start("250 2.0.0 ");
	assert_true(limits_knows(front.limits, &session->client.peer));
	finish_limited();
}

/* RFC 2920: the replies of a group leave together, once its input is used up. */
static void group_is_answered_at_once(void **state)
{
	start(SERVICE_SMTP, false);
	say("MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
	assert_int_equal(last_step, STEP_WAIT);
	expect("");
	fake_verdict(RECIPIENT_OK);
	expect("");
	fake_verdict(RECIPIENT_UNKNOWN);
	expect("250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n550 5.1.1 No such mailbox here\r\n"
	       "354 Start mail input; end with <CRLF>.<CRLF>\r\n");
	assert_int_equal(last_step, STEP_INPUT);
	/* The last of a group waits for nothing but its answer. */
	say("RSET\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\n");
	fake_filed(ERR_OK);
	expect("250 2.0.0 Message 18c0 accepted\r\n250 2.1.0 Sender OK\r\n");
	fake_verdict(RECIPIENT_OK);
	expect("250 2.1.5 Recipient OK\r\n");
	finish();
}

static void every_verdict_has_its_reply(void **state)
{
	static const char *const want[RECIPIENT_VERDICT_COUNT] = {
		[RECIPIENT_OK] = "250 2.1.5 ",		 [RECIPIENT_UNKNOWN] = "550 5.1.1 ",
		[RECIPIENT_RELAY_DENIED] = "550 5.7.1 ", [RECIPIENT_SENDER_DENIED] = "550 5.7.1 ",
		[RECIPIENT_OVER_QUOTA] = "452 4.2.2 ",	 [RECIPIENT_TEMPORARY] = "451 4.3.0 ",
	};
	start(SERVICE_SMTP, false);
	say("MAIL FROM:<>\r\n");
	expect_start("250 ");
	for (unsigned verdict = 0; verdict < RECIPIENT_VERDICT_COUNT; verdict++) {
		say("RCPT TO:<alice@example.org>\r\n");
		fake_verdict((enum recipient_verdict)verdict);
		expect_start(want[verdict]);
	}
	finish();
}

static void every_outcome_has_its_reply(void **state)
{
	static const struct {
		enum err outcome;
		const char *want;
	} rows[] = {
		{ ERR_OK, "250 2.0.0 " },    { ERR_FULL, "452 4.3.1 " },
		{ ERR_DISK, "451 4.3.0 " },  { ERR_QUOTA, "452 4.2.2 " },
		{ ERR_LIMIT, "552 5.3.4 " }, { ERR_GONE, "451 4.3.0 " },
		{ ERR_BUSY, "451 4.3.0 " },  { ERR_DENIED, "451 4.7.0 " },
	};
	start(SERVICE_SMTP, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		/* After the commit, and, but for success, while content still flows. */
		for (unsigned early = 0; early < (rows[i].outcome == ERR_OK ? 1 : 2); early++) {
			begin_message();
			say("Subject: x\r\n");
			if (early)
				fake_filed(rows[i].outcome);
			say("\r\nx\r\n.\r\n");
			if (!early)
				fake_filed(rows[i].outcome);
			expect_start(rows[i].want);
			assert_int_equal(session->state, SMTP_READY);
			assert_null(fake.question);
		}
	}
	finish();
}

static void a_message_filed_before_its_commit_is_not_believed(void **state)
{
	start(SERVICE_SMTP, false);
	begin_message();
	say("x\r\n");
	fake_filed(ERR_OK);
	say(".\r\n");
	expect_start("451 4.3.0 ");
	finish();
}

static void dead_back_means_try_again(void **state)
{
	start(SERVICE_SMTP, false);
	begin_message();
	say("x\r\n.\r\n");
	fake_die();
	expect_start("451 4.3.0 ");
	say("MAIL FROM:<>\r\n");
	expect_start("250 ");
	finish();
}

/* Never more than the window is on its way; a dead end is not one for ever. */
static void content_waits_for_credit(void **state)
{
	struct buffer lines = { 0 };
	start(SERVICE_SMTP, false);
	begin_message();
	for (unsigned i = 0; i < 1000; i++)
		buffer_add_cstr(&lines, "..a line of the message, with a dot to undo\r\n");
	buffer_add(&unread, buffer_slice(&lines));
	for (unsigned i = 0; i < 9; i++) {
		buffer_add(&unread, buffer_slice(&lines));
		drive();
	}
	assert_int_equal(last_step, STEP_WAIT);
	assert_true(fake.content.len <= CONTENT_WINDOW_OCTETS);
	assert_true(fake.content.len > CONTENT_WINDOW_OCTETS - 100);
	buffer_add_cstr(&unread, ".\r\n");
	while (!fake.is_committed)
		fake_credit((uint32_t)fake.unanswered_octets);
	assert_true(fake.content.len > 10 * 1000 * 44);
	fake_filed(ERR_OK);
	expect_start("250 2.0.0 ");
	buffer_free(&lines);
	finish();
}

static void death_ends_waiting_for_credit(void **state)
{
	start(SERVICE_SMTP, false);
	begin_message();
	while (last_step != STEP_WAIT)
		say("0123456789012345678901234567890123456789012345678901234567890123456789\r\n");
	fake_die();
	assert_int_equal(last_step, STEP_INPUT);
	say("more\r\n.\r\n");
	expect_start("451 4.3.0 ");
	finish();
}

static void refused_content_is_abandoned_at_once(void **state)
{
	start(SERVICE_SMTP, false);
	begin_message();
	say("a\r\nb\nc");
	assert_int_equal(fake.abandoned_count, 1);
	say("d\r\n");
	expect("");
	say(".\r\n");
	expect_start("554 5.6.0 ");
	assert_int_equal(session->state, SMTP_READY);
	finish();
}

static void leaving_abandons(void **state)
{
	start(SERVICE_SMTP, false);
	begin_message();
	say("half\r\n");
	leave();
	assert_int_equal(fake.abandoned_count, 1);
	fake_reset();
}

static void timeout_and_shutdown_say_so(void **state)
{
	start(SERVICE_SMTP, false);
	begin_message();
	say("half\r\n");
	news(NEWS_TIMEOUT);
	drive();
	expect("421 4.4.2 mx.example.org Timeout, closing connection\r\n");
	assert_int_equal(last_step, STEP_CLOSE);
	assert_int_equal(fake.abandoned_count, 1);
	finish();
	start(SERVICE_SMTP, false);
	news(NEWS_SHUTDOWN);
	drive();
	expect_start("421 4.3.2 mx.example.org ");
	assert_int_equal(last_step, STEP_CLOSE);
	finish();
}

/* A commit under way is told of before the goodbye: the client must not send it again. */
static void shutdown_waits_for_the_commit(void **state)
{
	start(SERVICE_SMTP, false);
	begin_message();
	say("x\r\n.\r\n");
	news(NEWS_SHUTDOWN);
	expect("");
	fake_filed(ERR_OK);
	expect("250 2.0.0 Message 18c0 accepted\r\n"
	       "421 4.3.2 mx.example.org Service shutting down, closing connection\r\n");
	finish();
}

static void sign_in_is_forgotten_with_the_connection(void **state)
{
	start(SERVICE_SUBMISSIONS, true);
	say("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
	assert_int_equal(fake.asked, MESSAGE_AUTHENTICATE);
	fake_authenticated(ERR_BUSY);
	expect_start("454 4.7.0 ");
	say("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
	fake_authenticated(ERR_OK);
	expect_start("235 2.7.0 ");
	assert_int_equal(fake.forgotten_count, 0);
	leave();
	assert_int_equal(fake.forgotten_count, 1);
	fake_reset();
}

/* The longest paths, a hundred and more of them, still make an envelope that fits. */
static void envelope_of_long_paths_fits(void **state)
{
	unsigned accepted = 0;
	start(SERVICE_SMTP, false);
	say("MAIL FROM:<>\r\n");
	expect_start("250 ");
	for (unsigned i = 0; i < 5000; i++) {
		buffer_add_format(&unread, "RCPT TO:<%064u@%.59s.%.60s.%.60s.example>\r\n", i,
				  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh",
				  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh",
				  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh");
		drive();
		if (!fake.question) {
			expect_start("452 4.5.3 ");
			continue;
		}
		fake_verdict(RECIPIENT_OK);
		expect_start("250 2.1.5 ");
		accepted++;
	}
	assert_true(accepted >= 1000 && accepted < 5000);
	say("DATA\r\n.\r\n");
	expect_start("354 ");
	fake_filed(ERR_OK);
	expect_start("250 2.0.0 ");
	finish();
}

static void expect_noted(unsigned count, enum journal_kind kind, const char *reply,
			 const char *recipient)
{
	assert_int_equal(fake.noted_count, count);
	assert_int_equal(fake.noted, kind);
	if (!slice_eq(buffer_slice(&fake.noted_reply), slice_cstr(reply)))
		fail_msg("noted \"%.*s\"", SLICE_ARG(buffer_slice(&fake.noted_reply)));
	assert_true(slice_eq(buffer_slice(&fake.noted_recipient), slice_cstr(recipient)));
}

/* Each refusal once, from whoever knows most about it; of a refused message, each recipient. */
static void journal_hears_of_refusals(void **state)
{
	start(SERVICE_SMTP, false);
	say("NONSENSE\r\n");
	expect_noted(1, JOURNAL_REFUSED, "500 5.5.1 Command not recognized", "");
	say("MAIL FROM:<bob@elsewhere.example>\r\nRCPT TO:<nobody@example.org>\r\n");
	assert_int_equal(fake.noted_count, 1);
	fake_verdict(RECIPIENT_UNKNOWN);
	expect_noted(2, JOURNAL_REFUSED, "550 5.1.1 No such mailbox here", "nobody@example.org");
	say("RCPT TO:<alice@example.org>\r\n");
	fake_verdict(RECIPIENT_OK);
	say("RCPT TO:<carol@example.org>\r\n");
	fake_verdict(RECIPIENT_OK);
	say("DATA\r\nbare\nline\r\n.\r\n");
	expect_noted(4, JOURNAL_REFUSED, "554 5.6.0 CR or LF outside of a line end in the message",
		     "carol@example.org");
	buffer_clear(&session->session.out);
	begin_message();
	say("a: b\r\n.\r\n");
	fake_filed(ERR_QUOTA); /* which the back notes itself */
	assert_int_equal(fake.noted_count, 4);
	buffer_clear(&session->session.out);
	begin_message();
	say("a: b\r\n.\r\n");
	fake_filed(ERR_BUSY); /* that it has no room for one more is all that it says */
	assert_int_equal(fake.noted_count, 5);
	leave();
	expect_noted(6, JOURNAL_LEFT, "", "");
	fake_reset();
}

static void journal_hears_nothing_of_what_goes_well(void **state)
{
	start(SERVICE_SMTP, false);
	begin_message();
	say("a: b\r\n.\r\n");
	fake_filed(ERR_OK);
	say("QUIT\r\n");
	leave();
	assert_int_equal(fake.noted_count, 0);
	fake_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(group_is_answered_at_once),
		cmocka_unit_test(every_verdict_has_its_reply),
		cmocka_unit_test(every_outcome_has_its_reply),
		cmocka_unit_test(a_message_filed_before_its_commit_is_not_believed),
		cmocka_unit_test(dead_back_means_try_again),
		cmocka_unit_test(content_waits_for_credit),
		cmocka_unit_test(death_ends_waiting_for_credit),
		cmocka_unit_test(refused_content_is_abandoned_at_once),
		cmocka_unit_test(leaving_abandons),
		cmocka_unit_test(timeout_and_shutdown_say_so),
		cmocka_unit_test(shutdown_waits_for_the_commit),
		cmocka_unit_test(sign_in_is_forgotten_with_the_connection),
		cmocka_unit_test(envelope_of_long_paths_fits),
		cmocka_unit_test(messages_have_a_limit),
		cmocka_unit_test(commands_have_a_limit),
		cmocka_unit_test(unknown_recipients_have_a_limit),
		cmocka_unit_test(errors_have_a_limit),
		cmocka_unit_test(an_accepted_message_makes_known),
		cmocka_unit_test(a_dribbled_message_is_cut_off),
		cmocka_unit_test(a_slow_line_is_fast_enough),
		cmocka_unit_test(time_that_we_take_is_ours),
		cmocka_unit_test(a_dribbled_command_is_cut_off),
		cmocka_unit_test(a_dribbled_line_that_is_too_long_is_cut_off),
		cmocka_unit_test(journal_hears_of_refusals),
		cmocka_unit_test(journal_hears_nothing_of_what_goes_well),
	};
	log_set_level(LOG_ERROR);
	config = config_with("[limits]\nrecipients = 10000\n");
	front = (struct front){ .config = config };
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	config_free(config);
	return status;
}
