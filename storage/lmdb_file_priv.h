/* storage/lmdb_file_priv.h - what LMDB 0.9 writes into its file on this machine, as far as its own header
 * does not tell: for who reads pages beside it, or cuts values so that they fit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* A page of a tree. */
struct lmdb_page {
	uint64_t number;
	uint16_t pad, flags, lower, upper;
	uint16_t nodes[];
};
enum {
	LMDB_BRANCH = 1,
	LMDB_LEAF = 2
}; /* of flags, where no other is set: between `lower` and `upper` is nothing */
/* A node of a branch: the child's number in three parts, and the lowest key below it. */
struct lmdb_branch_node {
	uint16_t number_low, number_middle, number_high, key_len;
	uint8_t key[];
};
enum {
	LMDB_PAGE_HEADER_OCTETS = sizeof(struct lmdb_page),
	LMDB_NODE_HEADER_OCTETS = sizeof(struct lmdb_branch_node), /* of a leaf's as well */
	LMDB_NODE_POINTER_OCTETS = sizeof(uint16_t),		   /* in the page, for each node */
};
/* A database: in the unnamed one, and, of that and of the free pages, in the meta pages. */
struct lmdb_tree {
	uint32_t pad; /* of the first of a meta page: the size of a page */
	uint16_t flags, depth;
	uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

/* A meta page, behind the page's header: the first two of the file, and that with the higher txn_id counts. A
 * commit writes what begins with map_octets into one of them, by its number's parity. */
struct lmdb_meta {
	uint32_t magic, version;
	uint64_t address, map_octets;
	struct lmdb_tree dbs[2];
	uint64_t last_page, txn_id;
};
enum {
	LMDB_META_MAGIC = 0xBEEFC0DE,
	LMDB_META_PAGES = 2,
	/* What a commit writes. */
	LMDB_COMMIT_OCTETS = sizeof(struct lmdb_meta) - offsetof(struct lmdb_meta, map_octets),
	LMDB_COMMIT_AT = LMDB_PAGE_HEADER_OCTETS + offsetof(struct lmdb_meta, map_octets),
};

static inline bool lmdb_meta_read(int fd, off_t page_at, struct lmdb_meta *meta_out)
{
	return pread(fd, meta_out, sizeof(*meta_out), page_at + LMDB_PAGE_HEADER_OCTETS) ==
		       sizeof(*meta_out) &&
	       meta_out->magic == LMDB_META_MAGIC;
}

/* The list of free pages, which LMDB's own tools open in the same way: under the number of the
 * transaction that freed them, a count and as many page numbers, size_t each. */
enum { LMDB_FREE_DBI = 0 };
