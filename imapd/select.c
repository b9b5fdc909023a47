/* imapd/select.c - SELECT, EXAMINE, CLOSE, UNSELECT. In the back.
 *
 * RFC 9051 sections 6.3.2, 6.3.3, 6.4.1, 6.4.2; RFC 3501 sections 6.3.1 and 6.3.2 for clients
 * that have not enabled IMAP4rev2: RECENT and UNSEEN; RFC 3691 (UNSELECT). Messages that came
 * since the last session may call \Recent are claimed by a writable SELECT; those that arrive
 * while it lasts are \Recent here and for the next session too, which RFC 3501 section 2.3.2
 * allows. RFC 7162 sections 3.1.2.1, 3.1.8 and 3.2.5: HIGHESTMODSEQ; CONDSTORE and QRESYNC.
 * RFC 8474 section 4.2: MAILBOXID. */
#include "imapd/access_priv.h"
#include "imapd/list_priv.h"
#include "imapd/object_id_priv.h"
#include "imapd/qresync_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/view_priv.h"

struct select_work {
	struct slice name;
	uint64_t mailbox_id;
	bool is_read_only;
	uint32_t recent_from_uid; /* by mailbox_claim_recent() */
	bool has_claimed;
	struct select_parameters parameters;
	struct qresync_walk walk;
};

/* IMAP_AUTHENTICATED afterwards. */
static void leave_mailbox(struct imap_session *s)
{
	view_free(&s->view);
	if (s->state == IMAP_SELECTED)
		imap_set_state(s, IMAP_AUTHENTICATED);
}

void view_tell_permanent_flags(struct imap_view *view, const struct mailbox *mailbox)
{
	struct buffer *out = &view->s->session.out;
	buffer_add_cstr(out, "* OK [PERMANENTFLAGS ");
	respond_permanent_flags(out, mailbox,
				access_withheld(view->is_read_only ? 0 : view->rights));
	buffer_add_format(out, "] %s\r\n", imap_text(view->s, "Flags that can be kept"));
}

static void tell_mailbox(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
			 struct slice typed_name)
{
	struct buffer *out = &s->session.out;
	buffer_add_cstr(out, "* FLAGS ");
	respond_known_flags(out, mailbox);
	buffer_add_cstr(out, "\r\n");
	buffer_add_format(out, "* %u EXISTS\r\n", view_count(s->view));
	if (!imap_is_rev2(s)) {
		buffer_add_format(out, "* %u RECENT\r\n", view_recent_count(s->view));
		uint32_t unseen =
			imap_has(s, IMAP_ENABLED_UIDONLY)
				? 0
				: ranges_rank(&s->view->uids, message_first_unseen(read, mailbox));
		if (unseen > 0)
			buffer_add_format(out, "* OK [UNSEEN %u] %s\r\n", unseen,
					  imap_text(s, "First unseen message"));
	}
	view_tell_permanent_flags(s->view, mailbox);
	buffer_add_format(out, "* OK [UIDVALIDITY %u] %s\r\n", mailbox->uidvalidity,
			  imap_text(s, "UIDs are valid"));
	buffer_add_format(out, "* OK [UIDNEXT %u] %s\r\n", mailbox->uidnext,
			  imap_text(s, "Next UID"));
	buffer_add_cstr(out, "* OK [MAILBOXID ");
	respond_object_id_list(out, 'F', mailbox->mailbox_id);
	buffer_add_format(out, "] %s\r\n", imap_text(s, "Keeps its number under any name"));
	view_tell_highest_modseq(s->view);
	if (imap_is_rev2(s)) /* RFC 9051 section 6.3.2: REQUIRED */
		list_respond_selected(s, read, mailbox, typed_name);
}

/* What a QRESYNC parameter asks for comes last (RFC 7162 section 3.2.5). */
static enum step tell_earlier(struct imap_session *s, struct cursor *in)
{
	const struct select_work *work = s->work;
	if (!view_tell(s->view, false))
		return STEP_WAIT;
	if (work->is_read_only)
		return imap_ok(s, "[READ-ONLY] EXAMINE completed");
	return imap_ok(s, s->view->is_read_only ? "[READ-ONLY] SELECT completed"
						: "[READ-WRITE] SELECT completed");
}

/* Who was away for longer than the change log reaches back. */
static enum step walk_on(struct imap_session *s, struct cursor *in)
{
	struct select_work *work = s->work;
	enum err err = work->walk.next_uid != 0 ? qresync_walk_on(s->view, &work->walk) : ERR_OK;
	if (err != ERR_OK) {
		leave_mailbox(s);
		return imap_refuse(s, err);
	}
	if (work->walk.next_uid != 0)
		return STEP_WAIT;
	s->running = tell_earlier;
	return STEP_AGAIN;
}

static void select_fini(struct imap_session *s)
{
	qresync_walk_fini(&((struct select_work *)s->work)->walk);
}

