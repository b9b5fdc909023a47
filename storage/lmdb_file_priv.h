/* storage/lmdb_file_priv.h - what LMDB 0.9 writes into its file on this machine, as far as its own header
 * does not tell: for who reads pages beside it, or cuts values so that they fit. */
#pragma once

#include <stdint.h>

/* A page of a tree. */
struct lmdb_page {
	uint64_t number;
	uint16_t pad, flags, lower, upper;
	uint16_t nodes[];
};
enum { LMDB_BRANCH = 1 }; /* of flags */
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

/* The list of free pages, which LMDB's own tools open in the same way: under the number of the
 * transaction that freed them, a count and as many page numbers, size_t each. */
enum { LMDB_FREE_DBI = 0 };
