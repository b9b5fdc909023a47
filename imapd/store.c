/* imapd/store.c - STORE, and the \Seen that FETCH sets. In the back.
 *
 * RFC 9051 section 6.4.6 and 6.4.9, RFC 7162 section 3.1.3 (UNCHANGEDSINCE; section 3.1.12: the
 * change log says which flags changed, so others are no reason for MODIFIED). The job looks into the
 * change log just before it writes, so the view then stands exactly at our own change: what others
 * changed before is told even to a .SILENT client, what we changed only to one who asked, or its MODSEQ
 * to one who knows CONDSTORE. */
#include "imapd/access_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/notify_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/view_priv.h"
#include "imapd/walk_priv.h"

struct store_work {
	uint64_t mailbox_id;
	uint64_t since_modseq;
	struct ranges uids;
	struct store_flags change;
	/* results, set anew by each run */
	struct ranges others_changed, others_vanished, changed, modified;
	bool knows_others; /* false: the log did not reach back to since_modseq */
	uint64_t modseq;
};

static void clear_results(struct store_work *work)
{
	ranges_free(&work->others_changed);
	ranges_free(&work->others_vanished);
	ranges_free(&work->changed);
	ranges_free(&work->modified);
	work->knows_others = false;
}

static enum err run_store(struct write *write, struct job *job)
{
	struct store_work *work = imap_session_of_job(job)->job_data;
	clear_results(work);
	work->knows_others =
		message_changes(write_read(write), work->mailbox_id, work->since_modseq,
				&work->others_changed, &work->others_vanished) == ERR_OK;
	return message_store(write, work->mailbox_id, &work->uids, &work->change, &work->changed,
			     &work->modseq);
}

/* Moves the view past our own change, if any. Where the log was cut, or NOTIFY wants nothing of what
 * others do, it stays, and the next sync tells our change like any other. */
static void move_view(struct imap_view *view, const struct store_work *work)
{
	view_note_unsearched(view, &work->changed);
	if (!work->knows_others || !notify_tells_messages(view->s))
		return;
	view_note(view, &work->others_changed, &work->others_vanished);
	if (work->modseq > view->modseq)
		view->modseq = work->modseq;
}

static struct store_work *store_begin(struct imap_session *s)
{
	struct store_work *work = arena_alloc(&s->command_arena, sizeof(*work));
	work->mailbox_id = s->view->mailbox_id;
	work->since_modseq = s->view->modseq;
	work->change.modified_out = &work->modified;
	return work;
}

/* ---- STORE ---- */

struct store_command {
	struct store_work *store;
	bool is_silent, uid;
};

static void store_fini(struct imap_session *s)
{
	struct store_command *command = s->work;
	ranges_free(&command->store->uids);
	clear_results(command->store);
}

/* What the client is told beside what others did. The MODSEQ of each message that passed the
 * test goes out even where it had those flags already (RFC 7162 section 3.1.3). */
static void note_stored(struct imap_view *view, const struct store_command *command)
{
	const struct store_work *work = command->store;
	if (!command->is_silent) {
		view_note_flags(view, &work->uids);
		return;
	}
	view_note_modseqs(view, work->change.is_conditional ? &work->uids : &work->changed);
	view_note_flags(view, &work->modified);
}

/* "[MODIFIED 7,9] text", in the command's arena */
static const char *modified_text(struct imap_session *s, const struct store_command *command,
				 const char *text)
{
	struct buffer code = { 0 };
	struct ranges numbers = { 0 };
	if (command->uid)
		ranges_copy(&command->store->modified, &numbers);
	else
		members_to_ranks(&s->view->uids, &command->store->modified, &numbers);
	buffer_add_cstr(&code, "[MODIFIED ");
	respond_ranges(&code, &numbers);
	buffer_add_cstr(&code, "] ");
	buffer_add_cstr(&code, text);
	const char *kept = arena_string(&s->command_arena, buffer_slice(&code));
	ranges_free(&numbers);
	buffer_free(&code);
	return kept;
}

static enum step after_store(struct imap_session *s, enum err outcome)
{
	struct store_command *command = s->work;
	struct ranges gone = { 0 }, missing = { 0 };
	if (outcome != ERR_OK)
		return imap_refuse(s, outcome);
	move_view(s->view, command->store);
	note_stored(s->view, command);
	ranges_copy(&command->store->others_vanished, &gone);
	ranges_join(&gone, &s->view->vanished);
	ranges_intersect(&command->store->uids, &gone, &missing);
	ranges_free(&gone);
	bool all_there = missing.count == 0, is_modified = command->store->modified.count > 0;
	ranges_free(&missing);
	/* RFC 2180 section 4.2: the client may not know yet that it named what is no more. */
	if (!all_there && !command->uid)
		return imap_no(s, is_modified
					  ? modified_text(s, command, "Some are no longer there")
					  : "[EXPUNGEISSUED] Some are no longer there");
	if (is_modified)
		return imap_ok(s, modified_text(s, command, "Conditional STORE failed for some"));
	return imap_ok(s, "STORE completed");
}

