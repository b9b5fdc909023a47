/* tests/unit/imapd/search.c - a search that takes long: it ends when its client has left, others are
 * answered meanwhile, and what two workers find in turns is told in order. */
#include "tests/unit/imapd/many.h"

#include <semaphore.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "imapd/progress_priv.h"
#include "imapd/search_priv.h"

enum { HEAVY = 1024, HEAVY_OCTETS = 300 * 1000 };

/* A mailbox of HEAVY messages, each all text. */
static void fill_heavy(void)
{
	struct buffer line = { 0 }, said = { 0 };
	char text[200];
	buffer_add_format(&line, "a APPEND heavy {%u+}\r\n", HEAVY_OCTETS);
	size_t start = line.len;
	buffer_add_cstr(&line, "Subject: heavy\r\n\r\n");
	while (line.len - start < HEAVY_OCTETS - 2)
		buffer_add_cstr(&line, (line.len - start) % 70 == 68 ? "\r\n" : "x");
	line.len = start + HEAVY_OCTETS - 2;
	buffer_add_cstr(&line, "\r\n\r\n");
	run(session, "c CREATE heavy", "c OK");
	assert_true(core_feed(&world, session, buffer_slice(&line), &said));
	assert_true(slice_starts_nocase(buffer_slice(&said), SLICE("a OK")));
	for (unsigned count = 1; count < HEAVY; count *= 2) {
		run(session, "s SELECT heavy", "s OK");
		snprintf(text, sizeof(text), "c COPY 1:%u heavy", count);
		run(session, text, "c OK");
	}
	run(session, "u UNSELECT", "u OK");
	buffer_free(&line);
	buffer_free(&said);
}

/* ---- the client leaves ---- */

/* A session with a stream, as the server has it; `client` is the other end. What its search had looked
 * at when it was freed. */
static struct {
	const struct session_class *real;
	struct session_class spy;
	struct imap_session *s;
	int client;
	bool is_freed;
	uint64_t looked_at;
} left;

static void spy_free(struct session *of)
{
	struct search *search = left.s->work;
	assert_non_null(search);
	assert_int_equal(search->lanes_out, 0);
	for (unsigned i = 0; i < search->lane_count; i++)
		left.looked_at += search_scan_done(&search->lanes[i].scan);
	left.is_freed = true;
	left.real->free(of);
}

static void client_begins_search(void)
{
	static const struct stream_events no_events;
	static const char commands[] = "s SELECT heavy\r\nf SEARCH TEXT nothing-like-it\r\n";
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	struct session *with_stream = core_sign_in(&world, 7);
	left.s = CONTAINER_OF(with_stream, struct imap_session, session);
	left.real = with_stream->class;
	left.spy = *left.real;
	left.spy.free = spy_free;
	with_stream->class = &left.spy;
	left.client = pair[1];
	left.is_freed = false;
	left.looked_at = 0;
	session_start(with_stream, stream_new(world.loop, pair[0], &no_events, NULL), NULL);
	assert_int_equal(write(left.client, commands, strlen(commands)), strlen(commands));
	/* SELECT may take more than one turn, too. */
	while (!left.s->command || !slice_eq(left.s->tag, SLICE("f")) || !left.s->work ||
	       !with_stream->job_out)
		loop_run_once(world.loop, 1000);
	assert_int_equal(session_count(world.loop), 1);
}

/* What it was sent lies there unread: the server's side hears of a reset. */
static void a_search_ends_when_its_client_is_gone(void **state)
{
	client_begins_search();
	close(left.client);
	while (!left.is_freed)
		loop_run_once(world.loop, 1000);
	assert_true(left.looked_at > 0 && left.looked_at < HEAVY / 2);
	assert_int_equal(session_count(world.loop), 0);
}

static size_t client_reads(void)
{
	char octets[4096];
	ssize_t got = read(left.client, octets, sizeof(octets));
	return got > 0 ? (size_t)got : 0;
}

/* It may still read, so it is written to; that tells. */
static void a_search_ends_when_its_client_has_closed(void **state)
{
	int64_t now_ms = 1000 * 1000;
	clock_set_fake_unix_ms(now_ms);
	client_begins_search();
	while (client_reads() > 0)
		;
	close(left.client);
	while (!left.is_freed) {
		clock_set_fake_unix_ms(now_ms += PROGRESS_ENDED_EVERY_MS);
		loop_run_once(world.loop, 1000);
	}
	clock_set_fake_unix_ms(-1);
	assert_true(left.looked_at > 0 && left.looked_at < HEAVY / 2);
}

