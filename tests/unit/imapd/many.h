/* tests/unit/imapd/many.h - a mailbox of many messages, and how many turns of the loop a command
 * takes on it. */
#pragma once

#include "tests/unit/unit.h"

#include "tests/unit/imapd/core.h"

enum { MANY_SEED = 20, MANY = MANY_SEED * 2048 };

static struct core_world world;

/* One command; gives its answer in `said` and returns in how many turns it came. */
static inline unsigned run_in_turns(struct session *session, const char *line, struct buffer *said)
{
	struct buffer text = { 0 };
	unsigned turns = 0;
	buffer_clear(said);
	buffer_add_cstr(&text, line);
	buffer_add_cstr(&text, "\r\n");
	struct cursor in = cursor_of(buffer_slice(&text));
	for (;;) {
		enum step step = session_drive(session, &in);
		/* A turn that only waits for the client to take what was said is none. */
		turns += session->out.len < SESSION_OUT_HIGH_OCTETS;
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

static inline unsigned run(struct session *session, const char *line, const char *end)
{
	struct buffer said = { 0 };
	unsigned turns = run_in_turns(session, line, &said);
	if (slice_find(buffer_slice(&said), 0, slice_cstr(end)) == said.len)
		fail_msg("%s: %.*s", line, SLICE_ARG(buffer_slice(&said)));
	buffer_free(&said);
	return turns;
}

static inline struct session *many_sign_in(void)
{
	struct buffer said = { 0 };
	struct session *session = core_sign_in(&world, 1);
	assert_true(core_feed(&world, session, SLICE_NONE, &said));
	buffer_free(&said);
	return session;
}

/* MANY messages of 16 octets in a new mailbox, copied and copied again: one commit for each command. */
static inline void many_fill(struct session *session, const char *mailbox)
{
	char line[200];
	snprintf(line, sizeof(line), "c CREATE %s", mailbox);
	run(session, line, "c OK");
	for (unsigned i = 0; i < MANY_SEED; i++) {
		snprintf(line, sizeof(line), "a APPEND %s {16+}\r\nSubject: %02u\r\n\r\nx", mailbox,
			 i);
		run(session, line, "a OK");
	}
	for (unsigned count = MANY_SEED; count < MANY; count *= 2) {
		snprintf(line, sizeof(line), "s SELECT %s", mailbox);
		run(session, line, "s OK");
		snprintf(line, sizeof(line), "c COPY 1:* %s", mailbox);
		run(session, line, "c OK");
	}
}
