/* imapd/notify_others.c - NOTIFY for mailboxes of others: what happens in those that the client may look
 * up, and which these are. In the back.
 *
 * RFC 5465 sections 3.1, 5, 5.4 and 5.9: when 'l' is granted or taken it counts as CREATE or DELETE
 * (section 5.4); without 'r' a mailbox is told of with \NoAccess, and nothing of what is in it. The
 * session keeps the list of these mailboxes as the client knows it, of those owners of whose mailboxes
 * anything may be wanted, and compares it with a new one (notify_others_list.c) when anything about
 * names or rights has happened. What this session does to messages there is not told; of names and
 * rights it is, since others may have changed them in the same moment (section 5: SHOULD).
 *
 * A request that is about too many mailboxes is refused (section 3.1). Where they become too many
 * later, or it is not known whose annotations have changed, the client is told that it hears no more of
 * others. When there are fewer again it has to ask anew, as after section 5.8: to begin by ourselves
 * would pass over all that has happened in between. What it wants of its own goes on, so nobody can take
 * that from it by sharing. That is not what section 5.8 demands of a server that leaves off, and so its
 * code is not used: a client would count on all of NOTIFY being over, and with it on no EXPUNGE between
 * its commands. */
#include <stdlib.h>

#include "base/heap.h"
#include "imapd/list_priv.h"
#include "imapd/metadata_priv.h"
#include "imapd/notify_others_priv.h"
#include "imapd/respond_priv.h"

enum {
	OF_LIST = WATCH_CREATED | WATCH_DELETED | WATCH_RENAMED | WATCH_RIGHTS | WATCH_ANYTHING,
	/* Of the list, and of news; then others have their turn. */
	ROWS_AT_A_TIME = 128,
};

/* ---- which there are ---- */

static void give_up(struct notify *notify)
{
	struct imap_session *s = notify->s;
	respond_line(&s->session.out, s->language, SLICE("*"), "NO",
		     "[LIMIT] Too much of others' mailboxes: no more is told of them");
	log_info(&s->session.log, EVENT("notify-too-much-of-others"));
	notify_others_end(notify);
}

const struct access_list *notify_others_rows(const struct notify *notify)
{
	return notify->others ? &notify->others->known.rows : NULL;
}

void notify_others_stale(struct notify *notify)
{
	if (notify->others)
		notify->others->is_stale = true;
}

static bool is_name_of_others(struct slice name)
{
	return slice_starts_nocase(name, SLICE(NAMESPACE_OTHERS)) ||
	       slice_starts_nocase(name, SLICE(NAMESPACE_SHARED));
}

void notify_others_subscribed(struct notify *notify, struct slice name)
{
	if (is_name_of_others(name))
		notify_others_stale(notify);
}

/* ---- what has become of the list ---- */

static unsigned wanted_of(const struct notify *notify, struct read *read, struct slice name)
{
	return notify_events_of(&notify->request, name,
				mailbox_is_subscribed(read, notify->s->account_id, name), true);
}

static void tell_name(struct notify *notify, struct read *read, struct slice name,
		      struct slice old_name)
{
	unsigned wanted = wanted_of(notify, read, name);
	if (old_name.len > 0)
		wanted |= wanted_of(notify, read, old_name);
	if (wanted & NOTIFY_MAILBOX_NAME)
		list_respond_news(notify->s, read, name, old_name, &notify->others->fresh.rows);
}

/* With the one above, whose \HasChildren may have changed, where that is still the owner's. */
static void tell_name_and_superior(struct notify *notify, struct read *read, struct slice name)
{
	struct slice superior = notify_superior_of(name);
	tell_name(notify, read, name, SLICE_NONE);
	if (notify_superior_of(superior).len > 0)
		tell_name(notify, read, superior, SLICE_NONE);
}

