/* imapd/quota.c - GETQUOTA, GETQUOTAROOT, SETQUOTA: how much of what an account may hold is taken. In
 * the back.
 *
 * RFC 9208: the resources STORAGE, MESSAGE and MAILBOX. A quota root is an account; it is named as
 * its user signs in, and all its mailboxes are under it, whoever else may use them. SETQUOTA is for
 * who administers the domain of the account (`bode user administer`); only to them is QUOTASET
 * announced, and they may ask for the quotas that they set. */
#include "imapd/access_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/session_priv.h"
#include "mail/login.h"
#include "storage/account.h"
#include "storage/mailbox.h"

enum { STORAGE_UNIT_OCTETS = 1024 }; /* section 5.1 */

static void add_resource(struct buffer *out, const char *name, uint64_t used, uint64_t limit)
{
	if (out->data[out->len - 1] != '(')
		buffer_add_byte(out, ' ');
	buffer_add_format(out, "%s %llu %llu", name, (unsigned long long)used,
			  (unsigned long long)limit);
}

/* Only what is limited is named (section 4.2.1). */
static void respond_quota(struct imap_session *s, struct read *read, const struct account *account)
{
	struct buffer *out = &s->session.out;
	buffer_add_cstr(out, "* QUOTA ");
	respond_string(out, account->login, imap_speaks_utf8(s));
	buffer_add_cstr(out, " (");
	if (account->quota_octets > 0)
		add_resource(out, "STORAGE",
			     (account->used_octets + STORAGE_UNIT_OCTETS - 1) / STORAGE_UNIT_OCTETS,
			     account->quota_octets / STORAGE_UNIT_OCTETS);
	if (account->quota_messages > 0)
		add_resource(out, "MESSAGE", account->used_messages, account->quota_messages);
	add_resource(out, "MAILBOX", mailbox_names_count(read, account->account_id),
		     ACCOUNT_MAILBOXES_MAX);
	buffer_add_cstr(out, ")\r\n");
}

/* What stands behind the last "@". */
static struct slice domain_of(struct slice login)
{
	size_t at = login.len;
	while (at > 0 && login.ptr[at - 1] != '@')
		at--;
	return slice_sub(login, at, login.len);
}

bool imap_is_administrator(struct imap_session *s, struct read *read, struct account *account_out)
{
	return account_get(read, s->account_id, &s->command_arena, account_out) == ERR_OK &&
	       (account_out->flags & ACCOUNT_IS_ADMINISTRATOR);
}

/* The account of a quota root that this session may ask for. Whether another's exists is
 * nobody's business: ERR_NOT_FOUND. */
static enum err find_root(struct imap_session *s, struct read *read, struct slice root,
			  struct account *account_out)
{
	struct account own;
	struct slice login;
	bool may_see_others = imap_is_administrator(s, read, &own);
	enum err err = account_get(read, s->account_id, &s->command_arena, account_out);
	if (err != ERR_OK || slice_eq_nocase(root, account_out->login))
		return err;
	if (!may_see_others || !login_normalise(root, &s->command_arena, &login) ||
	    !slice_eq(domain_of(login), domain_of(own.login)))
		return ERR_NOT_FOUND;
	return account_find(read, login, &s->command_arena, account_out);
}

static const char no_such_root[] = "[NONEXISTENT] No such quota root";

enum step imap_getquota(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice root;
	struct account account;
	if (!take_astring(args, &s->command_arena, &root) || !at_end(args))
		return imap_bad(s, "The name of a quota root, please");
	struct read *read = read_begin(s->back->store);
	enum err err = find_root(s, read, root, &account);
	if (err == ERR_OK)
		respond_quota(s, read, &account);
	read_end(&read);
	if (err == ERR_NOT_FOUND)
		return imap_no(s, no_such_root);
	return err == ERR_OK ? imap_ok(s, "GETQUOTA completed") : imap_refuse(s, err);
}

/* Whose quota it is that a mailbox is under. One's own need not exist (section 4.1.2); another's
 * must be readable (section 6). */
