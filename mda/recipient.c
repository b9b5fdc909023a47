/* mda/recipient.c - follows an address through aliases to accounts and to addresses elsewhere
 * (RFC 5321 sections 3.9.1 and 4.5.1). Runs in the back and in the admin's process.
 *
 * An alias whose target is no longer there still serves its others.
 *
 * Left out: subaddresses (user+folder), catch-all addresses, and lists with an owner (RFC 5321
 * section 3.9.2: the reverse-path stays the sender's). */
#include "mda/recipient.h"

#include "base/log.h"

bool recipient_parse(struct slice path, struct arena *arena, struct address *address_out)
{
	if (slice_eq_nocase(path, SLICE("postmaster"))) {
		*address_out = (struct address){ .local = path };
		return true;
	}
	return address_parse(path, arena, address_out);
}

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
	struct destinations found;
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

static enum err follow(struct walk *walk, struct slice local, struct slice domain, unsigned depth);

/* Mail for elsewhere: the domain in its normal form, the local part as it is. */
static enum err add_remote(struct walk *walk, const struct address *address, bool is_recipient)
{
	if (walk->found.remote_count >= RECIPIENT_REMOTES_MAX)
		return ERR_LIMIT;
	const struct remote_destination remote = {
		.address = address_format(address, walk->arena),
		.is_recipient = is_recipient,
	};
	destinations_add_remote(&walk->found, walk->arena, &remote);
	return ERR_OK;
}

/* One target of an alias, "local@domain" as SMTP writes it. */
static enum err follow_target(struct walk *walk, struct slice target, unsigned depth)
{
	struct address address;

	if (!address_parse(target, walk->arena, &address) ||
	    !domain_normalise(address.domain, walk->arena, &address.domain))
		return ERR_NOT_FOUND;
	if (walk->visited.count >= VISITED_MAX)
		return ERR_LIMIT;
	if (!visited_add(&walk->visited, walk->arena, target))
		return ERR_OK;
	if (!domain_is_local(walk->read, address.domain))
		return add_remote(walk, &address, false);
	return follow(walk, address.local, address.domain, depth);
}

/* The domain is one of ours. */
static enum err follow(struct walk *walk, struct slice local, struct slice domain, unsigned depth)
{
	struct address_record record;

	enum err err = address_find(walk->read, local, domain, walk->arena, &record);
	if (err != ERR_OK)
		return err;
	if (record.account_id) {
		if (walk->found.account_count >= RECIPIENT_ACCOUNTS_MAX)
			return ERR_LIMIT;
		destinations_add_account(&walk->found, walk->arena, record.account_id);
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
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

static bool leads_somewhere(const struct walk *walk)
{
	return walk->found.account_count + walk->found.remote_count > 0;
}

/* "<Postmaster>": whoever reads it for the first of our domains that has one. */
static enum err follow_postmaster(struct walk *walk)
{
	struct slice domain = SLICE_NONE;

	while (domain_next(walk->read, domain, walk->arena, &domain)) {
		enum err err = follow(walk, SLICE("postmaster"), domain, 0);
		if (err == ERR_OK ? leads_somewhere(walk) : err != ERR_NOT_FOUND)
			return err;
	}
	return ERR_NOT_FOUND;
}

static enum err walk_from(struct walk *walk, const struct sender *sender,
			  const struct address *address)
{
	struct slice local = local_normalise(address->local, walk->arena), domain;

	if (address->domain.len == 0)
		return slice_eq(local, SLICE("postmaster")) ? follow_postmaster(walk) : ERR_DENIED;
	if (!domain_normalise(address->domain, walk->arena, &domain))
		return ERR_DENIED; /* an address literal, or no domain at all, is never ours */
	if (!domain_is_local(walk->read, domain)) {
		const struct address remote = { address->local, domain };
		return sender->may_relay ? add_remote(walk, &remote, true) : ERR_DENIED;
	}
	const struct address normal = { local, domain };
	visited_add(&walk->visited, walk->arena, address_format(&normal, walk->arena));
	return follow(walk, local, domain, 0);
}

enum err recipient_resolve(struct read *read, const struct sender *sender,
			   const struct address *address, struct arena *arena,
			   struct destinations *found)
{
	struct walk walk = { .read = read, .arena = arena };
	enum err err = walk_from(&walk, sender, address);

	if (err == ERR_OK && !leads_somewhere(&walk))
		err = ERR_NOT_FOUND;
	/* A store that cannot be read has neither domains nor addresses: that refuses nobody. */
	if (read_failure(read) != ERR_OK)
		err = read_failure(read);
	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < walk.found.account_count; i++)
		destinations_add_account(found, arena, walk.found.account_ids[i]);
	for (size_t i = 0; i < walk.found.remote_count; i++) {
		walk.found.remotes[i].recipient = found->recipient_count;
		destinations_add_remote(found, arena, &walk.found.remotes[i]);
	}
	found->recipient_count++;
	return ERR_OK;
}
