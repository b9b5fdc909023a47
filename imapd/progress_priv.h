/* imapd/progress_priv.h - tells a client whose command takes long how far it is (RFC 9585). */
#pragma once

#include "imapd/session_priv.h"

enum {
	PROGRESS_EVERY_MS = 10 * 1000,
	/* To a client that has closed its side: whether it still reads is not known until we write. */
	PROGRESS_ENDED_EVERY_MS = 250,
};

/* A command of this session begins. */
void progress_begin(struct imap_session *s);
/* Whether the client has heard nothing of its command for so long. */
bool progress_is_due(const struct imap_session *s);
/* `done` of `goal` messages; a goal of 0: nobody knows. Between two responses only. */
void progress_tell(struct imap_session *s, uint64_t done, uint64_t goal);
