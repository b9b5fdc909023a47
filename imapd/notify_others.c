/* imapd/notify_others.c - NOTIFY for mailboxes of others: what happens in those that the client may look
 * up and read, and which these are. In the back.
 *
 * RFC 5465 sections 3.1, 5 and 5.9: the rights 'l' and 'r' are needed for all events; when 'l' is
 * granted or taken it counts as CREATE or DELETE (section 5.4). The session keeps the list of these
 * mailboxes as the client knows it, and compares it with what there is when anything about names or
 * rights has happened. What this session does to messages there is not told; of names and rights
 * it is, since others may have changed them in the same moment (section 5: SHOULD). */
#include <stdlib.h>

#include "base/heap.h"
#include "imapd/access_priv.h"
#include "imapd/list_priv.h"
#include "imapd/metadata_priv.h"
#include "imapd/notify_priv.h"

enum {
	OTHERS_MAX = 1000, /* mailboxes; with more NOTIFY is refused, or overflows */
	NEEDED = RIGHT_LOOKUP | RIGHT_READ,
	OF_LIST = WATCH_CREATED | WATCH_DELETED | WATCH_RENAMED | WATCH_RIGHTS | WATCH_ANYTHING,
};

/* Whose mailboxes are watched; ACL_ANYONE for rights that are given to all. */
struct owner {
	struct watch watch;
	struct notify *notify;
	struct owner *next;
	uint64_t seen_modseq;
	struct buffer news;
	bool has_news;
};

struct notify_others {
	struct arena arena;
	struct access_list list; /* in it: with all of NEEDED, in order of name */
	struct owner *owners;
	bool is_stale;
};

/* ---- what is watched ---- */

static void owner_changed(struct watch *watch)
{
	struct owner *owner = CONTAINER_OF(watch, struct owner, watch);
	owner->has_news = true;
	notify_wake(owner->notify);
}

static struct owner *owner_new(struct notify *notify, struct read *read, uint32_t account_id)
{
	struct owner *owner = heap_alloc(sizeof(*owner));
	owner->notify = notify;
	owner->watch = (struct watch){ .changed = owner_changed,
				       .loop = notify->s->session.loop,
				       .account_id = account_id,
				       .keeps_news = true,
				       .same_as = &notify->watch };
	owner->seen_modseq = notify_account_modseq(read, account_id);
	watch_begin(notify->s->back->store, &owner->watch);
	return owner;
}

static void owner_free(struct owner *owner)
{
	watch_end(owner->notify->s->back->store, &owner->watch);
	buffer_free(&owner->news);
	free(owner);
}

static bool is_owner(const struct access_list *list, uint32_t account_id)
{
	bool is_found = account_id == ACL_ANYONE;
	for (size_t i = 0; i < list->count && !is_found; i++)
		is_found = list->rows[i].owner_id == account_id;
	return is_found;
}

static void watch_owner(struct notify *notify, struct read *read, uint32_t account_id)
{
	struct owner **at = &notify->others->owners;
	for (; *at; at = &(*at)->next)
		if ((*at)->watch.account_id == account_id)
			return;
	*at = owner_new(notify, read, account_id);
}

static void watch_owners(struct notify *notify, struct read *read)
{
	struct notify_others *others = notify->others;
	for (struct owner **at = &others->owners; *at;) {
		struct owner *owner = *at;
		if (is_owner(&others->list, owner->watch.account_id)) {
			at = &owner->next;
			continue;
		}
		*at = owner->next;
		owner_free(owner);
	}
	watch_owner(notify, read, ACL_ANYONE);
	for (size_t i = 0; i < others->list.count; i++)
		watch_owner(notify, read, others->list.rows[i].owner_id);
}

/* ---- which there are ---- */

static unsigned wanted_of(const struct notify *notify, struct read *read, struct slice name)
{
	return notify_events_of(&notify->request, name,
				mailbox_is_subscribed(read, notify->s->account_id, name), true);
}

static void tell_name(struct notify *notify, struct read *read, const struct access_list *list,
		      struct slice name, struct slice old_name)
{
	unsigned wanted = wanted_of(notify, read, name);
	if (old_name.len > 0)
		wanted |= wanted_of(notify, read, old_name);
	if (wanted & NOTIFY_MAILBOX_NAME)
		list_respond_news(notify->s, read, name, old_name, list);
}

