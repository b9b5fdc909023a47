/* mda/recipient.c - follows an address through aliases to accounts and to addresses elsewhere
 * (RFC 5321 sections 3.9 and 4.5.1, RFC 5233 for subaddresses, RFC 2142 for the roles). Runs in
 * the back and in the admin's process.
 *
 * What stands exactly at an address comes first; then what stands at it without its detail
 * ("user+detail"); then, for a role that every domain must answer to, who is set for that; then
 * the domain's catch-all. An alias whose target is no longer there still serves its others; one
 * that leads through a list to which the sender may not post is refused as a whole. Before all of
 * that, what comes back to a path that was rewritten here (mda/srs.h) goes to whom that stands for.
 *
 * Who stands at LIST-owner owns that list: what leaves by it has him as its reverse-path, so that he,
 * and not the sender, hears of members who cannot be reached (RFC 5321 section 3.9.2, RFC 2142
 * section 6 for the custom). Members here keep the sender's: nothing comes back from them.
 *
 * Left out: what a detail does besides (a filter's business). */
#include "mda/recipient.h"

#include "base/clock.h"
#include "base/log.h"
#include "mda/srs.h"
#include "mda/visited.h"
#include "runtime/peer.h"
#include "storage/account.h"
#include "storage/queue.h"

/* More than this many addresses on the way from one: no alias that a person made. */
enum { VISITED_MAX = 4 * RECIPIENT_ACCOUNTS_MAX };

struct walk {
	struct read *read;
	const struct sender *sender;
	struct arena *arena;
	struct visited visited;
	struct destinations found;
	struct slice owner;	/* of the list whose members are being followed; empty: none */
	bool is_in_role;	/* an address for a role is being followed: no other comes of it */
	bool ignores_post_rule; /* asks who the members are */
	bool is_remote;		/* the recipient itself is elsewhere */
};

bool recipient_parse(struct slice path, struct arena *arena, struct address *address_out)
{
	if (slice_eq_nocase(path, SLICE("postmaster"))) {
		*address_out = (struct address){ .local = path };
		return true;
	}
	return address_parse(path, arena, address_out);
}

static bool leads_somewhere(const struct destinations *found)
{
	return found->account_count + found->remote_count > 0;
}

static enum err follow(struct walk *walk, struct slice local, struct slice domain, unsigned depth);

static void add_account(struct walk *walk, uint32_t account_id)
{
	destinations_add_account(&walk->found, walk->arena, account_id);
	walk->found.leads_past_lists |= walk->owner.len == 0;
}

/* Mail for elsewhere: the domain in its normal form, the local part as it is. */
static enum err add_remote(struct walk *walk, const struct address *address)
{
	if (walk->found.remote_count >= RECIPIENT_REMOTES_MAX)
		return ERR_LIMIT;
	const struct remote_destination remote = {
		.address = address_format(address, walk->arena),
		.owner = walk->owner,
	};
	destinations_add_remote(&walk->found, walk->arena, &remote);
	walk->found.leads_past_lists |= walk->owner.len == 0;
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
		return add_remote(walk, &address);
	return follow(walk, local_normalise(address.local, walk->arena), address.domain, depth);
}

/* ---- lists ---- */

/* Is the sender one of those to whom `addresses` lead? A reverse-path proves nothing, so it counts
 * for members elsewhere only, who have nothing better to show. */
static bool leads_to_sender(const struct walk *walk, const struct slice *addresses, size_t count)
{
	const struct sender *sender = walk->sender;
	struct walk members = {
		.read = walk->read,
		.sender = sender,
		.arena = walk->arena,
		.ignores_post_rule = true,
	};
	struct address from, member;

	for (size_t i = 0; i < count; i++)
		if (follow_target(&members, addresses[i], 1) == ERR_LIMIT)
			return false;
	if (sender->account_id)
		return destinations_have_account(&members.found, sender->account_id);
	if (!address_parse(sender->reverse_path, walk->arena, &from) ||
	    !domain_normalise(from.domain, walk->arena, &from.domain))
		return false;
	struct slice local = local_normalise(from.local, walk->arena);
	for (size_t i = 0; i < members.found.remote_count; i++)
		if (address_parse(members.found.remotes[i].address, walk->arena, &member) &&
		    slice_eq(member.domain, from.domain) &&
		    slice_eq(local_normalise(member.local, walk->arena), local))
			return true;
	return false;
}

