/* storage/mailbox.h - mailboxes of an account: names, UIDVALIDITY, counts, special use.
 *
 * Names are UTF-8 with '/' between levels; INBOX is spelled in capitals. Reads on any
 * thread; writes in a job. Every write gives the account's next MODSEQ. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "storage/store.h"

enum { MAILBOX_NAME_MAX_OCTETS = 400, MAILBOX_KEYWORDS_MAX = 64, KEYWORD_MAX_OCTETS = 64 };
enum { ACCOUNT_MAILBOXES_MAX = 10000 }; /* of an account, names that are only subscribed included */
#define MAILBOX_SEPARATOR '/'

enum special_use { /* RFC 6154 */
		   USE_NONE,
		   USE_ARCHIVE,
		   USE_DRAFTS,
		   USE_FLAGGED,
		   USE_JUNK,
		   USE_SENT,
		   USE_TRASH,
		   USE_IMPORTANT, /* RFC 8457 */
};

struct mailbox {
	uint64_t mailbox_id;
	uint32_t account_id;
	uint32_t uidvalidity;
	uint32_t uidnext;
	uint64_t highest_modseq;
	uint64_t pruned_modseq; /* the change log is complete only for MODSEQs above this */
	uint32_t messages, unseen, deleted;
	uint64_t size_octets;	  /* of all messages (STATUS SIZE) */
	uint32_t recent_from_uid; /* messages from this UID on were seen by no session yet */
	uint64_t created_unix;
	enum special_use special_use;
	struct slice name;
	struct slice keywords
		[MAILBOX_KEYWORDS_MAX]; /* bit i of message_entry.keywords; ptr NULL: free */
	size_t keyword_count;		/* one past the last in use */
};

/* A name may come in any form of Unicode; it is kept, and given back, in normalisation form C (RFC 9051
 * section 5.1).
 *
 * Slices live in `arena`. ERR_NOT_FOUND, ERR_DAMAGED. */
enum err mailbox_find(struct read *read, uint32_t account_id, struct slice name,
		      struct arena *arena, struct mailbox *mailbox_out) MUST_USE;
/* ERR_GONE when it was deleted. */
enum err mailbox_get(struct read *read, uint64_t mailbox_id, struct arena *arena,
		     struct mailbox *mailbox_out) MUST_USE;

/* A row of an account's list: mailboxes, and names that are only subscribed (RFC 9051
 * section 6.3.7: a subscription may outlive its mailbox; mailbox_id is 0 then). */
struct mailbox_row {
	struct slice name;
	uint64_t mailbox_id;
	bool subscribed;
	enum special_use special_use;
};
/* In order of name; `after` empty to start. False at the end. `row_out->name` points into the
 * map: copy what outlives the read. */
bool mailbox_next(struct read *read, uint32_t account_id, struct slice after,
		  struct mailbox_row *row_out);
bool mailbox_is_subscribed(struct read *read, uint32_t account_id, struct slice name);

/* As ACCOUNT_MAILBOXES_MAX counts them. */
uint32_t mailbox_names_count(struct read *read, uint32_t account_id);

/* The namespaces in which an account finds the mailboxes of others (RFC 2342): "Other Users/bob@example.org"
 * is bob's INBOX. There is an "@" in every login, so a folder of one's own may well be called "Shared". */
#define NAMESPACE_OTHERS "Other Users"
#define NAMESPACE_SHARED "Shared"
/* True of a name in there. None of an account's own is made by such a name, for it would stand before
 * another's mailbox. */
bool mailbox_name_is_others(struct slice name);

/* ERR_EXISTS; ERR_LIMIT (too many, or too long); ERR_BAD_INPUT (empty level, bad name, one of others'). Makes
 * superiors that are missing (RFC 9051 section 6.3.4). */
enum err mailbox_create(struct write *write, uint32_t account_id, struct slice name,
			enum special_use use, uint64_t *mailbox_id_out) MUST_USE;
/* The same, made by another account than its owner: what is made at the top inherits the list of
 * rights of INBOX (storage/acl.h), as all else that of the mailbox above it. */
enum err mailbox_create_for_other(struct write *write, uint32_t account_id, struct slice name,
				  enum special_use use, uint64_t *mailbox_id_out) MUST_USE;
/* With its messages, whose entries may still be found for a moment; its name is free then, its
 * UIDVALIDITY never used again for that name. ERR_NOT_FOUND; ERR_BAD_INPUT: INBOX. */
enum err mailbox_delete(struct write *write, uint32_t account_id, struct slice name) MUST_USE;
/* With its inferiors; subscriptions stay with the names. Renaming INBOX moves its messages into a new mailbox and leaves INBOX
 * and its inferiors (RFC 9051 section 6.3.6). ERR_NOT_FOUND, ERR_EXISTS, ERR_LIMIT, ERR_BAD_INPUT. */
