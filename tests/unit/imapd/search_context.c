/* tests/unit/imapd/search_context.c - what searches that go on hold, and how much they do and say at
 * a time. RFC 5267 section 4.3. */
#include "tests/unit/imapd/world.h"

#include "imapd/search_context_priv.h"
#include "storage/store_priv.h"

enum { SEED = 20, TOO_MANY = SEED * 2048 };

/* A session that believes in messages with every second UID. */
static struct imap_session *selected(uint32_t messages)
{
	struct session *session = signed_in();
	struct imap_session *s = CONTAINER_OF(session, struct imap_session, session);
	run(session, "s SELECT INBOX", "s OK");
	for (uint32_t i = 0; i < messages; i++)
		ranges_add(&s->view->uids, 2 * i + 1, 2 * i + 1);
	return s;
}

/* "a UID SEARCH ... 1:* 1:* ...": sequence numbers stay those of the moment, so they are kept one by one. */
static void search(struct imap_session *s, const char *command, unsigned keys, const char *want)
{
	struct buffer text = { 0 }, said = { 0 };
	buffer_add_cstr(&text, command);
	for (unsigned i = 0; i < keys; i++)
		buffer_add_cstr(&text, " 1:*");
	buffer_add_cstr(&text, "\r\n");
	assert_true(core_feed(&world, &s->session, buffer_slice(&text), &said));
	assert_slice(buffer_slice(&said), want);
	buffer_free(&text);
	buffer_free(&said);
}

static void sets_of_messages_have_a_limit(void **state)
{
	struct imap_session *s = selected(60 * 1000);
	search(s, "a UID SEARCH", 30,
	       "a NO [LIMIT] too many search keys, or nested too deeply\r\n");
	search(s, "b UID SEARCH RETURN (UPDATE COUNT)", 10,
	       "* ESEARCH (TAG \"b\") UID COUNT 0\r\nb OK SEARCH completed\r\n");
	search(s, "c UID SEARCH RETURN (UPDATE COUNT)", 10,
	       "* NO [NOUPDATE \"c\"] Not this one\r\n"
	       "* ESEARCH (TAG \"c\") UID COUNT 0\r\nc OK SEARCH completed\r\n");
	assert_true(search_contexts_runs(s->view) < SEARCH_RUNS_MAX);
	core_sign_out(&world, &s->session);
}

/* Sets that name nothing cost no room, but each is compared with all that the mailbox holds. */
static void many_sets_are_bound_in_turns(void **state)
{
	struct imap_session *s = selected(60 * 1000);
	struct buffer line = { 0 };
	buffer_add_cstr(&line, "a UID SEARCH RETURN (COUNT)");
	for (unsigned i = 0; i < 500; i++)
		buffer_add_cstr(&line, " UID 4294967290");
	buffer_add_byte(&line, '\0');
	assert_true(run(&s->session, (const char *)line.data,
			"* ESEARCH (TAG \"a\") UID COUNT 0\r\na OK") > 50);
	/* Too much for a search that goes on, which is bound at once. */
	buffer_clear(&line);
	buffer_add_cstr(&line, "b UID SEARCH RETURN (UPDATE COUNT)");
	for (unsigned i = 0; i < 500; i++)
		buffer_add_cstr(&line, " UID 4294967290");
	buffer_add_byte(&line, '\0');
	run(&s->session, (const char *)line.data, "* NO [NOUPDATE \"b\"] Not this one\r\n");
	buffer_free(&line);
	core_sign_out(&world, &s->session);
}

/* Nothing is dropped in silence. */
static void a_sort_that_grows_too_large_is_given_up(void **state)
{
	struct session *session = signed_in();
	struct buffer said = { 0 };
	bool is_given_up = false;
	run(session, "c CREATE grows", "c OK");
	for (unsigned i = 0; i < SEED; i++)
		run(session, "a APPEND grows {16+}\r\nSubject: 01\r\n\r\nx", "a OK");
	run(session, "s SELECT grows", "s OK");
	run(session, "u UID SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 ALL", "COUNT 20\r\nu OK");
	unsigned told = SEED;
	for (unsigned count = SEED; count < TOO_MANY; count *= 2) {
		run_in_turns(session, "c COPY 1:* grows", &said);
		struct slice all = buffer_slice(&said);
		is_given_up = slice_find(all, 0, SLICE("* NO [NOUPDATE \"u\"] ")) < all.len;
		if (slice_find(all, 0, SLICE(" ADDTO (")) < all.len)
			told = count * 2;
		assert_int_equal(is_given_up, count * 2 == TOO_MANY);
	}
	assert_true(told >= TOO_MANY / 2);
	/* The tag is free again, and nothing more comes. */
	run_in_turns(session, "c COPY 1 grows", &said);
	assert_int_equal(slice_find(buffer_slice(&said), 0, SLICE("ESEARCH")), said.len);
	run(session, "u UID SEARCH RETURN (UPDATE COUNT) UID 1", "COUNT 1\r\nu OK");
	core_sign_out(&world, session);
	buffer_free(&said);
}