static bool may_post(const struct walk *walk, const struct address_record *list)
{
	if (walk->ignores_post_rule || list->post == POST_ANYBODY)
		return true;
	if (list->post == POST_USERS && walk->sender->may_relay)
		return true;
	if (list->post == POST_MEMBERS && leads_to_sender(walk, list->targets, list->target_count))
		return true;
	return leads_to_sender(walk, list->posters, list->poster_count);
}

/* Reports stay without a way back, whichever way they take. */
static struct slice owner_of(const struct walk *walk, struct slice local, struct slice domain)
{
	struct address_record record;
	const struct address owner = {
		slice_cstr(arena_format(walk->arena, "%.*s-owner", SLICE_ARG(local))), domain
	};

	if (walk->sender->reverse_path.len == 0 || local.len == 0 ||
	    address_find(walk->read, owner.local, domain, walk->arena, &record) != ERR_OK)
		return SLICE_NONE;
	return address_format(&owner, walk->arena);
}

static enum err follow_alias(struct walk *walk, const struct address_record *alias,
			     struct slice local, struct slice domain, unsigned depth)
{
	if (depth == RECIPIENT_ALIAS_DEPTH_MAX)
		return ERR_LIMIT;
	if (!may_post(walk, alias))
		return ERR_REFUSED;
	struct slice outer = walk->owner, owner = owner_of(walk, local, domain);
	if (owner.len > 0)
		walk->owner = owner;
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < alias->target_count; i++) {
		err = follow_target(walk, alias->targets[i], depth + 1);
		if (err == ERR_NOT_FOUND) {
			log_warning(NULL, EVENT("alias-target-gone"), TEXT("alias", local),
				    TEXT("domain", domain), TEXT("target", alias->targets[i]));
			err = ERR_OK;
		}
	}
	walk->owner = outer;
	return err;
}

/* ---- roles ---- */

/* What every domain has to answer to (RFC 5321 section 4.5.1, RFC 2142 section 4). */
static bool is_role(struct slice local)
{
	return slice_eq(local, SLICE("postmaster")) || slice_eq(local, SLICE("abuse"));
}

/* Who reads mail for a role where nobody was named for it: the address of the configuration, or the
 * postmaster of the first domain that has one, or the first account. */
static enum err follow_role(struct walk *walk, unsigned depth)
{
	const struct config *config = walk->sender->config;
	struct slice domain = SLICE_NONE;
	struct address_record record;
	struct account account;
	uint32_t account_id = 0;
	enum err err = ERR_NOT_FOUND;

	walk->is_in_role = true;
	if (config && config->postmaster)
		err = follow_target(walk, slice_cstr(config->postmaster), depth + 1);
	if (err == ERR_OK && leads_somewhere(&walk->found))
		return ERR_OK;
	while (domain_next(walk->read, domain, walk->arena, &domain)) {
		if (address_find(walk->read, SLICE("postmaster"), domain, walk->arena, &record) !=
		    ERR_OK)
			continue;
		err = follow(walk, SLICE("postmaster"), domain, depth + 1);
		if (err == ERR_OK ? leads_somewhere(&walk->found) : err != ERR_NOT_FOUND)
			return err;
	}
	if (!account_next(walk->read, &account_id, walk->arena, &account))
		return ERR_NOT_FOUND;
	add_account(walk, account_id);
	return ERR_OK;
}

/* ---- from an address ---- */

/* "user" of "user+detail"; empty where there is no detail. */
static struct slice without_detail(const struct walk *walk, struct slice local)
{
	const struct config *config = walk->sender->config;
	struct slice separators = slice_cstr(config ? config->separators : NULL);

	for (size_t i = 1; i < local.len; i++)
		if (slice_find_byte(separators, 0, local.ptr[i]) < separators.len)
			return slice_sub(local, 0, i);
	return SLICE_NONE;
}

/* The domain is one of ours. */
static enum err follow(struct walk *walk, struct slice local, struct slice domain, unsigned depth)
{
	struct domain_record names;
	struct address_record record;
	enum err err = domain_get(walk->read, domain, walk->arena, &names);

