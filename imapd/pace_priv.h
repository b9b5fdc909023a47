/* imapd/pace_priv.h - a command that dribbles in: how long its rest is waited for. On the session's
 * loop. */
#pragma once

#include "imapd/session_priv.h"

/* The command is over; the next one has its own time. */
void pace_forget(struct imap_session *s);
/* The session waits for the client. True: for the rest of a command that takes too long. */
bool pace_dribbles(struct imap_session *s);
