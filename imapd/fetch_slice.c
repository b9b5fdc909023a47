/* imapd/fetch_slice.c - a slice of a FETCH: one read transaction and one walk over the entries, until
 * there is enough output or about a millisecond has passed.
 *
 * It reads the view and the command, and writes only what is the slice's own (fetch_priv.h), so that it
 * can be made on a worker as well as on the loop. Runs in the back. */
#include "imapd/fetch_priv.h"

#include "base/disk_waits.h"

static void slice_begin(struct fetch *f, struct buffer *out, size_t full_octets)
{
	const struct imap_view *view = f->s->view;
	bool needs_names = f->items.has_flags || view->changed.count > 0 ||
			   (f->answering && f->answer.tells_flags);
	struct read *read = read_begin(f->s->back->store);

	f->slice = (struct answer_slice){ .read = read, .out = out, .full_octets = full_octets };
	f->walk = walk_begin(read, view->mailbox_id);
	if (needs_names) {
		struct mailbox *mailbox = arena_alloc(&f->slice_arena, sizeof(*mailbox));
		/* Of a mailbox that is gone the store has the entries for a while, but not what their keywords
		 * are called: none is walked. */
		if (mailbox_get(read, view->mailbox_id, &f->slice_arena, mailbox) != ERR_OK) {
			*mailbox = (struct mailbox){ 0 };
			f->walk.mailbox_id = 0;
		}
		f->slice.mailbox = mailbox;
	}
}

static void slice_end(struct fetch *f)
{
	walk_end(&f->walk);
	/* What could not be read looks as if it were not there. */
	if (read_failure(f->slice.read) != ERR_OK)
		f->answer.trouble |= TROUBLE_UNAVAILABLE;
	read_end(&f->slice.read);
	if (f->slice.mailbox)
		arena_reset(&f->slice_arena);
	f->slice = (struct answer_slice){ 0 };
}

static void begin_answer(struct fetch *f)
{
	const struct imap_view *view = f->s->view;
	uint32_t uid = f->walk.entry.uid;
	bool flags_are_news = view_flags_are_news(view, uid);

	answer_begin(&f->answer, &f->walk.entry, rank_walk_next(&f->rank, &view->uids, uid),
		     view_is_recent(view, uid), flags_are_news, f->slice.out);
	if (flags_are_news)
		ranges_add(&f->told, uid, uid);
	if ((f->items.has_modseq || (flags_are_news && f->answer.tells_modseq)) &&
	    f->walk.entry.modseq > f->shown_modseq)
		f->shown_modseq = f->walk.entry.modseq;
	f->answering = true;
}

static enum slice_outcome make_answers(struct fetch *f)
{
	for (;;) {
		bool missing = false;
		if (f->answering) {
			enum answer_progress progress = answer_go_on(&f->answer, &f->slice);
			if (progress == ANSWER_BROKEN)
				return SLICE_BROKEN;
			if (progress == ANSWER_PAUSED)
				break;
			f->answering = false;
			if (f->answer.entry.uid == UINT32_MAX)
				return SLICE_ALL_DONE;
			f->next_uid = f->answer.entry.uid + 1;
		}
		if (answer_slice_is_over(&f->slice))
			break;
		if (f->waited)
			fetch_prefetch(f);
		bool found = walk_next(&f->walk, &f->uids, f->next_uid, &missing);
		if (missing && !f->asks_entries)
			f->answer.trouble |= TROUBLE_EXPUNGED;
		if (!found)
			return SLICE_ALL_DONE;
		if (f->walk.entry.uid > f->batch_last_uid)
			return SLICE_BATCH_DONE;
		f->slice.spent += ANSWER_ENTRY_COST;
		if (!fetch_is_unchanged(f, &f->walk.entry)) {
			begin_answer(f);
			continue;
		}
		if (f->walk.entry.uid == UINT32_MAX)
			return SLICE_ALL_DONE;
		f->next_uid = f->walk.entry.uid + 1;
	}
	return answer_slice_is_full(&f->slice) ? SLICE_OUT_FULL : SLICE_SPENT;
}

void fetch_slice_make(struct fetch *f, struct buffer *out, size_t full_octets)
{
	/* Most FETCHes have one slice only, and nothing to ask for behind it. */
	uint64_t waits = f->is_long ? disk_waits() : 0;
	slice_begin(f, out, full_octets);
	if (read_failure(f->slice.read) == ERR_OK)
		f->outcome = make_answers(f);
	else
		f->outcome = !f->answering || answer_leave_off(&f->answer, out) ? SLICE_ALL_DONE
										: SLICE_BROKEN;
	slice_end(f);
	f->waited = f->is_long && disk_waits() != waits;
}

void fetch_slice_note_told(struct fetch *f)
{
	struct imap_view *view = f->s->view;
	if (f->told.count > 0) {
		ranges_drop(&view->changed, &f->told);
		ranges_drop(&view->touched, &f->told);
		ranges_clear(&f->told);
	}
	view_note_shown(view, f->shown_modseq);
}
