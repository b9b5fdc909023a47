/* pop3d/maildrop_priv.h - the maildrop: INBOX as it was at sign-in. Runs in the back.
 *
 * Eight octets a message are kept; everything else is looked up when it is asked for. What IMAP
 * does meanwhile changes no number and no size: a message that it expunged can no longer be
 * read, and is no error when it was to be deleted. */
#pragma once

#include "base/ranges.h"
#include "storage/message.h"

struct maildrop_message {
	uint32_t uid;
	unsigned size_octets : 31; /* the configuration allows 2 GiB - 1 at most */
	unsigned is_deleted : 1;
};

/* One session of POP3 holds the lock of an account; other protocols do not ask for it. */
struct maildrop_lock {
	uint32_t account_id;
	bool is_held;
	struct maildrop_lock *next;
};
/* False: another session holds it. Any thread. */
bool maildrop_lock(struct maildrop_lock *lock, uint32_t account_id);
void maildrop_unlock(struct maildrop_lock *lock); /* as often as you like */

/* Zero-initialise. */
struct maildrop {
	uint64_t mailbox_id;
	uint32_t uidvalidity;
	uint32_t count; /* of messages, deleted ones included: message-numbers end here */
	struct maildrop_message *messages;
	uint32_t deleted_count;
	uint64_t size_octets; /* of those that are not deleted */
};
enum err maildrop_open(struct maildrop *drop, struct read *read, uint32_t account_id) MUST_USE;
void maildrop_close(struct maildrop *drop);

static inline struct maildrop_message *maildrop_message(struct maildrop *drop, uint32_t number)
{
	return &drop->messages[number - 1];
}
static inline uint32_t maildrop_left(const struct maildrop *drop)
{
	return drop->count - drop->deleted_count;
}
/* Marks, of one that is not marked yet; takes all marks back. */
void maildrop_delete(struct maildrop *drop, uint32_t number);
void maildrop_reset(struct maildrop *drop);
/* The UIDs of what is marked, into an empty set. */
void maildrop_deleted(const struct maildrop *drop, struct ranges *uids_out);