static enum err find_owner(struct imap_session *s, struct read *read, struct slice name,
			   struct account *account_out)
{
	struct access_place place;
	enum err err = access_place_of(read, s->account_id, name, &s->command_arena, &place);
	if (err == ERR_OK && place.owner_id != s->account_id) {
		struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
		err = access_find(read, s->account_id, name, RIGHT_READ, &s->command_arena, mailbox,
				  NULL);
	}
	return err == ERR_OK ? account_get(read, place.owner_id, &s->command_arena, account_out)
			     : err;
}

enum step imap_getquotaroot(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice name;
	struct account account;
	struct buffer *out = &s->session.out;
	if (!take_mailbox(args, &s->command_arena, imap_speaks_utf8(s), &name) || !at_end(args))
		return imap_bad(s, "A mailbox name, please");
	struct read *read = read_begin(s->back->store);
	enum err err = find_owner(s, read, name, &account);
	if (err == ERR_OK) {
		buffer_add_cstr(out, "* QUOTAROOT ");
		respond_mailbox(out, name, imap_speaks_utf8(s));
		buffer_add_byte(out, ' ');
		respond_string(out, account.login, imap_speaks_utf8(s));
		buffer_add_cstr(out, "\r\n");
		respond_quota(s, read, &account);
	}
	read_end(&read);
	return err == ERR_OK ? imap_ok(s, "GETQUOTAROOT completed") : imap_refuse(s, err);
}

/* ---- SETQUOTA ---- */

struct quota_work {
	uint32_t account_id;
	uint64_t octets, messages; /* 0: no limit */
};

/* setquota-list; false where it is malformed. *why_out: it is not, but cannot be done. */
static bool take_limits(struct cursor *c, struct quota_work *work, const char **why_out)
{
	struct slice resource;
	uint64_t limit;
	if (!take_byte(c, '('))
		return false;
	while (!next_is(c, ')')) {
		if (!take_atom(c, &resource) || !take_space(c) || !take_number64(c, &limit))
			return false;
		if (slice_eq_nocase(resource, SLICE("STORAGE")) && limit > 0) {
			/* What no store can hold is no limit that ever is met. */
			const uint64_t most = (uint64_t)INT64_MAX / STORAGE_UNIT_OCTETS;
			work->octets = (limit < most ? limit : most) * STORAGE_UNIT_OCTETS;
		} else if (slice_eq_nocase(resource, SLICE("MESSAGE")) && limit > 0) {
			work->messages = limit;
		} else if (!slice_eq_nocase(resource, SLICE("MAILBOX")) ||
			   limit != ACCOUNT_MAILBOXES_MAX) {
			*why_out = "[CANNOT] Limits are on STORAGE and MESSAGE, above 0; that on "
				   "MAILBOX is the same for all";
		}
		if (!take_space(c))
			break;
	}
	return take_byte(c, ')');
}

static enum err run_setquota(struct write *write, struct job *job)
{
	const struct quota_work *work = imap_session_of_job(job)->job_data;
	return account_set_quota(write, work->account_id, work->octets, work->messages);
}

static enum step after_setquota(struct imap_session *s, enum err outcome)
{
	const struct quota_work *work = s->job_data;
	struct account account;
	if (outcome == ERR_NOT_FOUND)
		return imap_no(s, no_such_root);
	if (outcome != ERR_OK)
		return imap_refuse(s, outcome);
	struct read *read = read_begin(s->back->store);
	if (account_get(read, work->account_id, &s->command_arena, &account) == ERR_OK)
		respond_quota(s, read, &account);
	read_end(&read);
	return imap_ok(s, "SETQUOTA completed");
}

/* What is not named has no limit afterwards (section 4.1.3). */
enum step imap_setquota(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice root;
	struct account own, account;
	const char *why_not = NULL;
	struct quota_work *work = arena_alloc(&s->command_arena, sizeof(*work));
	if (!take_astring(args, &s->command_arena, &root) || !take_space(args) ||
	    !take_limits(args, work, &why_not) || !at_end(args))
		return imap_bad(s, "The name of a quota root and a list of limits, please");
	struct read *read = read_begin(s->back->store);
	bool may = imap_is_administrator(s, read, &own);
	enum err err = may ? find_root(s, read, root, &account) : ERR_DENIED;
	read_end(&read);
	if (err == ERR_NOT_FOUND)
		return imap_no(s, no_such_root);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	if (why_not)
		return imap_no(s, why_not);
	work->account_id = account.account_id;
	return imap_write(s, run_setquota, work, after_setquota);
}
