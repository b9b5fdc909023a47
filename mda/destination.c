/* mda/destination.c - the set of places that a message goes to. Runs in the back and in the
 * admin's process. */
#include "mda/destination.h"

/* Index of the first account id that is not below `account_id`. */
static size_t lower_bound(const struct destinations *found, uint32_t account_id)
{
	size_t low = 0, high = found->account_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (found->account_ids[middle] < account_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t destinations_find_account(const struct destinations *found, uint32_t account_id)
{
	size_t at = lower_bound(found, account_id);
	return at < found->account_count && found->account_ids[at] == account_id ? at : SIZE_MAX;
}

bool destinations_have_account(const struct destinations *found, uint32_t account_id)
{
	return destinations_find_account(found, account_id) != SIZE_MAX;
}

/* Room for one more of `count` things, in the arena: the old place is left to it. */
static void *grow(void *old, size_t count, size_t *cap, size_t size_octets, struct arena *arena)
{
	if (count < *cap)
		return old;
	*cap = *cap ? *cap * 2 : 4;
	void *bigger = arena_alloc_array(arena, *cap, size_octets);
	if (count)
		memcpy(bigger, old, count * size_octets);
	return bigger;
}

void destinations_add_account(struct destinations *found, struct arena *arena, uint32_t account_id)
{
	size_t at = lower_bound(found, account_id);
	if (at < found->account_count && found->account_ids[at] == account_id)
		return;
	size_t cap = found->account_cap;
	found->account_ids = grow(found->account_ids, found->account_count, &found->account_cap,
				  sizeof(*found->account_ids), arena);
	found->account_recipients = grow(found->account_recipients, found->account_count, &cap,
					 sizeof(*found->account_recipients), arena);
	memmove(found->account_ids + at + 1, found->account_ids + at,
		(found->account_count - at) * sizeof(*found->account_ids));
	memmove(found->account_recipients + at + 1, found->account_recipients + at,
		(found->account_count - at) * sizeof(*found->account_recipients));
	found->account_ids[at] = account_id;
	found->account_recipients[at] = found->recipient_count;
	found->account_count++;
}

size_t destinations_add_remote(struct destinations *found, struct arena *arena,
			       const struct remote_destination *remote)
{
	for (size_t i = 0; i < found->remote_count; i++)
		if (slice_eq(found->remotes[i].address, remote->address))
			return i;
	found->remotes = grow(found->remotes, found->remote_count, &found->remote_cap,
			      sizeof(*found->remotes), arena);
	struct remote_destination *slot = &found->remotes[found->remote_count++];
	*slot = *remote;
	slot->address = arena_copy(arena, remote->address);
	slot->via = arena_copy(arena, remote->via);
	slot->owner = arena_copy(arena, remote->owner);
	return found->remote_count - 1;
}
