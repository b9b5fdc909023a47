/* tests/unit/runtime/stream.c - plaintext streams over socket pairs. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/heap.h"
#include "runtime/stream.h"
#include "runtime/stream_priv.h"

/* An owner that notes what it is told and takes as much as the test says. */
struct owner {
	struct loop *loop;
	struct stream *stream;
	int peer; /* the other end */
	struct buffer seen;
	size_t take; /* at most that many octets a call */
	unsigned inputs, drained, timeouts, ended;
	enum stream_end how;
	void (*in_input)(struct owner *owner, struct cursor *in);
};

static void on_input(struct stream *stream, struct cursor *in)
{
	struct owner *owner = stream_user(stream);
	assert_true(cursor_left(in) <= STREAM_READ_OCTETS);
	assert_int_equal(owner->ended, 0);
	owner->inputs++;
	if (owner->in_input) {
		owner->in_input(owner, in);
		return;
	}
	struct slice part = slice_sub(cursor_rest(in), 0, owner->take);
	buffer_add(&owner->seen, part);
	in->at += part.len;
}

static void on_drained(struct stream *stream)
{
	((struct owner *)stream_user(stream))->drained++;
}

static void on_secured(struct stream *stream)
{
	fail_msg("a plaintext stream was secured");
}

static void on_timeout(struct stream *stream)
{
	((struct owner *)stream_user(stream))->timeouts++;
}

static void on_ended(struct stream *stream, enum stream_end how)
{
	struct owner *owner = stream_user(stream);
	owner->ended++;
	owner->how = how;
}

static const struct stream_events events = {
	.input = on_input,
	.drained = on_drained,
	.secured = on_secured,
	.timeout = on_timeout,
	.ended = on_ended,
};

static void owner_init(struct owner *owner)
{
	int pair[2];
	*owner = (struct owner){ .loop = loop_new(0), .take = SIZE_MAX };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	owner->stream = stream_new(owner->loop, pair[0], &events, owner);
	owner->peer = pair[1];
}

static void owner_fini(struct owner *owner)
{
	if (owner->stream)
		stream_abort(owner->stream);
	if (owner->peer >= 0)
		close(owner->peer);
	buffer_free(&owner->seen);
	loop_free(owner->loop);
}

static void turn(struct owner *owner, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		loop_run_once(owner->loop, 0);
}

static void say(struct owner *owner, const char *text)
{
	assert_int_equal(write(owner->peer, text, strlen(text)), (ssize_t)strlen(text));
}

/* Reads all that has arrived at the other end. */
static size_t hear(struct owner *owner, struct buffer *into)
{
	size_t total = 0;
	for (;;) {
		ssize_t got = recv(owner->peer, buffer_reserve(into, 65536), 65536, MSG_DONTWAIT);
		if (got <= 0)
			return total;
		into->len += (size_t)got;
		total += (size_t)got;
	}
}

static void test_reads_and_writes(void **state)
{
	struct owner o;
	struct buffer heard = { 0 };
	owner_init(&o);
	assert_int_equal(stream_peer(o.stream)->family, 0);
	assert_null(stream_tls_version(o.stream));
	say(&o, "hello");
	assert_int_equal(o.inputs, 0);
	turn(&o, 2);
	assert_slice(buffer_slice(&o.seen), "hello");
	assert_true(stream_write(o.stream, SLICE("world")));
	hear(&o, &heard);
	assert_slice(buffer_slice(&heard), "world");
	assert_int_equal(o.drained, 0);
	buffer_free(&heard);
	owner_fini(&o);
}

static void test_leftovers_come_first(void **state)
{
	struct owner o;
	owner_init(&o);
	o.take = 3;
	say(&o, "abcde");
	turn(&o, 3);
	assert_slice(buffer_slice(&o.seen), "abc");
	assert_int_equal(o.inputs, 1); /* not again before more has come */
	say(&o, "fg");
	turn(&o, 3);
	assert_slice(buffer_slice(&o.seen), "abcdef");
	o.take = 100;
	stream_resume(o.stream); /* offers again */
	assert_int_equal(o.inputs, 2);
	turn(&o, 2);
	assert_slice(buffer_slice(&o.seen), "abcdefg");
	assert_null(o.stream->in.data);
	owner_fini(&o);
}

