/* tests/unit/imapd/search_mailboxes.c - ESEARCH over more mailboxes than are found in a turn, one's own and
 * others', which come and go meanwhile; a client that leaves, and a store that fails, in the middle. RFC 7377 */
#include "tests/unit/imapd/sharing.h"

#include "imapd/search_mailboxes_priv.h"
#include "tests/unit/failing_reads.h"

#define REFUSED "f NO [UNAVAILABLE] The store cannot do that now; try again later\r\n"
#define EVERYWHERE "IN (subtree (own \"Other Users\")) "

/* The turns in which it has been looked which mailboxes there are; each takes as long as a session's turn, if
 * the clock is the test's. */
static unsigned turns;

/* The linker puts it in the place of the one in search_mailboxes.c. */
enum err __real_search_mailboxes_find_on(struct search_mailboxes *m, struct read *read);
enum err __wrap_search_mailboxes_find_on(struct search_mailboxes *m, struct read *read);
enum err __wrap_search_mailboxes_find_on(struct search_mailboxes *m, struct read *read)
{
	turns++;
	if (now_ms >= 0)
		clock_set_fake_unix_ms(now_ms += 2);
	return __real_search_mailboxes_find_on(m, read);
}

/* ---- whichever read fails: all is told, or that it is not ---- */

static bool take(struct slice *said, struct slice text)
{
	if (!slice_eq(slice_sub(*said, 0, text.len), text))
		return false;
	*said = slice_sub(*said, text.len, said->len);
	return true;
}

/* Of `want`, line by line, and at its end REFUSED where there is not all. */
static bool is_refused(struct slice said, struct slice want)
{
	while (want.len > 0) {
		struct slice line = slice_sub(want, 0, slice_find_byte(want, 0, '\n') + 1);
		if (!take(&said, line))
			break;
		want = slice_sub(want, line.len, want.len);
	}
	if (want.len > 0 && !take(&said, SLICE(REFUSED)))
		fail_msg("%.*s", SLICE_ARG(said));
	assert_int_equal(said.len, 0);
	return want.len > 0;
}

