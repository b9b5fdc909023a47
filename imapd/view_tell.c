/* imapd/view_tell.c - what a client is told of the selected mailbox, from what its view has
 * gathered. In the back.
 *
 * RFC 9051 sections 7.4 and 7.5. MODSEQ and VANISHED are those of RFC 7162, UIDFETCH that of RFC 9586;
 * while expunges wait to be told, HIGHESTMODSEQ stays below them (section 3.2). */
#include "imapd/view_priv.h"

#include <assert.h>

#include "imapd/arrivals_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/search_context_priv.h"

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
	view->untold_uid = 0;
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
		view_note_shown(view, entry->modseq);
	}
	buffer_add_cstr(out, ")\r\n");
}

/* What comes before `next` has been told; the rest stays noted. */
static void keep_changes(struct imap_view *view, uint32_t next)
{
	ranges_remove(&view->changed, 0, next - 1);
	ranges_remove(&view->touched, 0, next - 1);
}

/* False: the output is full. Where the store cannot be read, the rest is told at the next occasion: to go
 * on at once would meet the same failure. */
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
		if (read_failure(read) != ERR_OK) {
			keep_changes(view, next);
			return true;
		}
		uid = next;
		if (uid == UINT32_MAX)
			break;
	}
	ranges_free(&view->changed);
	ranges_free(&view->touched);
	return true;
}

/* Whether the client has yet to be told of something up to view->modseq. */
static bool has_untold(const struct imap_view *view)
{
	return view->vanished.count > 0 || view->withheld.count > 0 || view->changed.count > 0 ||
	       view->touched.count > 0 || view->comparison.next_uid != 0;
}

void view_tell_highest_modseq(struct imap_view *view)
{
	buffer_add_format(&view->s->session.out, "* OK [HIGHESTMODSEQ %llu] %s\r\n",
			  (unsigned long long)(has_untold(view) ? view->told_modseq : view->modseq),
			  imap_text(view->s, "Highest"));
}

/* All has been told that may be. A client that saw the MODSEQ of what came after something that it has not
 * been told, be it an expunge or what NOTIFY keeps back, must not think itself further than that (RFC 7162
 * section 3.2). Where NOTIFY wants no messages the view has not looked further than its modseq. */
static void end_telling(struct imap_view *view)
{
	if (!has_untold(view))
		view->told_modseq = view->modseq;
	if (view->shown_modseq > view->told_modseq)
		view_tell_highest_modseq(view);
	view->shown_modseq = 0;
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
	if (!view_compare_on(view))
		return false;
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
