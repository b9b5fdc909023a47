/* tests/unit/imapd/fetch_unreadable.c - a store that begins to fail in the middle of a long FETCH, while a
 * worker makes a slice of it or the loop does: what is said is right, what is left out is not told as all
 * there is, and a literal that cannot be kept ends the connection. */
#include "tests/unit/imapd/mixed.h"

#include "tests/unit/failing_reads.h"

#define REFUSED "f NO [UNAVAILABLE] The store cannot do that now; try again later\r\n"
#define COMPLETED "f OK FETCH completed\r\n"

/* ---- which read fails ---- */

static struct {
	bool is_by_worker; /* whose slices */
	enum { FAILS_TO_BEGIN, FAILS_TO_STEP, FAILS_TO_GET, KINDS } kind;
	int left; /* such reads before it */
	bool is_for_good;
	bool is_at_work; /* in the slice that is being made */
} plan = { .left = NEVER };

static int *left_on_thread(void)
{
	return plan.kind == FAILS_TO_BEGIN  ? &reads_left
	       : plan.kind == FAILS_TO_STEP ? &steps_left
					    : &gets_left;
}

static void begin_to_fail(bool is_by_worker)
{
	plan.is_at_work = is_by_worker == plan.is_by_worker;
	if (!plan.is_at_work)
		return;
	*left_on_thread() = plan.left;
	fails_for_good = plan.is_for_good;
}

static void end_to_fail(void)
{
	if (!plan.is_at_work)
		return;
	plan.left = *left_on_thread();
	*left_on_thread() = NEVER;
	fails_for_good = false;
}

/* ---- what is said then, beside the answer of a store that can be read ---- */

static struct buffer want;

struct response {
	struct slice whole;
	size_t item;		     /* where " BODY[] {" begins */
	size_t literal, literal_end; /* its octets, behind which is ")\r\n" */
};

static struct response response_at(size_t from)
{
	struct response r;
	struct slice all = slice_sub(buffer_slice(&want), from, want.len);
	r.item = slice_find(all, 0, SLICE(" BODY[] {"));
	r.literal = slice_find(all, r.item, SLICE("}\r\n")) + 3;
	assert(all.ptr && r.literal < all.len);
	r.literal_end = r.literal + strtoul((const char *)all.ptr + r.item + 9, NULL, 10);
	assert_true(r.literal_end + 3 <= all.len);
	r.whole = slice_sub(all, 0, r.literal_end + 3);
	return r;
}

static bool take(struct slice *said, struct slice text)
{
	if (!slice_eq(slice_sub(*said, 0, text.len), text))
		return false;
	*said = slice_sub(*said, text.len, said->len);
	return true;
}

static bool take_without_body(struct slice *said, const struct response *r)
{
	struct slice after = *said;
	if (!take(&after, slice_sub(r->whole, 0, r->item)) || !take(&after, SLICE(")\r\n")))
		return false;
	*said = after;
	return true;
}

static struct {
	unsigned whole, cut, refused;
	unsigned stopped, left_out; /* of those refused: behind a message; a body in between */
} answers;

static void judge(struct slice said, bool is_open)
{
	size_t end = want.len - strlen(COMPLETED), from = 0;
	unsigned left_out = 0;
	struct response r = { 0 };
	while (from < end) {
		r = response_at(from);
		bool is_whole = take(&said, r.whole);
		if (!is_whole && !take_without_body(&said, &r))
			break;
		left_out += !is_whole;
		from += r.whole.len;
	}
	if (!is_open) {
		assert_true(from < end && said.len >= r.literal && said.len < r.literal_end);
		assert_true(take(&said, slice_sub(r.whole, 0, said.len)));
		answers.cut++;
	} else if (take(&said, SLICE(REFUSED))) {
		answers.refused++;
		answers.stopped += from < end;
		answers.left_out += left_out > 0;
	} else if (from == end && left_out == 0) {
		answers.whole += take(&said, SLICE(COMPLETED));
	}
	if (said.len > 0)
		fail_msg("behind %zu octets: %.*s", from, SLICE_ARG(slice_sub(said, 0, 200)));
}

/* ---- each in turn ---- */

static void fail_in_turn(void)
{
	struct buffer said = { 0 };
	failed_reads = 1;
	for (int at = 0; failed_reads > 0; at++) {
		struct session *session = reader_of("long");
		if (!plan.is_by_worker)
			keep_workers_busy();
		failed_reads = 0;
		plan.left = at;
		buffer_clear(&said);
		bool is_open = core_feed(&world, session, SLICE(ALL "\r\n"), &said);
		plan.left = NEVER;
		if (!plan.is_by_worker)
			let_workers_go();
		judge(buffer_slice(&said), is_open);
		core_sign_out(&world, session);
	}
	buffer_free(&said);
}

