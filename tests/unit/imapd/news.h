/* tests/unit/imapd/news.h - what a session in the world of a test program is told, with and without a
 * command. */
#pragma once

#include "tests/unit/imapd/world.h"

/* One that has said something already. */
static inline struct session *signed_in_and_said(const char *commands)
{
	struct buffer said = { 0 };
	struct session *session = signed_in();
	assert_true(core_feed(&world, session, slice_cstr(commands), &said));
	buffer_free(&said);
	return session;
}

static inline void expect(struct session *session, const char *command, const char *want)
{
	struct buffer said = { 0 };
	assert_true(core_feed(&world, session, slice_cstr(command), &said));
	assert_slice(buffer_slice(&said), want);
	buffer_free(&said);
}

/* Appends what is told in so many turns without a command. */
static inline void hear_turns(struct session *session, unsigned turns, struct buffer *said)
{
	while (turns-- > 0)
		assert_true(core_turn(&world, session, said));
}

/* What is told without a command. */
static inline void expect_news(struct session *session, const char *want)
{
	struct buffer said = { 0 };
	for (unsigned i = 0; i < 10 && (said.len < strlen(want) || !want[0]); i++)
		hear_turns(session, 1, &said);
	assert_slice(buffer_slice(&said), want);
	buffer_free(&said);
}
