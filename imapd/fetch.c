/* imapd/fetch.c - FETCH and UID FETCH: which messages, in which slices, and the tagged reply.
 *
 * RFC 9051 section 6.4.5 and 6.4.9. The work is done in slices: each opens one read
 * transaction and walks the entries with one cursor, until the output is full or about a
 * millisecond has passed. Messages whose \Seen flag the command sets implicitly get it first,
 * a batch at a time, by one job a batch, so that the change is told with the data; a batch, so
 * that a client which leaves in the middle of its mailbox has not read the rest. A message
 * that another session has expunged meanwhile is left out (RFC 2180 section 4.1.2); the tagged
 * reply says so with EXPUNGEISSUED (RFC 5530). CHANGEDSINCE and VANISHED (RFC 7162 sections
 * 3.1.4.1 and 3.2.6) ask the change log first, so that the rest is not looked at. Runs in the
 * back. */
#include "imapd/access_priv.h"
#include "imapd/fetch_answer_priv.h"
#include "imapd/qresync_priv.h"
#include "imapd/walk_priv.h"

enum { SEEN_BATCH_MESSAGES = 500 };

struct fetch {
	struct fetch_items items;
	struct ranges uids;	 /* what the sequence set names */
	uint32_t next_uid;	 /* of uids: the first that has not been answered */
	uint32_t batch_last_uid; /* up to here \Seen is set */
	struct ranges unseen;	 /* of the batch */
	struct fetch_answer answer;
	bool answering; /* an answer is under way */
	/* The change log does not reach back to CHANGEDSINCE: each entry's MODSEQ is looked at. */
	bool asks_entries;

	/* The slice's own. */
	struct read *read;
	struct message_walk walk;
	struct mailbox *mailbox; /* for the keywords' names; NULL where nobody needs them */
	struct arena slice_arena;
	uint64_t spent;

	struct rank_walk rank; /* sequence numbers of what has been answered */
	struct task turn;      /* the loop's, between slices */
	struct imap_session *s;
};

static void fetch_fini(struct imap_session *s)
{
	struct fetch *f = s->work;
	ranges_free(&f->uids);
	ranges_free(&f->unseen);
	answer_fini(&f->answer);
	arena_fini(&f->slice_arena);
}

static void slice_begin(struct fetch *f)
{
	struct imap_view *view = f->s->view;
	bool needs_names = f->items.has_flags || view->changed.count > 0 ||
			   (f->answering && f->answer.tells_flags);

	f->read = read_begin(f->s->back->store);
	f->walk = walk_begin(f->read, view->mailbox_id);
	f->spent = 0;
	if (needs_names) {
		f->mailbox = arena_alloc(&f->slice_arena, sizeof(*f->mailbox));
		/* A mailbox that is gone has no entries either: no flags will be told. */
		if (mailbox_get(f->read, view->mailbox_id, &f->slice_arena, f->mailbox) != ERR_OK)
			*f->mailbox = (struct mailbox){ 0 };
	}
}

static void slice_end(struct fetch *f)
{
	walk_end(&f->walk);
	/* What could not be read looks as if it were not there. */
	if (read_failure(f->read) != ERR_OK)
		f->answer.trouble |= TROUBLE_UNAVAILABLE;
	read_end(&f->read);
	if (f->mailbox)
		arena_reset(&f->slice_arena);
	f->mailbox = NULL;
}

/* The message that the walk is at is none that was asked for. */
static bool is_unchanged(const struct fetch *f)
{
	return f->asks_entries && f->walk.entry.modseq <= f->items.changed_since;
}

enum slice_outcome { SLICE_ALL_DONE, SLICE_OUT_FULL, SLICE_SPENT, SLICE_BATCH_DONE, SLICE_BROKEN };

static void begin_answer(struct fetch *f)
{
	struct imap_view *view = f->s->view;
	uint32_t uid = f->walk.entry.uid;
	bool flags_are_news = view_flags_are_news(view, uid);

	answer_begin(&f->answer, &f->walk.entry, rank_walk_next(&f->rank, &view->uids, uid),
		     view_is_recent(view, uid), flags_are_news, &f->s->session.out);
	if (flags_are_news)
		view_flags_told(view, uid);
	if (f->items.has_modseq || (flags_are_news && f->answer.tells_modseq))
		view->has_told_modseqs = true;
	f->answering = true;
}

static enum slice_outcome fetch_slice(struct fetch *f)
{
	struct imap_session *s = f->s;