/* The children of a renamed mailbox are not named (section 5.4). */
static bool goes_with_superior(const struct access_list *before, const struct access_list *now,
			       struct slice old_name, struct slice name)
{
	const struct access_row *from = access_list_find(before, notify_superior_of(old_name));
	const struct access_row *to = access_list_find(now, notify_superior_of(name));
	return from && to && from->mailbox_id == to->mailbox_id && !slice_eq(from->name, to->name);
}

static void tell_row_now(struct notify *notify, struct read *read, const struct access_row *row)
{
	const struct access_list *before = &notify->others->known.rows;
	const struct access_list *now = &notify->others->fresh.rows;
	const struct access_row *old = access_list_find(before, row->name);
	/* A list that was made in turns may have a name twice. */
	if (!old || old->mailbox_id != row->mailbox_id)
		old = others_list_row(&notify->others->known, row->mailbox_id);
	if (!old) {
		tell_name_and_superior(notify, read, row->name);
	} else if (slice_eq(old->name, row->name)) {
		if ((old->rights ^ row->rights) & RIGHT_READ)
			tell_name(notify, read, row->name, SLICE_NONE);
	} else if (!goes_with_superior(before, now, old->name, row->name)) {
		/* A name that is another's now has not gone. */
		bool is_old_name_free = !access_list_find(now, old->name);
		tell_name(notify, read, row->name, is_old_name_free ? old->name : SLICE_NONE);
	}
}

static void tell_row_gone(struct notify *notify, struct read *read, const struct access_row *row)
{
	const struct access_list *now = &notify->others->fresh.rows;
	if (!access_list_find(now, row->name) &&
	    !others_list_row(&notify->others->fresh, row->mailbox_id))
		tell_name_and_superior(notify, read, row->name);
}

/* False: the output is full, or it is the others' turn. So with all that tell. */
static bool tell_differences(struct notify *notify, struct read *read)
{
	struct notify_others *others = notify->others;
	const struct access_list *now = &others->fresh.rows, *before = &others->known.rows;
	if (others->fresh_state != FRESH_WHOLE)
		return true;
	for (unsigned i = 0; others->told < now->count + before->count; i++, others->told++) {
		if (i == ROWS_AT_A_TIME || session_out_is_full(&notify->s->session))
			return false;
		if (others->told < now->count)
			tell_row_now(notify, read, &now->rows[others->told]);
		else
			tell_row_gone(notify, read, &before->rows[others->told - now->count]);
	}
	others_list_adopt(others);
	return true;
}

/* ---- what happens in them ---- */

/* The mailbox of a row, by the client's name, where it may be read. The list may be older than the
 * rights. */
static bool row_mailbox(struct notify *notify, struct read *read, const struct access_row *row,
			struct arena *arena, struct mailbox **mailbox_out)
{
	unsigned rights = acl_rights(read, notify->s->account_id, row->owner_id, row->mailbox_id);
	*mailbox_out = arena_alloc(arena, sizeof(**mailbox_out));
	if (!(rights & RIGHT_READ) ||
	    mailbox_get(read, row->mailbox_id, arena, *mailbox_out) != ERR_OK)
		return false;
	(*mailbox_out)->name = row->name;
	return true;
}

static void tell_messages(struct notify *notify, struct read *read, const struct access_row *row,
			  unsigned kinds, uint64_t since_modseq)
{
	struct arena arena = { 0 };
	struct mailbox *mailbox;
	if (row_mailbox(notify, read, row, &arena, &mailbox) &&
	    mailbox->highest_modseq > since_modseq)
		notify_tell_messages(notify, read, mailbox, kinds);
	arena_fini(&arena);
}

/* Whether, and which, cannot be found out. */
static bool may_have_annotations(const struct notify *notify, struct read *read,
				 const struct access_row *row)
{
	return (notify->request.other_events & NOTIFY_MAILBOX_METADATA_CHANGE) &&
	       (row->rights & RIGHT_READ) &&
	       (wanted_of(notify, read, row->name) & NOTIFY_MAILBOX_METADATA_CHANGE);
}