/* Who only has nothing more to say is answered. */
static void a_client_that_still_reads_is_answered(void **state)
{
	struct buffer said = { 0 };
	int64_t now_ms = 1000 * 1000;
	clock_set_fake_unix_ms(now_ms);
	client_begins_search();
	left.s->session.class = left.real;
	shutdown(left.client, SHUT_WR);
	while (session_count(world.loop) > 0) {
		clock_set_fake_unix_ms(now_ms += PROGRESS_ENDED_EVERY_MS);
		loop_run_once(world.loop, 1000);
		uint8_t *room = buffer_reserve(&said, 4096);
		ssize_t got = read(left.client, room, 4096);
		said.len += got > 0 ? (size_t)got : 0;
	}
	clock_set_fake_unix_ms(-1);
	struct slice all = buffer_slice(&said);
	size_t at = slice_find(all, 0, SLICE("* OK [INPROGRESS (\"f\" "));
	assert_true(at < all.len);
	assert_true(slice_find(all, at, SLICE("* SEARCH\r\nf OK ")) < all.len);
	close(left.client);
	buffer_free(&said);
}

/* ---- others are there, too ---- */

struct gate {
	struct work work;
	sem_t entered, open;
};
static struct gate gates[SEARCH_LANES];
static void (*lane_run)(struct work *work);
static sem_t lane_entered, lane_may_go[SEARCH_LANES];

static void pass_gate(struct work *work)
{
	struct gate *gate = CONTAINER_OF(work, struct gate, work);
	sem_post(&gate->entered);
	sem_wait(&gate->open);
}

static void gate_passed(struct work *work)
{
}

static void run_when_told(struct work *work)
{
	struct search_lane *lane = CONTAINER_OF(work, struct search_lane, work);
	sem_post(&lane_entered);
	sem_wait(&lane_may_go[lane - lane->search->lanes]);
	lane_run(work);
}

/* Both workers are in the middle of one session's search, and stay there. */
static struct search *begin_held_search(struct session *searching, struct cursor *in)
{
	for (unsigned i = 0; i < SEARCH_LANES; i++) {
		gates[i].work = (struct work){ .run = pass_gate, .done = gate_passed };
		sem_init(&gates[i].entered, 0, 0);
		sem_init(&gates[i].open, 0, 0);
		pool_submit(world.loop, &gates[i].work);
	}
	for (unsigned i = 0; i < SEARCH_LANES; i++)
		sem_wait(&gates[i].entered);
	while (!searching->job_out)
		assert_int_equal(session_drive(searching, in), STEP_WAIT);
	struct search *search = CONTAINER_OF(searching, struct imap_session, session)->work;
	assert_int_equal(search->lanes_out, SEARCH_LANES);
	lane_run = search->lanes[0].work.run;
	sem_init(&lane_entered, 0, 0);
	for (unsigned i = 0; i < SEARCH_LANES; i++) {
		sem_init(&lane_may_go[i], 0, 0);
		search->lanes[i].work.run = run_when_told;
		sem_post(&gates[i].open);
	}
	for (unsigned i = 0; i < SEARCH_LANES; i++)
		sem_wait(&lane_entered);
	return search;
}

static void others_are_answered_meanwhile(void **state)
{
	struct session *searching = signed_in(), *other = signed_in();
	struct buffer said = { 0 };
	run(searching, "s SELECT many", "s OK");
	struct cursor in = cursor_of(SLICE("f SEARCH TEXT nothing-like-it\r\n"));
	struct search *search = begin_held_search(searching, &in);

	run(other, "s SELECT many", "s OK");
	run(other, "n NOOP", "n OK");
	run(other, "f FETCH 7 (FLAGS BODY.PEEK[])", "Subject: 06");
	run(other, "t STORE 7 +FLAGS.SILENT (\\Flagged)", "t OK");
	run(other, "t STORE 7 -FLAGS.SILENT (\\Flagged)", "t OK");
	run(other, "u SEARCH UNSEEN 1:3", "* SEARCH 1 2 3\r\nu OK");
	assert_int_equal(search->lanes_out, SEARCH_LANES);
	assert_true(searching->job_out);
	assert_int_equal(searching->out.len, 0);

	for (unsigned i = 0; i < SEARCH_LANES; i++)
		sem_post(&lane_may_go[i]);
	assert_true(core_feed(&world, searching, SLICE_NONE, &said));
	assert_true(slice_starts_nocase(buffer_slice(&said), SLICE("* SEARCH\r\n")));
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("\r\nf OK")) < said.len);
	buffer_free(&said);
	core_sign_out(&world, searching);
	core_sign_out(&world, other);
}