static void each_read_fails_in_turn(bool is_by_worker)
{
	memset(&answers, 0, sizeof(answers));
	plan.is_by_worker = is_by_worker;
	for (unsigned way = 0; way < 2 * KINDS; way++) {
		unsigned cut = answers.cut;
		plan.kind = way % KINDS;
		plan.is_for_good = way >= KINDS;
		fail_in_turn();
		assert_true(answers.cut > cut); /* some in the middle of a literal */
		assert_true(answers.whole > way);
	}
	assert_true(answers.stopped > 0 && answers.left_out > 0);
}

static void while_a_worker_makes_the_slice(void **state)
{
	each_read_fails_in_turn(true);
}

static void while_the_loop_makes_the_slice(void **state)
{
	each_read_fails_in_turn(false);
}

/* ---- between the items of one message ---- */

/* The first slice ends before an item, or while it is counted what a literal will hold. */
static void what_is_begun_is_ended_outside_of_literals(void **state)
{
	static const struct {
		const char *line, *end;
	} cases[] = {
		{ "f FETCH 1:2 (UID BODY.PEEK[TEXT] BODY.PEEK[HEADER])\r\n", "x)\r\n" REFUSED },
		{ "f FETCH 1:2 (BODY.PEEK[TEXT] INTERNALDATE)\r\n", "x)\r\n" REFUSED },
		{ "f FETCH 3 BINARY.PEEK[1]\r\n", "* 3 FETCH (UID 3)\r\n" REFUSED },
		{ "f FETCH 2:3 (UID BINARY.PEEK[1])\r\n", "* 3 FETCH (UID 3)\r\n" REFUSED },
	};
	struct buffer said = { 0 };
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		const char *end = cases[i / 2].end;
		struct session *session = reader_of("items");
		plan.is_by_worker = i % 2;
		plan.kind = FAILS_TO_BEGIN;
		plan.is_for_good = false;
		if (!plan.is_by_worker)
			keep_workers_busy();
		plan.left = plan.is_by_worker ? 0 : 1;
		failed_reads = 0;
		buffer_clear(&said);
		assert_true(core_feed(&world, session, slice_cstr(cases[i / 2].line), &said));
		plan.left = NEVER;
		if (!plan.is_by_worker)
			let_workers_go();
		assert_int_equal(failed_reads, 1);
		assert_true(said.len >= strlen(end));
		assert_slice(slice_sub(buffer_slice(&said), said.len - strlen(end), said.len), end);
		core_sign_out(&world, session);
	}
	buffer_free(&said);
}

/* ---- the mailboxes ---- */

/* One whose text makes the output just full, in one piece; a small one; one that takes more than a slice
 * to be counted. */
static void fill_items(struct session *session)
{
	struct buffer message = { 0 };
	create(session, "items");
	buffer_add_cstr(&message, "Subject: full\r\n\r\n");
	while (message.len < SESSION_OUT_HIGH_OCTETS)
		buffer_add_byte(&message, 'x');
	append(session, "items", buffer_slice(&message));
	append(session, "items", SLICE("Subject: small\r\n\r\nx"));
	buffer_clear(&message);
	make_message(&message, 3 * ANSWER_SLICE_OCTETS / 2, 1);
	append(session, "items", buffer_slice(&message));
	buffer_free(&message);
	reopen(session, "items");
}

static int setup(void **state)
{
	static const size_t sizes[] = { 10, 200 * 1000, 10, 300 * 1000, 10, 10 };
	struct buffer message = { 0 };
	world_setup(state);
	loop_thread = pthread_self();
	struct session *session = signed_in();
	create(session, "long");
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		buffer_clear(&message);
		buffer_add_format(&message, "Subject: number %u\r\n\r\n", i);
		add_noise(&message, sizes[i], i);
		append(session, "long", buffer_slice(&message));
	}
	buffer_free(&message);
	reopen(session, "long");
	fill_items(session);
	core_sign_out(&world, session);
	session = reader_of("long"); /* to which nothing is \Recent any more */
	run_in_turns(session, ALL, &want);
	core_sign_out(&world, session);
	slice_begins = begin_to_fail;
	slice_ends = end_to_fail;
	return 0;
}

static int teardown(void **state)
{
	buffer_free(&want);
	return world_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(while_a_worker_makes_the_slice),
		cmocka_unit_test(while_the_loop_makes_the_slice),
		cmocka_unit_test(what_is_begun_is_ended_outside_of_literals),
	};
	pool_set_threads(WORKERS);
	return cmocka_run_group_tests(tests, setup, teardown);
}
