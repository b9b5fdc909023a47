/* storage/stretch.c - a stretch of a database put anew, so that its rows fill their pages.
 *
 * LMDB merges a leaf with its neighbour only when both are less than a quarter full, so where rows
 * go at random, leaves stay half empty. What helps is to take all rows of some leaves out and to put
 * them back in order: the leaves go, others come. Nothing else knows of it: a key has the same value
 * before and after.
 *
 * Which leaf a row is in tells the address of its key, since in a read transaction all pages lie
 * in the map. That a leaf filled from the left stays full when it is split needs a trick, see
 * put_rows(). Both only decide how well the pages are filled; rows are right whatever LMDB does.
 * Runs in the back, and in the admin's process. */
#include "storage/stretch_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "storage/lmdb_file_priv.h"
#include "storage/tree_priv.h"

enum {
	STRETCH_LEAVES = 64,
	STRETCH_OCTETS = 1 << 20, /* with what has pages of its own: it is written again, too */
	STRETCH_MOST_OCTETS = 4 * STRETCH_OCTETS, /* whatever came since it was looked at */
	PAGE_NUMBER = 8, /* in the leaf, of a value that has pages of its own */
	/* What is put anew takes up to a thirteenth more than the least, since LMDB has its own mind of where a
	 * leaf ends: a smaller gain would be gained again each time. */
	LOOSE_FRACTION = 10,
};

static bool has_own_pages(const struct store *store, struct slice key, struct slice value)
{
	size_t node_max = (((store->page_octets - LMDB_PAGE_HEADER_OCTETS) / 2) & ~(size_t)1) -
			  LMDB_NODE_POINTER_OCTETS;
	return LMDB_NODE_HEADER_OCTETS + key.len + value.len > node_max;
}

/* What a row takes in its leaf. */
static size_t node_octets(const struct store *store, struct slice key, struct slice value)
{
	size_t in_leaf = has_own_pages(store, key, value) ? PAGE_NUMBER : value.len;
	return ((LMDB_NODE_HEADER_OCTETS + key.len + in_leaf + 1) & ~(size_t)1) +
	       LMDB_NODE_POINTER_OCTETS;
}

static void key_copy(struct key *to, struct slice key)
{
	to->len = key.len <= sizeof(to->octets) ? key.len : 0;
	memcpy(to->octets, key.ptr, to->len);
}

/* Whether the leaf that `key` is in is the first of its branch. */
static bool is_in_first_leaf(struct read *read, enum database db, struct slice key)
{
	struct tree tree;
	struct tree_leaf leaf;
	return tree_open(&tree, read, db) && tree_find(&tree, key, &leaf) && leaf.is_first;
}

/* Ends where a branch does: a leaf that is the first of its branch, once it is empty, takes rows
 * from the next, see ballast_put(). */
static bool ends_before(const struct stretch *stretch, struct read *read, struct slice key)
{
	return stretch->leaves == STRETCH_LEAVES ||
	       stretch->pages * read->store->page_octets >= STRETCH_OCTETS ||
	       (stretch->leaves > 0 && is_in_first_leaf(read, stretch->db, key));
}

bool stretch_look(struct read *read, enum database db, struct slice from, struct stretch *out)
{
	const struct store *store = read->store;
	size_t room = store->page_octets - LMDB_PAGE_HEADER_OCTETS, filled = room;
	const uint8_t *leaf = NULL;
	struct row row;
	*out = (struct stretch){ .db = db };
	row_open(&row, read, db);
	bool more = row_seek(&row, from);
	if (more)
		key_copy(&out->from, row.key);
	for (; more; more = row_next(&row)) {
		const uint8_t *page = row.key.ptr - (uintptr_t)row.key.ptr % store->page_octets;
		if (page != leaf) {
			if (ends_before(out, read, row.key))
				break;
			leaf = page;
			out->leaves++;
			out->pages++;
		}
		size_t octets = node_octets(store, row.key, row.value);
		if (filled + octets > room) {
			out->leaves_least++;
			filled = 0;
		}
		filled += octets;
		if (has_own_pages(store, row.key, row.value))
			out->pages +=
				(LMDB_PAGE_HEADER_OCTETS + row.value.len + store->page_octets - 1) /
				store->page_octets;
		out->rows++;
	}
	if (more)
		key_copy(&out->end, row.key);
	row_close(&row);
	return out->rows > 0 && read->failure == ERR_OK;
}

bool stretch_is_loose(const struct stretch *stretch)
{
	uint64_t gain = stretch->leaves > stretch->leaves_least
				? stretch->leaves - stretch->leaves_least
				: 0;
	return gain > 0 && gain * LOOSE_FRACTION >= stretch->leaves;
}

/* A row that lives only within the transaction, right behind a true one; len 0: there is none. */
static struct key key_behind(struct slice key)
{
	struct key behind = { .len = 0 };
	if (key.len > 0 && key.len < KEY_MAX_OCTETS) {
		key_copy(&behind, key);
		behind.octets[behind.len++] = 0;
	}
	return behind;
}

/* A leaf that is nearly empty takes rows from its neighbour. If that is the one behind the stretch,
 * all that is put afterwards is put before these, into the middle of leaves, which LMDB splits in
 * halves. So ballast keeps the last leaf from being nearly empty, until other rows do. */
static size_t ballast_octets(const struct store *store)
{
	return (size_t)store->page_octets * 5 / 16;
}