static enum step open_mailbox(struct imap_session *s)
{
	struct select_work *work = s->work;
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = mailbox_get(read, work->mailbox_id, &s->command_arena, mailbox);
	if (err == ERR_OK) {
		access_rename(read, s->account_id, mailbox, &s->command_arena);
		if (work->has_claimed)
			mailbox->recent_from_uid = work->recent_from_uid;
		s->view = view_new(s, read, mailbox, work->is_read_only);
		err = read_failure(read);
		if (err == ERR_OK)
			err = access_judge(s->view->rights, RIGHT_READ);
		if (err == ERR_OK)
			err = qresync_note(s->view, read, &work->parameters, &work->walk);
	}
	if (err == ERR_OK)
		tell_mailbox(s, read, mailbox, work->name);
	read_end(&read);
	if (err != ERR_OK) {
		leave_mailbox(s);
		return imap_refuse(s, err);
	}
	imap_set_state(s, IMAP_SELECTED);
	s->running = walk_on;
	return STEP_AGAIN;
}

static enum err run_claim(struct write *write, struct job *job)
{
	struct select_work *work = imap_session_of_job(job)->job_data;
	return mailbox_claim_recent(write, work->mailbox_id, &work->recent_from_uid);
}

static enum step after_claim(struct imap_session *s, enum err outcome)
{
	struct select_work *work = s->work;
	/* A store that cannot write can still be read. */
	work->has_claimed = outcome == ERR_OK;
	return open_mailbox(s);
}

static enum step open_by_name(struct imap_session *s, struct cursor *args, bool is_read_only)
{
	struct select_work *work = arena_alloc(&s->command_arena, sizeof(*work));
	if (!take_mailbox(args, &s->command_arena, imap_speaks_utf8(s), &work->name) ||
	    !take_select_parameters(args, &s->command_arena, &work->parameters))
		return imap_bad(s, "A mailbox name, please, and maybe CONDSTORE or QRESYNC");
	if (work->parameters.has_match && imap_has(s, IMAP_ENABLED_UIDONLY))
		return imap_bad(s, IMAP_UID_REQUIRED_TEXT);
	if (work->parameters.has_qresync && !imap_has(s, IMAP_ENABLED_QRESYNC))
		return imap_bad(s, "QRESYNC has to be enabled first");
	if (s->view) {
		leave_mailbox(s);
		respond_line(&s->session.out, s->language, SLICE("*"), "OK",
			     "[CLOSED] The previous mailbox is closed");
	}
	if (work->parameters.condstore)
		imap_enable_condstore(s);
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	unsigned rights;
	enum err err = access_find(read, s->account_id, work->name, RIGHT_READ, &s->command_arena,
				   mailbox, &rights);
	read_end(&read);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	work->mailbox_id = mailbox->mailbox_id;
	work->is_read_only = is_read_only;
	s->work = work;
	s->work_fini = select_fini;
	/* A write, hence a sync of the disk, only where there is something to claim. */
	if (!is_read_only && (rights & RIGHT_SEEN) && !imap_is_rev2(s) &&
	    mailbox->recent_from_uid < mailbox->uidnext)
		return imap_write(s, run_claim, work, after_claim);
	return open_mailbox(s);
}

enum step imap_select(struct imap_session *s, struct cursor *args, bool uid)
{
	return open_by_name(s, args, false);
}

enum step imap_examine(struct imap_session *s, struct cursor *args, bool uid)
{
	return open_by_name(s, args, true);
}

static enum err run_close(struct write *write, struct job *job)
{
	const struct imap_view *view = imap_session_of_job(job)->job_data;
	struct ranges expunged = { 0 };
	enum err err = message_expunge(write, view->mailbox_id, &view->uids, true, &expunged);
	ranges_free(&expunged);
	return err;
}

static enum step after_close(struct imap_session *s, enum err outcome)
{
	if (outcome != ERR_OK && outcome != ERR_GONE)
		return imap_refuse(s, outcome); /* still selected, nothing expunged */
	leave_mailbox(s);
	return imap_ok(s, "CLOSE completed");
}

enum step imap_close(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!at_end(args))
		return imap_bad(s, "CLOSE has no arguments");
	/* Without the right CLOSE only closes (RFC 4314 section 4). */
	if (s->view->is_read_only || s->view->is_gone || !(s->view->rights & RIGHT_EXPUNGE))
		return after_close(s, ERR_OK);
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = mailbox_get(read, s->view->mailbox_id, &arena, mailbox);
	bool has_deleted = err == ERR_OK && mailbox->deleted > 0;
	read_end(&read);
	arena_fini(&arena);
	if (!has_deleted)
		return after_close(s, ERR_OK);
	return imap_write(s, run_close, s->view, after_close);
}

enum step imap_unselect(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!at_end(args))
		return imap_bad(s, "UNSELECT has no arguments");
	leave_mailbox(s);
	return imap_ok(s, "UNSELECT completed");
}
