/* imapd/arrivals.c - FETCH responses for messages that have just come. In the back.
 *
 * RFC 5465 sections 5.2 and 7. A response pauses where the output is full, like any FETCH, and
 * goes on before anything else is said. No \Seen is set. What was expunged meanwhile is left out,
 * and of what cannot be read the item; where the store fails before a response has begun, it waits for
 * what is told next. */
#include "imapd/arrivals_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "imapd/fetch_answer_priv.h"
#include "imapd/notify_priv.h"
#include "imapd/search_context_priv.h"

struct arrival {
	struct fetch_answer answer;
	struct fetch_items items;
	struct arena arena; /* of the items, where they come from several */
	bool is_answering;
};

void arrivals_note(struct imap_view *view, const struct ranges *arrived)
{
	struct ranges others = { 0 };
	if (notify_items(view->s) || search_contexts_want_items(view)) {
		ranges_subtract(arrived, &view->own, &others);
		ranges_join(&view->fresh, &others);
		ranges_free(&others);
	}
	ranges_free(&view->own);
}

void arrival_free(struct imap_view *view)
{
	if (!view->arrival)
		return;
	answer_fini(&view->arrival->answer);
	arena_fini(&view->arrival->arena);
	free(view->arrival);
	view->arrival = NULL;
}

/* What is to be told of this message; false: nothing. */
static bool collect_items(struct imap_view *view, uint32_t uid, struct arrival *arrival)
{
	const struct fetch_items *items = notify_items(view->s);
	arena_reset(&arrival->arena);
	arrival->items = items ? *items : (struct fetch_items){ 0 };
	search_contexts_add_items(view, uid, &arrival->items, &arrival->arena);
	if (arrival->items.count == 0)
		return false;
	/* RFC 7162 section 3.2.4: in each that no FETCH has asked for. */
	if (imap_has(view->s, IMAP_ENABLED_CONDSTORE))
		fetch_items_add_modseq(&arrival->items, &arrival->arena);
	return true;
}

/* False: it has been expunged. */
static bool begin(struct imap_view *view, struct read *read, uint32_t uid)
{
	struct arrival *arrival = view->arrival;
	struct imap_session *s = view->s;
	struct message_entry entry;
	if (!collect_items(view, uid, arrival) ||
	    message_get(read, view->mailbox_id, uid, &entry) != ERR_OK)
		return false;
	arrival->answer.items = &arrival->items;
	arrival->answer.utf8 = imap_speaks_utf8(s);
	arrival->answer.only_uids = imap_has(s, IMAP_ENABLED_UIDONLY);
	answer_begin(&arrival->answer, &entry, ranges_rank(&view->uids, uid),
		     view_is_recent(view, uid), false, &s->session.out);
	if (arrival->items.has_flags)
		view_flags_told(view, uid);
	if (arrival->items.has_modseq)
		view_note_shown(view, entry.modseq);
	arrival->is_answering = true;
	return true;
}

/* A literal that was promised cannot be kept: the client cannot be told anything any more. */
static void break_off(struct imap_view *view)
{
	log_warning(&view->s->session.log, EVENT("fetch-broken-off"),
		    NUM("uid", view->arrival->answer.entry.uid));
	imap_set_state(view->s, IMAP_CLOSED);
}

/* The next message. False: there is nothing to tell of it, or the store fails. */
static bool begin_next(struct imap_view *view, struct answer_slice *slice, uint32_t uid)
{
	slice->spent += ANSWER_ENTRY_COST;
	if (read_failure(slice->read) != ERR_OK)
		return false;
	bool has_begun = begin(view, slice->read, uid);
	if (has_begun || read_failure(slice->read) == ERR_OK)
		ranges_remove(&view->fresh, uid, uid);
	return has_begun;
}

/* Of the message under way, or the next ones. False: there is more. */
static bool tell(struct imap_view *view, bool only_this)
{
	struct arena arena = { 0 };
	struct session *session = &view->s->session;
	struct arrival *arrival = view->arrival;
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(view->s->back->store);
	struct answer_slice slice = { .read = read,
				      .mailbox = mailbox,
				      .out = &session->out,
				      .full_octets = SESSION_OUT_HIGH_OCTETS };
	uint32_t uid;
	bool is_done = true;
	bool is_there = mailbox_get(read, view->mailbox_id, &arena, mailbox) == ERR_OK;
	/* For the rest of a response: of a mailbox that has just gone no flags are told. */
	if (!is_there)
		*mailbox = (struct mailbox){ 0 };
	while (is_done && (arrival->is_answering ||
			   (!only_this && is_there && ranges_next(&view->fresh, 0, &uid)))) {
		if (!arrival->is_answering && !begin_next(view, &slice, uid)) {
			is_there = read_failure(read) == ERR_OK;
			is_done = !answer_slice_is_over(&slice);
			continue;
		}
		enum answer_progress progress = answer_go_on(&arrival->answer, &slice);
		if (progress == ANSWER_BROKEN)
			break_off(view);
		arrival->is_answering = progress == ANSWER_PAUSED;
		is_done = progress == ANSWER_COMPLETE && !answer_slice_is_over(&slice);
	}
	read_end(&read);
	arena_fini(&arena);
	bool has_more = arrival->is_answering || (!only_this && is_there && view->fresh.count > 0);
	return is_done || (!has_more && view->s->state != IMAP_CLOSED);
}

bool arrival_is_answering(const struct imap_view *view)
{
	return view->arrival && view->arrival->is_answering;
}

bool arrival_go_on(struct imap_view *view)
{
	return !arrival_is_answering(view) || tell(view, true);
}

bool arrivals_tell(struct imap_view *view)
{
	if (view->fresh.count == 0)
		return true;
	if (!view->arrival)
		view->arrival = heap_alloc(sizeof(*view->arrival));
	if (!tell(view, false))
		return false;
	arrival_free(view);
	if (view->fresh.count == 0)
		ranges_free(&view->fresh);
	return true;
}
