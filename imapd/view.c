/* imapd/view.c - the selected mailbox as this client knows it; what it is told of it is in view_tell.c. In
 * the back.
 *
 * RFC 9051 sections 2.3.1.2 (sequence numbers), 5.2, 5.5, 7.4 and 7.5; RFC 2180 for mailboxes
 * that several sessions change. What the store knows and the client does not is kept as two
 * sets of UIDs, so an idle session on any number of messages costs bytes. A mailbox that
 * somebody deletes is told as emptied (RFC 2180 section 3.2). MODSEQ and VANISHED are those of
 * RFC 7162, UIDFETCH that of RFC 9586; while expunges wait to be told, HIGHESTMODSEQ stays
 * below them (section 3.2).
 *
 * Sets of many runs are merged and walked in one pass; nothing here looks up a rank per
 * message. */
#include "imapd/view_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "imapd/access_priv.h"
#include "imapd/arrivals_priv.h"
#include "imapd/notify_priv.h"
#include "imapd/search_context_priv.h"

static uint64_t count_up_to(const struct ranges *set, uint32_t number)
{
	uint64_t count = 0;
	for (uint32_t i = 0; i < set->count && set->runs[i].first <= number; i++) {
		uint32_t last = set->runs[i].last < number ? set->runs[i].last : number;
		count += (uint64_t)last - set->runs[i].first + 1;
	}
	return count;
}

uint32_t view_recent_count(const struct imap_view *view)
{
	if (view->recent_from_uid == 0)
		return view_count(view);
	return (uint32_t)(ranges_total(&view->uids) -
			  count_up_to(&view->uids, view->recent_from_uid - 1));
}

/* ---- life ---- */

static void mailbox_changed(struct watch *watch)
{
	struct imap_view *view = CONTAINER_OF(watch, struct imap_view, watch);
	/* Otherwise the next command's end looks by itself. */
	if (imap_is_idle(view->s))
		session_wake_news(&view->s->session, NEWS_CHANGED);
	else
		notify_view_changed(view->s);
}

static void account_changed(struct watch *watch)
{
	struct imap_view *view = CONTAINER_OF(watch, struct imap_view, own_watch);
	mailbox_changed(&view->watch);
}

struct imap_view *view_new(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
			   bool is_read_only)
{
	struct imap_view *view = heap_alloc(sizeof(*view));
	view->s = s;
	view->mailbox_id = mailbox->mailbox_id;
	view->owner_id = mailbox->account_id;
	view->uidvalidity = mailbox->uidvalidity;
	view->rights = acl_rights(read, s->account_id, mailbox->account_id, mailbox->mailbox_id);
	view->is_read_only = is_read_only || !(view->rights & RIGHTS_TO_CHANGE);
	view->modseq = view->told_modseq = mailbox->highest_modseq;
	view->uidnext = mailbox->uidnext;
	/* RFC 9051 appendix E: for IMAP4rev2 nothing is \Recent, in SEARCH neither. */
	view->recent_from_uid = imap_is_rev2(s) ? UINT32_MAX : mailbox->recent_from_uid;
	view->keywords_hash = keywords_hash(mailbox);
	message_uids(read, mailbox->mailbox_id, 1, &view->uids);
	view->watch.changed = mailbox_changed;
	view->watch.loop = s->session.loop;
	view->watch.mailbox_id = mailbox->mailbox_id;
	view->watch.account_id = mailbox->account_id;
	watch_begin(s->back->store, &view->watch);
	if (view->owner_id == s->account_id)
		return view;
	view->own_watch.changed = account_changed;
	view->own_watch.loop = s->session.loop;
	view->own_watch.account_id = s->account_id;
	watch_begin(s->back->store, &view->own_watch);
	return view;
}

void view_free(struct imap_view **view_ptr)
{
	struct imap_view *view = *view_ptr;
	if (!view)
		return;
	watch_end(view->s->back->store, &view->watch);
	if (view->owner_id != view->s->account_id)
		watch_end(view->s->back->store, &view->own_watch);
	ranges_free(&view->uids);
	ranges_free(&view->vanished);
	ranges_free(&view->changed);
	ranges_free(&view->touched);
	ranges_free(&view->earlier);
	ranges_free(&view->saved_result);
	ranges_free(&view->unsearched);
	ranges_free(&view->withheld);
	ranges_free(&view->own);
	ranges_free(&view->fresh);
	arrival_free(view);
	search_contexts_free(view);
	free(view);
	*view_ptr = NULL;
}

/* RFC 4314 section 5.1.1: who checks the rights with every command tells of changed flags, and may
 * close the connection where the mailbox may no longer be read. */
