/* imapd/walk_priv.h - walks the messages of a set through one read transaction: FETCH and
 * SEARCH over a mailbox of any size touch each entry once. Any thread, one at a time. */
#pragma once

#include "storage/message.h"

struct message_walk {
	struct read *read;
	uint64_t mailbox_id;
	struct message_cursor *cursor;
	struct message_entry entry; /* while has_entry */
	bool has_entry;
};

static inline struct message_walk walk_begin(struct read *read, uint64_t mailbox_id)
{
	return (struct message_walk){ .read = read, .mailbox_id = mailbox_id };
}
/* The first message at or after `from` that is in `uids` and in the store; it is walk->entry
 * then. False where there is none. *missing becomes true where members of `uids` before it
 * are no longer in the store. `from` only grows. */
bool walk_next(struct message_walk *walk, const struct ranges *uids, uint32_t from, bool *missing);
/* The read transaction stays the caller's. */
void walk_end(struct message_walk *walk);

/* ranges_rank() for members of `uids` that only grow: a whole mailbox in one pass over its
 * runs. Zero-initialised: at the start. */
struct rank_walk {
	uint32_t run, before;
};
uint32_t rank_walk_next(struct rank_walk *walk, const struct ranges *uids, uint32_t uid);

/* Between the members of a set and their ranks (ranges_rank()), for whole sets at a time: the
 * UIDs of a mailbox and its sequence numbers. What is not there is left out; `_out` starts
 * empty. */
void ranks_to_members(const struct ranges *all, const struct ranges *ranks,
		      struct ranges *members_out);
void members_to_ranks(const struct ranges *all, const struct ranges *members,
		      struct ranges *ranks_out);