static void all_is_told_or_not_said_to_be(void **state)
{
	int *const left[] = { &reads_left, &steps_left, &gets_left };
	struct session *session = signed_in();
	struct buffer want = { 0 }, said = { 0 };
	run_in_turns(session, "f ESEARCH " EVERYWHERE "ALL", &want);
	assert_true(slice_find(buffer_slice(&want), 0, SLICE(" MAILBOX own/few-0001 ")) < want.len);
	assert_true(slice_find(buffer_slice(&want), 0, SLICE("/few-0000\" ")) < want.len);
	for (size_t way = 0; way < 2 * ARRAY_LEN(left); way++) {
		unsigned refused = 0;
		fails_for_good = way >= ARRAY_LEN(left);
		failed_reads = 1;
		for (int at = 0; failed_reads > 0; at++) {
			failed_reads = 0;
			*left[way % ARRAY_LEN(left)] = at;
			run_in_turns(session, "f ESEARCH " EVERYWHERE "ALL", &said);
			*left[way % ARRAY_LEN(left)] = NEVER;
			refused += is_refused(buffer_slice(&said), buffer_slice(&want));
		}
		assert_true(refused > 4);
	}
	fails_for_good = false;
	buffer_free(&want);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* RFC 9051 section 6.4.4.1 */
static void what_is_refused_empties_the_saved_result(void **state)
{
	struct session *session = signed_in_and_said("s SELECT own/few-0001\r\n");
	struct buffer said = { 0 };
	unsigned refused = 0;
	failed_reads = 1;
	for (int at = 0; failed_reads > 0; at++) {
		expect(session, "a SEARCH RETURN (SAVE) ALL\r\n",
		       "a OK Completed, result saved\r\n");
		failed_reads = 0;
		reads_left = at;
		run_in_turns(session, "f ESEARCH IN (selected) RETURN (SAVE ALL) ALL", &said);
		reads_left = NEVER;
		bool is_saved = slice_find(buffer_slice(&said), 0, SLICE("f OK")) < said.len;
		expect(session, "c UID FETCH $ (UID)\r\n",
		       is_saved ? "* 1 FETCH (UID 1)\r\nc OK FETCH completed\r\n"
				: "c OK FETCH completed\r\n");
		refused += !is_saved;
	}
	assert_true(refused > 0);
	buffer_free(&said);
	core_sign_out(&world, session);
}

/* ---- more of them than are found in a turn ---- */

enum {
	OWN = 1200,
	OF_BOB = 300,
	OF_CAROL = 200,
	/* Of a turn, where there are few names to compare with. */
	OWN_AT_A_TIME = 520,
	SHARED_AT_A_TIME = 64,
	TURNS = OWN / OWN_AT_A_TIME + (OF_BOB + OF_CAROL) / SHARED_AT_A_TIME + 1,
};

static void many_come(void **state)
{
	share("alice", "own/m", OWN, READABLE);
	share("bob", "b", OF_BOB, READABLE);
	share("carol", "c", OF_CAROL, READABLE);
	share("dave", "d", 100, RIGHT_LOOKUP);
	share("erin", "e", 100, RIGHT_READ);
}

static struct search_mailboxes begin(const char *in, struct arena *arena)
{
	struct cursor c = cursor_of(slice_cstr(in));
	struct search_source *sources;
	assert_true(take_search_sources(&c, arena, true, &sources) && at_end(&c));
	turns = turns_of_list = 0;
	return (struct search_mailboxes){ .sources = sources,
					  .account_id = world.account_id,
					  .arena = arena };
}

static void find_on(struct search_mailboxes *m)
{
	struct read *read = read_begin(world.back.store);
	assert_int_equal(__wrap_search_mailboxes_find_on(m, read), ERR_OK);
	read_end(&read);
}

/* The rest of them, by name, each on a line; and the end. */
static void find_rest(struct search_mailboxes *m, struct buffer *names)
{
	buffer_clear(names);
	while (!m->is_whole)
		find_on(m);
	struct read *read = read_begin(world.back.store);
	for (size_t i = 0; i < m->count; i++) {
		struct arena arena = { 0 };
		struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
		if (mailbox_get(read, m->ids[i], &arena, mailbox) == ERR_OK) {
			access_rename(read, world.account_id, mailbox, &arena);
			buffer_add(names, mailbox->name);
			buffer_add_byte(names, '\n');
		}
		arena_fini(&arena);
	}
	read_end(&read);
	search_mailboxes_fini(m);
	arena_fini(m->arena);
}

static void find_all(const char *in, struct buffer *names)
{
	struct arena arena = { 0 };
	struct search_mailboxes m = begin(in, &arena);
	find_rest(&m, names);
}

static void add_numbered(struct buffer *names, const char *before, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		buffer_add_format(names, "%s-%04u\n", before, i);
}

static void assert_names(const struct buffer *names, const struct buffer *want)
{
	assert_int_equal(names->len, want->len);
	assert_memory_equal(names->data, want->data, want->len);
}

/* One's own, then others', in order of name. */
static void all_are_found_in_turns(void **state)
{
	struct buffer names = { 0 }, want = { 0 };
	buffer_add_cstr(&want, "own\n");
	add_numbered(&want, "own/few", 2);
	add_numbered(&want, "own/m", OWN);
	add_numbered(&want, "Other Users/bob@example.org/b", OF_BOB);
	add_numbered(&want, "Other Users/bob@example.org/few", 2);
	add_numbered(&want, "Other Users/carol@example.org/c", OF_CAROL);
	find_all(EVERYWHERE, &names);
	assert_names(&names, &want);
	assert_true(turns >= TURNS);

	/* One that may be read and not looked up has to be named. */
	find_all("IN (mailboxes (own/m-0007 \"Other Users/dave@example.org/d-0003\" "
		 "\"Other Users/erin@example.org/e-0003\" own/m-1007 nowhere) subtree-one "
		 "\"Other Users/erin@example.org\") ",
		 &names);
	assert_slice(buffer_slice(&names), "own/m-0007\nown/m-1007\n"
					   "Other Users/erin@example.org/e-0003\n");
	buffer_free(&names);
	buffer_free(&want);
}

/* The more names there are to compare with, the fewer mailboxes at a time. */
static void many_names_take_more_turns(void **state)
{
	enum { NAMES = 1000 };
	struct buffer in = { 0 }, names = { 0 }, want = { 0 };
	buffer_add_cstr(&in, "IN (mailboxes (");
	for (unsigned i = 0; i < NAMES; i++)
		buffer_add_format(&in, "%sown/m-%04u", i == 0 ? "" : " ", NAMES - 1 - i);
	buffer_add_cstr(&in, ")) ");
	buffer_add_byte(&in, '\0');
	add_numbered(&want, "own/m", NAMES);
	find_all((const char *)in.data, &names);
	assert_names(&names, &want);
	assert_true(turns >= OWN / 40);
	buffer_free(&in);
	buffer_free(&names);
	buffer_free(&want);
}

/* Of whom nothing is wanted, nothing is looked at. */
static void nobody_is_looked_at_in_vain(void **state)
{
	struct buffer names = { 0 };
	find_all("IN (personal inboxes) ", &names);
	assert_int_equal(turns_of_list, 0);
	assert_true(slice_find(buffer_slice(&names), 0, SLICE("INBOX\n")) < names.len);
	find_all("IN (personal subtree \"Other Users/frank@example.org\") ", &names);
	assert_in_range(turns_of_list, 1, 2);
	find_all("IN (mailboxes \"Other Users/carol@example.org/c-0007\") ", &names);
	assert_slice(buffer_slice(&names), "Other Users/carol@example.org/c-0007\n");
	assert_in_range(turns_of_list, 1, OF_CAROL / SHARED_AT_A_TIME + 2);

	struct session *session = signed_in();
	run(session, "s SUBSCRIBE \"Other Users/bob@example.org/b-0099\"", "s OK");
	find_all("IN (subscribed) ", &names);
	struct slice last = SLICE("Other Users/bob@example.org/b-0099\n");
	assert_int_equal(slice_find(buffer_slice(&names), 0, last), names.len - last.len);
	assert_in_range(turns_of_list, 1, (OF_BOB + 2) / SHARED_AT_A_TIME + 2);
	run(session, "u UNSUBSCRIBE \"Other Users/bob@example.org/b-0099\"", "u OK");
	core_sign_out(&world, session);
	buffer_free(&names);
}

/* Another's that is selected, whatever else is looked into. */
static void the_selected_one_is_among_them(void **state)
{
	struct arena arena = { 0 };
	struct buffer names = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(world.back.store);
	assert_int_equal(access_find(read, world.account_id,
				     SLICE("Other Users/erin@example.org/e-0042"), RIGHT_READ,
				     &arena, mailbox, NULL),
			 ERR_OK);
	read_end(&read);
	struct search_mailboxes m = begin("IN (mailboxes own selected) ", &arena);
	m.selected_id = mailbox->mailbox_id;
	m.selected_owner_id = mailbox->account_id;
	find_rest(&m, &names);
	assert_slice(buffer_slice(&names), "own\nOther Users/erin@example.org/e-0042\n");
	assert_in_range(turns_of_list, 1, 100 / SHARED_AT_A_TIME + 2);
	buffer_free(&names);
}

/* ---- they come and go between the turns ---- */

static unsigned count_of(const struct buffer *names, const char *name)
{
	unsigned count = 0;
	char line[100];
	snprintf(line, sizeof(line), "\n%s\n", name);
	struct slice all = buffer_slice(names);
	for (size_t at = 0; (at = slice_find(all, at, slice_cstr(line))) < all.len; at++)
		count++;
	return count;
}

static void own_come_and_go(void **state)
{
	struct arena arena = { 0 };
	struct buffer names = { 0 };
	struct session *other = signed_in();
	struct search_mailboxes m = begin("IN (subtree own) ", &arena);
	find_on(&m);
	assert_false(m.has_own);
	assert_in_range(m.count, 4, OWN - 100);
	size_t found = m.count;
	run(other, "a RENAME own/m-0001 own/z", "a OK"); /* is met again */
	run(other, "a DELETE own/m-0002", "a OK");
	run(other, "a CREATE own/m-0003a", "a OK");
	run(other, "a RENAME own/m-1101 own/y", "a OK");
	run(other, "a DELETE own/m-1102", "a OK");
	run(other, "a CREATE own/m-1103a", "a OK");
	find_rest(&m, &names);
	assert_true(found < m.count && turns > OWN / OWN_AT_A_TIME);
	assert_int_equal(m.count,
			 1 + 2 + OWN); /* one has come, and one gone, before they were met */
	assert_int_equal(count_of(&names, "own/z"), 1);
	assert_int_equal(count_of(&names, "own/m-0003a"), 0);
	assert_int_equal(count_of(&names, "own/m-1101"), 0);
	assert_int_equal(count_of(&names, "own/y"), 1);
	assert_int_equal(count_of(&names, "own/m-1102"), 0);
	assert_int_equal(count_of(&names, "own/m-1103a"), 1);
	for (unsigned i = 3; i < OWN; i++) {
		char name[20];
		snprintf(name, sizeof(name), "own/m-%04u", i);
		assert_int_equal(count_of(&names, name), i != 1101 && i != 1102);
	}
	run(other, "a RENAME own/z own/m-0001", "a OK");
	run(other, "a RENAME own/y own/m-1101", "a OK");
	run(other, "a CREATE own/m-0002", "a OK");
	run(other, "a CREATE own/m-1102", "a OK");
	run(other, "a DELETE own/m-0003a", "a OK");
	run(other, "a DELETE own/m-1103a", "a OK");
	buffer_free(&names);
	core_sign_out(&world, other);
}

static void others_come_and_go(void **state)
{
	struct arena arena = { 0 };
	struct buffer names = { 0 };
	struct search_mailboxes m = begin("IN (subtree \"Other Users\" personal) ", &arena);
	while (m.others.list.count == 0)
		find_on(&m);
	assert_false(m.others.is_whole);
	share("carol", "c-0100", 0, 0);
	share("carol", "new", 1, READABLE);
	share("bob", "b-0000", 0, 0); /* has been met */
	find_rest(&m, &names);
	assert_int_equal(count_of(&names, "Other Users/bob@example.org/b-0000"), 1);
	assert_int_equal(count_of(&names, "Other Users/carol@example.org/c-0100"), 0);
	assert_int_equal(count_of(&names, "Other Users/carol@example.org/c-0101"), 1);
	assert_int_equal(count_of(&names, "Other Users/carol@example.org/new"), 1);
	share("carol", "c-0100", 0, READABLE);
	share("carol", "new", 0, 0);
	share("bob", "b-0000", 0, READABLE);
	buffer_free(&names);
}

/* ---- a session ---- */

/* And what may no longer be read when its turn comes is not looked into. */
static void a_session_looks_into_what_was_found(void **state)
{
	struct session *session = signed_in();
	struct buffer want = { 0 }, said = { 0 };
	struct sharing taken = sharing_of("bob", "few-0000", 0, 0);
	run_in_turns(session, "f ESEARCH " EVERYWHERE "ALL", &want);
	take_the_clock();
	clock_set_fake_unix_ms(now_ms); /* before it is noted when the command began */
	turns = 0;
	assert_true(run_in_turns(session, "f ESEARCH " EVERYWHERE "ALL", &said) >= TURNS);
	assert_true(turns >= TURNS);
	assert_true(slice_eq(buffer_slice(&said), buffer_slice(&want)));
	/* Behind the last turn. */
	write_behind_read(turns + 2, &taken.job);
	run_in_turns(session, "f ESEARCH " EVERYWHERE "ALL", &said);
	give_the_clock_back();
	write_behind_read(0, NULL);
	size_t of_own = slice_find_byte(buffer_slice(&want), 0, '\n') + 1;
	assert_true(of_own < said.len && said.len < want.len);
	assert_memory_equal(said.data, want.data, of_own);
	assert_slice(slice_sub(buffer_slice(&said), of_own, said.len),
		     "f OK ESEARCH completed\r\n");
	share("bob", "few-0000", 0, READABLE);
	buffer_free(&want);
	buffer_free(&said);
	core_sign_out(&world, session);
}

static void a_client_leaves_in_the_middle(void **state)
{
	take_the_clock();
	for (unsigned last = 1; last <= TURNS; last++) {
		struct session *session = signed_in();
		struct cursor in = cursor_of(SLICE("f ESEARCH " EVERYWHERE "ALL\r\n"));
		for (turns = 0; turns < last;)
			assert_int_equal(session_drive(session, &in), STEP_WAIT);
		assert_int_equal(session->out.len, 0);
		core_sign_out(&world, session);
	}
	give_the_clock_back();
}

static int setup(void **state)
{
	int result = world_setup(state);
	if (result != 0)
		return result;
	share("alice", "own/few", 2, READABLE);
	share("bob", "few", 2, READABLE | RIGHT_INSERT);
	core_sign_out(&world,
		      signed_in_and_said(
			      "a APPEND own/few-0001 {1+}\r\na\r\n"
			      "a APPEND \"Other Users/bob@example.org/few-0000\" {1+}\r\na\r\n"));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_told_or_not_said_to_be),
		cmocka_unit_test(what_is_refused_empties_the_saved_result),
		cmocka_unit_test(many_come),
		cmocka_unit_test(all_are_found_in_turns),
		cmocka_unit_test(many_names_take_more_turns),
		cmocka_unit_test(nobody_is_looked_at_in_vain),
		cmocka_unit_test(the_selected_one_is_among_them),
		cmocka_unit_test(own_come_and_go),
		cmocka_unit_test(others_come_and_go),
		cmocka_unit_test(a_session_looks_into_what_was_found),
		cmocka_unit_test(a_client_leaves_in_the_middle),
	};
	return cmocka_run_group_tests(tests, setup, world_teardown);
}