enum err view_ask_rights(struct imap_view *view)
{
	struct imap_session *s = view->s;
	struct arena arena = { 0 };
	if (view->owner_id == s->account_id || view->is_gone)
		return ERR_OK;
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	unsigned rights = acl_rights(read, s->account_id, view->owner_id, view->mailbox_id);
	enum err err = mailbox_get(read, view->mailbox_id, &arena, mailbox);
	enum err failure = read_failure(read);
	bool is_readable = (rights & RIGHT_READ) || err == ERR_GONE;
	bool has_changed = rights != view->rights;
	if (failure == ERR_OK) {
		view->rights = rights;
		if (is_readable && err == ERR_OK && has_changed)
			view_tell_permanent_flags(view, mailbox);
	}
	read_end(&read);
	arena_fini(&arena);
	if (failure != ERR_OK)
		return failure;
	return is_readable ? ERR_OK : ERR_DENIED;
}

/* ---- what a client's set names ---- */

/* The members of `uids` that have these ranks. */
static void uids_of_ranks(const struct ranges *uids, const struct ranges *ranks,
			  struct ranges *uids_out)
{
	uint32_t at = 0;
	uint64_t before = 0; /* members in the runs before `at` */
	for (uint32_t i = 0; i < ranks->count; i++) {
		uint64_t first = ranks->runs[i].first;
		while (first <= ranks->runs[i].last && at < uids->count) {
			struct range run = uids->runs[at];
			uint64_t through = before + run.last - run.first + 1;
			if (first > through) {
				before = through;
				at++;
				continue;
			}
			uint64_t last =
				ranks->runs[i].last < through ? ranks->runs[i].last : through;
			ranges_add(uids_out, (uint32_t)(run.first + (first - before - 1)),
				   (uint32_t)(run.first + (last - before - 1)));
			first = last + 1;
		}
	}
}

void view_join_saved(const struct imap_view *view, const struct sequence_set *set,
		     struct ranges *uids)
{
	struct ranges saved = { 0 };
	if (!set->has_saved_result)
		return;
	ranges_intersect(&view->saved_result, &view->uids, &saved);
	ranges_join(uids, &saved);
	ranges_free(&saved);
}

bool view_resolve(const struct imap_view *view, const struct sequence_set *set, bool uid,
		  struct ranges *uids_out)
{
	uint32_t count = view_count(view);
	struct ranges numbers = { 0 };
	bool is_good = true;
	if (uid) {
		sequence_set_numbers(set, ranges_last(&view->uids), &numbers);
		ranges_intersect(&numbers, &view->uids, uids_out);
	} else if (set->count > 0) {
		sequence_set_numbers(set, count, &numbers);
		is_good = count > 0 && ranges_last(&numbers) <= count;
		if (is_good)
			uids_of_ranks(&view->uids, &numbers, uids_out);
	}
	view_join_saved(view, set, uids_out);
	ranges_free(&numbers);
	return is_good;
}

/* ---- from the store into the view ---- */

/* Those of `uids` that the client knows and may still ask for. */
static void note(struct imap_view *view, struct ranges *set, const struct ranges *uids)
{
	struct ranges known = { 0 };
	ranges_intersect(uids, &view->uids, &known);
	ranges_join(set, &known);
	ranges_drop(set, &view->vanished);
	ranges_free(&known);
}

void view_note_flags(struct imap_view *view, const struct ranges *uids)
{
	note(view, &view->changed, uids);
}

void view_note_unsearched(struct imap_view *view, const struct ranges *uids)
{
	if (view->contexts)
		note(view, &view->unsearched, uids);
}

void view_note_modseqs(struct imap_view *view, const struct ranges *uids)
{
	if (imap_has(view->s, IMAP_ENABLED_CONDSTORE))
		note(view, &view->touched, uids);
}

void view_note_own(struct imap_view *view, uint32_t first_uid, uint32_t last_uid)
{
	ranges_add(&view->own, first_uid, last_uid);
}

/* What comes and goes between two tellings never was, for the client: it has no number that could be told
 * as expunged. */
static void forget_untold(struct imap_view *view, struct ranges *gone)
{
	struct ranges untold = { 0 };
	if (view->untold_uid == 0 || ranges_last(gone) < view->untold_uid)
		return;
	ranges_copy(gone, &untold);
	ranges_remove(&untold, 0, view->untold_uid - 1);
	ranges_drop(gone, &untold);
	ranges_drop(&view->uids, &untold);
	ranges_free(&untold);
}

static void note_gone(struct imap_view *view, const struct ranges *vanished)
{
	struct ranges gone = { 0 };
	ranges_intersect(vanished, &view->uids, &gone);
	ranges_drop(&view->changed, &gone);
	ranges_drop(&view->touched, &gone);
	ranges_drop(&view->withheld, &gone);
	ranges_drop(&view->unsearched, &gone);
	ranges_drop(&view->fresh, &gone);
	forget_untold(view, &gone);
	ranges_join(&view->vanished, &gone);
	ranges_free(&gone);
}

