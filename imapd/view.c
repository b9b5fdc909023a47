/* imapd/view.c - the selected mailbox as this client knows it. In the back.
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

#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"
#include "imapd/access_priv.h"
#include "imapd/arrivals_priv.h"
#include "imapd/notify_priv.h"
#include "imapd/respond_priv.h"
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
	view->recent_from_uid = mailbox->recent_from_uid;
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
bool view_is_readable(struct imap_view *view)
{
	struct imap_session *s = view->s;
	struct arena arena = { 0 };
	if (view->owner_id == s->account_id || view->is_gone)
		return true;
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	unsigned rights = acl_rights(read, s->account_id, view->owner_id, view->mailbox_id);
	enum err err = mailbox_get(read, view->mailbox_id, &arena, mailbox);
	bool is_readable = (rights & RIGHT_READ) || err == ERR_GONE;
	bool has_changed = rights != view->rights;
	view->rights = rights;
	if (is_readable && err == ERR_OK && has_changed)
		view_tell_permanent_flags(view, mailbox);
	read_end(&read);
	arena_fini(&arena);
	return is_readable;
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

bool view_resolve(const struct imap_view *view, const struct sequence_set *set, bool uid,
		  struct ranges *uids_out)
{
	if (set->is_saved_result) {
		ranges_intersect(&view->saved_result, &view->uids, uids_out);
		return true;
	}
	uint32_t count = view_count(view);
	struct ranges numbers = { 0 };
	bool is_good = true;
	if (uid) {
		sequence_set_numbers(set, ranges_last(&view->uids), &numbers);
		ranges_intersect(&numbers, &view->uids, uids_out);
	} else {
		sequence_set_numbers(set, count, &numbers);
		is_good = count > 0 && ranges_last(&numbers) <= count;
		if (is_good)
			uids_of_ranks(&view->uids, &numbers, uids_out);
	}
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

void view_note(struct imap_view *view, const struct ranges *changed, const struct ranges *vanished)
{
	struct ranges gone = { 0 }, arrived = { 0 };

	ranges_intersect(vanished, &view->uids, &gone);
	ranges_join(&view->vanished, &gone);
	ranges_drop(&view->touched, &gone);
	ranges_drop(&view->unsearched, &gone);
	ranges_drop(&view->fresh, &gone);
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
		arrivals_note(view, &arrived);
	}
	view_note_unsearched(view, changed);
	if (ranges_last(changed) >= view->uidnext)
		view->uidnext = ranges_last(changed) + 1;
	if (ranges_last(vanished) >= view->uidnext)
		view->uidnext = ranges_last(vanished) + 1;
	ranges_free(&gone);
	ranges_free(&arrived);
}

/* The change log no longer reaches back to us: compares with all that is there. */
static enum err compare_with_store(struct imap_view *view, struct read *read)
{
	struct ranges now = { 0 }, gone = { 0 }, changed = { 0 };
	struct message_entry entry;
	message_uids(read, view->mailbox_id, 1, &now);
	ranges_subtract(&view->uids, &now, &gone);
	struct message_cursor *cursor = message_cursor_open(read, view->mailbox_id, 1);
	while (message_cursor_next(cursor, &entry))
		if (entry.modseq > view->modseq)
			ranges_add(&changed, entry.uid, entry.uid);
	message_cursor_close(&cursor);
	enum err err = read_failure(read);
	if (err == ERR_OK)
		view_note(view, &changed, &gone);
	ranges_free(&now);
	ranges_free(&gone);
	ranges_free(&changed);
	return err;
}

