/* mda/recipient.h - where an address leads: an account, an alias and what it stands for, an address
 * elsewhere, or nowhere. Runs in the back and in the admin's process, in a read transaction. */
#pragma once

#include "mail/address.h"
#include "mda/destination.h"
#include "mda/sender.h"
#include "storage/account.h"

/* A path without its brackets: a mailbox, or "postmaster" alone (RFC 5321 section 4.5.1). */
bool recipient_parse(struct slice path, struct arena *arena, struct address *address_out);

/* What one recipient may lead to, and over how many aliases in a row. */
enum {
	RECIPIENT_ALIAS_DEPTH_MAX = 16,
	RECIPIENT_ACCOUNTS_MAX = 10000,
	RECIPIENT_REMOTES_MAX = 1000,
};

/* Adds the accounts and the addresses elsewhere to which `address` leads, following aliases,
 * cutting loops. An address without a domain is "<Postmaster>" alone (RFC 5321 section 4.5.1).
 * "postmaster" and "abuse" always lead to somebody, once there is an account. On failure nothing is
 * added.
 *
 * Where an alias leads is what its owner wants, so a stranger's mail may leave by it.
 *
 * ERR_NOT_FOUND: the domain is ours, the address is not, or it is an alias that leads to nobody.
 * ERR_DENIED: the domain is not ours, and the sender may not relay. ERR_REFUSED: it is a list, or
 * leads to one, to which the sender may not post. ERR_LIMIT: the alias leads too deep or to too
 * many. */
enum err recipient_resolve(struct read *read, const struct sender *sender,
			   const struct address *address, struct arena *arena,
			   struct destinations *found) MUST_USE;
