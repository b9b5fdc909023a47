/* tests/unit/imapd/fetch_ahead.c - long FETCHes: a worker makes the next slice while the last one is
 * sent. */
#include "tests/unit/imapd/mixed.h"

/* `in` is a long FETCH, of which a worker has begun a slice, and stays there until may_go. */
static void begin_held(struct session *session, struct cursor *in, struct buffer *said)
{
	atomic_store(&holds_next, true);
	while (!session->job_out) {
		assert_int_equal(session_drive(session, in), STEP_WAIT);
		core_drain(session, said);
	}
	sem_wait(&is_held);
}

static void the_answer_is_the_same_octet_for_octet(void **state)
{
	static const char *const lines[] = {
		ALL,
		"f UID FETCH 1:* (BINARY.PEEK[1] BINARY.SIZE[1] INTERNALDATE)",
		"f FETCH 1:* (BODY.PEEK[TEXT]<100.70000> BODY.PEEK[HEADER.FIELDS (Subject)])",
		"f FETCH 2,3,5:40 (BODY.PEEK[1] ENVELOPE BODYSTRUCTURE PREVIEW THREADID)",
	};
	struct session *session = reader_of("mixed");
	struct buffer want = { 0 }, said = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		run_on_loop(session, lines[i], &want);
		unsigned before = atomic_load(&slices_of_workers);
		run_in_turns(session, lines[i], &said);
		assert_true(atomic_load(&slices_of_workers) > before + 1);
		assert_true(most_waiting > LOOP_MAX_OCTETS && most_waiting <= AHEAD_MAX_OCTETS);
		assert_same(&said, &want);
	}
	/* NUL stands in no literal; BINARY, which has a literal8 for it, shows that there are some. */
	assert_null(memchr(want_all.data, '\0', want_all.len));
	run_in_turns(session, lines[1], &said);
	assert_non_null(memchr(said.data, '\0', said.len));
	buffer_free(&want);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* No way to a worker and back for what fits a slice. */
static void a_short_one_stays_on_the_loop(void **state)
{
	struct session *session = reader_of("mixed");
	unsigned before = atomic_load(&slices_of_workers);
	run(session, "f FETCH 2 (FLAGS BODY.PEEK[])", "f OK");
	run(session, "f FETCH 1:* (FLAGS ENVELOPE)", "f OK");
	run(session, "f FETCH 3 BODY.PEEK[]<0.60000>", "f OK");
	assert_int_equal(atomic_load(&slices_of_workers), before);
	core_sign_out(&world, session);
}

static void what_comes_behind_it_waits(void **state)
{
	struct session *session = reader_of("mixed");
	struct buffer said = { 0 }, want = { 0 };
	buffer_add(&want, buffer_slice(&want_all));
	buffer_add_cstr(&want, "n OK Completed\r\n");
	buffer_add(&want, buffer_slice(&want_all));
	assert_true(core_feed(&world, session, SLICE(ALL "\r\nn NOOP\r\n" ALL "\r\n"), &said));
	assert_same(&said, &want);
	buffer_free(&said);
	buffer_free(&want);
	core_sign_out(&world, session);
}

