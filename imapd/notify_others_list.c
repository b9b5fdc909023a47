/* imapd/notify_others_list.c - which mailboxes of others a NOTIFY may be about, and the watches on their
 * owners. In the back.
 *
 * Found in turns, for a user may look up thousands. Each turn reads the store anew, so the list is of no
 * one moment: each row is as it was in one of the turns. What happens to names or rights after the first
 * of them is news, of an owner who was watched before he was read or of rights given to this account or to
 * all; it makes the list stale, and it is made once more when this one has been told. After a long list
 * that waits a second, since whoever shares with all could have everybody make one for each CREATE. */
#include <stdlib.h>

#include "base/heap.h"
#include "imapd/list_priv.h"
#include "imapd/notify_others_priv.h"
#include "runtime/loop.h"

enum {
	/* Mailboxes in the list: no owner can fill it alone. */
	OTHERS_MAX = 2 * ACCESS_LIST_MAX_OF_OWNER,
	OWNERS_MAX = 1000,
	/* Rows of the index that were looked at; a list of so many takes some ten milliseconds in all. */
	LONG_LIST = 2000,
	REST_MS = 1000,
};

/* ---- whose ---- */

static enum access_wanted wants_owner(struct access_gathering *gathering, struct read *read,
				      uint32_t owner_id, struct slice prefix)
{
	struct notify_others *others = CONTAINER_OF(gathering, struct notify_others, gathering);
	struct notify *notify = others->notify;
	if (!notify_reaches(&notify->request, prefix,
			    list_has_subscribed(read, notify->s->account_id, prefix)))
		return ACCESS_NOT_WANTED;
	while (*others->owner_at && (*others->owner_at)->feed.watch.account_id < owner_id)
		others->owner_at = &(*others->owner_at)->next;
	struct others_owner *owner = *others->owner_at;
	bool is_watched = owner && owner->feed.watch.account_id == owner_id;
	if (!(is_watched && owner->is_wanted) && ++others->wanted_count > OWNERS_MAX)
		return ACCESS_NOT_WANTED;
	if (!is_watched) {
		owner = heap_alloc(sizeof(*owner));
		notify_feed_begin(&owner->feed, notify, owner_id);
		owner->seen_modseq = notify_account_modseq(read, owner_id);
		if (read_failure(read) != ERR_OK) {
			others_owner_free(owner);
			return ACCESS_WANTED_LATER;
		}
		owner->next = *others->owner_at;
		*others->owner_at = owner;
	}
	owner->is_wanted = true;
	return is_watched ? ACCESS_WANTED : ACCESS_WANTED_LATER;
}

void others_owner_free(struct others_owner *owner)
{
	notify_feed_end(&owner->feed);
	free(owner);
}

/* Ends the watches on those of whom nothing is wanted any more. */
static void sweep_owners(struct notify_others *others)
{
	for (struct others_owner **at = &others->owners; *at;) {
		struct others_owner *owner = *at;
		if (owner->is_wanted) {
			owner->compared = 0; /* in another list now */
			at = &owner->next;
			continue;
		}
		*at = owner->next;
		others_owner_free(owner);
	}
}

/* ---- which ---- */

static void list_free(struct others_list *list)
{
	arena_fini(&list->arena);
	*list = (struct others_list){ 0 };
}

static void drop_fresh(struct notify_others *others)
{
	access_gathering_fini(&others->gathering);
	list_free(&others->fresh);
	others->fresh_state = FRESH_NONE;
}

static int compare_ids(uint64_t left, uint64_t right)
{
	return left < right ? -1 : left > right;
}

static int compare_rows(const void *a, const void *b)
{
	const struct access_row *const *left = a, *const *right = b;
	return compare_ids((*left)->mailbox_id, (*right)->mailbox_id);
}

static int compare_with_row(const void *mailbox_id, const void *row)
{
	const struct access_row *const *at = row;
	return compare_ids(*(const uint64_t *)mailbox_id, (*at)->mailbox_id);
}

static void set_rows(struct others_list *list, struct access_list rows)
{
	list->rows = rows;
	if (rows.count == 0)
		return;
	list->by_id = arena_alloc_array(&list->arena, rows.count, sizeof(*list->by_id));
	for (size_t i = 0; i < rows.count; i++)
		list->by_id[i] = &rows.rows[i];
	qsort(list->by_id, rows.count, sizeof(*list->by_id), compare_rows);
}

const struct access_row *others_list_row(const struct others_list *list, uint64_t mailbox_id)
{
	const struct access_row **found =
		list->rows.count == 0 ? NULL
				      : bsearch(&mailbox_id, list->by_id, list->rows.count,
						sizeof(*list->by_id), compare_with_row);
	return found ? *found : NULL;
}

void others_list_begin(struct notify_others *others)
{
	drop_fresh(others);
	others->is_stale = false;
	others->fresh_state = FRESH_GROWS;
	others->gathering = (struct access_gathering){
		.account_id = others->notify->s->account_id,
		.rights = RIGHT_LOOKUP,
		.arena = &others->fresh.arena,
		.wants_owner = wants_owner,
	};
	others->wanted_count = 0;
	others->owner_at = &others->owners;
	for (struct others_owner *owner = others->owners; owner; owner = owner->next)
		owner->is_wanted = false;
}

static void rested(void *user)
{
	struct notify_others *others = user;
	others->rests = false;
	if (others->is_stale)
		notify_wake(others->notify);
}

static void rest(struct notify_others *others)
{
	if (!others->rest)
		others->rest = timer_new(others->notify->s->session.loop, rested, others);
	others->rests = true;
	timer_start(others->rest, REST_MS);
}

enum err others_list_go_on(struct notify_others *others)
{
	struct access_gathering *gathering = &others->gathering;
	struct read *read = read_begin(others->notify->s->back->store);
	enum err err = access_gather_on(gathering, read);
	read_end(&read);
	if (err == ERR_OK &&
	    (gathering->list.count > OTHERS_MAX || others->wanted_count > OWNERS_MAX))
		err = ERR_LIMIT;
	if (err != ERR_OK) {
		drop_fresh(others);
		others->is_stale = true;
	} else if (gathering->is_whole) {
		set_rows(&others->fresh, gathering->list);
		others->fresh_state = FRESH_WHOLE;
		others->told = 0;
		if (gathering->looked >= LONG_LIST)
			rest(others);
		access_gathering_fini(gathering);
		sweep_owners(others);
	}
	return err;
}

void others_list_adopt(struct notify_others *others)
{
	list_free(&others->known);
	others->known = others->fresh;
	others->fresh = (struct others_list){ 0 };
	others->fresh_state = FRESH_NONE;
	others->told = 0;
}

void others_list_free(struct notify_others *others)
{
	timer_free(&others->rest);
	drop_fresh(others);
	list_free(&others->known);
}
