/* tests/unit/imapd/fetch.c - FETCH and SEARCH as a session runs them: in slices, with flat
 * memory, over damage, beside others who expunge. */
#include "tests/unit/imapd/bodies.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "base/ranges.h"
#include "imapd/fetch_priv.h"
#include "storage/blob.h"

enum { OUT_MAX_OCTETS = FETCH_AHEAD_OCTETS + BLOB_CHUNK_OCTETS + 4096 };

static void a_large_body_passes_through(void **state)
{
	struct session *session = signed_in();
	struct buffer message = { 0 }, said = { 0 };
	char start[60];

	make_message(&message, 3 * 1000 * 1000, 1);
	create(session, "large");
	append(session, "large", buffer_slice(&message));
	reopen(session, "large");

	run_in_turns(session, "f FETCH 1 BODY.PEEK[]", &said);
	int len = snprintf(start, sizeof(start), "* 1 FETCH (BODY[] {%zu}\r\n", message.len);
	assert_true(most_waiting <= OUT_MAX_OCTETS);
	assert_int_equal(said.len,
			 (size_t)len + message.len + strlen(")\r\nf OK FETCH completed\r\n"));
	assert_memory_equal(said.data, start, (size_t)len);
	assert_memory_equal(said.data + len, message.data, message.len);

	/* Decoded, it is the same random octets. */
	struct buffer decoded = { 0 };
	struct base64_stream stream = { 0 };
	size_t body = slice_find(buffer_slice(&message), 0, SLICE("\r\n\r\n")) + 4;
	base64_stream_decode(&stream, slice_sub(buffer_slice(&message), body, message.len),
			     &decoded);
	run_in_turns(session, "f FETCH 1 BINARY.PEEK[1]", &said);
	len = snprintf(start, sizeof(start), "* 1 FETCH (BINARY[1] ~{%zu}\r\n", decoded.len);
	assert_true(most_waiting <= OUT_MAX_OCTETS);
	assert_memory_equal(said.data, start, (size_t)len);
	assert_true(said.len > (size_t)len + decoded.len);
	assert_memory_equal(said.data + len, decoded.data, decoded.len);

	run_in_turns(session, "f FETCH 1 BINARY.PEEK[1]<65530.100000>", &said);
	const uint8_t *octets = memchr(said.data, '\n', said.len);
	assert_memory_equal(octets + 1, decoded.data + 65530, 100000);

	buffer_free(&decoded);
	buffer_free(&message);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* Texts around an attachment, in any order, out of one chunk: at first only its beginning is had. */
static void texts_around_an_attachment(void **state)
{
	static const char before[] = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
				     "--b\r\n\r\nthe first\r\n"
				     "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n";
	static const char after[] = "\r\n--b\r\n\r\nthe last\r\n--b--\r\n";
	struct session *session = signed_in();
	struct buffer octets = { 0 }, message = { 0 }, want = { 0 };
	srandom(7);
	for (unsigned i = 0; i < 57 * 300; i++)
		buffer_add_byte(&octets, (uint8_t)random());
	buffer_add_cstr(&message, before);
	base64_encode_lines(buffer_slice(&octets), 76, &message);
	buffer_add_cstr(&message, after);
	create(session, "around");
	append(session, "around", buffer_slice(&message));
	reopen(session, "around");
	expect(session, "f SEARCH BODY \"the first\" TEXT \"the last\" NOT TEXT \"the second\"",
	       "* SEARCH 1\r\nf OK SEARCH completed\r\n");
	buffer_add_format(&want,
			  "* 1 FETCH (BODY[1] {9}\r\nthe first BODY[2]<100> {50}\r\n%.50s"
			  " BODY[3] {8}\r\nthe last BODY[]<4> {8}\r\nent-Type)\r\n"
			  "f OK FETCH completed\r\n",
			  message.data + sizeof(before) - 1 + 100);
	buffer_add_byte(&want, 0);
	expect(session,
	       "f FETCH 1 (BODY.PEEK[1] BODY.PEEK[2]<100.50> BODY.PEEK[3] BODY.PEEK[]<4.8>)",
	       (const char *)want.data);
	buffer_free(&octets);
	buffer_free(&message);
	buffer_free(&want);
	core_sign_out(&world, session);
}

enum { FEW = 30, MANY = FEW * 128 };

/* Copied and copied again: one commit for each command. */
static void fill(struct session *session)
{
	create(session, "many");
	for (unsigned i = 0; i < FEW; i++) {
		char text[100];
		int len = snprintf(text, sizeof(text), "Subject: number %u%s\r\n\r\nx\r\n", i + 1,
				   i % 3 ? "" : " third");
		append(session, "many", slice_of(text, (size_t)len));
	}
	reopen(session, "many");
	for (unsigned count = FEW; count < MANY; count *= 2)
		expect_end(session, "c COPY 1:* many", "COPY completed\r\n");
	reopen(session, "many");
}

/* Checks "* SEQ FETCH (UID UID FLAGS ())" for each UID of the set; returns how many. */
static unsigned check_lines(struct slice said, const struct ranges *all, unsigned step)
{
	struct cursor c = cursor_of(said);
	struct slice line;
	unsigned count = 0;
	while (take_crlf_line(&c, &line)) {
		struct cursor l = cursor_of(line);
		uint64_t seqnum, uid;
		if (!take_word_nocase(&l, SLICE("* ")))
			break;
		assert_true(take_number(&l, UINT32_MAX, &seqnum));
		assert_true(take_word_nocase(&l, SLICE(" FETCH (UID ")));
		assert_true(take_number(&l, UINT32_MAX, &uid));
		assert_true(take_word_nocase(&l, SLICE(" FLAGS (")));
		assert_int_equal(ranges_rank(all, (uint32_t)uid), seqnum);
		assert_int_equal((uid - 1) % step, 0);
		count++;
	}
	return count;
}

static void many_messages_come_in_slices(void **state)
{
	struct session *session = signed_in();
	struct buffer said = { 0 }, line = { 0 };
	struct ranges all = { 0 };

	fill(session);
	ranges_add(&all, 1, MANY);
	run_in_turns(session, "f FETCH 1:* (UID FLAGS)", &said);
	assert_true(most_waiting <= OUT_MAX_OCTETS);
	assert_int_equal(check_lines(buffer_slice(&said), &all, 1), MANY);

	/* Every seventh, with gaps too wide to walk between some. */
	buffer_add_cstr(&line, "f UID FETCH 1");
	unsigned count = 1;
	for (unsigned uid = 8; uid <= MANY; uid += uid % 2 ? 7 : 147, count++)
		buffer_add_format(&line, ",%u", uid);
	buffer_add_cstr(&line, " (FLAGS)");
	buffer_add_byte(&line, 0);
	run_in_turns(session, (const char *)line.data, &said);
	assert_int_equal(check_lines(buffer_slice(&said), &all, 7), count);

	/* A search whose answer is long, and one that takes the worker. */
	run_in_turns(session, "f SEARCH ALL", &said);
	assert_true(slice_starts_nocase(buffer_slice(&said), SLICE("* SEARCH 1 2 3 4 ")));
	assert_true(slice_find(buffer_slice(&said), 0, SLICE(" 3839 3840\r\nf OK")) < said.len);
	expect(session, "f UID SEARCH RETURN (COUNT MIN MAX) SUBJECT THIRD",
	       "* ESEARCH (TAG \"f\") UID MIN 1 MAX 3838 COUNT 1280\r\nf OK SEARCH completed\r\n");
	expect(session, "f SEARCH RETURN (COUNT) BODY x NOT SUBJECT third",
	       "* ESEARCH (TAG \"f\") COUNT 2560\r\nf OK SEARCH completed\r\n");
	expect(session, "f SEARCH 3700:* SUBJECT \"number 20\"",
	       "* SEARCH 3710 3740 3770 3800 3830\r\nf OK SEARCH completed\r\n");

	/* \Seen goes over several batches; it is told with the data, once. */
	run_in_turns(session, "f UID FETCH 1:* BODY[TEXT]", &said);
	count = 0;
	for (size_t at = 0; (at = slice_find(buffer_slice(&said), at, SLICE("\\Seen"))) < said.len;
	     at++)
		count++;
	assert_int_equal(count, MANY);
	expect(session, "n NOOP", "n OK Completed\r\n");
	expect(session, "f SEARCH UNSEEN", "* SEARCH\r\nf OK SEARCH completed\r\n");

	ranges_free(&all);
	buffer_free(&line);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* The client leaves while the worker looks: the session ends when the work has come home. */
static void a_search_is_left(void **state)
{
	struct session *session = signed_in();
	struct cursor in = cursor_of(SLICE("s SELECT many\r\nf SEARCH TEXT nothing-like-it\r\n"));
	struct buffer said = { 0 };
	while (session_drive(session, &in) == STEP_WAIT && !session->job_out)
		core_drain(session, &said);
	assert_true(session->job_out);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* Feeds `line`, and lets ten seconds pass each time that the session waits for its work. */
static void drive_slowly(struct session *session, const char *line, struct buffer *said)
{
	int64_t now_ms = 1000 * 1000;
	struct cursor in = cursor_of(slice_cstr(line));
	clock_set_fake_unix_ms(now_ms);
	while (session_drive(session, &in) != STEP_INPUT) {
		core_drain(session, said);
		clock_set_fake_unix_ms(now_ms += 10 * 1000);
		if (session->job_out)
			loop_run_once(world.loop, 1000);
	}
	core_drain(session, said);
	clock_set_fake_unix_ms(-1);
}

static void a_long_search_tells_how_far_it_is(void **state)
{
	struct session *session = signed_in();
	struct buffer message = { 0 }, said = { 0 };
	make_message(&message, 100 * 1000, 5);
	memcpy(memmem(message.data, message.len, "application/octet-stream", 24),
	       "text/plain; charset=\"us\"", 24);
	create(session, "long");
	for (unsigned i = 0; i < 200; i++)
		append(session, "long", buffer_slice(&message));
	reopen(session, "long");
	drive_slowly(session, "tag SEARCH TEXT nowhere-at-all\r\n", &said);
	size_t at = slice_find(buffer_slice(&said), 0, SLICE("* OK [INPROGRESS (\"tag\" "));
	assert_true(at < said.len);
	assert_true(slice_find(buffer_slice(&said), at, SLICE(" 200)] ")) < said.len);
	assert_true(slice_find(buffer_slice(&said), at, SLICE("* SEARCH\r\ntag OK ")) < said.len);
	buffer_clear(&said);
	/* A tag that would end the response code is not named; of several mailboxes no goal is. */
	drive_slowly(session, "t]g SEARCH TEXT nowhere-at-all\r\n", &said);
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("* OK [INPROGRESS (NIL ")) < said.len);
	buffer_clear(&said);
	drive_slowly(session, "e ESEARCH IN (personal) TEXT nowhere-at-all\r\n", &said);
	assert_true(slice_find(buffer_slice(&said), 0,
			       SLICE("* OK [INPROGRESS (\"e\" NIL NIL)] ")) < said.len);
	buffer_free(&said);
	buffer_free(&message);
	core_sign_out(&world, session);
}

static void expunged_while_it_is_read(void **state)
{
	struct session *reader = signed_in(), *other = signed_in();
	struct buffer message = { 0 }, said = { 0 };
	make_message(&message, 1000 * 1000, 2);
	create(other, "shared");
	append(other, "shared", buffer_slice(&message));
	append(other, "shared", buffer_slice(&message));
	reopen(other, "shared");
	reopen(reader, "shared");

	struct cursor in = cursor_of(SLICE("f FETCH 1:2 BODY.PEEK[]\r\n"));
	assert_int_equal(session_drive(reader, &in), STEP_WAIT);
	expect_end(other, "t STORE 1:2 +FLAGS.SILENT (\\Deleted)", "t OK STORE completed\r\n");
	expect_end(other, "t EXPUNGE", "t OK EXPUNGE completed\r\n");
	for (unsigned i = 0; i < 20; i++)
		loop_run_once(world.loop, 1);

	/* What was begun is finished, or the connection ends; never a literal cut short. */
	core_drain(reader, &said);
	struct buffer rest = { 0 };
	bool is_open = core_feed(&world, reader, SLICE_NONE, &rest);
	buffer_add(&said, buffer_slice(&rest));
	if (is_open) {
		size_t at = slice_find(buffer_slice(&said), 0, SLICE("\r\n")) + 2;
		assert_memory_equal(said.data + at, message.data, message.len);
		assert_true(slice_find(buffer_slice(&said), at + message.len,
				       SLICE("f NO [EXPUNGEISSUED]")) < said.len);
	}
	buffer_free(&rest);
	buffer_free(&message);
	buffer_free(&said);
	core_sign_out(&world, reader);
	core_sign_out(&world, other);
}

static void damage_is_never_served(void **state)
{
	struct session *session = signed_in();
	struct buffer small = { 0 }, large = { 0 }, said = { 0 };
	static uint8_t more[200000];

	/* Random octets are stored as they are, and so can be found in the file. */
	srandom(3);
	for (size_t i = 0; i < sizeof(more); i++)
		more[i] = (uint8_t)random();
	for (size_t i = 0; i < sizeof(more); i++)
		more[i] = more[i] == '\r' || more[i] == '\n' ? 'x' : more[i];
	buffer_add_cstr(&small, "Subject: damaged\r\n\r\n");
	buffer_add(&small, slice_of(more, 40000));
	buffer_add_cstr(&large, "Subject: damaged later\r\n\r\n");
	buffer_add(&large, slice_of(more + 50000, 150000));
	create(session, "damaged");
	append(session, "damaged", buffer_slice(&small));
	append(session, "damaged", buffer_slice(&large));
	append(session, "damaged", SLICE("Subject: whole\r\n\r\nx\r\n"));
	reopen(session, "damaged");
	damage(slice_of(more + 20000, 16));
	damage(slice_of(more + 190000, 16));

	expect(session, "f FETCH 1 (UID BODY.PEEK[])",
	       "* 1 FETCH (UID 1)\r\nf NO [CORRUPTION] Stored data is damaged\r\n");
	expect(session, "f FETCH 1,3 BODY.PEEK[TEXT]",
	       "* 1 FETCH (UID 1)\r\n* 3 FETCH (BODY[TEXT] {3}\r\nx\r\n)\r\n"
	       "f NO [CORRUPTION] Stored data is damaged\r\n");
	expect(session, "f FETCH 1 (BINARY.SIZE[1] ENVELOPE BODY.PEEK[HEADER.FIELDS (To)])",
	       "* 1 FETCH (ENVELOPE (NIL \"damaged\" NIL NIL NIL NIL NIL NIL NIL NIL))\r\n"
	       "f NO [CORRUPTION] Stored data is damaged\r\n");
	expect(session, "f SEARCH NOT BODY nowhere-at-all",
	       "* SEARCH 3\r\nf OK SEARCH completed\r\n");

	/* In the middle of a literal only the end of the connection is honest. */
	assert_false(core_feed(&world, session, SLICE("f FETCH 2 BODY.PEEK[]\r\n"), &said));
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("f OK")) == said.len);
	assert_true(said.len < large.len);
	buffer_free(&small);
	buffer_free(&large);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* Where the change log has been cut off, what has changed is found as FETCH finds all else. */
