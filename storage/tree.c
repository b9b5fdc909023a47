/* storage/tree.c - LMDB's branches, read beside it. It finds rows, but does not say in which leaf they
 * are before it has looked at that, and a leaf that is on the disk has to be waited for.
 *
 * Who asks decides by the answer what to do first, never what is true: rows are read through LMDB
 * alone. Numbers and lengths are checked all the same, since one that is wrong would lead out of the
 * map. Runs in the back, and in the admin's process. */
#include "storage/tree_priv.h"

#include <unistd.h>

#include "storage/lmdb_file_priv.h"

static const struct lmdb_page *page_around(const uint8_t *octet, size_t page_octets)
{
	return (const void *)(octet - (uintptr_t)octet % page_octets);
}

bool tree_open(struct tree *tree, struct read *read, enum database db)
{
	struct lmdb_tree record;
	struct slice value;
	MDB_envinfo info;
	size_t page_octets = read->store->page_octets;
	/* The map begins where a page of the system does, perhaps not where a larger one would. */
	if (page_octets > (size_t)sysconf(_SC_PAGESIZE) || read->write ||
	    db_get(read, DB_MAIN, slice_cstr(database_name(db)), &value) != ERR_OK ||
	    value.len != sizeof(record) || mdb_env_info(read->store->env, &info) != 0)
		return false;
	memcpy(&record, value.ptr, sizeof(record));
	const struct lmdb_page *page = page_around(value.ptr, page_octets);
	*tree = (struct tree){
		.map = (const uint8_t *)page - page->number * page_octets,
		.page_octets = page_octets,
		.root = record.root,
		.last_page = info.me_last_pgno,
		.depth = record.depth,
	};
	return record.depth > 0 && page->number <= info.me_last_pgno &&
	       record.root <= info.me_last_pgno;
}

/* Of a branch; 0: it is none. */
static size_t count_children(const struct tree *tree, const struct lmdb_page *branch)
{
	if (!(branch->flags & LMDB_BRANCH) || branch->lower < LMDB_PAGE_HEADER_OCTETS ||
	    branch->lower > tree->page_octets)
		return 0;
	return (size_t)(branch->lower - LMDB_PAGE_HEADER_OCTETS) / sizeof(branch->nodes[0]);
}

struct child {
	uint64_t page;
	struct slice key; /* the lowest below it; of the first child nothing that counts */
};

static bool child_get(const struct tree *tree, const struct lmdb_page *branch, size_t i,
		      struct child *child_out)
{
	size_t at = branch->nodes[i];
	const struct lmdb_branch_node *node = (const void *)((const uint8_t *)branch + at);
	if (at % sizeof(uint16_t) != 0 || at + sizeof(*node) > tree->page_octets ||
	    at + sizeof(*node) + node->key_len > tree->page_octets)
		return false;
	child_out->page = (uint64_t)node->number_high << 32 | (uint64_t)node->number_middle << 16 |
			  node->number_low;
	child_out->key = slice_of(node->key, node->key_len);
	return child_out->page <= tree->last_page;
}

/* Goes from a branch to the child below which the key is. */
static bool descend(const struct tree *tree, const struct lmdb_page *branch, struct slice key,
		    uint64_t *page_out, struct tree_leaf *leaf)
{
	struct child child;
	size_t low = 0, high = count_children(tree, branch); /* the child is in [low, high) */
	if (high == 0)
		return false;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		if (!child_get(tree, branch, middle, &child))
			return false;
		if (slice_compare(child.key, key) <= 0) {
			low = middle;
			leaf->from = child.key;
		} else {
			high = middle;
			leaf->end = child.key;
		}
	}
	leaf->is_first = low == 0;
	if (!child_get(tree, branch, low, &child))
		return false;
	*page_out = child.page;
	return true;
}

bool tree_find(const struct tree *tree, struct slice key, struct tree_leaf *leaf_out)
{
	uint64_t page = tree->root;
	*leaf_out = (struct tree_leaf){ .page = NULL };
	for (unsigned depth = 1; depth < tree->depth; depth++) {
		const struct lmdb_page *branch =
			(const void *)(tree->map + page * tree->page_octets);
		if (branch->number != page || !descend(tree, branch, key, &page, leaf_out))
			return false;
	}
	leaf_out->page = tree->map + page * tree->page_octets;
	return true;
}
