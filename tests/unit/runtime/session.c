/* tests/unit/runtime/session.c - the binder, with a toy core that echoes lines.
 *
 * Lines: "slow" asks for a delay, "job" starts a job, "job-and-bye" does not wait for it, "big N" answers with N octets in pieces,
 * "flood" with much at once and a job beside it, "bye" closes, "detach"
 * hands the stream on, everything else is echoed. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "runtime/session.h"
#include "runtime/stream_priv.h"

enum { FLOOD_OCTETS = 1 << 20 };

struct toy {
	struct session session;
	bool greeted;
	uint64_t big_left;
	unsigned changes;
};

static unsigned freed;
static struct stream *detached;
static struct toy *newest;

static enum step take_line(struct toy *toy, struct cursor *in)
{
	struct session *session = &toy->session;
	struct slice line;
	if (!take_crlf_line(in, &line))
		return STEP_INPUT;
	if (slice_eq(line, SLICE("job"))) {
		session_job_begin(session);
		return STEP_WAIT;
	}
	if (slice_eq(line, SLICE("flood"))) {
		memset(buffer_reserve(&session->out, FLOOD_OCTETS), 'x', FLOOD_OCTETS);
		session->out.len += FLOOD_OCTETS;
		session_job_begin(session);
		return STEP_WAIT;
	}
	if (slice_eq(line, SLICE("job-and-bye"))) {
		session_job_begin(session);
		return STEP_CLOSE;
	}
	if (slice_eq(line, SLICE("slow"))) {
		buffer_add_cstr(&session->out, "slowly\r\n");
		session->delay_ms = 24 * 3600 * 1000; /* the test shortens it */
		return STEP_WAIT;
	}
	if (slice_eq(line, SLICE("bye"))) {
		buffer_add_cstr(&session->out, "goodbye\r\n");
		return STEP_CLOSE;
	}
	if (slice_eq(line, SLICE("detach"))) {
		buffer_add_cstr(&session->out, "handing over\r\n");
		detached = session_detach_stream(session);
		return STEP_CLOSE;
	}
	if (slice_starts_nocase(line, SLICE("big "))) {
		assert_true(slice_to_u64(slice_sub(line, 4, line.len), 1 << 30, &toy->big_left));
		return STEP_AGAIN;
	}
	buffer_add(&session->out, line);
	buffer_add_cstr(&session->out, "\r\n");
	return STEP_AGAIN;
}

static enum step toy_feed(struct session *session, struct cursor *in)
{
	struct toy *toy = CONTAINER_OF(session, struct toy, session);
	enum step step = STEP_AGAIN;
	assert_false(session->job_out);
	if (!toy->greeted) {
		toy->greeted = true;
		buffer_add_cstr(&session->out, "welcome\r\n");
	}
	while (step == STEP_AGAIN) {
		for (; toy->big_left && !session_out_is_full(session); toy->big_left--)
			buffer_add_byte(&session->out, (uint8_t)toy->big_left);
		step = session_out_is_full(session) ? STEP_WAIT : take_line(toy, in);
	}
	return step;
}

static enum step toy_notify(struct session *session, enum news news)
{
	static const char *const words[] = { "timeout", "shutdown", "secured", "ended", "changed" };
	struct toy *toy = CONTAINER_OF(session, struct toy, session);
	buffer_add_format(&session->out, "* %s\r\n", words[news]);
	if (news == NEWS_CHANGED)
		toy->changes++;
	if (session->delay && news == NEWS_CHANGED)
		return STEP_WAIT; /* there is input that was not looked at */
	return news == NEWS_CHANGED || news == NEWS_SECURED || news == NEWS_ENDED ? STEP_INPUT
										  : STEP_CLOSE;
}

static void toy_free(struct session *session)
{
	freed++;
	free(CONTAINER_OF(session, struct toy, session));
}

static const struct session_class toy_class = {
	.name = "toy",
	.feed = toy_feed,
	.notify = toy_notify,
	.free = toy_free,
};

