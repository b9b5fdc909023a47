/* storage/read_ahead.c - asks for the leaves that rows are in, which the branches above tell
 * (storage/tree_priv.h): there are a hundred leaves and more to a branch, so those are soon in memory.
 * What a row has outside of its leaf is not asked for. Runs in the back. */
#include "storage/read_ahead.h"

#include <sys/mman.h>

#include "storage/tree_priv.h"

static void ask(const struct tree *tree, const struct tree_leaf *leaf)
{
	madvise((void *)(uintptr_t)leaf->page, tree->page_octets, MADV_WILLNEED);
}

uint32_t read_ahead_entries(struct read *read, uint64_t mailbox_id, const struct ranges *uids,
			    uint32_t from_uid, unsigned pages_max)
{
	struct tree tree;
	struct tree_leaf leaf;
	struct key key;
	struct slice end_uid;
	uint32_t uid = from_uid;
	if (!tree_open(&tree, read, DB_MAILBOX))
		return 0;
	while (ranges_next(uids, uid, &uid)) {
		if (pages_max-- == 0)
			return uid;
		key_entry(&key, mailbox_id, uid);
		if (!tree_find(&tree, key_slice(&key), &leaf))
			break;
		ask(&tree, &leaf);
		/* The next leaf begins with another entry, or this was the mailbox's last. */
		if (!leaf.end.ptr || !key_is_row(leaf.end, mailbox_id, ROW_ENTRY, &end_uid))
			break;
		uid = get_be32(end_uid.ptr);
	}
	return 0;
}

size_t read_ahead_digests(struct read *read, const uint64_t *blob_ids, size_t count,
			  unsigned pages_max)
{
	struct tree tree;
	struct tree_leaf leaf = { .page = NULL };
	struct key key;
	if (!tree_open(&tree, read, DB_DIGEST))
		return count;
	for (size_t i = 0; i < count; i++) {
		key_be64(&key, blob_ids[i]);
		if (tree_leaf_has(&leaf, key_slice(&key)))
			continue;
		if (pages_max-- == 0)
			return i;
		if (!tree_find(&tree, key_slice(&key), &leaf))
			break;
		ask(&tree, &leaf);
	}
	return count;
}
