/* imapd/access_priv.h - mailboxes of others: what they are called here, and what this session's
 * account may do with them (RFC 4314). All verbs find their mailbox through access_find().
 *
 *   Other Users/bob@example.org          bob's INBOX
 *   Other Users/bob@example.org/Drafts   another of his
 *   Shared/office@example.org            the INBOX of an account that is nobody's own
 *
 * The account's name is written as it signs in; '/' in it as ':'. Works in a read transaction of the
 * caller's, or in a job. */
#pragma once

#include "imapd/session_priv.h"
#include "storage/acl.h"
#include "storage/message.h"

/* Where a client's name leads, whether or not there is such a mailbox. */
struct access_place {
	uint32_t owner_id;
	struct slice name; /* as its owner has it */
};
/* ERR_NOT_FOUND: to an account that is not there. */
enum err access_place_of(struct read *read, uint32_t account_id, struct slice name,
			 struct arena *arena, struct access_place *place_out) MUST_USE;

/* The mailbox that a client means, if the account has all rights of `needs` on it (none: any that
 * tell of it). mailbox_out->name is the client's name for it; *rights_out (may be NULL) is what the
 * account has. ERR_DENIED where it may know of the mailbox, ERR_NOT_FOUND where it may not, or where
 * there is none. */
enum err access_find(struct read *read, uint32_t account_id, struct slice name, unsigned needs,
		     struct arena *arena, struct mailbox *mailbox_out,
		     unsigned *rights_out) MUST_USE;
/* ERR_DENIED or ERR_NOT_FOUND where `rights` are too few, as above. */
enum err access_judge(unsigned rights, unsigned needs) MUST_USE;

/* Whether the account may make or rename to that name, which is not there yet: the nearest mailbox
 * above it must let it (section 4, CREATE). */
bool access_may_create(struct read *read, uint32_t account_id, const struct access_place *place);

/* A mailbox by its number: mailbox->name, as its owner has it, becomes the client's. */
void access_rename(struct read *read, uint32_t account_id, struct mailbox *mailbox,
		   struct arena *arena);

/* The mailboxes of others on which the account has any rights, in order of name. */
struct access_row {
	struct slice name; /* here */
	uint32_t owner_id;
	uint64_t mailbox_id;
	unsigned rights;
};
struct access_list {
	struct access_row *rows;
	size_t count;
};
enum {
	/* More rows are not looked at, whatever comes of them, */
	ACCESS_LIST_MAX = 20000,
	/* and none of one owner beyond this: it takes many to crowd out what others share. */
	ACCESS_LIST_MAX_OF_OWNER = 2000,
};
/* Gathered in turns, and of what is wanted of it alone: each turn is one call, for less than a millisecond,
 * in a read of its own. So the list is of no one moment; but of each mailbox that was shared from
 * the first to the last there is one row, as it was in one of them. */
enum access_wanted {
	ACCESS_NOT_WANTED, /* nothing of this owner's is read but a row of the index */
	ACCESS_WANTED,
	ACCESS_WANTED_LATER, /* in the next read, before which it is asked again */
};
struct access_gathering {
	uint32_t account_id;
	unsigned rights;     /* mailboxes on which the account has some of these */
	struct arena *arena; /* of the list */
	/* Asked for each owner, in order of account id; `prefix` is what the names of his mailboxes
	 * begin with here. NULL: all are wanted. */
	enum access_wanted (*wants_owner)(struct access_gathering *g, struct read *read,
					  uint32_t owner_id, struct slice prefix);
	/* Zero-initialised from here on. */
	struct access_list list; /* in order of name when it is whole */
	bool is_whole;
	size_t cap;
	struct acl_shared at; /* the row of the index last looked at */
	unsigned looked, looked_of_owner;
	uint32_t owner_id;
	struct slice prefix; /* empty: nothing of this owner's is wanted */
	struct arena of_owner, scratch;
};
/* Fails where the store does; begin anew then. */
enum err access_gather_on(struct access_gathering *g, struct read *read) MUST_USE;
/* The list stays. */
void access_gathering_fini(struct access_gathering *g);
/* The first row behind `after`; NULL at the end. */
const struct access_row *access_list_next(const struct access_list *list, struct slice after);
/* NULL: none of that name. */
const struct access_row *access_list_find(const struct access_list *list, struct slice name);

/* Without any of these a mailbox is selected read-only (section 5.2). */
enum {
	RIGHTS_TO_CHANGE =
		RIGHT_INSERT | RIGHT_EXPUNGE | RIGHT_SEEN | RIGHT_WRITE | RIGHT_DELETE_MESSAGES
};
/* What of the flags such rights do not allow to be set (section 4). */
struct flags_withheld access_withheld(unsigned rights);
