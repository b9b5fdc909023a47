/* tests/unit/imapd/qresync.c - a client that was away for longer than the change log reaches back
 * hears what has changed, in turns. RFC 7162 section 3.2.5. */
#include "tests/unit/imapd/many.h"

enum { CHANGES = 2100 /* more than the log keeps */ };

static uint64_t number_behind(const struct buffer *said, const char *word)
{
	uint64_t number;
	size_t at = slice_find(buffer_slice(said), 0, slice_cstr(word));
	assert_true(at < said->len);
	struct cursor c = cursor_of(slice_sub(buffer_slice(said), at + strlen(word), said->len));
	assert_true(take_number(&c, UINT64_MAX, &number));
	return number;
}

static void who_was_away_for_long(void **state)
{
	struct buffer said = { 0 };
	char line[200];
	run(session, "u UNSELECT", "u OK");
	run(session, "e ENABLE QRESYNC", "e OK");
	run_in_turns(session, "s SELECT many", &said);
	uint64_t uidvalidity = number_behind(&said, "[UIDVALIDITY ");
	uint64_t modseq = number_behind(&said, "[HIGHESTMODSEQ ");
	run(session, "f STORE 3,40000 +FLAGS.SILENT (\\Flagged)", "f OK");
	snprintf(line, sizeof(line), "s SELECT many (QRESYNC (%llu %llu))",
		 (unsigned long long)uidvalidity, (unsigned long long)modseq);
	/* The log knows. */
	assert_int_equal(run_timeless(session, line, "* 40000 FETCH (UID 40000 FLAGS (\\Flagged)"),
			 1);
	for (unsigned i = 0; i < CHANGES; i++)
		run(session,
		    i % 2 ? "f STORE 9 -FLAGS.SILENT (\\Seen)" : "f STORE 9 +FLAGS.SILENT (\\Seen)",
		    "f OK");
	run(session, "x UID STORE 11 +FLAGS.SILENT (\\Deleted)", "x OK");
	run(session, "x UID EXPUNGE 11", "x OK");
	assert_true(run_in_turns(session, line, &said) >= 3);
	struct slice all = buffer_slice(&said);
	static const char *const wanted[] = {
		"* VANISHED (EARLIER) 11\r\n",
		"* 3 FETCH (UID 3 FLAGS (\\Flagged)",
		"* 9 FETCH (UID 9 FLAGS ()",
		"* 39999 FETCH (UID 40000 FLAGS (\\Flagged)",
		"s OK [READ-WRITE] SELECT completed\r\n",
	};
	size_t at = 0;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		at = slice_find(all, at, slice_cstr(wanted[i]));
		if (at == all.len)
			fail_msg("%s: %.*s", wanted[i], SLICE_ARG(all));
	}
	/* And nothing else. */
	size_t fetches = 0;
	for (at = 0; (at = slice_find(all, at, SLICE(" FETCH ("))) < all.len; at++)
		fetches++;
	assert_int_equal(fetches, 3);
	/* Of the numbers that it names alone. */
	snprintf(line, sizeof(line), "s SELECT many (QRESYNC (%llu %llu 1:8,20:30))",
		 (unsigned long long)uidvalidity, (unsigned long long)modseq);
	run_in_turns(session, line, &said);
	all = buffer_slice(&said);
	assert_true(slice_find(all, 0, SLICE("* 3 FETCH (UID 3 ")) < all.len);
	assert_int_equal(slice_find(all, 0, SLICE("* 9 FETCH")), all.len);
	assert_int_equal(slice_find(all, 0, SLICE("VANISHED")), all.len);
	buffer_free(&said);
}

/* The client leaves in the middle of it. */
static void who_leaves_again(void **state)
{
	struct session *other = signed_in();
	struct buffer said = { 0 };
	char line[200];
	run(other, "e ENABLE QRESYNC", "e OK");
	run_in_turns(session, "s EXAMINE many", &said);
	snprintf(line, sizeof(line), "s SELECT many (QRESYNC (%llu 2))\r\n",
		 (unsigned long long)number_behind(&said, "[UIDVALIDITY "));
	struct cursor in = cursor_of(slice_cstr(line));
	enum step step = STEP_AGAIN;
	while (step != STEP_WAIT || other->job_out) {
		if (other->job_out)
			loop_run_once(world.loop, 1000);
		step = session_drive(other, &in);
		assert_int_not_equal(step, STEP_INPUT);
	}
	core_sign_out(&world, other);
	buffer_free(&said);
}

/* What a session is told of its mailbox that changed more often than the log can tell. */
static void expect_told(struct slice all)
{
	static const char *const wanted[] = {
		"* VANISHED 13\r\n",
		" EXISTS\r\n",
		"(UID 5 FLAGS (\\Answered)",
		"(UID 9 FLAGS (",
		"(UID 30000 FLAGS (\\Answered)",
	};
	size_t at = 0, fetches = 0;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		at = slice_find(all, at, slice_cstr(wanted[i]));
		if (at == all.len)
			fail_msg("%s: %.*s", wanted[i], SLICE_ARG(all));
	}
	for (at = 0; (at = slice_find(all, at, SLICE(" FETCH ("))) < all.len; at++)
		fetches++;
	assert_int_equal(fetches, 3);
}

static void who_was_selected_for_long(void **state)
{
	struct session *other = signed_in(), *idle = signed_in();
	struct buffer said = { 0 };
	run(idle, "e ENABLE QRESYNC", "e OK");
	run(idle, "s SELECT many", "s OK");
	run(session, "s SELECT many", "s OK");
	run(other, "s SELECT many", "s OK");
	run(other, "f UID STORE 5,30000 +FLAGS.SILENT (\\Answered)", "f OK");
	run_by_turns(other, CHANGES, "f UID STORE 9 +FLAGS.SILENT (\\Seen)",
		     "f UID STORE 9 -FLAGS.SILENT (\\Seen)");
	run(other, "x UID STORE 13 +FLAGS.SILENT (\\Deleted)", "x OK");
	run(other, "x UID EXPUNGE 13", "x OK");
	run(other, "a APPEND many {16+}\r\nSubject: xx\r\n\r\nx", "a OK");

	assert_true(run_in_turns(session, "n NOOP", &said) >= 3);
	expect_told(buffer_slice(&said));
	/* And that was all. */
	run_in_turns(session, "n NOOP", &said);
	assert_slice(buffer_slice(&said), "n OK Completed\r\n");
	assert_true(run_in_turns(idle, "i IDLE", &said) >= 3);
	expect_told(buffer_slice(&said));
	/* What happens next the log tells. */
	run(other, "f UID STORE 6 +FLAGS.SILENT (\\Flagged)", "f OK");
	assert_int_equal(run_timeless(session, "n NOOP", "(UID 6 FLAGS (\\Flagged)"), 1);
	buffer_free(&said);
	core_sign_out(&world, other);
	core_sign_out(&world, idle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_was_away_for_long),
		cmocka_unit_test(who_leaves_again),
		cmocka_unit_test(who_was_selected_for_long),
	};
	return cmocka_run_group_tests(tests, many_setup, many_teardown);
}