static void test_pause(void **state)
{
	struct owner o;
	owner_init(&o);
	stream_pause(o.stream);
	say(&o, "quiet");
	shutdown(o.peer, SHUT_WR);
	turn(&o, 4);
	assert_int_equal(o.inputs, 0);
	assert_int_equal(o.ended, 0);
	stream_resume(o.stream);
	turn(&o, 4);
	assert_slice(buffer_slice(&o.seen), "quiet");
	assert_int_equal(o.ended, 1);
	assert_int_equal(o.how, STREAM_EOF);
	owner_fini(&o);
}

static void take_one_and_pause(struct owner *owner, struct cursor *in)
{
	if (!at_end(in))
		buffer_add_byte(&owner->seen, *in->at++);
	stream_pause(owner->stream);
}

static void test_pause_in_input_keeps_the_rest(void **state)
{
	struct owner o;
	owner_init(&o);
	o.in_input = take_one_and_pause;
	say(&o, "xyz");
	shutdown(o.peer, SHUT_WR);
	for (unsigned i = 1; i <= 3; i++) {
		turn(&o, 3);
		assert_int_equal(o.seen.len, i);
		assert_int_equal(o.ended, 0);
		stream_resume(o.stream);
	}
	turn(&o, 3);
	assert_slice(buffer_slice(&o.seen), "xyz");
	assert_int_equal(o.ended, 1);
	owner_fini(&o);
}

static void test_full_input_stops_reading(void **state)
{
	struct owner o;
	owner_init(&o);
	o.take = 0;
	char *block = heap_alloc(200 * 1024);
	memset(block, 'x', 200 * 1024);
	ssize_t sent = send(o.peer, block, 150 * 1024, MSG_DONTWAIT);
	assert_true(sent > STREAM_READ_OCTETS);
	turn(&o, 20);
	assert_int_equal(o.stream->in.len, STREAM_READ_OCTETS);
	assert_true(o.inputs < 10);
	o.take = SIZE_MAX;
	stream_resume(o.stream);
	turn(&o, 20);
	assert_int_equal(o.seen.len, sent);
	free(block);
	owner_fini(&o);
}

static void test_high_water_and_drained(void **state)
{
	struct owner o;
	struct buffer heard = { 0 };
	owner_init(&o);
	size_t total = 0;
	uint8_t block[8192];
	bool room = true;
	while (room && total < (16u << 20)) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = (uint8_t)((total + i) * 7 >> 3);
		room = stream_write(o.stream, slice_of(block, sizeof(block)));
		total += sizeof(block);
	}
	assert_false(room);
	assert_true(stream_queued(o.stream) > STREAM_HIGH_WATER_OCTETS);
	turn(&o, 2);
	assert_int_equal(o.drained, 0);
	while (heard.len < total) {
		hear(&o, &heard);
		turn(&o, 1);
	}
	turn(&o, 2);
	assert_int_equal(heard.len, total);
	for (size_t i = 0; i < total; i++)
		if (heard.data[i] != (uint8_t)(i * 7 >> 3))
			fail_msg("octet %zu differs", i);
	assert_int_equal(o.drained, 1);
	assert_int_equal(stream_queued(o.stream), 0);
	assert_null(o.stream->out.data);
	buffer_free(&heard);
	owner_fini(&o);
}

