/* imapd/copy.c - COPY and MOVE. In the back.
 *
 * RFC 9051 sections 6.4.7 to 6.4.9, RFC 6851 (MOVE), RFC 4315 (COPYUID). One job, so all of it
 * happens or none; messages that other sessions have expunged meanwhile are left out, and
 * COPYUID says which were copied (RFC 2180 section 4.4). Where none of those is left that were named
 * by number it is NO, for to the client they are there; UIDs may name what is not (section 6.4.9). Flags
 * that one may not set in another's mailbox are left out (RFC 4314 section 4). */
#include "imapd/access_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/view_priv.h"

struct copy {
	uint64_t from_mailbox_id, to_mailbox_id;
	uint32_t account_id, to_owner_id;
	uint32_t to_uidvalidity;
	bool moves, uid;
	bool may_read; /* the mailbox that they go to (result) */
	struct ranges uids;
	struct ranges from, to; /* results: they pair up by rank */
};

static void copy_fini(struct imap_session *s)
{
	struct copy *copy = s->work;
	ranges_free(&copy->uids);
	ranges_free(&copy->from);
	ranges_free(&copy->to);
}

static enum err run_copy(struct write *write, struct job *job)
{
	struct copy *copy = imap_session_of_job(job)->job_data;
	ranges_clear(&copy->from);
	ranges_clear(&copy->to);
	unsigned rights = acl_rights(write_read(write), copy->account_id, copy->to_owner_id,
				     copy->to_mailbox_id);
	copy->may_read = rights & RIGHT_READ;
	if (!(rights & RIGHT_INSERT))
		return access_judge(rights, RIGHT_INSERT);
	return message_copy_without(write, copy->from_mailbox_id, &copy->uids, copy->to_mailbox_id,
				    copy->moves, access_withheld(rights), &copy->from, &copy->to);
}

/* "[COPYUID uidvalidity from to] text", in the command's arena. The UIDs tell how many came before, so not
 * to who may not read there (RFC 4315 section 5). */
static const char *copyuid_text(struct imap_session *s, const struct copy *copy, const char *text)
{
	if (!copy->may_read)
		return text;
	struct buffer code = { 0 };
	buffer_add_format(&code, "[COPYUID %u ", copy->to_uidvalidity);
	respond_ranges(&code, &copy->from);
	buffer_add_byte(&code, ' ');
	respond_ranges(&code, &copy->to);
	buffer_add_cstr(&code, "] ");
	buffer_add_cstr(&code, text);
	const char *kept = arena_string(&s->command_arena, buffer_slice(&code));
	buffer_free(&code);
	return kept;
}

static enum step nothing_copied(struct imap_session *s)
{
	const struct copy *copy = s->work;
	return copy->uid || copy->uids.count == 0
		       ? imap_ok(s, "No such message, so nothing copied")
		       : imap_no(s, "[EXPUNGEISSUED] some of the messages no longer exist");
}

static enum step after_copy(struct imap_session *s, enum err outcome)
{
	const struct copy *copy = s->work;
	if (outcome == ERR_GONE || outcome == ERR_NOT_FOUND)
		return imap_no(s, "[TRYCREATE] A mailbox has just been deleted");
	if (outcome != ERR_OK)
		return imap_refuse(s, outcome);
	if (copy->from.count == 0)
		return nothing_copied(s);
	if (copy->to_mailbox_id == s->view->mailbox_id)
		view_note_own(s->view, copy->to.runs[0].first, ranges_last(&copy->to));
	if (!copy->moves)
		return imap_ok(s, copyuid_text(s, copy, "COPY completed"));
	/* Before the EXPUNGEs that follow (RFC 9051 section 6.4.8). */
	respond_line(&s->session.out, s->language, SLICE("*"), "OK",
		     copyuid_text(s, copy, "Moved"));
	return imap_ok_expunged(s, "MOVE completed");
}

static enum step copy_or_move(struct imap_session *s, struct cursor *args, bool uid, bool moves)
{
	struct arena *arena = &s->command_arena;
	struct copy *copy = arena_alloc(arena, sizeof(*copy));
	struct sequence_set set;
	struct slice name;

	s->work = copy;
	s->work_fini = copy_fini;
	copy->moves = moves;
	copy->uid = uid;
	if (!take_sequence_set(args, arena, &set) || !take_space(args) ||
	    !take_mailbox(args, arena, imap_speaks_utf8(s), &name) || !at_end(args))
		return imap_bad(s, "Messages and a mailbox name, please");
	if (!view_resolve(s->view, &set, uid, &copy->uids))
		return imap_bad(s, "No such message");
	if (moves && s->view->is_read_only)
		return imap_no(s, "[NOPERM] The mailbox is selected read-only");
	if (moves && !view_may_remove(s->view))
		return imap_refuse(s, ERR_DENIED);

	struct mailbox *to = arena_alloc(arena, sizeof(*to));
	struct read *read = read_begin(s->back->store);
	enum err err = access_find(read, s->account_id, name, RIGHT_INSERT, arena, to, NULL);
	read_end(&read);
	if (err == ERR_NOT_FOUND)
		return imap_no(s, "[TRYCREATE] No such mailbox");
	if (err != ERR_OK)
		return imap_refuse(s, err);
	if (copy->uids.count == 0 || s->view->is_gone)
		return nothing_copied(s);
	copy->from_mailbox_id = s->view->mailbox_id;
	copy->account_id = s->account_id;
	copy->to_owner_id = to->account_id;
	copy->to_mailbox_id = to->mailbox_id;
	copy->to_uidvalidity = to->uidvalidity;
	return imap_write(s, run_copy, copy, after_copy);
}

enum step imap_copy(struct imap_session *s, struct cursor *args, bool uid)
{
	return copy_or_move(s, args, uid, false);
}

enum step imap_move(struct imap_session *s, struct cursor *args, bool uid)
{
	return copy_or_move(s, args, uid, true);
}
