/* mda/visited.c - a set of names. Runs in the back and in the admin's process. */
#include "mda/visited.h"

static size_t hash_of(struct slice s)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ s.ptr[i]) * 0x100000001b3;
	return (size_t)(hash ^ hash >> 32);
}

static struct slice *visited_slot(struct visited *visited, struct slice name)
{
	size_t at = hash_of(name) & (visited->cap - 1);
	while (visited->slots[at].ptr && !slice_eq(visited->slots[at], name))
		at = (at + 1) & (visited->cap - 1);
	return &visited->slots[at];
}

bool visited_add(struct visited *visited, struct arena *arena, struct slice name)
{
	if (visited->count * 2 >= visited->cap) {
		struct visited bigger = { .count = visited->count,
					  .cap = visited->cap ? visited->cap * 2 : 16 };
		bigger.slots = arena_alloc_array(arena, bigger.cap, sizeof(*bigger.slots));
		for (size_t i = 0; i < visited->cap; i++)
			if (visited->slots[i].ptr)
				*visited_slot(&bigger, visited->slots[i]) = visited->slots[i];
		*visited = bigger;
	}
	struct slice *slot = visited_slot(visited, name);
	if (slot->ptr)
		return false;
	*slot = name;
	visited->count++;
	return true;
}