/* With the one above, whose \HasChildren may have changed, where that is still the owner's. */
static void tell_name_and_superior(struct notify *notify, struct read *read,
				   const struct access_list *list, struct slice name)
{
	struct slice superior = notify_superior_of(name);
	tell_name(notify, read, list, name, SLICE_NONE);
	if (notify_superior_of(superior).len > 0)
		tell_name(notify, read, list, superior, SLICE_NONE);
}

static const struct access_row *row_of(const struct access_list *list, uint64_t mailbox_id)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->rows[i].mailbox_id == mailbox_id)
			return &list->rows[i];
	return NULL;
}

/* The children of a renamed mailbox are not named (section 5.4). */
static bool goes_with_superior(const struct access_list *before, const struct access_list *now,
			       struct slice old_name, struct slice name)
{
	const struct access_row *from = access_list_find(before, notify_superior_of(old_name));
	const struct access_row *to = access_list_find(now, notify_superior_of(name));
	return from && to && from->mailbox_id == to->mailbox_id && !slice_eq(from->name, to->name);
}

static void tell_differences(struct notify *notify, struct read *read,
			     const struct access_list *before, const struct access_list *now)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct access_row *row = &now->rows[i];
		const struct access_row *same = access_list_find(before, row->name);
		const struct access_row *old = row_of(before, row->mailbox_id);
		if (same && same->mailbox_id == row->mailbox_id)
			continue;
		if (!old)
			tell_name_and_superior(notify, read, now, row->name);
		else if (!goes_with_superior(before, now, old->name, row->name))
			tell_name(notify, read, now, row->name, old->name);
	}
	for (size_t i = 0; i < before->count; i++) {
		const struct access_row *row = &before->rows[i];
		if (!access_list_find(now, row->name) && !row_of(now, row->mailbox_id))
			tell_name_and_superior(notify, read, now, row->name);
	}
}

/* Only those that the client may look up and read. False: too many. */
static bool list_make(struct notify *notify, struct read *read, struct arena *arena,
		      struct access_list *list_out)
{
	size_t kept = 0;
	if (access_list_make(read, notify->s->account_id, arena, list_out) != ERR_OK)
		return false;
	for (size_t i = 0; i < list_out->count; i++)
		if ((list_out->rows[i].rights & NEEDED) == NEEDED)
			list_out->rows[kept++] = list_out->rows[i];
	list_out->count = kept;
	return kept <= OTHERS_MAX;
}

static bool refresh(struct notify *notify, struct read *read, bool tells)
{
	struct notify_others *others = notify->others;
	struct arena arena = { 0 };
	struct access_list list;
	others->is_stale = false;
	if (!list_make(notify, read, &arena, &list)) {
		arena_fini(&arena);
		return false;
	}
	if (tells)
		tell_differences(notify, read, &others->list, &list);
	arena_fini(&others->arena);
	others->arena = arena;
	others->list = list;
	watch_owners(notify, read);
	return true;
}

void notify_others_stale(struct notify *notify)
{
	if (notify->others)
		notify->others->is_stale = true;
}

/* ---- what happens in them ---- */

static void tell_row(struct notify *notify, struct read *read, const struct access_row *row,
		     const struct owner *changed_since, unsigned kinds)
{
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	if (mailbox_get(read, row->mailbox_id, &arena, mailbox) == ERR_OK &&
	    (!changed_since || mailbox->highest_modseq > changed_since->seen_modseq)) {
		mailbox->name = row->name;
		if (kinds)
			notify_tell_messages(notify, read, mailbox, kinds);
		else
			notify_tell_first(notify, read, mailbox);
	}
	arena_fini(&arena);
}

static void tell_anything(struct notify *notify, struct read *read, struct owner *owner)
{
	const struct access_list *list = &notify->others->list;
	if (notify->request.other_events & NOTIFY_METADATA_EVENTS) {
		notify_overflow(notify);
		return;
	}
	for (size_t i = 0; i < list->count; i++)
		if (list->rows[i].owner_id == owner->watch.account_id)
			tell_row(notify, read, &list->rows[i], owner, NOTIFY_ALL_MESSAGE_KINDS);
	owner->seen_modseq = notify_account_modseq(read, owner->watch.account_id);
}

