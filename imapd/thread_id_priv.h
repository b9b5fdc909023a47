/* imapd/thread_id_priv.h - Message-IDs, and the thread that they put a message in. Any thread. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "mail/mime.h"

/* The next "<...>" of a field, without quotes and blanks, which make no other id of it (RFC
 * 5256 section 3, REFERENCES). */
bool take_message_id(struct cursor *c, struct arena *arena, struct slice *id_out);

/* The fields that say what a message goes back to; ptr NULL: it has none of that name. */
struct thread_fields {
	struct slice references, in_reply_to, message_id;
};
/* False: only the header tells (struct mime_envelope's `more`). */
bool thread_fields_of_envelope(const struct mime_envelope *envelope,
			       struct thread_fields *fields_out);
void thread_fields_of_header(struct slice header, struct thread_fields *fields_out);

/* THREADID of RFC 8474. Never 0. `blob_id` names the thread where the message has no Message-ID of its
 * own and refers to none. */
uint64_t thread_id_of(const struct thread_fields *fields, uint64_t blob_id);