enum err mailbox_rename(struct write *write, uint32_t account_id, struct slice from,
			struct slice to) MUST_USE;
/* The same by another account than its owner: superiors that are missing are made as
 * mailbox_create_for_other() makes them. */
enum err mailbox_rename_for_other(struct write *write, uint32_t account_id, struct slice from,
				  struct slice to) MUST_USE;
enum err mailbox_subscribe(struct write *write, uint32_t account_id, struct slice name,
			   bool subscribed) MUST_USE;
/* ERR_NOT_FOUND. */
enum err mailbox_set_special_use(struct write *write, uint32_t account_id, struct slice name,
				 enum special_use use) MUST_USE;
/* Messages from uidnext on are \Recent to the next session: called by a session that may write. */
enum err mailbox_claim_recent(struct write *write, uint64_t mailbox_id,
			      uint32_t *recent_from_uid_out) MUST_USE;

/* For an import: the UIDVALIDITY that the mailbox had elsewhere, so that clients keep what they
 * know of it. ERR_EXISTS: the mailbox has given UIDs of its own already. ERR_LIMIT: 0, or in the
 * future, where ours come from. ERR_GONE. */
enum err mailbox_adopt_uidvalidity(struct write *write, uint64_t mailbox_id,
				   uint32_t uidvalidity) MUST_USE;
/* UIDs below were used elsewhere: none of them will be given. Never lowers. ERR_LIMIT where it is
 * above MESSAGE_GIVEN_UID_MAX, ERR_GONE. */
enum err mailbox_raise_uidnext(struct write *write, uint64_t mailbox_id, uint32_t uidnext) MUST_USE;
/* A number that no mailbox had before: clients forget what they know of this one. ERR_GONE. */
enum err mailbox_renew_uidvalidity(struct write *write, uint64_t mailbox_id) MUST_USE;

/* What has changed: bits. */
enum watch_kind {
	/* of the messages of `mailbox_id` */
	WATCH_ARRIVED = 1,
	WATCH_EXPUNGED = 2,
	WATCH_FLAGS = 4,
	WATCH_SEEN = 8, /* \Seen was among them */
	WATCH_UIDVALIDITY = 16,
	/* of the list of mailboxes: `name` */
	WATCH_CREATED = 32,
	WATCH_DELETED = 64,
	WATCH_RENAMED = 128, /* with its inferiors, from `old_name` */
	WATCH_SUBSCRIPTION = 256,
	/* the annotation `name` of `mailbox_id` (0: of the account) */
	WATCH_ANNOTATION = 512,
	/* the list of rights of `mailbox_id` (storage/acl.h), which may be another account's: then this
	 * account's rights on it */
	WATCH_RIGHTS = 2048,
	/* anything: another process has written, or so much has changed that it was not kept */
	WATCH_ANYTHING = 1024,
};
struct watch_news {
	unsigned kinds; /* enum watch_kind */
	uint64_t mailbox_id;
	struct slice name, old_name;
};

/* Every change of a mailbox is published after its commit. changed() is called on `loop`, once
 * for any number of changes since the last call; it reads what happened from the change log
 * (storage/message.h), or finds ERR_GONE. The memory is the watcher's until watch_end() has returned. */
struct watch {
	void (*changed)(struct watch *watch);
	struct loop *loop;
	uint64_t mailbox_id; /* 0: every mailbox of account_id, and its list */
	uint32_t account_id; /* whose mailbox it is: always set; ACL_ANYONE: rights given to all */
	bool keeps_news;     /* what has changed is kept for watch_take_news(), within bounds */
	/* Another of the same session: what jobs of that origin do to messages is not told. May be NULL. */
	const struct watch *same_as;
	void *priv; /* store's */
};
void watch_begin(struct store *store, struct watch *watch);
/* On the watch's own loop; no changed() comes afterwards. */
void watch_end(struct store *store, struct watch *watch);
/* What has changed since the last call, without what jobs did that named this watch as their
 * origin (storage/store.h): to be read by watch_news_next(), and the caller's to free. Changes of
 * the messages of one mailbox become one. On the watch's own loop. */
void watch_take_news(struct store *store, struct watch *watch, struct buffer *news_out);
/* The next of them; its names live as long as the buffer. False at the end. */
bool watch_news_next(struct cursor *at, struct watch_news *news_out);
/* Another process (the admin's) has written: tells all watches of the account. Any thread. */
void watch_notify_account(struct store *store, uint32_t account_id);
