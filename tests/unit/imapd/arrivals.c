/* tests/unit/imapd/arrivals.c - what is told of messages as they come: whatever happens meanwhile, nothing is
 * said in the middle of a literal. RFC 5465 section 5.2. */
#include "tests/unit/imapd/world.h"

#include "imapd/arrivals_priv.h"
#include "storage/expunged.h"

enum { LARGE_OCTETS = 1000 * 1000 };
static const char large_name[] = "\"Other Users/bob@example.org/large\"";

struct add_bob {
	struct job job;
	uint32_t account_id;
};

static enum err run_add_bob(struct write *write, struct job *job)
{
	struct add_bob *add = CONTAINER_OF(job, struct add_bob, job);
	return account_add(write, SLICE("bob"), SLICE("example.org"), SLICE("no hash"),
			   &add->account_id);
}

static struct core_world of_bob; /* as he sees it */
static struct session *bob;

static int setup(void **state)
{
	struct add_bob add = { .job = { .run = run_add_bob } };
	struct buffer said = { 0 };
	if (world_setup(state) != 0 || store_write_now(world.back.store, &add.job) != ERR_OK)
		return -1;
	/* As by default: what is deleted stays in the store for a while. */
	store_set_undelete_seconds(world.back.store, 86400);
	of_bob = world;
	of_bob.account_id = add.account_id;
	bob = core_sign_in(&of_bob, 2);
	bool is_good = core_feed(&world, bob, SLICE("c CREATE large\r\n"), &said);
	buffer_free(&said);
	return is_good ? 0 : -1;
}

static int teardown(void **state)
{
	core_sign_out(&world, bob);
	return world_teardown(state);
}

static void append_large(void)
{
	struct buffer line = { 0 };
	buffer_add_format(&line, "a APPEND large {%d+}\r\n", LARGE_OCTETS);
	memset(buffer_reserve(&line, LARGE_OCTETS), 'x', LARGE_OCTETS);
	line.len += LARGE_OCTETS;
	buffer_add_byte(&line, '\0');
	run(bob, (const char *)line.data, "a OK");
	buffer_free(&line);
}

/* One who has bob's mailbox selected, is to be told of its messages whole, and has been told the
 * beginning of one. */
static struct session *half_told(const char *last_command, struct buffer *said)
{
	struct session *session = signed_in();
	struct cursor nothing = cursor_of(SLICE_NONE);
	struct buffer line = { 0 };
	run(bob, "a SETACL large anyone lr", "a OK");
	buffer_add_format(&line,
			  "a SELECT %s\r\n"
			  "b NOTIFY SET (SELECTED (MessageNew (BODY.PEEK[]) MessageExpunge))\r\n%s",
			  large_name, last_command);
	assert_true(core_feed(&world, session, buffer_slice(&line), said));
	buffer_clear(said);
	append_large();
	loop_run_once(world.loop, 0);
	if (last_command[0])
		session->class->notify(session, NEWS_CHANGED);
	else
		assert_int_equal(session_drive(session, &nothing), STEP_WAIT);
	core_drain(session, said);
	assert_true(
		arrival_is_answering(CONTAINER_OF(session, struct imap_session, session)->view));
	buffer_free(&line);
	return session;
}

/* The octets that were announced, and what comes behind them. */
static struct slice behind_literal(const struct buffer *said)
{
	struct slice all = buffer_slice(said);
	char head[20];
	snprintf(head, sizeof(head), "{%d}\r\n", LARGE_OCTETS);
	size_t at = slice_find(all, 0, slice_cstr(head)) + strlen(head);
	assert_true(at + LARGE_OCTETS < all.len);
	for (size_t i = at; i < at + LARGE_OCTETS; i++)
		assert_int_equal(all.ptr[i], 'x');
	return slice_sub(all, at + LARGE_OCTETS, all.len);
}

static void expect_behind_literal(const struct buffer *said, const char *want)
{
	struct slice rest = behind_literal(said);
	if (!slice_starts_nocase(rest, SLICE(")\r\n")) ||
	    slice_find(rest, 0, slice_cstr(want)) == rest.len)
		fail_msg("behind the literal: %.*s", SLICE_ARG(rest));
}

static struct session *rights_change_in_a_literal(const char *last_command, const char *change,
						  struct buffer *said)
{
	struct session *session = half_told(last_command, said);
	run(bob, change, "b OK");
	loop_run_once(world.loop, 0);
	session->class->notify(session, NEWS_CHANGED);
	core_drain(session, said);
	return session;
}

/* Whoever administers the mailbox would say where in the client's input it stands. */
static void flags_are_told_behind_a_literal(void **state)
{
	static const char *const last_commands[] = { "", "c IDLE\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(last_commands); i++) {
		struct buffer said = { 0 };
		struct session *session = rights_change_in_a_literal(
			last_commands[i], "b SETACL large anyone lrs", &said);
		assert_true(core_turn(&world, session, &said));
		assert_true(core_turn(&world, session, &said));
		expect_behind_literal(&said, "* OK [PERMANENTFLAGS (");
		buffer_free(&said);
		core_sign_out(&world, session);
	}
}

