/* imapd/thread_id_priv.h - Message-IDs, and the thread that they put a message in. Any thread. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"

/* The next "<...>" of a field, without quotes and blanks, which make no other id of it (RFC
 * 5256 section 3, REFERENCES). */
bool take_message_id(struct cursor *c, struct arena *arena, struct slice *id_out);

/* THREADID of RFC 8474 for a message with this header. Never 0. `blob_id` names it where it has no
 * Message-ID of its own and refers to none. */
uint64_t thread_id_of(struct slice header, uint64_t blob_id);
