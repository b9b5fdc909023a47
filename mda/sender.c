/* mda/sender.c - what an account may send (RFC 6409 section 6). Runs in the back and in the admin's
 * process. */
#include "mda/sender.h"

#include "base/clock.h"
#include "mda/recipient.h"
#include "storage/account.h"
#include "storage/suppression.h"

/* The account's own domain. ERR_NOT_FOUND. */
static enum err own_domain(struct read *read, uint32_t account_id, struct arena *arena,
			   struct slice *domain_out, struct domain_record *record_out)
{
	struct account account;
	enum err err = account_get(read, account_id, arena, &account);

	if (err != ERR_OK)
		return err;
	size_t at = account.login.len;
	while (at > 0 && account.login.ptr[at - 1] != '@')
		at--;
	*domain_out = slice_sub(account.login, at, account.login.len);
	return domain_get(read, *domain_out, arena, record_out);
}

bool sender_hides_client(struct read *read, uint32_t account_id)
{
	struct domain_record record;
	struct slice domain;
	struct arena arena = { 0 };
	enum err err = own_domain(read, account_id, &arena, &domain, &record);

	arena_fini(&arena);
	return err == ERR_OK && record.hides_clients;
}

/* Does the account's domain let it? */
static enum err check_domain(struct read *read, const struct sender *sender,
			     const struct address *address, struct arena *arena)
{
	struct domain_record record, named;
	struct address own;
	enum err err = own_domain(read, sender->account_id, arena, &own.domain, &record);

	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_DENIED : err;
	if (record.senders == SENDERS_ANY)
		return ERR_OK;
	if (record.senders == SENDERS_OWN)
		return ERR_DENIED;
	if (slice_eq(address->domain, own.domain))
		return ERR_OK;
	err = domain_get(read, address->domain, arena, &named);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_DENIED : err;
	return slice_eq(named.alias_of, own.domain) ? ERR_OK : ERR_DENIED;
}

const char *sender_origin(const struct config *config)
{
	return config->origin ? config->origin : config->hostname;
}

bool sender_is_bound(const struct sender *sender)
{
	return sender->account_id != 0 || sender->user.len > 0;
}

/* NAME@origin or NAME@hostname, whoever reads what is sent there. */
static bool is_own_name(const struct sender *sender, const struct address *address,
			struct arena *arena)
{
	if (sender->user.len == 0 ||
	    !slice_eq(address->local, local_normalise(sender->user, arena)))
		return false;
	const char *const names[] = { sender_origin(sender->config), sender->config->hostname };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct slice domain;
		if (names[i] && domain_normalise(slice_cstr(names[i]), arena, &domain) &&
		    slice_eq(domain, address->domain))
			return true;
	}
	return false;
}

enum err sender_check_address(struct read *read, const struct sender *sender,
			      const struct address *address, struct arena *arena)
{
	const struct sender stranger = { .config = sender->config };
	struct destinations found = { 0 };
	struct address normal;

	if (!domain_normalise(address->domain, arena, &normal.domain))
		return ERR_DENIED;
	normal.local = local_normalise(address->local, arena);
	if (is_own_name(sender, &normal, arena))
		return ERR_OK;
	if (sender->account_id == 0)
		return ERR_DENIED;
	enum err err = recipient_resolve(read, &stranger, &normal, arena, &found);
	if (err == ERR_OK && destinations_have_account(&found, sender->account_id))
		return ERR_OK;
	if (err != ERR_OK && err != ERR_NOT_FOUND && err != ERR_DENIED && err != ERR_REFUSED)
		return err;
	struct slice whole = slice_cstr(arena_format(arena, "@%.*s", SLICE_ARG(normal.domain)));
	if (submission_may_use(read, sender->account_id, address_format(&normal, arena)) ||
	    submission_may_use(read, sender->account_id, whole) ||
	    submission_may_use(read, sender->account_id, SLICE("*")))
		return ERR_OK;
	return check_domain(read, sender, &normal, arena);
}

enum err sender_check_path(struct read *read, const struct sender *sender, struct arena *arena)
{
	struct address address;

	if (!sender_is_bound(sender) || sender->reverse_path.len == 0)
		return ERR_OK;
	if (!address_parse(sender->reverse_path, arena, &address))
		return ERR_DENIED;
	return sender_check_address(read, sender, &address, arena);
}

struct sender_limits sender_limits(const struct sender *sender)
{
	return (struct sender_limits){
		.account_id = sender->account_id,
		.messages = sender->config ? sender->config->messages_per_day : 0,
		.new_recipients = sender->config ? sender->config->new_recipients_per_day : 0,
	};
}

struct slice sender_recipient(struct slice forward_path, struct arena *arena)
{
	struct address address;

	if (!address_parse(forward_path, arena, &address) ||
	    !domain_normalise(address.domain, arena, &address.domain))
		return arena_lower(arena, forward_path);
	address.local = local_normalise(address.local, arena);
	return address_format(&address, arena);
}

bool sender_is_suppressed(struct read *read, const struct sender *sender, struct slice recipient)
{
	struct suppression suppression;
	struct arena arena = { 0 };

	if (sender->account_id == 0 || !sender->config || sender->config->suppress_seconds == 0)
		return false;
	bool found = suppression_find(read, sender->account_id, recipient, &arena, &suppression);
	arena_fini(&arena);
	return found && clock_unix() < suppression.at_unix + sender->config->suppress_seconds;
}

static uint32_t limit_of(uint32_t own, uint32_t configured)
{
	return own == SUBMISSION_AS_CONFIGURED ? configured : own;
}

enum err sender_check_today(struct read *read, const struct sender_limits *limits,
			    const struct slice *recipients, size_t count)
{
	struct submission_usage usage;
	struct account account;
	struct arena arena = { 0 };

	if (limits->account_id == 0)
		return ERR_OK;
	enum err err = account_get(read, limits->account_id, &arena, &account);
	arena_fini(&arena);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_GONE : err;
	err = submission_usage(read, limits->account_id, &usage);
	if (err != ERR_OK)
		return err;
	uint32_t messages = limit_of(usage.limits.messages, limits->messages);
	uint32_t new_recipients = limit_of(usage.limits.new_recipients, limits->new_recipients);
	if (messages > 0 && usage.messages >= messages)
		return ERR_RATE;
	usage.new_recipients += limits->new_before < UINT32_MAX / 2 ? limits->new_before : 0;
	for (size_t i = 0; new_recipients > 0 && i < count; i++) {
		if (submission_knows(read, limits->account_id, recipients[i]))
			continue;
		if (usage.new_recipients >= new_recipients)
			return ERR_RATE;
		usage.new_recipients++;
	}
	return ERR_OK;
}