static void access_ends_behind_a_literal(void **state)
{
	static const char *const last_commands[] = { "", "c IDLE\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(last_commands); i++) {
		struct buffer said = { 0 };
		struct session *session = rights_change_in_a_literal(
			last_commands[i], "b DELETEACL large anyone", &said);
		assert_false(core_feed(&world, session, SLICE_NONE, &said));
		expect_behind_literal(&said, "* BYE ");
		buffer_free(&said);
		core_sign_out(&world, session);
	}
}

/* While the first of two is on its way, the client hears of nothing: not of the second one, nor of its end. */
static struct session *half_told_of_two(const char *last_command, const char *end_of_second,
					struct buffer *said)
{
	struct session *session = half_told(last_command, said);
	struct buffer ignored = { 0 };
	run(bob, "a APPEND large {1+}\r\na", "a OK");
	loop_run_once(world.loop, 0);
	session->class->notify(session, NEWS_CHANGED);
	core_drain(session, said);
	assert_true(core_feed(&world, bob, slice_cstr(end_of_second), &ignored));
	loop_run_once(world.loop, 0);
	session->class->notify(session, NEWS_CHANGED);
	core_drain(session, said);
	assert_true(core_turn(&world, session, said));
	assert_true(core_turn(&world, session, said));
	buffer_free(&ignored);
	return session;
}

static void what_goes_behind_a_literal_never_came(void **state)
{
	static const char *const last_commands[] = { "", "c IDLE\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(last_commands); i++) {
		struct buffer said = { 0 };
		struct session *session =
			half_told_of_two(last_commands[i],
					 "s SELECT large\r\nf STORE * +FLAGS.SILENT (\\Deleted)\r\n"
					 "e EXPUNGE\r\nu UNSELECT\r\n",
					 &said);
		struct slice rest = behind_literal(&said);
		assert_true(slice_starts_nocase(rest, SLICE(")\r\n")));
		assert_int_equal(slice_find(rest, 0, SLICE(" EXPUNGE\r\n")), rest.len);
		assert_int_equal(slice_find(rest, 0, SLICE(" FETCH (")), rest.len);
		buffer_free(&said);
		core_sign_out(&world, session);
	}
}

/* With the mailbox: it is not told under the number 0, though the store still has it for a while. */
static void nothing_is_new_in_a_mailbox_that_has_gone(void **state)
{
	static const char *const last_commands[] = { "", "c IDLE\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(last_commands); i++) {
		struct buffer said = { 0 };
		struct session *session = half_told_of_two(
			last_commands[i], "d DELETE large\r\nc CREATE large\r\n", &said);
		struct slice rest = behind_literal(&said);
		assert_true(slice_starts_nocase(rest, SLICE(")\r\n")));
		assert_true(slice_find(rest, 0, SLICE("* 1 EXPUNGE\r\n")) < rest.len);
		assert_int_equal(slice_find(rest, 0, SLICE(" FETCH (")), rest.len);
		buffer_free(&said);
		core_sign_out(&world, session);
	}
}

/* Of which nothing is to be told. */
static void many_that_are_not_told_take_turns(void **state)
{
	enum { MANY = 20 * 1000 };
	unsigned turns = 1;
	struct session *session = signed_in();
	struct imap_view *view;
	run(session, "s SELECT INBOX", "s OK");
	view = CONTAINER_OF(session, struct imap_session, session)->view;
	ranges_add(&view->fresh, 1, MANY);
	while (!arrivals_tell(view))
		turns++;
	assert_in_range(turns, 2, 10);
	assert_int_equal(view->fresh.count, 0);
	assert_int_equal(session->out.len, 0);
	core_sign_out(&world, session);
}

static void nobody_says_goodbye_in_a_literal(void **state)
{
	static const enum news ends[] = { NEWS_SHUTDOWN, NEWS_TIMEOUT };
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct buffer said = { 0 };
		struct session *session = half_told("c IDLE\r\n", &said);
		assert_int_equal(session->class->notify(session, ends[i]), STEP_CLOSE);
		assert_int_equal(session->out.len, 0);
		buffer_free(&said);
		core_sign_out(&world, session);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_are_told_behind_a_literal),
		cmocka_unit_test(access_ends_behind_a_literal),
		cmocka_unit_test(nobody_says_goodbye_in_a_literal),
		cmocka_unit_test(what_goes_behind_a_literal_never_came),
		cmocka_unit_test(nothing_is_new_in_a_mailbox_that_has_gone),
		cmocka_unit_test(many_that_are_not_told_take_turns),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
