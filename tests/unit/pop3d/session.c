/* tests/unit/pop3d/session.c - the core of a POP3 session without a stream: what transcripts
 * cannot see. Back-pressure and memory, the lock, an update that fails, a body that vanishes. */
#include "tests/unit/storage/bed.h"
#include "tests/unit/storage/jobs_home.h"

#include "pop3d/session_priv.h"

static struct bed bed;
static struct back back;
static struct config config = { .protocol_errors = 20 };

static int begin(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	store_start_writer(bed.store);
	back = (struct back){ .loop = loop_new(0), .store = bed.store, .config = &config };
	return 0;
}

static int end(void **state)
{
	jobs_home(bed.store, back.loop);
	bed_end(&bed);
	loop_free(back.loop);
	return 0;
}

struct message_job {
	struct job job;
	struct bed_append *append;
	bool room, done;
};

static enum err run_message(struct write *write, struct job *job)
{
	return bed_append_run(write, CONTAINER_OF(job, struct message_job, job)->append);
}

static void message_done(struct job *job)
{
	CONTAINER_OF(job, struct message_job, job)->done = true;
}

static void has_room(void *user)
{
	((struct message_job *)user)->room = true;
}

/* Files a message of any size, beside the writer. */
static void add_message(struct slice text)
{
	struct bed_append append = { .mailbox_id = bed.inbox_id };
	struct message_job m = {
		.job = { .run = run_message, .done = message_done, .loop = back.loop },
		.append = &append,
	};
	append.intake = intake_new(bed.store, back.loop, has_room, &m);
	for (size_t at = 0; at < text.len; at += 50000) {
		m.room = intake_feed(append.intake, slice_sub(text, at, 50000));
		while (!m.room)
			loop_run_once(back.loop, 10);
	}
	assert_int_equal(intake_finish(append.intake), ERR_OK);
	store_submit(bed.store, &m.job);
	while (!m.done)
		loop_run_once(back.loop, 10);
	assert_int_equal(m.job.outcome, ERR_OK);
	intake_free(&append.intake);
}

static struct session *sign_in(void)
{
	struct session_message message = { .protocol = PROTOCOL_POP3 };
	return pop3_session_new(&back, &message, bed.account_id);
}

static void leave(struct session *session)
{
	session->class->free(session);
}

/* Types `text`, takes what comes while the session wants to go on. */
static enum step type(struct session *session, const char *text, struct buffer *said)
{
	struct cursor in = cursor_of(slice_cstr(text));
	for (;;) {
		enum step step = session_drive(session, &in);
		buffer_add(said, buffer_slice(&session->out));
		buffer_clear(&session->out);
		if (step == STEP_INPUT || step == STEP_CLOSE)
			return step;
		if (session->job_out)
			loop_run_once(session->loop, 10);
	}
}

static void assert_says(struct session *session, const char *typed, enum step step,
			const char *want)
{
	struct buffer said = { 0 };
	assert_int_equal(type(session, typed, &said), step);
	assert_slice(buffer_slice(&said), want);
	buffer_free(&said);
}

static enum err run_account_remove(struct write *write, void *arg)
{
	return account_remove(write, bed.account_id);
}

/* RETR's answer without its first line and its stuffing. */
static struct buffer unstuff(struct slice said)
{
	struct buffer message = { 0 };
	struct cursor c = cursor_of(said);
	struct slice line;
	assert_true(take_crlf_line(&c, &line));
	while (take_crlf_line(&c, &line) && !slice_eq(line, SLICE("."))) {
		buffer_add(&message, next_is(&(struct cursor){ line.ptr, line.ptr + line.len }, '.')
					     ? slice_sub(line, 1, line.len)
					     : line);
		buffer_add_cstr(&message, "\r\n");
	}
	assert_true(at_end(&c));
	return message;
}

static void a_large_message_goes_out_in_small_pieces(void **state)
{
	struct buffer text = { 0 }, said = { 0 };
	size_t most = 0, rounds = 0;
	buffer_add_cstr(&text, "Subject: large\r\n\r\n");
	for (unsigned i = 0; text.len < 6000000; i++)
		buffer_add_format(&text, "%s%u %s\r\n", i % 7 ? "" : ".", i * 2654435761u,
				  i % 3 ? "some words" : "");
	add_message(buffer_slice(&text));
	struct session *session = sign_in();
	type(session, "", &said);
	buffer_clear(&said);
	struct cursor in = cursor_of(SLICE("RETR 1\r\nNOOP\r\n"));
	enum step step;
	while ((step = session_drive(session, &in)) == STEP_WAIT) {
		assert_false(session->job_out);
		most = session->out.cap > most ? session->out.cap : most;
		buffer_add(&said, buffer_slice(&session->out));
		buffer_clear(&session->out);
		rounds++;
	}
	assert_int_equal(step, STEP_INPUT);
	buffer_add(&said, buffer_slice(&session->out));
	buffer_clear(&session->out);
	assert_true(rounds > 50);
	assert_true(most <= 256 * 1024);
	struct slice answer = buffer_slice(&said), noop = SLICE("+OK still here\r\n");
	assert_slice(slice_sub(answer, answer.len - noop.len, noop.len), "+OK still here\r\n");
	struct buffer message = unstuff(slice_sub(answer, 0, answer.len - noop.len));
	assert_true(slice_eq(buffer_slice(&message), buffer_slice(&text)));
	leave(session);
	buffer_free(&message);
	buffer_free(&said);
	buffer_free(&text);
}

