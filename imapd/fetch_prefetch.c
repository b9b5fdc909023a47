/* imapd/fetch_prefetch.c - what a long FETCH will need next is asked of the disk before a slice comes
 * to it.
 *
 * After a start the entries and digests of a large mailbox are on the disk, in thousands of pages that
 * lie scattered among the bodies. A slice that reads them one after another waits for each. So where a
 * slice had to wait, those that follow ask for some dozens of pages together, a stretch of messages
 * before the one that they are at: the disk reads these while answers are made and sent of what it has
 * read. Entries come first, since they tell whose digests are wanted. Bodies are the store's own
 * business: it reads them in the order in which they lie (storage/blob.c).
 *
 * Nothing is asked for where slices find all in memory, and nothing where the first slice is the last.
 * Runs in the back. */
#include "imapd/fetch_priv.h"

#include "storage/read_ahead.h"

enum {
	/* Of a stretch; one or two are under way. As many as keep a disk busy that does many things at
	 * once, a quarter of a megabyte. */
	STRETCH_PAGES = 64,
	STRETCH_MESSAGES = 1024, /* whose digests are looked for */
};

/* False: enough was asked for. */
static bool begin_stretch(struct prefetch *prefetch, uint32_t next_uid)
{
	if (prefetch->is_over || prefetch->from > next_uid)
		return false;
	prefetch->from = prefetch->end > next_uid ? prefetch->end : next_uid;
	return true;
}

static void ask_for_entries(struct fetch *f)
{
	struct prefetch *prefetch = &f->entries_ahead;
	prefetch->end = read_ahead_entries(f->slice.read, f->walk.mailbox_id, &f->uids,
					   prefetch->from, STRETCH_PAGES);
	prefetch->is_over = prefetch->end == 0;
}

static void ask_for_digests(struct fetch *f)
{
	struct prefetch *prefetch = &f->digests_ahead;
	uint64_t blob_ids[STRETCH_MESSAGES];
	uint32_t uids[STRETCH_MESSAGES];
	size_t count = 0;
	uint32_t from = prefetch->from;
	bool missing = false, more = true;
	struct message_walk walk = walk_begin(f->slice.read, f->walk.mailbox_id);
	for (size_t i = 0; more && i < STRETCH_MESSAGES; i++) {
		more = walk_next(&walk, &f->uids, from, &missing);
		if (!more)
			break;
		if (!fetch_is_unchanged(f, &walk.entry)) {
			blob_ids[count] = walk.entry.blob_id;
			uids[count++] = walk.entry.uid;
		}
		more = walk.entry.uid < UINT32_MAX;
		from = walk.entry.uid + 1;
	}
	walk_end(&walk);
	size_t asked = read_ahead_digests(f->slice.read, blob_ids, count, STRETCH_PAGES);
	prefetch->end = asked < count ? uids[asked] : from;
	prefetch->is_over = asked == count && !more;
}

void fetch_prefetch(struct fetch *f)
{
	const struct fetch_items *items = &f->items;
	while (begin_stretch(&f->entries_ahead, f->next_uid))
		ask_for_entries(f);
	if (!items->needs_envelope && !items->needs_structure && items->body_count == 0)
		return;
	while (begin_stretch(&f->digests_ahead, f->next_uid))
		ask_for_digests(f);
}