/* \Seen is set a batch at a time, on the loop, and told once, with the data. */
static void flags_are_told_once(void **state)
{
	enum { COPIES = 4, FLAGGED = MESSAGES << COPIES };
	struct session *session = reader_of("mixed");
	struct buffer said = { 0 };
	unsigned count = 0;
	create(session, "seen");
	run(session, "c COPY 1:* seen", "c OK");
	reopen(session, "seen");
	for (unsigned i = 0; i < COPIES; i++)
		run(session, "c COPY 1:* seen", "c OK");
	reopen(session, "seen");
	assert_true(FLAGGED > 500);
	run_in_turns(session, "f UID FETCH 1:* BODY[]<0.5000>", &said);
	for (size_t at = 0;
	     (at = slice_find(buffer_slice(&said), at, SLICE(" FLAGS (\\Seen"))) < said.len; at++)
		count++;
	assert_int_equal(count, FLAGGED);
	expect(session, "n NOOP", "n OK Completed\r\n");
	expect(session, "f SEARCH UNSEEN", "* SEARCH\r\nf OK SEARCH completed\r\n");
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* How many FETCH responses there are; numbers and UIDs are the same. */
static unsigned count_fetched(const struct buffer *said)
{
	unsigned count = 0;
	struct slice all = buffer_slice(said);
	for (size_t at = 0; (at = slice_find(all, at, SLICE(" FETCH (UID "))) < all.len; at++) {
		size_t start = at;
		while (said->data[start - 1] != ' ')
			start--;
		size_t uid = at + strlen(" FETCH (UID ");
		assert_memory_equal(said->data + start, said->data + uid, at - start);
		count++;
	}
	return count;
}

static void others_expunge_meanwhile(void **state)
{
	struct session *reader = signed_in(), *other = signed_in();
	struct buffer message = { 0 }, said = { 0 }, rest = { 0 };
	make_message(&message, 100 * 1000, 1);
	create(other, "shared");
	for (unsigned i = 0; i < 8; i++)
		append(other, "shared", buffer_slice(&message));
	reopen(other, "shared");
	reopen(reader, "shared");
	run(reader, "y NOTIFY SET (selected (MessageNew (UID) MessageExpunge FlagChange))", "y OK");

	struct cursor in = cursor_of(SLICE("f FETCH 1:8 (UID BODY.PEEK[])\r\n"));
	begin_held(reader, &in, &said);
	run(other, "t STORE 4:6 +FLAGS.SILENT (\\Deleted)", "t OK");
	run(other, "t EXPUNGE", "t OK");
	append(other, "shared", SLICE("Subject: new\r\n\r\nx\r\n"));
	for (unsigned i = 0; i < 20; i++)
		loop_run_once(world.loop, 1); /* the news reach the session */
	assert_true(reader->job_out);
	assert_int_equal(reader->out.len, 0);
	sem_post(&may_go);

	assert_true(core_feed(&world, reader, SLICE_NONE, &rest));
	buffer_add(&said, buffer_slice(&rest));
	size_t end = slice_find(buffer_slice(&said), 0, SLICE("f NO [EXPUNGEISSUED]"));
	assert_true(end < said.len);
	assert_int_equal(
		slice_find(slice_sub(buffer_slice(&said), 0, end), 0, SLICE("EXPUNGE\r\n")), end);
	struct buffer answers = { .data = said.data, .len = end };
	unsigned new_one =
		slice_find(buffer_slice(&answers), 0, SLICE(" FETCH (UID 9")) < answers.len;
	assert_int_equal(count_fetched(&answers), 5 + new_one);
	/* Each of them whole. */
	for (size_t at = 0; (at = slice_find(buffer_slice(&answers), at, SLICE("}\r\n"))) < end;) {
		at += 3;
		assert_memory_equal(said.data + at, message.data, message.len);
		at += message.len;
	}
	buffer_clear(&rest);
	run_in_turns(reader, "n NOOP", &rest);
	buffer_add(&said, buffer_slice(&rest));
	assert_true(slice_find(buffer_slice(&said), end, SLICE("* 4 EXPUNGE\r\n")) < said.len);
	assert_true(slice_find(buffer_slice(&said), end, SLICE("* 6 EXPUNGE\r\n")) < said.len);
	buffer_free(&said);
	buffer_free(&rest);
	buffer_free(&message);
	core_sign_out(&world, reader);
	core_sign_out(&world, other);
}

/* Clients that do not read have only so much filled for them, all together. */
static void only_so_many_are_made_ahead(void **state)
{
	struct session *idle[FETCHES_AHEAD_MAX], *session = reader_of("mixed");
	struct cursor in[FETCHES_AHEAD_MAX];
	struct buffer said = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(idle); i++) {
		idle[i] = reader_of("mixed");
		in[i] = cursor_of(SLICE(ALL "\r\n"));
		while (!idle[i]->job_out)
			assert_int_equal(session_drive(idle[i], &in[i]), STEP_WAIT);
		while (idle[i]->job_out)
			loop_run_once(world.loop, 1000);
	}
	unsigned before = atomic_load(&slices_of_workers);
	run_in_turns(session, ALL, &said);
	assert_same(&said, &want_all);
	assert_int_equal(atomic_load(&slices_of_workers), before);
	/* Whoever goes makes room for another. */
	core_sign_out(&world, idle[0]);
	run_in_turns(session, ALL, &said);
	assert_same(&said, &want_all);
	assert_true(atomic_load(&slices_of_workers) > before);
	for (size_t i = 1; i < ARRAY_LEN(idle); i++)
		core_sign_out(&world, idle[i]);
	core_sign_out(&world, session);
	buffer_free(&said);
}

static void a_session_ends_when_its_slice_has_come_home(void **state)
{
	struct session *session = reader_of("mixed");
	struct buffer said = { 0 };
	struct cursor in = cursor_of(SLICE(ALL "\r\n"));
	begin_held(session, &in, &said);
	assert_int_equal(session_drive(session, &in), STEP_WAIT);
	sem_post(&may_go);
	core_sign_out(&world, session);
	buffer_free(&said);
}