static void lose_mailbox(struct imap_view *view)
{
	view->is_gone = true;
	ranges_copy(&view->uids, &view->vanished);
	ranges_free(&view->changed);
	ranges_free(&view->touched);
	ranges_free(&view->unsearched);
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
		err = compare_with_store(view, read);
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

/* ---- from the view to the client ---- */

enum { VANISHED_RUNS_MAX = 500 /* in one response */ };

/* "* VANISHED (EARLIER) 1:5,7", in responses of a bounded length. False: the output is full. */
static bool tell_vanished(struct imap_view *view, struct ranges *uids, const char *name)
{
	struct session *session = &view->s->session;
	uint32_t at = 0;
	while (at < uids->count && !session_out_is_full(session)) {
		uint32_t count = uids->count - at;
		struct ranges some = {
			.runs = uids->runs + at,
			.count = count < VANISHED_RUNS_MAX ? count : VANISHED_RUNS_MAX,
		};
		buffer_add_cstr(&session->out, name);
		respond_ranges(&session->out, &some);
		buffer_add_cstr(&session->out, "\r\n");
		at += some.count;
	}
	struct ranges told = { .runs = uids->runs, .count = at }, left = { 0 };
	if (uids == &view->vanished)
		ranges_drop(&view->uids, &told);
	for (; at < uids->count; at++)
		ranges_add(&left, uids->runs[at].first, uids->runs[at].last);
	ranges_free(uids);
	*uids = left;
	return left.count == 0;
}

/* From the highest on, so that no number shifts before it is told: each is the message's rank
 * in `uids` as it stands. False: the output is full. */
static bool tell_expunges(struct imap_view *view)
{
	struct session *session = &view->s->session;
	struct ranges told = { 0 };
	uint64_t rank = ranges_total(&view->uids); /* of the last member of run `at` - 1 */
	uint32_t at = view->uids.count;
	bool is_full = false;

	for (uint32_t i = view->vanished.count; i-- > 0 && !is_full;) {
		struct range run = view->vanished.runs[i];
		while (at > 0 && view->uids.runs[at - 1].first > run.last) {
			at--;
			rank -= (uint64_t)view->uids.runs[at].last - view->uids.runs[at].first + 1;
		}
		assert(at > 0 && view->uids.runs[at - 1].first <= run.first &&
		       run.last <= view->uids.runs[at - 1].last);
		uint64_t top = rank - (view->uids.runs[at - 1].last - run.last);
		uint64_t uid = run.last;
		while (uid >= run.first && !is_full) {
			buffer_add_format(&session->out, "* %llu EXPUNGE\r\n",
					  (unsigned long long)(top - (run.last - uid)));
			uid--;
			is_full = session_out_is_full(session);
		}
		ranges_add(&told, (uint32_t)(uid + 1), run.last);
	}
	ranges_drop(&view->uids, &told);
	ranges_drop(&view->vanished, &told);
	ranges_free(&told);
	return view->vanished.count == 0;
}

static void tell_exists(struct imap_view *view)
{
	struct buffer *out = &view->s->session.out;
	buffer_add_format(out, "* %u EXISTS\r\n", view_count(view));
	if (!imap_is_rev2(view->s))
		buffer_add_format(out, "* %u RECENT\r\n", view_recent_count(view));
	view->tell_exists = false;
}

/* Keywords that came with the changes are named first (RFC 9051 section 7.3.5). */
static void tell_keywords(struct imap_view *view, const struct mailbox *mailbox)
{
	struct buffer *out = &view->s->session.out;
	uint64_t hash = keywords_hash(mailbox);
	if (hash == view->keywords_hash)
		return;
	buffer_add_cstr(out, "* FLAGS ");
	respond_known_flags(out, mailbox);
	buffer_add_cstr(out, "\r\n");
	view->keywords_hash = hash;
}

/* Walks the members of a view's `uids` in ascending order and knows their numbers. */
struct number_walk {
	const struct ranges *uids;
	uint32_t at;	 /* the run that was reached */
	uint32_t before; /* members in the runs before it */
};

static uint32_t walk_to(struct number_walk *walk, uint32_t uid)
{
	const struct ranges *uids = walk->uids;
	while (walk->at < uids->count && uids->runs[walk->at].last < uid) {
		walk->before += uids->runs[walk->at].last - uids->runs[walk->at].first + 1;
		walk->at++;
	}
	assert(walk->at < uids->count && uids->runs[walk->at].first <= uid);
	return walk->before + (uid - uids->runs[walk->at].first) + 1;
}

/* Every unsolicited FETCH bears its UID (RFC 9051 section 7.5.2). */
static void tell_change(struct imap_view *view, const struct mailbox *mailbox, uint32_t seqnum,
			const struct message_entry *entry, bool with_flags)
{
	struct buffer *out = &view->s->session.out;
	bool only_uids = imap_has(view->s, IMAP_ENABLED_UIDONLY);
	buffer_add_format(out, "* %u %s (UID %u", only_uids ? entry->uid : seqnum,
			  only_uids ? "UIDFETCH" : "FETCH", entry->uid);
	if (with_flags) {
		buffer_add_cstr(out, " FLAGS ");
		respond_flags(out, mailbox, entry, view_is_recent(view, entry->uid));
	}
	if (imap_has(view->s, IMAP_ENABLED_CONDSTORE)) {
		buffer_add_format(out, " MODSEQ (%llu)", (unsigned long long)entry->modseq);
		view->has_told_modseqs = true;
	}
	buffer_add_cstr(out, ")\r\n");
}

/* What comes before `next` has been told. True: for now that is all. */
static bool keep_changes(struct imap_view *view, uint32_t next)
{
	ranges_remove(&view->changed, 0, next - 1);
	ranges_remove(&view->touched, 0, next - 1);
	return true;
}

/* Where the store cannot be read, what is left is told next time. */
static bool tell_changes(struct imap_view *view, struct read *read, const struct mailbox *mailbox)
{
	struct number_walk walk = { .uids = &view->uids };
	uint32_t uid = 0, next_touched;

	for (;;) {
		struct message_entry entry;
		uint32_t next;
		bool is_changed = ranges_next(&view->changed, uid + 1, &next);
		if (ranges_next(&view->touched, uid + 1, &next_touched) &&
		    (!is_changed || next_touched < next)) {
			is_changed = false;
			next = next_touched;
		} else if (!is_changed) {
			break;
		}
		if (session_out_is_full(&view->s->session)) {
			keep_changes(view, next);
			return false;
		}
		uint32_t seqnum = walk_to(&walk, next);
		if (message_get(read, view->mailbox_id, next, &entry) == ERR_OK)
			tell_change(view, mailbox, seqnum, &entry, is_changed);
		if (read_failure(read) != ERR_OK)
			return keep_changes(view, next);
		uid = next;
		if (uid == UINT32_MAX)
			break;
	}
	ranges_free(&view->changed);
	ranges_free(&view->touched);
	return true;
}

void view_tell_highest_modseq(struct imap_view *view)
{
	buffer_add_format(
		&view->s->session.out, "* OK [HIGHESTMODSEQ %llu] %s\r\n",
		(unsigned long long)(view->vanished.count ? view->told_modseq : view->modseq),
		imap_text(view->s, "Highest"));
}

/* All has been told that may be. A client that saw MODSEQs of what came after an expunge which
 * it has not been told must not think itself further than that (RFC 7162 section 3.2). */
static void end_telling(struct imap_view *view)
{
	if (view->withheld.count > 0 || view->changed.count > 0)
		;
	else if (view->vanished.count == 0)
		view->told_modseq = view->modseq;
	else if (view->has_told_modseqs && imap_has(view->s, IMAP_ENABLED_QRESYNC))
		view_tell_highest_modseq(view);
	view->has_told_modseqs = false;
}

bool view_tell_earlier(struct imap_view *view)
{
	return view->earlier.count == 0 ||
	       tell_vanished(view, &view->earlier, "* VANISHED (EARLIER) ");
}

/* The flags that have changed. False: the output is full. */
static bool tell_flags(struct imap_view *view)
{
	if (view->changed.count == 0 && view->touched.count == 0)
		return true;
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(view->s->back->store);
	bool is_done = true;
	if (mailbox_get(read, view->mailbox_id, &arena, mailbox) == ERR_OK) {
		tell_keywords(view, mailbox);
		is_done = tell_changes(view, read, mailbox);
	} else if (read_failure(read) == ERR_OK) {
		ranges_free(&view->changed);
		ranges_free(&view->touched);
	}
	read_end(&read);
	arena_fini(&arena);
	return is_done;
}

/* Before EXISTS and EXPUNGE go out: whether somebody waits for them. */
static void note_told_in_passing(struct imap_view *view, bool with_expunges)
{
	const struct imap_session *s = view->s;
	if (!s->command)
		return;
	if (s->command->run == imap_noop || imap_is_idle(s))
		view->told_in_passing = false;
	else if (view->tell_exists || (with_expunges && view->vanished.count > 0))
		view->told_in_passing = true;
}

/* FETCH before the ESEARCH of a search that goes on: RFC 5465 sections 5.1 and 7. */
bool view_tell(struct imap_view *view, bool with_expunges)
{
	note_told_in_passing(view, with_expunges);
	if (!arrival_go_on(view) || !view_tell_earlier(view))
		return false;
	if (!search_contexts_tell_vanished(view))
		return false;
	if (with_expunges && view->vanished.count > 0 &&
	    !(imap_has(view->s, IMAP_ENABLED_QRESYNC | IMAP_ENABLED_UIDONLY)
		      ? tell_vanished(view, &view->vanished, "* VANISHED ")
		      : tell_expunges(view)))
		return false;
	if (view->tell_exists)
		tell_exists(view);
	if (view->unsearched.count > 0 && !search_contexts_look(view))
		return false;
	if (!arrivals_tell(view) || !tell_flags(view))
		return false;
	if (!search_contexts_tell_changed(view))
		return false;
	end_telling(view);
	return true;
}
