/* imapd/mailboxes.c - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. In the back.
 *
 * RFC 9051 sections 6.3.4 to 6.3.8. What a name may be is the store's to judge
 * (storage/mailbox.h). Left out: parameters of CREATE (RFC 6154 section 3). */
#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/session_priv.h"
#include "storage/mailbox.h"

struct mailboxes_work {
	uint32_t account_id;
	struct slice name, new_name;
	bool subscribed;
	const char *done_text;
};

static enum err run_create(struct write *write, struct job *job)
{
	const struct mailboxes_work *work = imap_session_of_job(job)->job_data;
	uint64_t mailbox_id;
	return mailbox_create(write, work->account_id, work->name, USE_NONE, &mailbox_id);
}

static enum err run_delete(struct write *write, struct job *job)
{
	const struct mailboxes_work *work = imap_session_of_job(job)->job_data;
	return mailbox_delete(write, work->account_id, work->name);
}

static enum err run_rename(struct write *write, struct job *job)
{
	const struct mailboxes_work *work = imap_session_of_job(job)->job_data;
	return mailbox_rename(write, work->account_id, work->name, work->new_name);
}

static enum err run_subscribe(struct write *write, struct job *job)
{
	const struct mailboxes_work *work = imap_session_of_job(job)->job_data;
	return mailbox_subscribe(write, work->account_id, work->name, work->subscribed);
}

static enum step after_write(struct imap_session *s, enum err outcome)
{
	const struct mailboxes_work *work = s->work;
	return outcome == ERR_OK ? imap_ok(s, work->done_text) : imap_refuse(s, outcome);
}

/* A separator at the end only announces that there will be inferiors (section 6.3.4). */
static struct slice without_last_separator(struct slice name)
{
	if (name.len > 1 && name.ptr[name.len - 1] == MAILBOX_SEPARATOR)
		name.len--;
	return name;
}

/* mailbox [SP mailbox]; NULL where the arguments are something else. */
static struct mailboxes_work *take_names(struct imap_session *s, struct cursor *args, bool two,
					 const char *done_text)
{
	struct mailboxes_work *work = arena_alloc(&s->command_arena, sizeof(*work));
	bool utf8 = imap_is_rev2(s);
	if (!take_mailbox(args, &s->command_arena, utf8, &work->name))
		return NULL;
	if (two &&
	    (!take_space(args) || !take_mailbox(args, &s->command_arena, utf8, &work->new_name)))
		return NULL;
	if (!at_end(args))
		return NULL;
	work->account_id = s->account_id;
	work->done_text = done_text;
	s->work = work;
	return work;
}

enum step imap_create(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_names(s, args, false, "CREATE completed");
	if (!work)
		return imap_bad(s, "A mailbox name, please");
	work->name = without_last_separator(work->name);
	return imap_write(s, run_create, work, after_write);
}

enum step imap_delete(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_names(s, args, false, "DELETE completed");
	if (!work)
		return imap_bad(s, "A mailbox name, please");
	if (slice_eq(work->name, SLICE("INBOX")))
		return imap_no(s, "[CANNOT] INBOX cannot be deleted");
	return imap_write(s, run_delete, work, after_write);
}

enum step imap_rename(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_names(s, args, true, "RENAME completed");
	if (!work)
		return imap_bad(s, "Two mailbox names, please");
	work->new_name = without_last_separator(work->new_name);
	return imap_write(s, run_rename, work, after_write);
}

enum step imap_subscribe(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_names(s, args, false, "SUBSCRIBE completed");
	if (!work)
		return imap_bad(s, "A mailbox name, please");
	work->subscribed = true;
	return imap_write(s, run_subscribe, work, after_write);
}

enum step imap_unsubscribe(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_names(s, args, false, "UNSUBSCRIBE completed");
	if (!work)
		return imap_bad(s, "A mailbox name, please");
	work->subscribed = false;
	return imap_write(s, run_subscribe, work, after_write);
}