	if (err != ERR_OK)
		return err;
	if (names.alias_of.len > 0)
		domain = names.alias_of;
	err = address_find(walk->read, local, domain, walk->arena, &record);
	struct slice user = err == ERR_NOT_FOUND ? without_detail(walk, local) : SLICE_NONE;
	if (user.len > 0)
		err = address_find(walk->read, user, domain, walk->arena, &record);
	if (err == ERR_NOT_FOUND && is_role(local) && !walk->is_in_role &&
	    (err = follow_role(walk, depth)) != ERR_NOT_FOUND)
		return err;
	if (err == ERR_NOT_FOUND)
		err = address_find(walk->read, SLICE(""), domain, walk->arena, &record);
	if (err != ERR_OK)
		return err;
	if (record.account_id == 0)
		return follow_alias(walk, &record, local, domain, depth);
	if (walk->found.account_count >= RECIPIENT_ACCOUNTS_MAX)
		return ERR_LIMIT;
	add_account(walk, record.account_id);
	return ERR_OK;
}

/* One that stands for this machine. */
static bool is_our_literal(const struct config *config, struct slice domain)
{
	struct network literal, ours;

	if (!config || !address_literal_parse(domain, &literal))
		return false;
	for (size_t i = 0; i < config->literal_count; i++)
		if (network_parse(slice_cstr(config->literals[i]), &ours) &&
		    memcmp(&ours, &literal, sizeof(ours)) == 0)
			return true;
	return false;
}

/* Only the null sender may: reports come back that way, and nobody has another reason to write to
 * such an address. ERR_NOT_FOUND: it is none of ours, or looked at like any other. */
static enum err follow_rewritten(struct walk *walk, struct slice local)
{
	uint8_t secret[QUEUE_SECRET_OCTETS];

	if (!srs_is_rewritten(local) || walk->sender->reverse_path.len > 0 ||
	    !queue_secret(walk->read, secret))
		return ERR_NOT_FOUND;
	struct slice path = srs_back(secret, local, clock_unix(), walk->arena);
	return path.len > 0 ? follow_target(walk, path, 1) : ERR_NOT_FOUND;
}

static enum err walk_from(struct walk *walk, const struct address *address)
{
	const struct config *config = walk->sender->config;
	struct slice local = local_normalise(address->local, walk->arena);
	struct slice domain = address->domain, hostname;
	struct network literal;

	if (domain.len == 0) /* "<Postmaster>" */
		return is_role(local) ? follow_role(walk, 0) : ERR_DENIED;
	if (is_our_literal(config, domain))
		domain = slice_cstr(config->hostname);
	if (address_literal_parse(domain, &literal)) {
		walk->is_remote = true;
		return walk->sender->may_relay ? add_remote(walk, address) : ERR_DENIED;
	}
	if (!domain_normalise(domain, walk->arena, &domain))
		return ERR_DENIED;
	const struct address normal = { local, domain }, remote = { address->local, domain };
	visited_add(&walk->visited, walk->arena, address_format(&normal, walk->arena));
	bool is_local = domain_is_local(walk->read, domain);
	bool is_host = config &&
		       domain_normalise(slice_cstr(config->hostname), walk->arena, &hostname) &&
		       slice_eq(domain, hostname);
	if ((is_local || is_host) && follow_rewritten(walk, address->local) == ERR_OK)
		return ERR_OK;
	if (is_local)
		return follow(walk, local, domain, 0);
	/* The machine itself has no users, but who is in charge of it. */
	if (is_host)
		return is_role(local) ? follow_role(walk, 0) : ERR_NOT_FOUND;
	walk->is_remote = true;
	return walk->sender->may_relay ? add_remote(walk, &remote) : ERR_DENIED;
}

enum err recipient_resolve(struct read *read, const struct sender *sender,
			   const struct address *address, struct arena *arena,
			   struct destinations *found)
{
	struct walk walk = { .read = read, .sender = sender, .arena = arena };
	enum err err = walk_from(&walk, address);

	if (err == ERR_OK && !leads_somewhere(&walk.found))
		err = ERR_NOT_FOUND;
	/* A store that cannot be read has neither domains nor addresses: that refuses nobody. */
	if (read_failure(read) != ERR_OK)
		err = read_failure(read);
	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < walk.found.account_count; i++)
		destinations_add_account(found, arena, walk.found.account_ids[i]);
	for (size_t i = 0; i < walk.found.remote_count; i++) {
		struct remote_destination *remote = &walk.found.remotes[i];
		remote->recipient = found->recipient_count;
		if (!walk.is_remote)
			remote->via = address_format(address, arena);
		destinations_add_remote(found, arena, remote);
	}
	found->leads_past_lists |= walk.found.leads_past_lists;
	found->recipient_count++;
	return ERR_OK;
}