static bool tell_compared(struct notify *notify, struct read *read, struct others_owner *owner)
{
	const struct access_list *list = &notify->others->known.rows;
	for (unsigned i = 0; owner->compared < list->count; i++, owner->compared++) {
		const struct access_row *row = &list->rows[owner->compared];
		if (i == ROWS_AT_A_TIME || session_out_is_full(&notify->s->session))
			return false;
		if (row->owner_id != owner->feed.watch.account_id)
			continue;
		tell_messages(notify, read, row, NOTIFY_ALL_MESSAGE_KINDS, owner->seen_modseq);
		notify->others->misses_news |= may_have_annotations(notify, read, row);
	}
	owner->compares = false;
	owner->seen_modseq = owner->compare_modseq;
	return true;
}

static void begin_comparing(struct notify *notify, struct read *read, struct others_owner *owner)
{
	owner->compares = true;
	owner->compared = 0;
	owner->compare_modseq = notify_account_modseq(read, owner->feed.watch.account_id);
}

static void tell_one(struct notify *notify, struct read *read, struct others_owner *owner,
		     const struct watch_news *news)
{
	static const struct slice shared = SLICE("/shared/");
	const struct access_row *row = others_list_row(&notify->others->known, news->mailbox_id);
	if (news->kinds & WATCH_ANYTHING)
		begin_comparing(notify, read, owner);
	if (!row)
		return;
	if ((news->kinds & (NOTIFY_ALL_MESSAGE_KINDS | WATCH_UIDVALIDITY)) &&
	    (notify->request.other_events & NOTIFY_MESSAGE_EVENTS))
		tell_messages(notify, read, row, news->kinds, 0);
	/* Private annotations are the owner's. */
	if ((news->kinds & WATCH_ANNOTATION) && slice_starts_nocase(news->name, shared) &&
	    (acl_rights(read, notify->s->account_id, row->owner_id, row->mailbox_id) &
	     RIGHT_READ) &&
	    (wanted_of(notify, read, row->name) & NOTIFY_MAILBOX_METADATA_CHANGE))
		respond_metadata_changed(notify->s, row->name, news->name);
}

/* `records_left`: of all owners' news, in this turn. Most of it may be of no interest, and say nothing. */
static bool tell_owner(struct notify *notify, struct read *read, struct others_owner *owner,
		       unsigned *records_left)
{
	struct watch_news news;
	bool is_done = !owner->compares || tell_compared(notify, read, owner);
	while (is_done && notify_feed_next(&owner->feed, &news)) {
		tell_one(notify, read, owner, &news);
		is_done = --*records_left > 0 && !session_out_is_full(&notify->s->session) &&
			  (!owner->compares || tell_compared(notify, read, owner));
	}
	return is_done;
}

void notify_others_take(struct notify *notify)
{
	struct notify_others *others = notify->others;
	if (!others)
		return;
	for (struct others_owner *owner = others->owners; owner; owner = owner->next)
		others->is_stale |= (notify_feed_take(&owner->feed) & OF_LIST) != 0;
}

static bool has_to_tell(const struct notify_others *others)
{
	bool has = others->fresh_state == FRESH_WHOLE;
	for (const struct others_owner *owner = others->owners; owner && !has; owner = owner->next)
		has = owner->compares || !notify_feed_is_told(&owner->feed);
	return has;
}

static bool tell(struct notify *notify)
{
	unsigned records_left = ROWS_AT_A_TIME;
	struct read *read = read_begin(notify->s->back->store);
	bool is_done = tell_differences(notify, read);
	for (struct others_owner *owner = notify->others->owners; owner && is_done;
	     owner = owner->next)
		is_done = tell_owner(notify, read, owner, &records_left);
	notify_check_read(notify, read);
	read_end(&read);
	return is_done;
}

/* The list first: by it the rest is judged. While it is being made the client's commands have their turns,
 * and may end all this; where the store fails it is made again with the next news. */
