/* mda/recipient.h - where an address leads: an account, an alias and what it stands for, or
 * nowhere. Runs in the back and in the admin's process, in a read transaction. */
#pragma once

#include "base/arena.h"
#include "mail/address.h"
#include "storage/account.h"

enum { RECIPIENT_ALIAS_DEPTH_MAX = 16, RECIPIENT_ACCOUNTS_MAX = 10000 };

struct recipient_accounts {
	uint32_t *account_ids; /* each once; in the arena */
	size_t count, cap;
};
/* Adds the accounts to which `address` leads, following aliases, cutting loops.
 * ERR_NOT_FOUND: the domain is ours, the address is not. ERR_DENIED: the domain is not ours.
 * ERR_LIMIT: the alias leads too deep or to too many. */
enum err recipient_resolve(struct read *read, const struct address *address, struct arena *arena,
			   struct recipient_accounts *accounts) MUST_USE;