static enum err ballast_put(struct write *write, const struct stretch *stretch,
			    struct key *ballast_out)
{
	static const uint8_t highest[KEY_MAX_OCTETS] = { 0xff, 0xff, 0xff, 0xff, 0xff,
							 0xff, 0xff, 0xff, 0xff, 0xff };
	struct row row;
	struct buffer value = { 0 };
	struct slice end = stretch->end.len > 0 ? key_slice(&stretch->end)
						: slice_of(highest, sizeof(highest));
	ballast_out->len = 0;
	row_open(&row, write_read(write), stretch->db);
	if (row_seek_before(&row, end))
		*ballast_out = key_behind(row.key);
	row_close(&row);
	if (ballast_out->len == 0 || slice_eq(key_slice(ballast_out), end))
		ballast_out->len = 0;
	if (ballast_out->len == 0)
		return write_read(write)->failure;
	size_t len = ballast_octets(write->store);
	memset(buffer_reserve(&value, len), 0, len);
	value.len = len;
	enum err err =
		db_put(write, stretch->db, key_slice(ballast_out), buffer_slice(&value), PUT_ANY);
	buffer_free(&value);
	return err;
}

/* Takes the rows out; `rows` gets be32 length of the key, be32 of the value, both. */
static enum err take_rows(struct write *write, const struct stretch *stretch,
			  const struct key *ballast, struct buffer *rows)
{
	struct row row;
	enum err err = ERR_OK;
	row_open(&row, write_read(write), stretch->db);
	bool more = row_seek(&row, key_slice(&stretch->from));
	while (err == ERR_OK && more && rows->len < STRETCH_MOST_OCTETS &&
	       !slice_eq(row.key, key_slice(ballast)) &&
	       (stretch->end.len == 0 || slice_compare(row.key, key_slice(&stretch->end)) < 0)) {
		buffer_add_be32(rows, (uint32_t)row.key.len);
		buffer_add_be32(rows, (uint32_t)row.value.len);
		buffer_add(rows, row.key);
		buffer_add(rows, row.value);
		err = row_delete(&row);
		more = row_next(&row);
	}
	row_close(&row);
	return err == ERR_OK ? write_read(write)->failure : err;
}

static enum err ballast_remove(struct write *write, enum database db, struct key *ballast)
{
	enum err err = ballast->len > 0 ? db_del(write, db, key_slice(ballast)) : ERR_OK;
	ballast->len = 0;
	return err;
}

struct wedge {
	struct key key;
	size_t behind; /* octets of nodes put since */
};
enum { WEDGES = 64 };
struct wedges {
	struct wedge list[WEDGES]; /* a ring */
	size_t first, count;
};

static enum err wedge_remove_first(struct write *write, enum database db, struct wedges *wedges)
{
	struct wedge *wedge = &wedges->list[wedges->first];
	wedges->first = (wedges->first + 1) % WEDGES;
	wedges->count--;
	return db_del(write, db, key_slice(&wedge->key));
}

/* Behind the row with the key `last`, before the next one, `key`. */
static enum err wedge_put(struct write *write, enum database db, struct wedges *wedges,
			  struct slice last, struct slice key)
{
	struct key behind = key_behind(last);
	if (behind.len == 0 || slice_eq(key_slice(&behind), key))
		return ERR_OK;
	enum err err = wedges->count == WEDGES ? wedge_remove_first(write, db, wedges) : ERR_OK;
	wedges->list[(wedges->first + wedges->count) % WEDGES] = (struct wedge){ behind, 0 };
	if (err != ERR_OK)
		return err;
	wedges->count++;
	return db_put(write, db, key_slice(&behind), SLICE_NONE, PUT_ANY);
}

/* A leaf to which a row is added behind all others, and which is full, is split before its last
 * row: that and the new one go to the new leaf. With a few large rows in each, leaves would be half
 * empty again. So the last row is a wedge, which nobody needs, and the leaf keeps all true ones.
 * A wedge goes when so much was put behind it that its leaf is not merged with others. */
static enum err put_rows(struct write *write, enum database db, struct slice rows,
			 struct key *ballast)
{
	enum err err = ERR_OK;
	struct wedges *wedges = heap_alloc(sizeof(*wedges));
	struct slice last = SLICE_NONE;
	size_t enough = write->store->page_octets / 2, put = 0;
	while (err == ERR_OK && rows.len > 0) {
		uint32_t key_len = get_be32(rows.ptr), value_len = get_be32(rows.ptr + 4);
		struct slice key = slice_sub(rows, 8, key_len);
		struct slice value = slice_sub(rows, 8 + key_len, value_len);
		size_t taken = 8 + (size_t)key_len + value_len;
		rows = slice_sub(rows, taken, rows.len - taken);
		err = wedge_put(write, db, wedges, last, key);
		if (err == ERR_OK)
			err = db_put(write, db, key, value, PUT_ANY);
		size_t octets = node_octets(write->store, key, value);
		put += octets;
		if (err == ERR_OK && put >= ballast_octets(write->store))
			err = ballast_remove(write, db, ballast);
		for (size_t i = 0; i < wedges->count; i++)
			wedges->list[(wedges->first + i) % WEDGES].behind += octets;
		while (err == ERR_OK && wedges->count > 0 &&
		       wedges->list[wedges->first].behind >= enough)
			err = wedge_remove_first(write, db, wedges);
		last = key;
	}
	while (err == ERR_OK && wedges->count > 0)
		err = wedge_remove_first(write, db, wedges);
	if (err == ERR_OK)
		err = ballast_remove(write, db, ballast);
	free(wedges);
	return err;
}

enum err stretch_pack(struct write *write, const struct stretch *stretch)
{
	struct buffer rows = { 0 };
	struct key ballast;
	enum err err = ballast_put(write, stretch, &ballast);
	if (err == ERR_OK)
		err = take_rows(write, stretch, &ballast, &rows);
	if (err == ERR_OK)
		err = put_rows(write, stretch->db, buffer_slice(&rows), &ballast);
	buffer_free(&rows);
	return err;
}