	for (;;) {
		bool missing = false;
		if (f->answering) {
			enum answer_progress progress = answer_go_on(
				&f->answer, f->read, f->mailbox, &s->session, &f->spent);
			if (progress == ANSWER_BROKEN)
				return SLICE_BROKEN;
			if (progress == ANSWER_PAUSED)
				break;
			f->answering = false;
			if (f->answer.entry.uid == UINT32_MAX)
				return SLICE_ALL_DONE;
			f->next_uid = f->answer.entry.uid + 1;
		}
		if (session_out_is_full(&s->session) || f->spent >= ANSWER_SLICE_OCTETS)
			break;
		bool found = walk_next(&f->walk, &f->uids, f->next_uid, &missing);
		if (missing && !f->asks_entries)
			f->answer.trouble |= TROUBLE_EXPUNGED;
		if (!found)
			return SLICE_ALL_DONE;
		if (f->walk.entry.uid > f->batch_last_uid)
			return SLICE_BATCH_DONE;
		f->spent += ANSWER_ENTRY_COST;
		if (!is_unchanged(f)) {
			begin_answer(f);
			continue;
		}
		if (f->walk.entry.uid == UINT32_MAX)
			return SLICE_ALL_DONE;
		f->next_uid = f->walk.entry.uid + 1;
	}
	return session_out_is_full(&s->session) ? SLICE_OUT_FULL : SLICE_SPENT;
}

static enum step fetch_reply(struct imap_session *s)
{
	struct fetch *f = s->work;
	unsigned trouble = f->answer.trouble;

	if (trouble & TROUBLE_DAMAGED)
		return imap_refuse(s, ERR_DAMAGED);
	if (trouble & TROUBLE_UNAVAILABLE)
		return imap_refuse(s, ERR_UNAVAILABLE);
	if (trouble & TROUBLE_ENCODING)
		return imap_no(s, "[UNKNOWN-CTE] a part has an encoding that is not known here");
	/* With UIDs a message that is not there is no error (RFC 9051 section 6.4.9). */
	if ((trouble & TROUBLE_EXPUNGED) && !s->command->uid)
		return imap_no(s, "[EXPUNGEISSUED] some of the messages no longer exist");
	return imap_ok(s, "FETCH completed");
}

static void turn_over(struct task *task)
{
	struct fetch *f = CONTAINER_OF(task, struct fetch, turn);
	session_job_end(&f->s->session);
}

/* Lets the loop serve the others before the next slice. */
static enum step fetch_yield(struct imap_session *s)
{
	struct fetch *f = s->work;
	session_job_begin(&s->session);
	f->turn.run = turn_over;
	loop_post(s->session.loop, &f->turn);
	return STEP_WAIT;
}

static enum step begin_batch(struct imap_session *s);

static enum step fetch_go_on(struct imap_session *s, struct cursor *in)
{
	struct fetch *f = s->work;

	slice_begin(f);
	enum slice_outcome end = f->answering ? SLICE_BROKEN : SLICE_ALL_DONE;
	if (read_failure(f->read) == ERR_OK)
		end = fetch_slice(f);
	slice_end(f);
	switch (end) {
	case SLICE_ALL_DONE: return fetch_reply(s);
	case SLICE_OUT_FULL: return STEP_WAIT;
	case SLICE_SPENT: return fetch_yield(s);
	case SLICE_BATCH_DONE: return begin_batch(s);
	case SLICE_BROKEN:
		log_warning(&s->session.log, EVENT("fetch-broken-off"),
			    NUM("uid", f->answer.entry.uid),
			    WORD("why", f->answer.trouble & TROUBLE_UNAVAILABLE ? "store-failure"
										: "damaged-blob"));
		break;
	}
	return STEP_CLOSE;
}

/* Whether \Seen could be set or not (a full disk), the client gets its mail. */
static enum step batch_is_seen(struct imap_session *s, enum err outcome)
{
	s->running = fetch_go_on;
	return STEP_AGAIN;
}

/* Finds the next messages that shall be answered together, and sets their \Seen flag. */
static enum step begin_batch(struct imap_session *s)
{
	struct fetch *f = s->work;
	uint32_t from = f->next_uid;
	bool missing = false;
	unsigned count = 0;

