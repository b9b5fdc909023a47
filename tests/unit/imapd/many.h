/* tests/unit/imapd/many.h - a mailbox of many messages in the world of a test program, and the session
 * that made it. */
#pragma once

#include "tests/unit/imapd/world.h"

enum { MANY_SEED = 20, MANY = MANY_SEED * 2048 };

static struct session *session;

/* MANY messages of 16 octets in a new mailbox, copied and copied again: one commit for each command. */
static inline int many_setup(void **state)
{
	char line[200];
	world_setup(state);
	session = signed_in();
	run(session, "c CREATE many", "c OK");
	for (unsigned i = 0; i < MANY_SEED; i++) {
		snprintf(line, sizeof(line), "a APPEND many {16+}\r\nSubject: %02u\r\n\r\nx", i);
		run(session, line, "a OK");
	}
	for (unsigned count = MANY_SEED; count < MANY; count *= 2) {
		run(session, "s SELECT many", "s OK");
		run(session, "c COPY 1:* many", "c OK");
	}
	return 0;
}

static inline int many_teardown(void **state)
{
	core_sign_out(&world, session);
	return world_teardown(state);
}