struct scene {
	struct loop *loop;
	int peer;
	struct buffer heard;
};

static void scene_connect(struct scene *scene)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	scene->peer = pair[1];
	newest = heap_alloc(sizeof(*newest));
	session_init(&newest->session, &toy_class, scene->loop, 0x4f2a);
	/* Whoever accepted it owns it first; here, nobody waits for anything. */
	static const struct stream_events none;
	session_start(&newest->session, stream_new(scene->loop, pair[0], &none, NULL), NULL);
}

static void scene_init(struct scene *scene)
{
	freed = 0;
	detached = NULL;
	*scene = (struct scene){ .loop = loop_new(0) };
	scene_connect(scene);
}

static void turn(struct scene *scene, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		loop_run_once(scene->loop, 0);
	uint8_t *at;
	ssize_t got;
	do {
		at = buffer_reserve(&scene->heard, 65536);
		got = recv(scene->peer, at, 65536, MSG_DONTWAIT);
		scene->heard.len += got > 0 ? (size_t)got : 0;
	} while (got > 0);
}

static void say(struct scene *scene, const char *text)
{
	assert_int_equal(write(scene->peer, text, strlen(text)), (ssize_t)strlen(text));
}

static void scene_fini(struct scene *scene)
{
	close(scene->peer);
	turn(scene, 5);
	assert_int_equal(freed, 1);
	assert_int_equal(session_count(scene->loop), 0);
	buffer_free(&scene->heard);
	loop_free(scene->loop);
}

static void test_greets_and_echoes(void **state)
{
	struct scene s;
	scene_init(&s);
	assert_string_equal(newest->session.log.conn, "toy-4f2a");
	assert_int_equal(session_count(s.loop), 1);
	say(&s, "one\r\ntwo\r\nthr");
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard), "welcome\r\none\r\ntwo\r\n");
	assert_null(newest->session.out.data); /* an idle session owns no output */
	say(&s, "ee\r\nbye\r\nnever seen\r\n");
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard), "welcome\r\none\r\ntwo\r\nthree\r\ngoodbye\r\n");
	assert_int_equal(freed, 1);
	scene_fini(&s);
}

static void test_input_waits_for_the_job(void **state)
{
	struct scene s;
	scene_init(&s);
	say(&s, "a\r\njob\r\nb\r\n");
	turn(&s, 3);
	say(&s, "c\r\n");
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard), "welcome\r\na\r\n");
	buffer_add_cstr(&newest->session.out, "done\r\n");
	session_job_end(&newest->session);
	turn(&s, 4);
	assert_slice(buffer_slice(&s.heard), "welcome\r\na\r\ndone\r\nb\r\nc\r\n");
	scene_fini(&s);
}

/* The end of a job leads to feed() even where no input waits. */
static void test_job_end_without_input(void **state)
{
	struct scene s;
	scene_init(&s);
	say(&s, "job\r\n");
	turn(&s, 3);
	buffer_add_cstr(&newest->session.out, "done\r\n");
	session_job_end(&newest->session);
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard), "welcome\r\ndone\r\n");
	scene_fini(&s);
}

/* Its answer goes out, then nothing is read until the time is over; news are heard. */
static void test_delay(void **state)
{
	struct scene s;
	scene_init(&s);
	say(&s, "slow\r\nb\r\n");
	turn(&s, 3);
	say(&s, "c\r\n");
	turn(&s, 3);
	session_wake_news(&newest->session, NEWS_CHANGED);
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard), "welcome\r\nslowly\r\n* changed\r\n");
	timer_start(newest->session.delay, 0);
	session_wake_news(&newest->session, NEWS_CHANGED); /* does not make it longer */
	while (newest->session.delay)
		loop_run_once(s.loop, 1000);
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard),
		     "welcome\r\nslowly\r\n* changed\r\n* changed\r\nb\r\nc\r\n");
	say(&s, "slow\r\nd\r\n");
	turn(&s, 3);
	session_shutdown_all(s.loop);
	turn(&s, 3);
	assert_int_equal(freed, 1);
	scene_fini(&s);
}

