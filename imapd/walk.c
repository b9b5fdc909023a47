/* imapd/walk.c - walks the messages of a set in ascending UID. Runs in the back. */
#include "imapd/walk_priv.h"

enum { CURSOR_STEPS_MAX = 32 /* further than that, opening a cursor anew is cheaper */ };

/* Moves to the first entry with this UID or a later one; false at the end of the mailbox. */
static bool walk_seek(struct message_walk *walk, uint32_t uid)
{
	if (walk->cursor && walk->has_entry && walk->entry.uid < uid &&
	    uid - walk->entry.uid > CURSOR_STEPS_MAX)
		message_cursor_close(&walk->cursor);
	if (!walk->cursor) {
		walk->cursor = message_cursor_open(walk->read, walk->mailbox_id, uid);
		walk->has_entry = message_cursor_next(walk->cursor, &walk->entry);
	}
	while (walk->has_entry && walk->entry.uid < uid)
		walk->has_entry = message_cursor_next(walk->cursor, &walk->entry);
	return walk->has_entry;
}

bool walk_next(struct message_walk *walk, const struct ranges *uids, uint32_t from, bool *missing)
{
	uint32_t want;
	while (ranges_next(uids, from, &want)) {
		if (!walk_seek(walk, want)) {
			*missing = true;
			return false;
		}
		if (walk->entry.uid == want)
			return true;
		*missing = true;
		from = walk->entry.uid;
	}
	return false;
}

void walk_end(struct message_walk *walk)
{
	message_cursor_close(&walk->cursor);
	walk->has_entry = false;
}

uint32_t rank_walk_next(struct rank_walk *walk, const struct ranges *uids, uint32_t uid)
{
	while (uids->runs[walk->run].last < uid) {
		const struct range *run = &uids->runs[walk->run++];
		walk->before += run->last - run->first + 1;
	}
	return walk->before + (uid - uids->runs[walk->run].first) + 1;
}

/* Both walk the runs of `all`, of which each has a stretch of ranks, beside those of the other
 * set, and translate where they overlap. */
static void translate(const struct ranges *all, const struct ranges *from, bool from_is_ranks,
		      struct ranges *out)
{
	uint32_t rank = 1;
	for (uint32_t i = 0, j = 0; i < all->count && j < from->count;) {
		struct range run = all->runs[i];
		uint32_t start = from_is_ranks ? rank : run.first;
		uint32_t end = start + (run.last - run.first);
		uint32_t first = from->runs[j].first > start ? from->runs[j].first : start;
		uint32_t last = from->runs[j].last < end ? from->runs[j].last : end;
		if (first <= last) {
			uint32_t base = from_is_ranks ? run.first : rank;
			ranges_add(out, base + (first - start), base + (last - start));
		}
		if (from->runs[j].last > end) {
			rank += run.last - run.first + 1;
			i++;
		} else {
			j++;
		}
	}
}

void ranks_to_members(const struct ranges *all, const struct ranges *ranks,
		      struct ranges *members_out)
{
	translate(all, ranks, true, members_out);
}

void members_to_ranks(const struct ranges *all, const struct ranges *members,
		      struct ranges *ranks_out)
{
	translate(all, members, false, ranks_out);
}