/* What a view has to tell, in as many turns as it takes; how much it said in the longest. */
static unsigned tell_all(struct imap_session *s, struct buffer *said, size_t *longest_out)
{
	unsigned turns = 1;
	*longest_out = 0;
	for (;; turns++) {
		size_t before = said->len;
		bool is_done = view_tell(s->view, true);
		core_drain(&s->session, said);
		if (said->len - before > *longest_out)
			*longest_out = said->len - before;
		if (is_done)
			return turns;
	}
}

static unsigned count_of(const struct buffer *said, const char *what)
{
	unsigned count = 0;
	struct slice all = buffer_slice(said), word = slice_cstr(what);
	for (size_t at = slice_find(all, 0, word); at < all.len;
	     at = slice_find(all, at + word.len, word))
		count++;
	return count;
}

static void much_that_changed_takes_many_turns(void **state)
{
	struct buffer said = { 0 };
	size_t longest;
	struct imap_session *s = selected(60 * 1000);
	search(s, "a UID SEARCH RETURN (UPDATE COUNT)", 1,
	       "* ESEARCH (TAG \"a\") UID COUNT 0\r\na OK SEARCH completed\r\n");
	view_note_unsearched(s->view, &s->view->uids);
	assert_int_equal(s->view->unsearched.count, 60 * 1000);
	assert_true(tell_all(s, &said, &longest) > 10);
	assert_int_equal(s->view->unsearched.count, 0);
	assert_int_equal(said.len, 0); /* the store knows none of them */
	core_sign_out(&world, &s->session);
	buffer_free(&said);
}

static void much_that_vanished_is_told_in_parts(void **state)
{
	enum { OUT_MAX = SESSION_OUT_HIGH_OCTETS * 3 / 2 };
	struct buffer said = { 0 };
	size_t longest;
	struct imap_session *s = selected(60 * 1000);
	search(s, "a UID SEARCH RETURN (UPDATE COUNT)", 1,
	       "* ESEARCH (TAG \"a\") UID COUNT 0\r\na OK SEARCH completed\r\n");
	/* All are results of it, and all go. */
	struct search_program program = { 0 };
	struct cursor c = cursor_of(SLICE("ALL"));
	struct arena arena = { 0 };
	assert_int_equal(take_search_program(&c, CHARSET_NAMED, NULL, &arena, &program),
			 SEARCH_PARSED);
	struct search_update update = { .tag = SLICE("b"),
					.uid = true,
					.text = SLICE("ALL"),
					.program = &program,
					.found = &s->view->uids };
	assert_true(search_context_add(s->view, &update));
	ranges_copy(&s->view->uids, &s->view->vanished);
	assert_true(tell_all(s, &said, &longest) > 5);
	assert_in_range(longest, 1, OUT_MAX);
	assert_int_equal(count_of(&said, " REMOVEFROM (0 1,3,5,"), 1);
	assert_int_equal(count_of(&said, " REMOVEFROM ("), 60);
	assert_int_equal(count_of(&said, " EXPUNGE\r\n"), 60 * 1000);
	assert_int_equal(ranges_total(&s->view->uids), 0);
	core_sign_out(&world, &s->session);
	search_program_fini(&program);
	arena_fini(&arena);
	buffer_free(&said);
}

/* What a store that fails for a moment has not said is told later, not lost. */
static void what_cannot_be_read_is_told_later(void **state)
{
	struct buffer said = { 0 };
	size_t longest;
	struct session *other = signed_in(), *session = signed_in();
	struct imap_session *s = CONTAINER_OF(session, struct imap_session, session);
	run(session, "c CREATE fails", "c OK");
	run(session, "a APPEND fails {16+}\r\nSubject: 01\r\n\r\nx", "a OK");
	run(session, "s SELECT fails", "s OK");
	run(session, "u UID SEARCH RETURN (UPDATE COUNT) FLAGGED", "COUNT 0\r\nu OK");
	run(other, "s SELECT fails", "s OK");
	run(other, "f STORE 1 +FLAGS.SILENT (\\Flagged)", "f OK");
	struct read *read = read_begin(world.back.store);
	assert_int_equal(view_sync(s->view, read), ERR_OK);
	read_end(&read);

	MDB_env *env = world.back.store->env;
	world.back.store->env = NULL;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(tell_all(s, &said, &longest), 1);
	world.back.store->env = env;
	assert_int_equal(said.len, 0);

	tell_all(s, &said, &longest);
	assert_int_equal(count_of(&said, "* 1 FETCH ("), 1);
	assert_int_equal(count_of(&said, " ADDTO (0 1)"), 1);
	core_sign_out(&world, other);
	core_sign_out(&world, session);
	buffer_free(&said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_of_messages_have_a_limit),
		cmocka_unit_test(many_sets_are_bound_in_turns),
		cmocka_unit_test(a_sort_that_grows_too_large_is_given_up),
		cmocka_unit_test(much_that_changed_takes_many_turns),
		cmocka_unit_test(much_that_vanished_is_told_in_parts),
		cmocka_unit_test(what_cannot_be_read_is_told_later),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