static void test_client_leaves_during_job(void **state)
{
	struct scene s;
	scene_init(&s);
	say(&s, "job\r\nafter\r\n");
	turn(&s, 3);
	close(s.peer);
	turn(&s, 3);
	assert_int_equal(freed, 0);
	session_job_end(&newest->session);
	s.peer = dup(0); /* so that scene_fini() has something to close */
	turn(&s, 5);
	assert_int_equal(freed, 1);
	scene_fini(&s);
}

/* Closed while its job is out: freed when the job comes home. */
static void test_close_with_job_out(void **state)
{
	struct scene s;
	scene_init(&s);
	struct toy *toy = newest;
	say(&s, "job-and-bye\r\n");
	turn(&s, 3);
	uint8_t end;
	assert_int_equal(recv(s.peer, &end, 1, MSG_DONTWAIT), 0);
	assert_int_equal(freed, 0);
	assert_int_equal(session_count(s.loop), 1);
	session_wake_news(&toy->session, NEWS_SHUTDOWN); /* nobody is there to hear it */
	session_job_end(&toy->session);
	assert_int_equal(freed, 1);
	scene_fini(&s);
}

static void test_shutdown_waits_for_the_job(void **state)
{
	struct scene s;
	scene_init(&s);
	say(&s, "job\r\n");
	turn(&s, 3);
	session_shutdown_all(s.loop);
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard), "welcome\r\n"); /* news wait for the job */
	assert_int_equal(freed, 0);
	session_job_end(&newest->session);
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard), "welcome\r\n* shutdown\r\n");
	assert_int_equal(freed, 1);
	scene_fini(&s);
}

/* One whose stream was given back only now, or that was accepted in the same turn. */
static void test_shutdown_meets_who_comes_too_late(void **state)
{
	struct scene s;
	scene_init(&s);
	session_shutdown_all(s.loop);
	turn(&s, 3);
	assert_int_equal(freed, 1);
	close(s.peer);
	buffer_clear(&s.heard);
	freed = 0;
	scene_connect(&s);
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard), "* shutdown\r\n");
	assert_int_equal(freed, 1);
	scene_fini(&s);
}

static void test_big_output_waits_for_the_client(void **state)
{
	struct scene s;
	scene_init(&s);
	say(&s, "big 3000000\r\nend\r\n");
	for (unsigned i = 0; i < 50; i++)
		loop_run_once(s.loop, 0);
	assert_true(newest->big_left > 1000000); /* the client reads nothing: we stop producing */
	session_wake_news(&newest->session, NEWS_CHANGED);
	assert_int_equal(newest->changes, 0); /* nor do we pile up news */
	size_t want = strlen("welcome\r\n") + 3000000 + strlen("end\r\n") + strlen("* changed\r\n");
	for (unsigned i = 0; i < 1000 && s.heard.len < want; i++)
		turn(&s, 1);
	assert_int_equal(s.heard.len, want);
	assert_int_equal(newest->changes, 1);
	scene_fini(&s);
}

/* What is made ahead comes home while the client has not taken what was made before. */
static void test_job_comes_home_while_output_waits(void **state)
{
	struct scene s;
	scene_init(&s);
	say(&s, "flood\r\nend\r\n");
	while (!newest->session.job_out)
		loop_run_once(s.loop, 0);
	assert_true(newest->session.out_waits);
	session_wake_news(&newest->session, NEWS_CHANGED);
	session_job_end(&newest->session);
	for (unsigned i = 0; i < 5; i++)
		loop_run_once(s.loop, 0);
	assert_int_equal(newest->changes, 0);
	assert_true(newest->session.out_waits);
	size_t want = strlen("welcome\r\n") + FLOOD_OCTETS + strlen("* changed\r\nend\r\n");
	for (unsigned i = 0; i < 1000 && s.heard.len < want; i++)
		turn(&s, 1);
	assert_int_equal(s.heard.len, want);
	scene_fini(&s);
}

