/* storage/message_priv.h - entries and counts, for message.c and copy.c. */
#pragma once

#include "storage/store_priv.h"

/* Walks a mailbox's entries. False: there are no more. */
bool entry_seek(struct row *row, uint64_t mailbox_id, uint32_t from_uid);
bool entry_next(struct row *row, uint64_t mailbox_id);
uint32_t entry_uid(const struct row *row);

/* ERR_GONE: the mailbox was deleted. */
enum err message_slots(struct write *write, uint64_t mailbox_id, struct mailbox_slot **mailbox_out,
		       struct account_slot **account_out) MUST_USE;
/* gaps.c: UIDs that the mailbox does not hold any more, or never will. */
enum err gaps_add(struct write *write, uint64_t mailbox_id, const struct ranges *uids) MUST_USE;
enum err gaps_add_run(struct write *write, uint64_t mailbox_id, uint32_t first,
		      uint32_t last) MUST_USE;
/* Notes anew what its entries show. */
enum err gaps_rebuild(struct write *write, uint64_t mailbox_id, uint32_t uidnext) MUST_USE;
/* What the notes say is gone. False: they cannot be read; some of it may have been added. */
bool gaps_gone(struct read *read, uint64_t mailbox_id, struct ranges *gone_out);
/* All UIDs of the mailbox, into an empty set. False: not known this way. */
bool gaps_uids(struct read *read, uint64_t mailbox_id, struct ranges *uids_out);
/* `sign` 1: the message came, -1: it went. */
void mailbox_count(struct mailbox *mailbox, const struct message_entry *entry, int sign);
/* ERR_QUOTA when so much more is too much. */
enum err quota_check(const struct account *account, uint64_t messages, uint64_t octets) MUST_USE;