void view_note(struct imap_view *view, const struct ranges *changed, const struct ranges *vanished)
{
	struct ranges arrived = { 0 };

	note_gone(view, vanished);
	if (notify_selected_events(view->s) & NOTIFY_FLAG_CHANGE)
		view_note_flags(view, changed);
	else
		note(view, &view->withheld, changed);
	ranges_subtract(changed, vanished, &arrived);
	if (view->uidnext > 1)
		ranges_remove(&arrived, 0, view->uidnext - 1);
	if (arrived.count > 0) {
		ranges_join(&view->uids, &arrived);
		view->tell_exists = true;
		if (view->untold_uid == 0)
			view->untold_uid = arrived.runs[0].first;
		arrivals_note(view, &arrived);
	}
	view_note_unsearched(view, changed);
	if (ranges_last(changed) >= view->uidnext)
		view->uidnext = ranges_last(changed) + 1;
	if (ranges_last(vanished) >= view->uidnext)
		view->uidnext = ranges_last(vanished) + 1;
	ranges_free(&arrived);
}

/* The change log no longer reaches back to us. Which messages there are is known at once; for which of
 * them have changed all entries are looked at, which takes turns: what happens from now on is in the
 * log again. */
static enum err begin_comparison(struct imap_view *view, struct read *read)
{
	struct ranges now = { 0 }, gone = { 0 };
	message_uids(read, view->mailbox_id, 1, &now);
	enum err err = read_failure(read);
	if (err == ERR_OK) {
		ranges_subtract(&view->uids, &now, &gone);
		if (view->uidnext > 1)
			ranges_remove(&now, 0, view->uidnext - 1);
		if (view->comparison.next_uid == 0)
			view->comparison.since_modseq = view->modseq;
		view->comparison.next_uid = 1;
		view->comparison.end_uid = view->uidnext;
		view_note(view, &now, &gone);
	}
	ranges_free(&now);
	ranges_free(&gone);
	return err;
}

enum err view_look_for_newer(const struct imap_view *view, uint64_t since_modseq,
			     uint32_t *next_uid, struct ranges *newer_out)
{
	enum { ENTRIES_AT_A_TIME = 16 * 1024 };
	struct message_entry entry;
	struct read *read = read_begin(view->s->back->store);
	struct message_cursor *cursor = message_cursor_open(read, view->mailbox_id, *next_uid);
	for (unsigned i = 0; *next_uid != 0 && i < ENTRIES_AT_A_TIME; i++) {
		if (!message_cursor_next(cursor, &entry)) {
			*next_uid = 0;
			break;
		}
		if (entry.modseq > since_modseq)
			ranges_add(newer_out, entry.uid, entry.uid);
		*next_uid = entry.uid + 1; /* 0 behind the last that there can be */
	}
	message_cursor_close(&cursor);
	enum err err = read_failure(read);
	read_end(&read);
	return err;
}

bool view_compare_on(struct imap_view *view)
{
	struct ranges changed = { 0 };
	const struct ranges nothing = { 0 };
	uint32_t *next_uid = &view->comparison.next_uid;
	if (*next_uid == 0)
		return true;
	if (view_look_for_newer(view, view->comparison.since_modseq, next_uid, &changed) !=
	    ERR_OK) {
		/* The next command begins anew. */
		log_warning(&view->s->session.log, EVENT("view-not-synced"));
		view->modseq = view->comparison.since_modseq;
		*next_uid = 0;
	}
	/* Those from there on were noted when they came. */
	ranges_remove(&changed, view->comparison.end_uid, UINT32_MAX);
	if (*next_uid >= view->comparison.end_uid)
		*next_uid = 0;
	view_note(view, &changed, &nothing);
	ranges_free(&changed);
	return *next_uid == 0;
}

static void lose_mailbox(struct imap_view *view)
{
	struct ranges all = { 0 };
	view->is_gone = true;
	view->comparison.next_uid = 0;
	ranges_copy(&view->uids, &all);
	note_gone(view, &all);
	ranges_free(&all);
}

enum err view_sync(struct imap_view *view, struct read *read)
{
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct ranges changed = { 0 }, vanished = { 0 };
	enum err err = ERR_OK;

	if (view->is_gone)
		goto out;
	err = mailbox_get(read, view->mailbox_id, &arena, mailbox);
	/* An import may have given an empty mailbox another UIDVALIDITY: what this session has told
	 * of it holds no more (RFC 9051 section 2.3.1.1). */
	if (err == ERR_GONE || err == ERR_NOT_FOUND ||
	    (err == ERR_OK && mailbox->uidvalidity != view->uidvalidity)) {
		lose_mailbox(view);
		err = ERR_OK;
		goto out;
	}
	if (err != ERR_OK || mailbox->highest_modseq <= view->modseq)
		goto out;
	err = message_changes(read, view->mailbox_id, view->modseq, &changed, &vanished);
	if (err == ERR_OK) {
		view_note(view, &changed, &vanished);
	} else if (err == ERR_GONE) {
		err = begin_comparison(view, read);
	}
	if (err != ERR_OK)
		goto out;
	view->modseq = mailbox->highest_modseq;
	if (mailbox->uidnext > view->uidnext)
		view->uidnext = mailbox->uidnext;
out:
	ranges_free(&changed);
	ranges_free(&vanished);
	arena_fini(&arena);
	return err;
}