	ranges_clear(&f->unseen);
	f->batch_last_uid = UINT32_MAX;
	slice_begin(f);
	while (walk_next(&f->walk, &f->uids, from, &missing)) {
		if (count++ == SEEN_BATCH_MESSAGES) {
			f->batch_last_uid = f->walk.entry.uid - 1;
			break;
		}
		if (!(f->walk.entry.flags & FLAG_SEEN) && !is_unchanged(f))
			ranges_add(&f->unseen, f->walk.entry.uid, f->walk.entry.uid);
		if (f->walk.entry.uid == UINT32_MAX)
			break;
		from = f->walk.entry.uid + 1;
	}
	slice_end(f);
	s->running = fetch_go_on;
	if (f->unseen.count == 0)
		return STEP_AGAIN;
	return imap_mark_seen(s, &f->unseen, batch_is_seen);
}

static enum step fetch_start(struct imap_session *s, struct cursor *in)
{
	struct fetch *f = s->work;
	/* VANISHED (EARLIER) before any FETCH (RFC 7162 section 3.2.6); nothing else yet. */
	if (!view_tell_earlier(s->view))
		return STEP_WAIT;
	if (f->items.sets_seen && !s->view->is_read_only && (s->view->rights & RIGHT_SEEN))
		return begin_batch(s);
	f->batch_last_uid = UINT32_MAX;
	s->running = fetch_go_on;
	return STEP_AGAIN;
}

/* Leaves of f->uids those places. */
static void narrow_to_partial(struct fetch *f)
{
	struct ranges named = { 0 };
	uint64_t first, last;
	if (!f->items.has_partial)
		return;
	if (partial_range_clip(&f->items.partial, ranges_total(&f->uids), &first, &last)) {
		struct range run = { (uint32_t)first, (uint32_t)last };
		struct ranges places = { .runs = &run, .count = 1 };
		ranks_to_members(&f->uids, &places, &named);
	}
	ranges_free(&f->uids);
	f->uids = named;
}

/* Leaves of f->uids what has changed, where the log knows it, and notes what has vanished of the
 * numbers in `set`. */
static enum err ask_change_log(struct fetch *f, const struct sequence_set *set)
{
	struct imap_view *view = f->s->view;
	struct ranges newer = { 0 }, vanished = { 0 }, both = { 0 }, named = { 0 };
	if (!f->items.has_changed_since || view->is_gone)
		return ERR_OK;
	struct read *read = read_begin(f->s->back->store);
	enum err err =
		message_changes(read, view->mailbox_id, f->items.changed_since, &newer, &vanished);
	f->asks_entries = err == ERR_GONE;
	if (f->asks_entries)
		err = ERR_OK;
	if (err == ERR_OK && f->items.wants_vanished) {
		uint32_t last = view->uidnext > 1 ? view->uidnext - 1 : 0;
		sequence_set_numbers(set, last, &named);
		err = qresync_note_vanished(view, read, f->items.changed_since, &named, 0);
	}
	read_end(&read);
	ranges_intersect(&f->uids, &newer, &both);
	ranges_free(&newer);
	ranges_free(&vanished);
	ranges_free(&named);
	if (f->asks_entries) {
		ranges_free(&both);
		return err;
	}
	ranges_free(&f->uids);
	f->uids = both;
	return err;
}

enum step imap_fetch(struct imap_session *s, struct cursor *args, bool uid)
{
	struct sequence_set set;
	struct fetch_items items;

	if (!take_sequence_set(args, &s->command_arena, &set) || !take_space(args) ||
	    !take_fetch_items(args, &s->command_arena, uid, &items))
		return imap_bad(s, "FETCH wants a sequence set and data items");
	if (items.wants_vanished && !imap_has(s, IMAP_ENABLED_QRESYNC))
		return imap_bad(s, "QRESYNC has to be enabled first");

	struct fetch *f = arena_alloc(&s->command_arena, sizeof(*f));
	f->s = s;
	f->items = items;
	f->answer.items = &f->items;
	f->answer.utf8 = imap_speaks_utf8(s);
	f->answer.only_uids = imap_has(s, IMAP_ENABLED_UIDONLY);
	s->work = f;
	s->work_fini = fetch_fini;
	if (!view_resolve(s->view, &set, uid, &f->uids))
		return imap_bad(s, "no message has that number");
	f->next_uid = 1;
	if (items.has_modseq)
		imap_enable_condstore(s);
	f->answer.tells_modseq = imap_has(s, IMAP_ENABLED_CONDSTORE);
	narrow_to_partial(f); /* before CHANGEDSINCE: RFC 9394 section 3.4 */
	enum err err = ask_change_log(f, &set);
	if (err != ERR_OK && err != ERR_GONE)
		return imap_refuse(s, err);
	s->running = fetch_start;
	return STEP_AGAIN;
}