/* store-modifiers = "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")" SP, or nothing */
static bool take_store_modifiers(struct cursor *at, struct store_flags *change)
{
	struct cursor c = *at;
	if (!take_byte(&c, '('))
		return true;
	if (!take_keyword(&c, "UNCHANGEDSINCE") || !take_space(&c) ||
	    !take_number64(&c, &change->unchanged_since) || !take_byte(&c, ')') || !take_space(&c))
		return false;
	change->is_conditional = true;
	*at = c;
	return true;
}

/* store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) */
static bool take_store_att_flags(struct cursor *at, struct arena *arena,
				 struct store_command *command, struct flag_list *list_out)
{
	struct cursor c = *at;
	struct store_flags *change = &command->store->change;
	if (take_byte(&c, '+'))
		change->change = FLAGS_ADD;
	else if (take_byte(&c, '-'))
		change->change = FLAGS_REMOVE;
	else
		change->change = FLAGS_SET;
	command->is_silent = take_keyword(&c, "FLAGS.SILENT");
	if (!command->is_silent && !take_keyword(&c, "FLAGS"))
		return false;
	if (!take_space(&c) || !take_flags(&c, arena, list_out))
		return false;
	change->flags = list_out->flags;
	change->keywords = list_out->keywords;
	change->keyword_count = list_out->keyword_count;
	*at = c;
	return true;
}

/* Leaves of the change what the rights allow (RFC 4314 section 4): it fails only where nothing is
 * left. The client then hears of the flags as they are. */
static bool withhold_flags(struct store_command *command, unsigned rights)
{
	struct store_flags *change = &command->store->change;
	struct flags_withheld withheld = access_withheld(rights);
	bool loses = (change->flags & withheld.flags) ||
		     (withheld.keywords && change->keyword_count > 0);
	change->withheld = withheld;
	change->flags &= (uint8_t)~withheld.flags;
	if (withheld.keywords)
		change->keyword_count = 0;
	if (loses)
		command->is_silent = false;
	if (change->change == FLAGS_SET)
		return rights & (RIGHT_SEEN | RIGHT_WRITE | RIGHT_DELETE_MESSAGES);
	return !loses || change->flags || change->keyword_count > 0;
}

enum step imap_store(struct imap_session *s, struct cursor *args, bool uid)
{
	struct arena *arena = &s->command_arena;
	struct store_command *command = arena_alloc(arena, sizeof(*command));
	struct sequence_set set;
	struct flag_list list;

	command->store = store_begin(s);
	command->uid = uid;
	s->work = command;
	s->work_fini = store_fini;
	if (!take_sequence_set(args, arena, &set) || !take_space(args) ||
	    !take_store_modifiers(args, &command->store->change) ||
	    !take_store_att_flags(args, arena, command, &list) || !at_end(args))
		return imap_bad(s, "STORE needs messages, what to do, and known flags");
	if (!view_resolve(s->view, &set, uid, &command->store->uids))
		return imap_bad(s, "No such message");
	if (s->view->is_read_only)
		return imap_no(s, "[NOPERM] The mailbox is selected read-only");
	if (flag_list_check(&list) != ERR_OK)
		return imap_refuse(s, ERR_LIMIT);
	if (!withhold_flags(command, s->view->rights))
		return imap_refuse(s, ERR_DENIED);
	if (command->store->change.is_conditional)
		imap_enable_condstore(s);
	if (command->store->uids.count == 0 || s->view->is_gone)
		return imap_ok(s, "No such message, so nothing stored");
	return imap_write(s, run_store, command->store, after_store);
}

/* ---- \Seen ---- */

struct mark_seen {
	struct store_work store;
	enum step (*then)(struct imap_session *s, enum err outcome);
};

static enum step after_mark_seen(struct imap_session *s, enum err outcome)
{
	struct mark_seen *mark = CONTAINER_OF(s->job_data, struct mark_seen, store);
	if (outcome == ERR_OK) {
		move_view(s->view, &mark->store);
		view_note_flags(s->view, &mark->store.changed);
	}
	ranges_free(&mark->store.uids);
	clear_results(&mark->store);
	return mark->then(s, outcome);
}

enum step imap_mark_seen(struct imap_session *s, const struct ranges *uids,
			 enum step (*then)(struct imap_session *s, enum err outcome))
{
	struct mark_seen *mark = arena_alloc(&s->command_arena, sizeof(*mark));
	mark->store.mailbox_id = s->view->mailbox_id;
	mark->store.since_modseq = s->view->modseq;
	mark->store.change = (struct store_flags){ .change = FLAGS_ADD, .flags = FLAG_SEEN };
	ranges_copy(uids, &mark->store.uids);
	mark->then = then;
	return imap_write(s, run_store, &mark->store, after_mark_seen);
}