/* What the server has to say does not come into the middle of a response. */
static void a_stop_waits_for_the_slice(void **state)
{
	struct session *session = reader_of("mixed");
	struct buffer said = { 0 };
	struct cursor in = cursor_of(SLICE(ALL "\r\n"));
	begin_held(session, &in, &said);
	session_wake_news(session, NEWS_SHUTDOWN);
	assert_int_equal(session->out.len, 0);
	sem_post(&may_go);
	assert_false(core_feed(&world, session, SLICE_NONE, &said));
	assert_true(said.len < want_all.len);
	assert_memory_equal(said.data, want_all.data, said.len);
	buffer_free(&said);
	core_sign_out(&world, session);
}

static void damage_is_found_by_the_worker(void **state)
{
	struct session *session = signed_in();
	struct buffer noise = { 0 }, message = { 0 }, said = { 0 };
	add_noise(&noise, 700 * 1000, 5);
	create(session, "damaged");
	static const struct {
		size_t from, octets;
	} parts[] = { { 0, 200 * 1000 }, { 200 * 1000, 40 * 1000 }, { 300 * 1000, 200 * 1000 } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		buffer_clear(&message);
		buffer_add_cstr(&message, "Subject: noise\r\n\r\n");
		buffer_add(&message,
			   slice_sub(buffer_slice(&noise), parts[i].from, parts[i].octets));
		append(session, "damaged", buffer_slice(&message));
	}
	reopen(session, "damaged");
	damage(slice_sub(buffer_slice(&noise), 220 * 1000, 16));
	damage(slice_sub(buffer_slice(&noise), 490 * 1000, 16));

	unsigned before = atomic_load(&slices_of_workers);
	run_in_turns(session, "f FETCH 1:2 (UID BODY.PEEK[])", &said);
	assert_true(atomic_load(&slices_of_workers) > before);
	static const char end[] = ")\r\n* 2 FETCH (UID 2)\r\nf NO [CORRUPTION] Stored data is "
				  "damaged\r\n";
	assert_slice(slice_sub(buffer_slice(&said), said.len - strlen(end), said.len), end);

	/* In the middle of a literal only the end of the connection is honest. */
	buffer_clear(&said);
	before = atomic_load(&slices_of_workers);
	assert_false(core_feed(&world, session, SLICE("f FETCH 1:3 (UID BODY.PEEK[])\r\n"), &said));
	assert_true(atomic_load(&slices_of_workers) > before);
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("* 3 FETCH (UID 3 BODY[] {")) <
		    said.len);
	assert_int_equal(slice_find(buffer_slice(&said), 0, SLICE("\r\nf ")), said.len);
	buffer_free(&noise);
	buffer_free(&message);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* ---- several at a time ---- */

struct talk {
	struct session *session;
	struct cursor in;
	struct buffer said;
	bool is_over;
};

static void talk_on(struct talk *talk)
{
	if (talk->is_over || talk->session->job_out)
		return;
	talk->is_over = session_drive(talk->session, &talk->in) == STEP_INPUT;
	core_drain(talk->session, &talk->said);
}

static void several_go_on_side_by_side(void **state)
{
	struct talk talks[] = {
		{ .in = cursor_of(SLICE(ALL "\r\n")) },
		{ .in = cursor_of(SLICE("g SEARCH TEXT nothing-like-it\r\n")) },
		{ .in = cursor_of(SLICE(ALL "\r\n")) },
		{ .in = cursor_of(SLICE(ALL "\r\n")) },
	};
	for (size_t i = 0; i < ARRAY_LEN(talks); i++)
		talks[i].session = reader_of("mixed");
	for (bool more = true; more;) {
		unsigned out = 0, open = 0;
		for (size_t i = 0; i < ARRAY_LEN(talks); i++) {
			talk_on(&talks[i]);
			out += talks[i].session->job_out;
			open += !talks[i].is_over;
		}
		more = open > 0;
		loop_run_once(world.loop, more && out == open ? 1000 : 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(talks); i++) {
		if (i == 1)
			assert_slice(buffer_slice(&talks[i].said),
				     "* SEARCH\r\ng OK SEARCH completed\r\n");
		else
			assert_same(&talks[i].said, &want_all);
		buffer_free(&talks[i].said);
		core_sign_out(&world, talks[i].session);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_answer_is_the_same_octet_for_octet),
		cmocka_unit_test(a_short_one_stays_on_the_loop),
		cmocka_unit_test(what_comes_behind_it_waits),
		cmocka_unit_test(flags_are_told_once),
		cmocka_unit_test(others_expunge_meanwhile),
		cmocka_unit_test(only_so_many_are_made_ahead),
		cmocka_unit_test(a_session_ends_when_its_slice_has_come_home),
		cmocka_unit_test(a_stop_waits_for_the_slice),
		cmocka_unit_test(damage_is_found_by_the_worker),
		cmocka_unit_test(several_go_on_side_by_side),
	};
	pool_set_threads(WORKERS);
	return cmocka_run_group_tests(tests, mixed_setup, mixed_teardown);
}