/* ---- a lane that cannot go on ---- */

/* Of both together no more is kept than the limit: this one has come up to it. */
static void reach_limit(struct search_lane *lane)
{
	assert_int_equal(lane->search->collected.max_octets, COLLECTION_MAX_OCTETS);
	lane->collection.kept_octets += COLLECTION_MAX_OCTETS + 1;
	atomic_fetch_add(&lane->search->collected.kept_octets, COLLECTION_MAX_OCTETS + 1);
}

static void fail_to_read(struct search_lane *lane)
{
	lane->scan.failure = ERR_DISK;
}

/* The other comes home, is not sent out again, and nothing is told of what either has found. */
static void a_lane_that_fails_ends_the_search(void **state)
{
	static const struct {
		const char *command, *answer;
		void (*happens)(struct search_lane *lane);
	} cases[] = {
		{ "f SORT (SUBJECT) UTF-8 ALL\r\n", "f NO [LIMIT] ", reach_limit },
		{ "f THREAD REFERENCES UTF-8 ALL\r\n", "f NO [LIMIT] ", reach_limit },
		{ "f SEARCH NOT SUBJECT none\r\n", "f NO [", fail_to_read },
		{ "f SEARCH RETURN (SAVE ALL) NOT SUBJECT none\r\n", "f NO [", fail_to_read },
		{ "f SORT (SUBJECT) UTF-8 ALL\r\n", "f NO [", fail_to_read },
	};
	struct session *searching = signed_in();
	struct buffer said = { 0 };
	run(searching, "s SELECT many", "s OK");
	for (unsigned i = 0; i < SEARCH_LANES * ARRAY_LEN(cases); i++) {
		unsigned first = i % SEARCH_LANES, other = 1 - first, k = i / SEARCH_LANES;
		struct cursor in = cursor_of(slice_cstr(cases[k].command));
		struct search *search = begin_held_search(searching, &in);
		cases[k].happens(&search->lanes[first]);
		sem_post(&lane_may_go[first]);
		while (search->lanes_out == SEARCH_LANES)
			loop_run_once(world.loop, 1000);
		assert_true(searching->job_out);
		assert_int_equal(searching->out.len, 0);
		sem_post(&lane_may_go[other]);
		while (search->lanes_out > 0)
			loop_run_once(world.loop, 1000);
		assert_int_equal(search->lanes[other].slices, 1);
		buffer_clear(&said);
		assert_true(core_feed(&world, searching, SLICE_NONE, &said));
		assert_true(slice_starts_nocase(buffer_slice(&said), slice_cstr(cases[k].answer)));
	}
	run(searching, "n NOOP", "n OK");
	buffer_free(&said);
	core_sign_out(&world, searching);
}

/* While one is held, the other finds nearly all that there is: what counts is the whole. */
static void one_lane_may_keep_nearly_all(void **state)
{
	enum { EACH = sizeof(struct collected) + sizeof(union collected_value) };
	static const struct {
		unsigned kept; /* messages, before there is too much */
		const char *answer;
	} cases[] = { { MANY - 1, "* SORT 1 " }, { MANY - 10, "f NO [LIMIT] " } };
	struct session *searching = signed_in();
	struct buffer said = { 0 };
	run(searching, "s SELECT many", "s OK");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cursor in = cursor_of(SLICE("f SORT (ARRIVAL) UTF-8 ALL\r\n"));
		struct search *search = begin_held_search(searching, &in);
		struct collection_limit *limit = &search->collected;
		limit->max_octets = (uint64_t)cases[i].kept * EACH;
		sem_post(&lane_may_go[0]);
		while (search->lanes_out == SEARCH_LANES)
			loop_run_once(world.loop, 1000);
		assert_true(search->lanes[0].collection.kept_octets > limit->max_octets / 2);
		sem_post(&lane_may_go[1]);
		buffer_clear(&said);
		assert_true(core_feed(&world, searching, SLICE_NONE, &said));
		assert_true(slice_starts_nocase(buffer_slice(&said), slice_cstr(cases[i].answer)));
	}
	buffer_free(&said);
	core_sign_out(&world, searching);
}

/* ---- in order ---- */

/* The numbers of the messages with the subject `which`: each MANY_SEED-th. */
static void add_numbers(struct buffer *text, unsigned which, const char *before)
{
	for (unsigned number = which + 1; number <= MANY; number += MANY_SEED) {
		buffer_add_cstr(text, before);
		buffer_add_u64(text, number);
	}
}

