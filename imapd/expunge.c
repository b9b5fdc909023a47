/* imapd/expunge.c - EXPUNGE and UID EXPUNGE. In the back.
 *
 * RFC 9051 sections 6.4.3 and 6.4.9, RFC 4315 section 2.1, RFC 7162 sections 3.2.7 and 3.2.9. Only
 * messages that the client has been told of; what went is told by the view before the tagged reply, as all
 * expunges are. */
#include "imapd/access_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/view_priv.h"

struct expunge {
	uint64_t mailbox_id;
	struct ranges uids;
	bool has_expunged;
};

static void expunge_fini(struct imap_session *s)
{
	struct expunge *expunge = s->work;
	ranges_free(&expunge->uids);
}

static enum err run_expunge(struct write *write, struct job *job)
{
	struct expunge *expunge = imap_session_of_job(job)->job_data;
	struct ranges expunged = { 0 };
	enum err err = message_expunge(write, expunge->mailbox_id, &expunge->uids, true, &expunged);
	expunge->has_expunged = expunged.count > 0;
	ranges_free(&expunged);
	return err;
}

static enum step after_expunge(struct imap_session *s, enum err outcome)
{
	/* Where the mailbox itself is gone, the view says that nothing is left. */
	if (outcome != ERR_OK && outcome != ERR_GONE)
		return imap_refuse(s, outcome);
	const struct expunge *expunge = s->work;
	return expunge->has_expunged ? imap_ok_expunged(s, "EXPUNGE completed")
				     : imap_ok(s, "EXPUNGE completed");
}

enum step imap_expunge(struct imap_session *s, struct cursor *args, bool uid)
{
	struct expunge *expunge = arena_alloc(&s->command_arena, sizeof(*expunge));
	struct sequence_set set;
	s->work = expunge;
	s->work_fini = expunge_fini;
	if (uid && !take_sequence_set(args, &s->command_arena, &set))
		return imap_bad(s, "UID EXPUNGE needs a set of UIDs");
	if (!at_end(args))
		return imap_bad(s, "Too many arguments");
	if (s->view->is_read_only)
		return imap_no(s, "[NOPERM] The mailbox is selected read-only");
	if (!(s->view->rights & RIGHT_EXPUNGE))
		return imap_refuse(s, ERR_DENIED);
	if (!uid)
		ranges_copy(&s->view->uids, &expunge->uids);
	else if (!view_resolve(s->view, &set, true, &expunge->uids))
		return imap_bad(s, "No such message");
	if (expunge->uids.count == 0)
		return imap_ok(s, "EXPUNGE completed");
	expunge->mailbox_id = s->view->mailbox_id;
	return imap_write(s, run_expunge, expunge, after_expunge);
}