bool notify_others_tell(struct notify *notify)
{
	struct notify_others *others = notify->others;
	if (!others)
		return true;
	enum err err = ERR_OK;
	if (others->is_stale && others->fresh_state == FRESH_NONE && !others->rests)
		others_list_begin(others);
	if (others->fresh_state == FRESH_GROWS)
		err = others_list_go_on(others);
	if (err == ERR_LIMIT) {
		give_up(notify);
		return true;
	}
	if (others->fresh_state == FRESH_GROWS) {
		notify->has_news = true;
		return true;
	}
	bool is_done = !has_to_tell(others) || tell(notify);
	if (others->misses_news) {
		give_up(notify);
		return true;
	}
	/* It became so while the one before was being told. */
	notify->has_news |= others->is_stale && !others->rests && err == ERR_OK;
	return is_done;
}

static void tell_row_first(struct notify *notify, struct read *read, const struct access_row *row)
{
	struct arena arena = { 0 };
	struct mailbox *mailbox;
	bool is_readable = row_mailbox(notify, read, row, &arena, &mailbox);
	if (is_readable && notify->request.wants_status)
		notify_tell_first(notify, read, mailbox);
	else if (!is_readable && wanted_of(notify, read, row->name) != 0)
		list_respond_news(notify->s, read, row->name, SLICE_NONE,
				  &notify->others->known.rows);
	arena_fini(&arena);
}

enum err notify_others_tell_first(struct notify *notify, bool *is_done_out)
{
	struct notify_others *others = notify->others;
	*is_done_out = true;
	if (!others)
		return ERR_OK;
	const struct access_list *list = &others->known.rows;
	struct read *read = read_begin(notify->s->back->store);
	bool is_over = false;
	for (unsigned i = 0; others->told < list->count && !is_over; others->told++) {
		tell_row_first(notify, read, &list->rows[others->told]);
		is_over = ++i == ROWS_AT_A_TIME || session_out_is_full(&notify->s->session);
	}
	enum err err = read_failure(read);
	read_end(&read);
	if (!is_over)
		others->told = 0;
	*is_done_out = !is_over;
	return err;
}

/* ---- begin and end ---- */

static bool is_about_others(const struct search_source *source)
{
	bool is = source->kind == SOURCE_SUBSCRIBED;
	for (size_t i = 0; i < source->name_count && !is; i++)
		is = is_name_of_others(source->names[i]);
	return is;
}

static void rights_of_all_changed(struct watch *watch)
{
	struct notify_others *others = CONTAINER_OF(watch, struct notify_others, anyone);
	others->is_stale = true;
	notify_wake(others->notify);
}

void notify_others_begin(struct notify *notify)
{
	bool is_wanted = false;
	for (const struct notify_group *g = notify->request.groups; g; g = g->next)
		is_wanted |= g->events != 0 && is_about_others(&g->source);
	if (!is_wanted)
		return;
	notify->others = heap_alloc(sizeof(*notify->others));
	notify->others->notify = notify;
	notify->others->anyone = (struct watch){ .changed = rights_of_all_changed,
						 .loop = notify->s->session.loop,
						 .account_id = ACL_ANYONE };
	watch_begin(notify->s->back->store, &notify->others->anyone);
	others_list_begin(notify->others);
}

enum err notify_others_look(struct notify *notify, bool *is_done_out)
{
	struct notify_others *others = notify->others;
	*is_done_out = true;
	if (!others)
		return ERR_OK;
	enum err err = others_list_go_on(others);
	*is_done_out = others->fresh_state == FRESH_WHOLE;
	if (*is_done_out)
		others_list_adopt(others);
	return err;
}

void notify_others_end(struct notify *notify)
{
	struct notify_others *others = notify->others;
	if (!others)
		return;
	notify->others = NULL;
	watch_end(notify->s->back->store, &others->anyone);
	while (others->owners) {
		struct others_owner *owner = others->owners;
		others->owners = owner->next;
		others_owner_free(owner);
	}
	others_list_free(others);
	free(others);
}
