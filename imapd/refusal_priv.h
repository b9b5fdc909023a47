/* imapd/refusal_priv.h - a command that is refused before all of it has come. On the session's loop. */
#pragma once

#include "imapd/session_priv.h"

extern const char refusal_too_long[];
/* FRAMED_REFUSED: all that had to be skipped has been. */
enum step refusal_end(struct imap_session *s);
/* Something is being skipped, and is not waited for any longer: the client hears why it was refused. Nothing
 * otherwise. */
void refusal_tell(struct imap_session *s);
