/* storage/expunged.h - what was expunged may be had back, for as long as the server's keeper has
 * said: messages that were expunged, and those of mailboxes that were deleted.
 *
 * Such a message belongs to its account, but counts for nothing: not in a mailbox, not against
 * the quota. Moving expunges nothing. When an account goes, all of this goes with it. Reads on
 * any thread; writes in a job. */
#pragma once

#include "storage/message.h"

/* How long what is expunged from now on, and was before, may be had back. 0: not at all, which is
 * how a store is opened. Any thread. */
void store_set_undelete_seconds(struct store *store, uint32_t seconds);

struct expunged {
	uint64_t mailbox_id; /* where it was; with entry.uid, a name of the message for ever */
	int64_t expunged_unix;
	struct slice mailbox_name; /* as it was then; SLICE_NONE: lost */
	bool mailbox_is_deleted;   /* it went with its whole mailbox */
	struct message_entry entry;
};

/* Where a walk stands; it may go on in another read. Zero-initialise. */
struct expunged_place {
	bool in_deleted;   /* behind the messages: in mailboxes that were deleted */
	int64_t from_unix; /* of messages: may be set at the start, to skip what is older */
	uint64_t mailbox_id;
	uint32_t uid;
};
/* First messages in the order in which they went, then deleted mailboxes with theirs. False at the
 * end. Slices live in `arena`. */
bool expunged_next(struct read *read, uint32_t account_id, struct expunged_place *place,
		   struct arena *arena, struct expunged *expunged_out);

/* Which keywords the messages have that were expunged from a mailbox that still is; all bits, where
 * they are more than *left, of which what was looked at is taken. */
uint64_t expunged_keywords(struct read *read, uint32_t account_id, uint64_t mailbox_id,
			   unsigned *left);

/* Files it again, with a new UID, its flags (but \Deleted), keywords and INTERNALDATE: in its
 * mailbox, whatever that is called now; where it is gone, in one of its name, made if need be.
 * ERR_NOT_FOUND: it is not there any more. ERR_QUOTA, ERR_LIMIT, ERR_FULL, ERR_GONE. */
enum err expunged_restore(struct write *write, uint32_t account_id,
			  const struct expunged *expunged) MUST_USE;
