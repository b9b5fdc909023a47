/* storage/message.h - the messages of a mailbox: UIDs, flags, MODSEQ; changing, copying,
 * expunging; the change log. Reads on any thread; writes in a job. */
#pragma once

#include "base/ranges.h"
#include "storage/blob.h"
#include "storage/mailbox.h"

enum message_flag {
	FLAG_SEEN = 1,
	FLAG_ANSWERED = 2,
	FLAG_FLAGGED = 4,
	FLAG_DELETED = 8,
	FLAG_DRAFT = 16,
};

struct message_entry {
	uint32_t uid;
	uint64_t blob_id;
	uint64_t modseq;
	int64_t internal_unix; /* INTERNALDATE */
	int64_t saved_unix;    /* when it came into this mailbox (RFC 8514) */
	uint64_t size_octets;  /* RFC822.SIZE */
	uint64_t keywords;     /* bit i: the mailbox's keyword i */
	uint8_t flags;	       /* enum message_flag */
};

/* The entry of one UID. ERR_NOT_FOUND. */
enum err message_get(struct read *read, uint64_t mailbox_id, uint32_t uid,
		     struct message_entry *entry_out) MUST_USE;
/* Walks entries in ascending UID. */
struct message_cursor;
struct message_cursor *message_cursor_open(struct read *read, uint64_t mailbox_id,
					   uint32_t from_uid);
bool message_cursor_next(struct message_cursor *cursor, struct message_entry *entry_out);
void message_cursor_close(struct message_cursor **cursor);
/* All UIDs >= from_uid, into an empty set. From 1 on it costs next to nothing; from others, and
 * where the store's notes of the gaps do not add up, 2 ms for 100,000. */
void message_uids(struct read *read, uint64_t mailbox_id, uint32_t from_uid,
		  struct ranges *uids_out);

/* The first message without \Seen; 0: there is none, or it is far from both ends of the mailbox,
 * where looking for it would take too long. */
uint32_t message_first_unseen(struct read *read, const struct mailbox *mailbox);

/* What happened after MODSEQ `since`: UIDs whose flags changed or that arrived, and UIDs that
 * vanished. ERR_GONE: the log no longer reaches back so far; compare with message_uids(). */
enum err message_changes(struct read *read, uint64_t mailbox_id, uint64_t since_modseq,
			 struct ranges *changed_out, struct ranges *vanished_out) MUST_USE;

/* Files a complete blob as the newest message of `mailbox_id`, with the mailbox's next UID and
 * the account's next MODSEQ.
 *
 * `entry`    stays the caller's; its uid, modseq, saved_unix and keywords are ignored.
 * `keywords` names; new ones are given a bit of the mailbox.
 * `uid_out`  a promise to the client only after the commit (RFC 5321 section 6.1).
 *
 * ERR_GONE (mailbox deleted, or no such blob), ERR_QUOTA, ERR_LIMIT (keywords), ERR_FULL: nothing
 * written, the batch goes on. */
enum err message_append(struct write *write, uint64_t mailbox_id, const struct message_entry *entry,
			const struct slice *keywords, size_t keyword_count,
			uint32_t *uid_out) MUST_USE;

/* The same with a UID that the message had elsewhere: ERR_EXISTS where the mailbox has come as
 * far itself, ERR_LIMIT above MESSAGE_GIVEN_UID_MAX, so that no import uses up a mailbox's UIDs. */
enum { MESSAGE_GIVEN_UID_MAX = INT32_MAX };
enum err message_append_as(struct write *write, uint64_t mailbox_id, uint32_t uid,
			   const struct message_entry *entry, const struct slice *keywords,
			   size_t keyword_count) MUST_USE;

/* Flags that a write leaves alone, since who asks for it may not set them. None where it is zero. */
struct flags_withheld {
	uint8_t flags;
	bool keywords;
};
enum flag_change { FLAGS_SET, FLAGS_ADD, FLAGS_REMOVE };
struct store_flags {
	enum flag_change change;
	uint8_t flags;
	const struct slice *keywords;
	size_t keyword_count;
	struct flags_withheld withheld;
	/* Leaves alone what has a higher MODSEQ than this (RFC 7162 section 3.1.3), and gives it in
	 * `modified_out`, which is set anew. */
	bool is_conditional;
	uint64_t unchanged_since;
	struct ranges *modified_out; /* may be NULL where it is not conditional */
};
/* Changes flags of those of `uids` that are there, all under one MODSEQ; messages that have
 * them already keep theirs. `changed_out` (may be NULL) gets the UIDs that did change,
 * `modseq_out` the mailbox's highest MODSEQ now, theirs if any did. ERR_GONE, ERR_LIMIT. */
enum err message_store(struct write *write, uint64_t mailbox_id, const struct ranges *uids,
		       const struct store_flags *change, struct ranges *changed_out,
		       uint64_t *modseq_out) MUST_USE;
/* Removes those of `uids` that are there and (only_deleted) carry \Deleted. ERR_GONE. Works on
 * a full disk, as does moving. */
enum err message_expunge(struct write *write, uint64_t mailbox_id, const struct ranges *uids,
			 bool only_deleted, struct ranges *expunged_out) MUST_USE;
/* Copies in ascending UID; `from_out` and `to_out` pair up by rank (COPYUID). No body is
 * copied. With `move`, the originals are expunged in the same transaction (RFC 6851).
 * ERR_GONE (either mailbox), ERR_QUOTA, ERR_LIMIT (keywords). */
enum err message_copy(struct write *write, uint64_t from_mailbox_id, const struct ranges *uids,
		      uint64_t to_mailbox_id, bool move, struct ranges *from_out,
		      struct ranges *to_out) MUST_USE;
/* The copies do not get the flags that are withheld (RFC 4314 section 4). */
enum err message_copy_without(struct write *write, uint64_t from_mailbox_id,
			      const struct ranges *uids, uint64_t to_mailbox_id, bool move,
			      struct flags_withheld withheld, struct ranges *from_out,
			      struct ranges *to_out) MUST_USE;