/* A large buffer is not copied into the queue: it becomes the queue. */
static void test_a_large_buffer_is_kept(void **state)
{
	enum { OCTETS = 4 << 20 };
	struct owner o;
	struct buffer heard = { 0 }, large = { 0 }, small = { 0 };
	owner_init(&o);
	uint8_t *data = buffer_reserve(&large, OCTETS);
	for (large.len = 0; large.len < OCTETS; large.len++)
		data[large.len] = (uint8_t)(large.len * 7 >> 3);
	assert_false(stream_write_buffer(o.stream, &large));
	assert_null(large.data);
	assert_ptr_equal(o.stream->out.data, data);
	assert_true(stream_queued(o.stream) < OCTETS);
	/* What follows goes behind it. */
	buffer_add_cstr(&small, "end");
	assert_false(stream_write_buffer(o.stream, &small));
	assert_non_null(small.data);
	assert_int_equal(small.len, 0);
	while (heard.len < OCTETS + 3) {
		hear(&o, &heard);
		turn(&o, 1);
	}
	turn(&o, 2);
	assert_int_equal(heard.len, OCTETS + 3);
	for (size_t i = 0; i < OCTETS; i++)
		if (heard.data[i] != (uint8_t)(i * 7 >> 3))
			fail_msg("octet %zu differs", i);
	assert_memory_equal(heard.data + OCTETS, "end", 3);
	assert_int_equal(o.drained, 1);
	assert_null(o.stream->out.data);
	/* One of which the socket takes everything stays its owner's. */
	buffer_reserve(&small, STREAM_HIGH_WATER_OCTETS + 1);
	memset(small.data, 'y', STREAM_HIGH_WATER_OCTETS + 1);
	small.len = STREAM_HIGH_WATER_OCTETS + 1;
	assert_true(stream_write_buffer(o.stream, &small));
	assert_non_null(small.data);
	assert_int_equal(small.len, 0);
	/* Nobody is there to take it. */
	close(o.peer);
	o.peer = -1;
	small.len = STREAM_HIGH_WATER_OCTETS + 1;
	assert_true(stream_write_buffer(o.stream, &small));
	assert_int_equal(small.len, 0);
	assert_true(stream_is_broken(o.stream));
	buffer_free(&small);
	buffer_free(&heard);
	owner_fini(&o);
}

static void test_want_drained(void **state)
{
	struct owner o;
	owner_init(&o);
	stream_write(o.stream, SLICE("x"));
	stream_want_drained(o.stream);
	assert_int_equal(o.drained, 0); /* in a later turn, never inside a call */
	turn(&o, 2);
	assert_int_equal(o.drained, 1);
	owner_fini(&o);
}

static void test_peer_gone(void **state)
{
	struct owner o;
	owner_init(&o);
	say(&o, "last words");
	close(o.peer);
	o.peer = -1;
	assert_true(stream_write(o.stream, SLICE("into the void")));
	turn(&o, 4);
	assert_slice(buffer_slice(&o.seen), "last words");
	assert_int_equal(o.ended, 1);
	assert_int_equal(o.how, STREAM_RESET);
	assert_true(stream_write(o.stream, SLICE("more")));
	turn(&o, 4);
	assert_int_equal(o.ended, 1);
	owner_fini(&o);
}

/* A writer that waits for drained() hears of it, though the peer left with all of it unread. */
static void test_drained_after_peer_left(void **state)
{
	struct owner o;
	owner_init(&o);
	uint8_t block[65536] = { 0 };
	while (stream_write(o.stream, slice_of(block, sizeof(block))))
		;
	close(o.peer);
	o.peer = -1;
	turn(&o, 5);
	assert_int_equal(o.drained, 1);
	assert_int_equal(o.ended, 1);
	owner_fini(&o);
}

static void test_close_sends_the_rest(void **state)
{
	struct owner o;
	struct buffer heard = { 0 };
	owner_init(&o);
	size_t total = 0;
	uint8_t block[65536] = { 1 };
	bool room = true;
	for (; room; total += sizeof(block))
		room = stream_write(o.stream, slice_of(block, sizeof(block)));
	say(&o, "nobody reads this");
	stream_close(o.stream);
	o.stream = NULL;
	while (heard.len < total) {
		turn(&o, 1);
		hear(&o, &heard);
	}
	turn(&o, 3);
	uint8_t end;
	assert_int_equal(recv(o.peer, &end, 1, MSG_DONTWAIT), 0);
	assert_int_equal(o.inputs, 0);
	buffer_free(&heard);
	owner_fini(&o);
}

static void close_it(struct owner *owner, struct cursor *in)
{
	buffer_add(&owner->seen, cursor_rest(in));
	stream_close(owner->stream);
	owner->stream = NULL;
}

static void abort_it(struct owner *owner, struct cursor *in)
{
	stream_abort(owner->stream);
	owner->stream = NULL;
	buffer_add(&owner->seen, cursor_rest(in)); /* the input lives as long as the call */
}

