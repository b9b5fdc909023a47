/* storage/tree_priv.h - the tree of a database as LMDB keeps it in the file: which leaf a key is in, as
 * the branches above it tell, so that the leaf itself may still be on the disk. */
#pragma once

#include "storage/store_priv.h"

struct tree {
	const uint8_t *map;
	size_t page_octets;
	uint64_t root, last_page;
	unsigned depth;
};
struct tree_leaf {
	const uint8_t *page;
	bool is_first; /* of its branch */
	/* Its keys are at or after `from`, and before `end`. ptr NULL: nothing limits them there. */
	struct slice from, end;
};

/* In a plain read, as long as which lives what is found. False: there are no rows, or nothing can be
 * told. */
bool tree_open(struct tree *tree, struct read *read, enum database db) MUST_USE;
/* The leaf that a key is in, or would be. False: the branches are damaged. */
bool tree_find(const struct tree *tree, struct slice key, struct tree_leaf *leaf_out) MUST_USE;

/* Not of one that was not found. */
static inline bool tree_leaf_has(const struct tree_leaf *leaf, struct slice key)
{
	return leaf->page && slice_compare(leaf->from, key) <= 0 &&
	       (!leaf->end.ptr || slice_compare(key, leaf->end) < 0);
}
