/* imapd/quota.c - GETQUOTA, GETQUOTAROOT: how much of what an account may hold is taken. In the
 * back.
 *
 * RFC 9208: the resources STORAGE, MESSAGE and MAILBOX. There is one quota root, the account; it
 * is named as its user signs in, and all mailboxes are under it. Left out: SETQUOTA, which
 * needs a user who may set others' quotas: `bode user` does that. */
#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/session_priv.h"
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

enum step imap_getquota(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice root;
	struct account account;
	if (!take_astring(args, &s->command_arena, &root) || !at_end(args))
		return imap_bad(s, "The name of a quota root, please");
	struct read *read = read_begin(s->back->store);
	enum err err = account_get(read, s->account_id, &s->command_arena, &account);
	/* Whether another's account exists is nobody's business. */
	bool is_own = err == ERR_OK && slice_eq_nocase(root, account.login);
	if (is_own)
		respond_quota(s, read, &account);
	read_end(&read);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	return is_own ? imap_ok(s, "GETQUOTA completed")
		      : imap_no(s, "[NONEXISTENT] No such quota root");
}

/* The mailbox need not exist (section 4.1.2). */
enum step imap_getquotaroot(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice name;
	struct account account;
	struct buffer *out = &s->session.out;
	if (!take_mailbox(args, &s->command_arena, imap_speaks_utf8(s), &name) || !at_end(args))
		return imap_bad(s, "A mailbox name, please");
	struct read *read = read_begin(s->back->store);
	enum err err = account_get(read, s->account_id, &s->command_arena, &account);
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
