/* mda/visited.h - the addresses seen on the way through aliases, so that none is followed twice:
 * that cuts loops, and keeps aliases that name each other many times from multiplying. */
#pragma once

#include "base/arena.h"

/* Zero-initialise. Linear probing, in the arena. */
struct visited {
	struct slice *slots;
	size_t count, cap;
};

/* False: it was there before. `name` must stay where it is. */
bool visited_add(struct visited *visited, struct arena *arena, struct slice name);