static void test_close_in_input(void **state)
{
	void (*const ways[])(struct owner *, struct cursor *) = { close_it, abort_it };
	for (size_t i = 0; i < 2; i++) {
		struct owner o;
		owner_init(&o);
		o.take = 1;
		say(&o, "ab");
		turn(&o, 2); /* "b" is left, and offered from the stream's own memory */
		o.in_input = ways[i];
		say(&o, "cd");
		turn(&o, 4);
		assert_slice(buffer_slice(&o.seen), "abcd");
		assert_int_equal(o.inputs, 2);
		assert_int_equal(o.ended, 0);
		owner_fini(&o);
	}
}

static struct owner second;

static void hand_over(struct owner *owner, struct cursor *in)
{
	buffer_add_byte(&owner->seen, *in->at++);
	second.stream = owner->stream;
	stream_set_events(owner->stream, &events, &second);
	owner->stream = NULL;
}

static void test_new_owner_in_input(void **state)
{
	struct owner o;
	second = (struct owner){ .take = SIZE_MAX };
	owner_init(&o);
	o.in_input = hand_over;
	say(&o, "1rest");
	shutdown(o.peer, SHUT_WR);
	turn(&o, 4);
	assert_slice(buffer_slice(&o.seen), "1");
	assert_slice(buffer_slice(&second.seen), "rest");
	assert_int_equal(o.inputs, 1);
	assert_int_equal(o.ended, 0);
	assert_int_equal(second.ended, 1);
	stream_abort(second.stream);
	buffer_free(&second.seen);
	owner_fini(&o);
}

static void test_half_close(void **state)
{
	struct owner o;
	struct buffer heard = { 0 };
	owner_init(&o);
	stream_end_output(o.stream);
	assert_true(stream_write(o.stream, SLICE("too late")));
	assert_int_equal(hear(&o, &heard), 0);
	say(&o, "still here");
	turn(&o, 2);
	assert_slice(buffer_slice(&o.seen), "still here");
	assert_int_equal(o.ended, 0);
	buffer_free(&heard);
	owner_fini(&o);
}

static void test_idle_timeout(void **state)
{
	struct owner o;
	owner_init(&o);
	stream_set_idle_ms(o.stream, 20);
	while (o.timeouts < 2)
		loop_run_once(o.loop, 1000);
	stream_set_idle_ms(o.stream, 0);
	for (unsigned i = 0; i < 4; i++)
		loop_run_once(o.loop, 25);
	assert_int_equal(o.timeouts, 2);
	/* Progress puts it off: an hour from the last octet is not due now. */
	stream_set_idle_ms(o.stream, 3600000);
	say(&o, "x");
	turn(&o, 3);
	assert_int_equal(o.timeouts, 2);
	owner_fini(&o);
}

static void count_up(void *user)
{
	++*(unsigned *)user;
}

static void test_set_freed(void **state)
{
	struct owner o;
	unsigned gone = 0;
	owner_init(&o);
	stream_set_freed(o.stream, count_up, &gone);
	stream_close(o.stream);
	o.stream = NULL;
	turn(&o, 2);
	assert_int_equal(gone, 0); /* still waiting for the peer's goodbye */
	close(o.peer);
	o.peer = -1;
	turn(&o, 2);
	assert_int_equal(gone, 1);
	owner_fini(&o);
	assert_int_equal(gone, 1);
}

static void test_loop_free_cuts_off_goodbyes(void **state)
{
	struct owner o;
	owner_init(&o);
	stream_close(o.stream); /* the peer never answers */
	o.stream = NULL;
	turn(&o, 2);
	owner_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_and_writes),
		cmocka_unit_test(test_leftovers_come_first),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_in_input_keeps_the_rest),
		cmocka_unit_test(test_full_input_stops_reading),
		cmocka_unit_test(test_high_water_and_drained),
		cmocka_unit_test(test_a_large_buffer_is_kept),
		cmocka_unit_test(test_want_drained),
		cmocka_unit_test(test_peer_gone),
		cmocka_unit_test(test_drained_after_peer_left),
		cmocka_unit_test(test_close_sends_the_rest),
		cmocka_unit_test(test_close_in_input),
		cmocka_unit_test(test_new_owner_in_input),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_idle_timeout),
		cmocka_unit_test(test_set_freed),
		cmocka_unit_test(test_loop_free_cuts_off_goodbyes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
