/* smtpd/local_message.h - a message that comes from this machine itself, on its way into the store:
 * what the socket of [listen] sendmail, bode sendmail and bode deliver have in common. Runs in the back
 * and in the admin's process; on one thread. */
#pragma once

#include "mda/filing.h"

struct local_message;

/* `sender` is copied, but for its configuration. `author` is the address that stands in for a From that
 * is missing, since the message is submitted (mda/submission.h); empty: its header stays as it is.
 * `origin` as in filing_set_origin(); filed() and room() as in filing_new(). */
struct local_message *local_message_new(struct store *store, struct loop *loop,
					const struct sender *sender, struct slice author,
					const struct journal_event *origin,
					void (*filed)(void *user, enum err outcome,
						      uint64_t blob_id),
					void (*room)(void *user), void *user);
/* A recipient, or who gets it if nobody has that address (empty: nobody). Before the content. Errors as
 * filing_add_recipient(). */
enum err local_message_add(struct local_message *message, struct read *read,
			   struct slice forward_path, struct slice fallback) MUST_USE;
/* The next octets, cut anyhow; the trace header goes before the first. ERR_LINE_END: a CR or LF that is
 * not part of CRLF; ERR_LOOP: it has been through too many servers; others as submission_feed(), such as
 * ERR_BAD_INPUT: the sender may not send as the author. Then only local_message_free() is left. */
enum err local_message_feed(struct local_message *message, struct slice octets) MUST_USE;
/* True: wait for room() before the next feed. */
bool local_message_is_full(const struct local_message *message);
/* At least one recipient was added. ERR_OK: filed() will be called; errors as above. */
enum err local_message_commit(struct local_message *message) MUST_USE;
/* What it is filed by: for outcomes, size and destinations. */
struct filing *local_message_filing(const struct local_message *message);
/* As filing_free(). Accepts NULL, leaves NULL. */
void local_message_free(struct local_message **message);