static void tell_one(struct notify *notify, struct read *read, struct owner *owner,
		     const struct watch_news *news)
{
	static const struct slice shared = SLICE("/shared/");
	const struct access_row *row = row_of(&notify->others->list, news->mailbox_id);
	if (news->kinds & WATCH_ANYTHING)
		tell_anything(notify, read, owner);
	if (!row)
		return;
	if (news->kinds & (NOTIFY_ALL_MESSAGE_KINDS | WATCH_UIDVALIDITY))
		tell_row(notify, read, row, NULL, news->kinds);
	/* Private annotations are the owner's. */
	if ((news->kinds & WATCH_ANNOTATION) && slice_starts_nocase(news->name, shared) &&
	    (wanted_of(notify, read, row->name) & NOTIFY_MAILBOX_METADATA_CHANGE))
		respond_metadata_changed(notify->s, row->name, news->name);
}

static void take_news(struct notify *notify)
{
	for (struct owner *owner = notify->others->owners; owner; owner = owner->next) {
		struct watch_news news;
		if (!owner->has_news)
			continue;
		owner->has_news = false;
		buffer_free(&owner->news);
		watch_take_news(notify->s->back->store, &owner->watch, &owner->news);
		struct cursor at = cursor_of(buffer_slice(&owner->news));
		while (watch_news_next(&at, &news))
			notify->others->is_stale |= (news.kinds & OF_LIST) != 0;
	}
}

void notify_others_tell(struct notify *notify, struct read *read)
{
	if (!notify->others)
		return;
	take_news(notify);
	if (notify->others->is_stale && !refresh(notify, read, true)) {
		notify_overflow(notify);
		return;
	}
	for (struct owner *owner = notify->others->owners; owner; owner = owner->next) {
		struct watch_news news;
		struct cursor at = cursor_of(buffer_slice(&owner->news));
		while (watch_news_next(&at, &news))
			tell_one(notify, read, owner, &news);
		buffer_free(&owner->news);
	}
}

void notify_others_status(struct notify *notify, struct read *read)
{
	if (!notify->others)
		return;
	for (size_t i = 0; i < notify->others->list.count; i++)
		tell_row(notify, read, &notify->others->list.rows[i], NULL, 0);
}

/* ---- begin and end ---- */

static bool is_about_others(const struct search_source *source)
{
	if (source->kind == SOURCE_SUBSCRIBED)
		return true;
	for (size_t i = 0; i < source->name_count; i++)
		if (slice_starts_nocase(source->names[i], SLICE(ACCESS_OTHERS)) ||
		    slice_starts_nocase(source->names[i], SLICE(ACCESS_SHARED)))
			return true;
	return false;
}

/* Of what is named and may be looked up, but not read, the client is told so (section 3.1). */
static void tell_no_access(struct notify *notify, struct read *read)
{
	const struct access_list *list = &notify->others->list;
	struct arena arena = { 0 };
	for (const struct notify_group *g = notify->request.groups; g; g = g->next)
		for (size_t i = 0; i < g->source.name_count; i++) {
			struct slice name = g->source.names[i];
			struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
			unsigned rights;
			if (g->events != 0 && g->source.kind == SOURCE_MAILBOXES &&
			    access_find(read, notify->s->account_id, name, RIGHT_LOOKUP, &arena,
					mailbox, &rights) == ERR_OK &&
			    !(rights & RIGHT_READ))
				list_respond_news(notify->s, read, name, SLICE_NONE, list);
			arena_reset(&arena);
		}
	arena_fini(&arena);
}

bool notify_others_begin(struct notify *notify)
{
	bool is_wanted = false;
	for (const struct notify_group *g = notify->request.groups; g; g = g->next)
		is_wanted |= g->events != 0 && is_about_others(&g->source);
	if (!is_wanted)
		return true;
	notify->others = heap_alloc(sizeof(*notify->others));
	struct read *read = read_begin(notify->s->back->store);
	bool is_good = refresh(notify, read, false);
	if (is_good)
		tell_no_access(notify, read);
	read_end(&read);
	/* What came between the reading and the watching is found by looking once more. */
	notify->others->is_stale = true;
	return is_good;
}

void notify_others_end(struct notify *notify)
{
	struct notify_others *others = notify->others;
	if (!others)
		return;
	notify->others = NULL;
	while (others->owners) {
		struct owner *owner = others->owners;
		others->owners = owner->next;
		owner_free(owner);
	}
	arena_fini(&others->arena);
	free(others);
}