static void changes_before_the_log_come_in_slices(void **state)
{
	enum { DOUBLINGS = 14, LOGGED = 2200 };
	struct buffer said = { 0 };
	struct session *session = signed_in();
	expect_end(session, "a CREATE logged", "CREATE completed\r\n");
	append(session, "logged", SLICE("Subject: one\r\n\r\nbody\r\n"));
	expect_end(session, "b SELECT logged (CONDSTORE)", "SELECT completed\r\n");
	for (unsigned i = 0; i < DOUBLINGS; i++)
		expect_end(session, "c UID COPY 1:* logged", "COPY completed\r\n");
	for (unsigned i = 0; i < LOGGED; i++)
		expect_end(session,
			   i % 2 == 0 ? "d UID STORE 2 +FLAGS.SILENT (\\Flagged)"
				      : "d UID STORE 2 -FLAGS.SILENT (\\Flagged)",
			   "d OK STORE completed\r\n");
	assert_true(run_in_turns(session, "e UID FETCH 3:* (UID) (CHANGEDSINCE 1000)", &said) >= 2);
	assert_slice(buffer_slice(&said), "e OK FETCH completed\r\n");
	run_in_turns(session, "f UID FETCH 1:9 (UID) (CHANGEDSINCE 1000)", &said);
	assert_int_equal(slice_find(buffer_slice(&said), 0, SLICE("* 2 FETCH (UID 2 MODSEQ (")), 0);
	assert_int_equal(slice_find(slice_sub(buffer_slice(&said), 2, said.len), 0, SLICE("* ")),
			 said.len - 2);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* What a client sends at once does not keep others from theirs; nothing of it is lost. */
static void many_commands_take_turns(void **state)
{
	enum { COMMANDS = 1000 };
	struct buffer line = { 0 }, said = { 0 };
	struct session *session = signed_in();
	for (unsigned i = 0; i < COMMANDS; i++)
		buffer_add_format(&line, "%sx NOOP", i == 0 ? "" : "\r\n");
	buffer_add_byte(&line, '\0');
	assert_true(run_in_turns(session, (const char *)line.data, &said) >= COMMANDS / 100);
	assert_int_equal(said.len, COMMANDS * strlen("x OK Completed\r\n"));
	buffer_free(&line);
	buffer_free(&said);
	core_sign_out(&world, session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_body_passes_through),
		cmocka_unit_test(texts_around_an_attachment),
		cmocka_unit_test(many_messages_come_in_slices),
		cmocka_unit_test(a_search_is_left),
		cmocka_unit_test(a_long_search_tells_how_far_it_is),
		cmocka_unit_test(expunged_while_it_is_read),
		cmocka_unit_test(damage_is_never_served),
		cmocka_unit_test(changes_before_the_log_come_in_slices),
		cmocka_unit_test(many_commands_take_turns),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
