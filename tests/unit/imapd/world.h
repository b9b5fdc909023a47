/* tests/unit/imapd/world.h - the one world of a test program: cores that are signed in to it, and their
 * commands, turn by turn. */
#pragma once

#include "tests/unit/unit.h"

#include "base/clock.h"
#include "tests/unit/imapd/core.h"

static struct core_world world;

/* Octets that waited for the client at most, during the last run_in_turns(). */
static size_t most_waiting;

static inline int world_setup(void **state)
{
	core_world_start(&world);
	return 0;
}

static inline int world_teardown(void **state)
{
	core_world_stop(&world);
	return 0;
}

static inline struct session *signed_in(void)
{
	struct buffer said = { 0 };
	struct session *session = core_sign_in(&world, 1);
	assert_true(core_feed(&world, session, SLICE_NONE, &said));
	buffer_free(&said);
	return session;
}

/* One command, without its CRLF; gives its answer in `said` and returns in how many turns it came. */
static inline unsigned run_in_turns(struct session *session, const char *line, struct buffer *said)
{
	unsigned turns = 0;
	struct buffer text = { 0 };
	buffer_clear(said);
	most_waiting = 0;
	buffer_add_cstr(&text, line);
	buffer_add_cstr(&text, "\r\n");
	struct cursor in = cursor_of(buffer_slice(&text));
	for (;;) {
		enum step step = session_drive(session, &in);
		/* A turn that only waits for the client to take what was said is none. */
		turns += session->out.len < SESSION_OUT_HIGH_OCTETS;
		if (session->out.len > most_waiting)
			most_waiting = session->out.len;
		core_drain(session, said);
		assert_int_not_equal(step, STEP_CLOSE);
		if (step == STEP_INPUT)
			break;
		if (session->job_out)
			loop_run_once(world.loop, 1000);
	}
	assert_true(at_end(&in));
	buffer_free(&text);
	return turns;
}

/* The same; `part` stands somewhere in its answer. */
static inline unsigned run(struct session *session, const char *line, const char *part)
{
	struct buffer said = { 0 };
	unsigned turns = run_in_turns(session, line, &said);
	if (slice_find(buffer_slice(&said), 0, slice_cstr(part)) == said.len)
		fail_msg("%s: %.*s", line, SLICE_ARG(buffer_slice(&said)));
	buffer_free(&said);
	return turns;
}

/* Two commands with the tag "f" in turns: so many of them. */
static inline void run_by_turns(struct session *session, unsigned count, const char *first,
				const char *second)
{
	for (unsigned i = 0; i < count; i++)
		run(session, i % 2 ? second : first, "f OK");
}

/* The same with the clock at rest, so that a turn ends by what was done in it, and not by how long it took
 * on this machine. */
static inline unsigned run_timeless(struct session *session, const char *line, const char *part)
{
	clock_set_fake_unix_ms((int64_t)clock_monotonic_ms());
	unsigned turns = run(session, line, part);
	clock_set_fake_unix_ms(-1);
	return turns;
}
