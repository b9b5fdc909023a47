/* mda/recipient.c - follows an address through aliases to accounts (RFC 5321 sections 3.9.1
 * and 4.5.1). Runs in the back and in the admin's process.
 *
 * An alias whose target is no longer there still serves its others; one that leads out of our
 * domains is refused as a whole, because taking a message for it would lose a copy: nothing
 * here can send one on.
 *
 * Left out: subaddresses (user+folder), catch-all addresses, and lists with an owner (RFC 5321
 * section 3.9.2: the reverse-path stays the sender's). */
#include "mda/recipient.h"

#include "base/log.h"

/* Addresses seen on the way, so that none is followed twice: that cuts loops, and keeps
 * aliases that name each other many times from multiplying. Linear probing, in the arena. */
struct visited {
	struct slice *slots;
	size_t count, cap;
};

/* More than this many addresses on the way from one: no alias that a person made. */
enum { VISITED_MAX = 4 * RECIPIENT_ACCOUNTS_MAX };

struct walk {
	struct read *read;
	struct arena *arena;
	struct visited visited;
	struct recipient_accounts found;
};

static size_t hash_of(struct slice s)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ s.ptr[i]) * 0x100000001b3;
	return (size_t)(hash ^ hash >> 32);
}

static struct slice *visited_slot(struct visited *visited, struct slice name)
{
	size_t at = hash_of(name) & (visited->cap - 1);
	while (visited->slots[at].ptr && !slice_eq(visited->slots[at], name))
		at = (at + 1) & (visited->cap - 1);
	return &visited->slots[at];
}

/* False: it was there before. `name` must stay where it is. */
static bool visited_add(struct visited *visited, struct arena *arena, struct slice name)
{
	if (visited->count * 2 >= visited->cap) {
		struct visited bigger = { .count = visited->count,
					  .cap = visited->cap ? visited->cap * 2 : 16 };
		bigger.slots = arena_alloc_array(arena, bigger.cap, sizeof(*bigger.slots));
		for (size_t i = 0; i < visited->cap; i++)
			if (visited->slots[i].ptr)
				*visited_slot(&bigger, visited->slots[i]) = visited->slots[i];
		*visited = bigger;
	}
	struct slice *slot = visited_slot(visited, name);
	if (slot->ptr)
		return false;
	*slot = name;
	visited->count++;
	return true;
}

/* Index of the first account id that is not below `account_id`. */
static size_t lower_bound(const struct recipient_accounts *accounts, uint32_t account_id)
{
	size_t low = 0, high = accounts->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (accounts->account_ids[middle] < account_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool recipient_accounts_contain(const struct recipient_accounts *accounts, uint32_t account_id)
{
	size_t at = lower_bound(accounts, account_id);
	return at < accounts->count && accounts->account_ids[at] == account_id;
}

static void accounts_add(struct recipient_accounts *accounts, struct arena *arena,
			 uint32_t account_id)
{
	size_t at = lower_bound(accounts, account_id);
	if (at < accounts->count && accounts->account_ids[at] == account_id)
		return;
	if (accounts->count == accounts->cap) {
		size_t cap = accounts->cap ? accounts->cap * 2 : 4;
		uint32_t *ids = arena_alloc_array(arena, cap, sizeof(*ids));
		if (accounts->count)
			memcpy(ids, accounts->account_ids, accounts->count * sizeof(*ids));
		accounts->account_ids = ids;
		accounts->cap = cap;
	}
	memmove(accounts->account_ids + at + 1, accounts->account_ids + at,
		(accounts->count - at) * sizeof(*accounts->account_ids));
	accounts->account_ids[at] = account_id;
	accounts->count++;
}

static enum err follow(struct walk *walk, struct slice local, struct slice domain, unsigned depth);

/* One target of an alias, "local@domain" in its normal form. */
static enum err follow_target(struct walk *walk, struct slice target, unsigned depth)
{
	size_t at = target.len;
	while (at > 0 && target.ptr[at - 1] != '@')
		at--;
	if (at == 0)
		return ERR_NOT_FOUND;
	if (walk->visited.count >= VISITED_MAX)
		return ERR_LIMIT;
	if (!visited_add(&walk->visited, walk->arena, target))
		return ERR_OK;
	return follow(walk, slice_sub(target, 0, at - 1), slice_sub(target, at, target.len), depth);
}

static enum err follow(struct walk *walk, struct slice local, struct slice domain, unsigned depth)
{
	struct address_record record;

	if (!domain_is_local(walk->read, domain))
		return ERR_DENIED;
	enum err err = address_find(walk->read, local, domain, walk->arena, &record);
	if (err != ERR_OK)
		return err;
	if (record.account_id) {
		if (walk->found.count >= RECIPIENT_ACCOUNTS_MAX)
			return ERR_LIMIT;
		accounts_add(&walk->found, walk->arena, record.account_id);
		return ERR_OK;
	}
	if (depth == RECIPIENT_ALIAS_DEPTH_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < record.target_count; i++) {
		err = follow_target(walk, record.targets[i], depth + 1);
		if (err == ERR_NOT_FOUND) {
			log_warning(NULL, EVENT("alias-target-gone"), TEXT("alias", local),
				    TEXT("domain", domain), TEXT("target", record.targets[i]));
			continue;
		}
		if (err == ERR_DENIED)
			log_warning(NULL, EVENT("alias-target-elsewhere"), TEXT("alias", local),
				    TEXT("domain", domain), TEXT("target", record.targets[i]));
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

/* "<Postmaster>": whoever reads it for the first of our domains that has one. */
static enum err follow_postmaster(struct walk *walk)
{
	struct slice domain = SLICE_NONE;

	while (domain_next(walk->read, domain, walk->arena, &domain)) {
		enum err err = follow(walk, SLICE("postmaster"), domain, 0);
		if (err == ERR_OK ? walk->found.count > 0
				  : err != ERR_NOT_FOUND && err != ERR_DENIED)
			return err;
	}
	return ERR_NOT_FOUND;
}

enum err recipient_resolve(struct read *read, const struct address *address, struct arena *arena,
			   struct recipient_accounts *accounts)
{
	struct walk walk = { .read = read, .arena = arena };
	struct slice local = local_normalise(address->local, arena), domain;
	enum err err;

	if (address->domain.len == 0) {
		if (!slice_eq(local, SLICE("postmaster")))
			return ERR_DENIED;
		err = follow_postmaster(&walk);
	} else if (!domain_normalise(address->domain, arena, &domain) ||
		   !domain_is_local(read, domain)) {
		return ERR_DENIED; /* an address literal, or no domain at all, is never ours */
	} else {
		visited_add(&walk.visited, arena,
			    slice_cstr(arena_format(arena, "%.*s@%.*s", SLICE_ARG(local),
						    SLICE_ARG(domain))));
		err = follow(&walk, local, domain, 0);
		if (err == ERR_DENIED) /* an alias of ours that leads elsewhere */
			err = ERR_NOT_FOUND;
	}
	if (err == ERR_OK && walk.found.count == 0)
		err = ERR_NOT_FOUND;
	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < walk.found.count; i++)
		accounts_add(accounts, arena, walk.found.account_ids[i]);
	return ERR_OK;
}