static void expect(const char *line, struct buffer *want)
{
	struct buffer said = { 0 };
	run_in_turns(session, line, &said);
	if (slice_find(buffer_slice(&said), 0, buffer_slice(want)) == said.len)
		fail_msg("%s: %.*s...", line, 200, (const char *)said.data);
	buffer_clear(want);
	buffer_free(&said);
}

static void what_is_found_stays_in_order(void **state)
{
	struct buffer want = { 0 };
	run(session, "s SELECT many", "s OK");
	buffer_add_cstr(&want, "* SEARCH");
	add_numbers(&want, 7, " ");
	expect("f SEARCH SUBJECT 07", &want);
	buffer_add_cstr(&want, "* SORT");
	for (unsigned i = MANY_SEED; i-- > 0;)
		add_numbers(&want, i, " ");
	expect("f SORT (REVERSE SUBJECT) UTF-8 ALL", &want);
	for (unsigned i = 0; i < MANY_SEED; i++) {
		size_t start = want.len;
		buffer_add_format(&want, "(%u ", i + 1);
		for (unsigned number = i + 1 + MANY_SEED; number <= MANY; number += MANY_SEED)
			buffer_add_format(&want, "(%u)", number);
		buffer_add_byte(&want, ')');
		if (i == 0)
			assert_int_equal(start, 0);
	}
	expect("f THREAD ORDEREDSUBJECT UTF-8 ALL", &want);
	/* MODSEQ is that of the last, not the highest (RFC 7162 section 3.1.10). */
	run(session, "t STORE 20008 +FLAGS.SILENT (\\Flagged)", "t OK");
	struct buffer said = { 0 };
	run_in_turns(session, "f FETCH 40948 (MODSEQ)", &said);
	size_t at = slice_find(buffer_slice(&said), 0, SLICE("MODSEQ ("));
	struct cursor c = cursor_of(slice_sub(buffer_slice(&said), at + 8, said.len));
	uint64_t modseq;
	assert_true(take_number(&c, UINT64_MAX, &modseq));
	buffer_add_format(&want, "MAX 40948 MODSEQ %llu\r\n", (unsigned long long)modseq);
	expect("f SEARCH RETURN (MAX) MODSEQ 1 SUBJECT 07", &want);
	buffer_free(&said);
	buffer_free(&want);
}

/* MODSEQ of what is returned alone (RFC 4731 section 3.2), which may be much: others have turns between. */
static void the_modseq_of_a_part_is_found_in_turns(void **state)
{
	struct buffer said = { 0 };
	char want[60];
	uint64_t modseq;
	run(session, "s SELECT many", "s OK");
	run(session, "t STORE 30000 +FLAGS.SILENT (\\Answered)", "t OK");
	run_in_turns(session, "f FETCH 30000 (MODSEQ)", &said);
	size_t at = slice_find(buffer_slice(&said), 0, SLICE("MODSEQ ("));
	struct cursor c = cursor_of(slice_sub(buffer_slice(&said), at + 8, said.len));
	assert_true(take_number(&c, UINT64_MAX, &modseq));
	run(session, "t STORE 40900 +FLAGS.SILENT (\\Answered)", "t OK");
	snprintf(want, sizeof(want), ") MODSEQ %llu\r\n", (unsigned long long)modseq);
	unsigned few =
		run_timeless(session, "f SEARCH RETURN (PARTIAL 30000:30001) MODSEQ 1", want);
	unsigned many = run_timeless(session, "f SEARCH RETURN (PARTIAL 1:40000) MODSEQ 1", want);
	assert_in_range(many, few + 3, few + 10);
	run(session, "f SORT RETURN (PARTIAL 961:40960) (REVERSE SUBJECT) UTF-8 MODSEQ 1 NOT 40900",
	    want);
	buffer_free(&said);
}

static int setup(void **state)
{
	int failed = many_setup(state);
	fill_heavy();
	return failed;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_ends_when_its_client_is_gone),
		cmocka_unit_test(a_search_ends_when_its_client_has_closed),
		cmocka_unit_test(a_client_that_still_reads_is_answered),
		cmocka_unit_test(others_are_answered_meanwhile),
		cmocka_unit_test(a_lane_that_fails_ends_the_search),
		cmocka_unit_test(one_lane_may_keep_nearly_all),
		cmocka_unit_test(what_is_found_stays_in_order),
		cmocka_unit_test(the_modseq_of_a_part_is_found_in_turns),
	};
	pool_set_threads(SEARCH_LANES);
	return cmocka_run_group_tests(tests, setup, many_teardown);
}
