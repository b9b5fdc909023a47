/* mda/sender.h - who sends a message: as whom he may, how much of it, and so where it may go. Runs in
 * the back and in the admin's process, in a read transaction. */
#pragma once

#include "base/config.h"
#include "base/slice.h"
#include "mail/address.h"
#include "storage/store.h"
#include "storage/submission.h"

struct sender {
	const struct config *config;
	struct slice reverse_path; /* without angle brackets; empty: the null sender */
	uint32_t account_id;	   /* who signed in; 0: nobody did */
	/* The user of this machine whom it comes from, who sends as NAME@origin and NAME@hostname as well.
	 * Empty: it comes from elsewhere, or from root, who sends as anybody. */
	struct slice user;
	bool may_relay; /* also to addresses that are not ours */
};

/* What follows a name without a domain, of a user of this machine. */
const char *sender_origin(const struct config *config);
/* He signed in, or is a user of this machine: what he may send as has to be asked. */
bool sender_is_bound(const struct sender *sender);
/* ERR_OK: who is bound may send as `address`, in the envelope or as the author (RFC 6409 section
 * 6.1): it leads to the account, or the account is allowed to, or its domain allows it; or it is the
 * user's own name. Nobody sends as a list, which is an address that not everybody may post to.
 * ERR_DENIED. */
enum err sender_check_address(struct read *read, const struct sender *sender,
			      const struct address *address, struct arena *arena) MUST_USE;
/* The reverse-path. Whoever is not bound may name any, and everybody the null sender (receipts
 * have it, RFC 3798 section 2.1). ERR_DENIED. */
enum err sender_check_path(struct read *read, const struct sender *sender,
			   struct arena *arena) MUST_USE;

/* Shall mail of the account not tell where it was submitted from? As its domain says. */
bool sender_hides_client(struct read *read, uint32_t account_id);

/* May the account submit a message to so many recipients today? Those to whom it has not written
 * before are the new ones. ERR_RATE: no more messages, or recipients, before tomorrow. ERR_GONE: it
 * was removed. */
struct sender_limits {
	uint32_t account_id; /* 0: nobody's, no limits */
	uint32_t messages,
		new_recipients; /* where the account has none of its own; 0: any number */
	uint32_t new_before;	/* recipients of the same message that were looked at already */
};
struct sender_limits sender_limits(const struct sender *sender);
enum err sender_check_today(struct read *read, const struct sender_limits *limits,
			    const struct slice *recipients, size_t count) MUST_USE;
/* Was the account's last mail to this recipient refused for good, not long ago? */
bool sender_is_suppressed(struct read *read, const struct sender *sender, struct slice recipient);
/* The form of a recipient for that. */
struct slice sender_recipient(struct slice forward_path, struct arena *arena);
