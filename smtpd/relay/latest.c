/* smtpd/relay/latest.c - a table of names with an end: who has not come up for longest is forgotten first.
 * Runs in the back. */
#include "smtpd/relay/latest_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"

enum { BUCKETS = 4096 };

struct entry {
	struct entry *next; /* in its bucket */
	struct entry *newer, *older;
	struct slice name;
};

struct latest {
	struct entry *buckets[BUCKETS];
	struct entry *newest, *oldest;
	size_t count, max;
};

static struct entry **place_of(struct latest *latest, struct slice name)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ name.ptr[i]) * 0x100000001b3;
	struct entry **at = &latest->buckets[(hash ^ hash >> 32) % BUCKETS];
	while (*at && !slice_eq((*at)->name, name))
		at = &(*at)->next;
	return at;
}

static void unlink_age(struct latest *latest, struct entry *entry)
{
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		latest->newest = entry->older;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		latest->oldest = entry->newer;
}

static void make_newest(struct latest *latest, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = latest->newest;
	if (entry->older)
		entry->older->newer = entry;
	else
		latest->oldest = entry;
	latest->newest = entry;
}

static void forget_oldest(struct latest *latest)
{
	struct entry *entry = latest->oldest;
	assert(entry && !entry->older);
	*place_of(latest, entry->name) = entry->next;
	unlink_age(latest, entry);
	latest->count--;
	free((void *)(uintptr_t)entry->name.ptr);
	free(entry);
}

struct latest *latest_new(size_t max)
{
	struct latest *latest = heap_alloc(sizeof(*latest));
	latest->max = max;
	return latest;
}

void latest_add(struct latest *latest, struct slice name)
{
	struct entry **at = place_of(latest, name);
	struct entry *entry = *at;
	if (entry) {
		unlink_age(latest, entry);
	} else {
		entry = *at = heap_alloc(sizeof(*entry));
		entry->name = slice_of(heap_copy(name.ptr, name.len), name.len);
		latest->count++;
	}
	make_newest(latest, entry);
	if (latest->count > latest->max)
		forget_oldest(latest);
}

bool latest_has(struct latest *latest, struct slice name)
{
	return *place_of(latest, name) != NULL;
}

void latest_free(struct latest **at)
{
	struct latest *latest = *at;
	*at = NULL;
	if (!latest)
		return;
	while (latest->oldest)
		forget_oldest(latest);
	free(latest);
}