/* The only way to say so after +OK: the last line never comes. */
static void a_body_that_vanishes_breaks_off(void **state)
{
	struct buffer text = { 0 }, said = { 0 };
	struct read *read;
	uint64_t size;
	enum err err = ERR_OK;
	bed_text(&text, 1, 1000000);
	add_message(buffer_slice(&text));
	struct session *session = sign_in();
	struct cursor in = cursor_of(SLICE("RETR 1\r\n"));
	assert_int_equal(session_drive(session, &in), STEP_WAIT);
	buffer_clear(&session->out);
	bed.store->garbage_delay_seconds = 0;
	assert_int_equal(bed_expunge(&bed, 1, UINT32_MAX), ERR_OK);
	for (unsigned i = 0; i < 1000 && err == ERR_OK; i++) {
		struct pop3_session *s = pop3_of(session);
		loop_run_once(back.loop, 10);
		read = read_begin(bed.store);
		err = blob_size(read, s->body.blob_id, &size);
		read_end(&read);
	}
	assert_int_equal(err, ERR_GONE);
	assert_int_equal(type(session, "STAT\r\n", &said), STEP_CLOSE);
	struct slice rest = buffer_slice(&said);
	assert_int_equal(slice_find(rest, 0, SLICE("\r\n.\r\n")), rest.len);
	assert_int_equal(slice_find(rest, 0, SLICE("+OK")), rest.len);
	leave(session);
	buffer_free(&said);
	buffer_free(&text);
}

static void one_session_holds_the_maildrop(void **state)
{
	struct session *first = sign_in();
	struct session *second = sign_in();
	assert_says(first, "", STEP_INPUT, "+OK maildrop has 0 messages (0 octets)\r\n");
	assert_says(second, "", STEP_CLOSE,
		    "-ERR [IN-USE] another POP3 session has this maildrop open\r\n");
	leave(second);
	second = sign_in();
	assert_says(second, "", STEP_CLOSE,
		    "-ERR [IN-USE] another POP3 session has this maildrop open\r\n");
	leave(second);
	/* Free as soon as QUIT has been answered, though its session is still there. */
	assert_says(first, "QUIT\r\n", STEP_CLOSE, "+OK goodbye (maildrop empty)\r\n");
	second = sign_in();
	assert_says(second, "", STEP_INPUT, "+OK maildrop has 0 messages (0 octets)\r\n");
	leave(first);
	struct session *third = sign_in();
	assert_says(third, "", STEP_CLOSE,
		    "-ERR [IN-USE] another POP3 session has this maildrop open\r\n");
	leave(third);
	leave(second);
}

static void an_update_that_fails_says_so(void **state)
{
	add_message(SLICE("Subject: x\r\n"));
	struct session *session = sign_in();
	assert_says(session, "DELE 1\r\n", STEP_INPUT,
		    "+OK maildrop has 1 messages (12 octets)\r\n+OK message 1 marked\r\n");
	/* The loop has not turned since, so the session does not know. */
	assert_int_equal(bed_write(&bed, run_account_remove, NULL), ERR_OK);
	assert_says(session, "QUIT\r\n", STEP_CLOSE,
		    "-ERR [SYS/TEMP] the deleted messages could not be removed\r\n");
	leave(session);
}

static void no_account_no_maildrop(void **state)
{
	assert_int_equal(bed_write(&bed, run_account_remove, NULL), ERR_OK);
	struct session *session = sign_in();
	assert_says(session, "STAT\r\n", STEP_CLOSE,
		    "-ERR [SYS/TEMP] the maildrop cannot be opened\r\n");
	leave(session);
}

/* The server stops while the deletions are with the writer: they are answered for. */
static void a_stop_waits_for_the_update(void **state)
{
	struct buffer said = { 0 };
	add_message(SLICE("Subject: x\r\n"));
	struct session *session = sign_in();
	struct cursor in = cursor_of(SLICE("DELE 1\r\nQUIT\r\n"));
	assert_int_equal(session_drive(session, &in), STEP_WAIT);
	assert_true(session->job_out);
	session_wake_news(session, NEWS_SHUTDOWN);
	assert_int_equal(type(session, "", &said), STEP_CLOSE);
	assert_slice(buffer_slice(&said), "+OK maildrop has 1 messages (12 octets)\r\n"
					  "+OK message 1 marked\r\n"
					  "+OK goodbye (maildrop empty)\r\n");
	leave(session);
	buffer_free(&said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_large_message_goes_out_in_small_pieces, begin,
						end),
		cmocka_unit_test_setup_teardown(a_body_that_vanishes_breaks_off, begin, end),
		cmocka_unit_test_setup_teardown(one_session_holds_the_maildrop, begin, end),
		cmocka_unit_test_setup_teardown(an_update_that_fails_says_so, begin, end),
		cmocka_unit_test_setup_teardown(no_account_no_maildrop, begin, end),
		cmocka_unit_test_setup_teardown(a_stop_waits_for_the_update, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
