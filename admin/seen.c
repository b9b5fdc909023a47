/* admin/seen.c - a table of counts, open addressing. Runs in the admin's process. */
#include "admin/seen.h"

#include <stdlib.h>

#include "base/heap.h"

struct seen {
	struct {
		uint64_t content;
		uint32_t count; /* 0: free */
	} * slots;
	size_t cap, used; /* cap is a power of two */
};

struct seen *seen_new(void)
{
	struct seen *seen = heap_alloc(sizeof(*seen));
	seen->cap = 1024;
	seen->slots = heap_alloc_array(seen->cap, sizeof(*seen->slots));
	return seen;
}

/* The content is a fingerprint already. */
static size_t place_of(const struct seen *seen, uint64_t content)
{
	size_t at = content & (seen->cap - 1);
	while (seen->slots[at].count > 0 && seen->slots[at].content != content)
		at = (at + 1) & (seen->cap - 1);
	return at;
}

static void grow(struct seen *seen)
{
	struct seen old = *seen;
	seen->cap *= 2;
	seen->slots = heap_alloc_array(seen->cap, sizeof(*seen->slots));
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].count > 0)
			seen->slots[place_of(seen, old.slots[i].content)] = old.slots[i];
	free(old.slots);
}

uint32_t seen_count(struct seen *seen, uint64_t content)
{
	if (seen->used * 4 >= seen->cap * 3)
		grow(seen);
	size_t at = place_of(seen, content);
	if (seen->slots[at].count == 0) {
		seen->slots[at].content = content;
		seen->used++;
	}
	return seen->slots[at].count++;
}

void seen_free(struct seen **seen)
{
	if (*seen)
		free((*seen)->slots);
	free(*seen);
	*seen = NULL;
}
