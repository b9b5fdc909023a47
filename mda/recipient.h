/* mda/recipient.h - where an address leads: an account, an alias and what it stands for, or
 * nowhere. Runs in the back and in the admin's process, in a read transaction. */
#pragma once

#include "base/arena.h"
#include "mail/address.h"
#include "storage/account.h"

enum { RECIPIENT_ALIAS_DEPTH_MAX = 16, RECIPIENT_ACCOUNTS_MAX = 10000 };

struct recipient_accounts {
	uint32_t *account_ids; /* each once, ascending; in the arena */
	size_t count, cap;
};
/* Adds the accounts to which `address` leads, following aliases, cutting loops. An address
 * without a domain is "<Postmaster>" alone (RFC 5321 section 4.5.1): the first of our domains
 * that has one gets it. On failure nothing is added.
 *
 * ERR_NOT_FOUND: the domain is ours, the address is not, or it is an alias that leads to
 * nobody or to somewhere else. ERR_DENIED: the domain is not ours. ERR_LIMIT: the alias leads
 * too deep or to too many. */
enum err recipient_resolve(struct read *read, const struct address *address, struct arena *arena,
			   struct recipient_accounts *accounts) MUST_USE;
bool recipient_accounts_contain(const struct recipient_accounts *accounts, uint32_t account_id);