/* A client that does not read holds up neither the end of its job nor that of the server. */
static void test_shutdown_waits_for_the_job_not_for_the_client(void **state)
{
	struct scene s;
	scene_init(&s);
	say(&s, "flood\r\n");
	while (!newest->session.job_out)
		loop_run_once(s.loop, 0);
	session_shutdown_all(s.loop);
	assert_int_equal(freed, 0);
	session_job_end(&newest->session);
	assert_int_equal(freed, 1);
	scene_fini(&s);
}

static void test_half_closed_client_gets_its_replies(void **state)
{
	struct scene s;
	scene_init(&s);
	say(&s, "one\r\njob\r\ntwo\r\n");
	shutdown(s.peer, SHUT_WR);
	turn(&s, 5);
	session_job_end(&newest->session);
	turn(&s, 5);
	assert_slice(buffer_slice(&s.heard), "welcome\r\none\r\ntwo\r\n* ended\r\n");
	assert_int_equal(freed, 1);
	scene_fini(&s);
}

static void test_timeout(void **state)
{
	struct scene s;
	scene_init(&s);
	stream_set_idle_ms(newest->session.stream, 10);
	while (!freed)
		loop_run_once(s.loop, 1000);
	turn(&s, 1);
	assert_slice(buffer_slice(&s.heard), "welcome\r\n* timeout\r\n");
	scene_fini(&s);
}

static void take_all(struct stream *stream, struct cursor *in)
{
	buffer_add(stream_user(stream), cursor_rest(in));
	in->at = in->end;
}

static void ignore_end(struct stream *stream, enum stream_end how)
{
}

static void test_detach(void **state)
{
	static const struct stream_events next = { .input = take_all, .ended = ignore_end };
	struct scene s;
	struct buffer taken = { 0 };
	scene_init(&s);
	say(&s, "detach\r\nfor the next owner");
	turn(&s, 3);
	assert_slice(buffer_slice(&s.heard), "welcome\r\nhanding over\r\n");
	assert_int_equal(freed, 1);
	assert_non_null(detached);
	stream_set_events(detached, &next, &taken);
	stream_resume(detached);
	turn(&s, 3);
	assert_slice(buffer_slice(&taken), "for the next owner");
	buffer_free(&taken);
	stream_abort(detached);
	scene_fini(&s);
}

static unsigned woken;
static void on_woken(struct session *session)
{
	woken++;
}

static void test_drive_without_stream(void **state)
{
	struct loop *loop = loop_new(0);
	struct toy *toy = heap_alloc(sizeof(*toy));
	session_init(&toy->session, &toy_class, loop, 0);
	toy->session.woken = on_woken;
	struct cursor in = cursor_of(SLICE("job\r\nafter\r\n"));
	assert_int_equal(session_drive(&toy->session, &in), STEP_WAIT);
	session_wake_news(&toy->session, NEWS_CHANGED);
	assert_int_equal(woken, 0);
	assert_int_equal(session_drive(&toy->session, &in), STEP_WAIT);
	session_job_end(&toy->session);
	assert_int_equal(woken, 1);
	assert_int_equal(session_drive(&toy->session, &in), STEP_INPUT);
	assert_slice(buffer_slice(&toy->session.out), "welcome\r\n* changed\r\nafter\r\n");
	buffer_free(&toy->session.out);
	free(toy);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greets_and_echoes),
		cmocka_unit_test(test_input_waits_for_the_job),
		cmocka_unit_test(test_job_end_without_input),
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_client_leaves_during_job),
		cmocka_unit_test(test_close_with_job_out),
		cmocka_unit_test(test_shutdown_waits_for_the_job),
		cmocka_unit_test(test_shutdown_meets_who_comes_too_late),
		cmocka_unit_test(test_big_output_waits_for_the_client),
		cmocka_unit_test(test_job_comes_home_while_output_waits),
		cmocka_unit_test(test_shutdown_waits_for_the_job_not_for_the_client),
		cmocka_unit_test(test_half_closed_client_gets_its_replies),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_drive_without_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
