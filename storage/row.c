/* storage/row.c - the few ways in which rows are reached: by their key, and one after another. Runs in
 * the back, and in the admin's process. */
#include <assert.h>

#include "storage/store_priv.h"

static MDB_val val_of(struct slice s)
{
	return (MDB_val){ s.len, (void *)(uintptr_t)s.ptr };
}

/* ---- reading ---- */

enum err db_get(struct read *read, enum database db, struct slice key, struct slice *value_out)
{
	MDB_val k = val_of(key), v;
	*value_out = SLICE_NONE;
	if (!read->txn)
		return ERR_DISK;
	int code = mdb_get(read->txn, read->store->dbis[db], &k, &v);
	if (code == MDB_NOTFOUND || code == MDB_BAD_VALSIZE)
		return ERR_NOT_FOUND;
	if (code != 0)
		return read->failure = environment_failure(read->store, code, "get");
	*value_out = slice_of(v.mv_data, v.mv_size);
	return ERR_OK;
}

/* The bodies of a mailbox mostly come one after another: a step to the neighbour spares looking for
 * the key from the tree's root. */
static bool is_at_next(struct read *read, struct slice key, MDB_val *value_out)
{
	MDB_val at;
	int order = slice_compare(read->cursor_key, key);
	if (!read->cursor_key.ptr || order > 0 ||
	    mdb_cursor_get(read->cursor, &at, value_out, order < 0 ? MDB_NEXT : MDB_GET_CURRENT) !=
		    0)
		return false;
	read->cursor_key = slice_of(at.mv_data, at.mv_size);
	return slice_eq(read->cursor_key, key);
}

/* Rows that came in ascending order were put into their page from its end on, so the next one stands right
 * before this one: it is fetched from memory while this one is looked at. */
static void fetch_next(const struct read *read)
{
	enum { LINE_OCTETS = 64, AHEAD_OCTETS = 7 * LINE_OCTETS };
	const uint8_t *key = read->cursor_key.ptr;
	size_t before = (uintptr_t)key % read->store->page_octets;
	if (before > AHEAD_OCTETS)
		before = AHEAD_OCTETS;
	for (size_t octets = LINE_OCTETS; octets <= before; octets += LINE_OCTETS)
		__builtin_prefetch(key - octets);
}

enum err db_get_next(struct read *read, enum database db, struct slice key, struct slice *value_out)
{
	MDB_val k = val_of(key), v;
	/* A batch may put and remove between two of them. */
	if (!read->txn || read->write)
		return db_get(read, db, key, value_out);
	if (read->cursor && read->cursor_db != db) {
		mdb_cursor_close(read->cursor);
		read->cursor = NULL;
	}
	if (!read->cursor) {
		read->cursor_key = SLICE_NONE;
		if (mdb_cursor_open(read->txn, read->store->dbis[db], &read->cursor) != 0) {
			read->cursor = NULL;
			return db_get(read, db, key, value_out);
		}
	}
	read->cursor_db = db;
	*value_out = SLICE_NONE;
	if (!is_at_next(read, key, &v)) {
		read->cursor_key = SLICE_NONE;
		int code = mdb_cursor_get(read->cursor, &k, &v, MDB_SET_KEY);
		if (code == MDB_NOTFOUND || code == MDB_BAD_VALSIZE)
			return ERR_NOT_FOUND;
		if (code != 0)
			return read->failure = environment_failure(read->store, code, "get");
		read->cursor_key = slice_of(k.mv_data, k.mv_size);
	}
	fetch_next(read);
	*value_out = slice_of(v.mv_data, v.mv_size);
	return ERR_OK;
}

bool db_has(struct read *read, enum database db, struct slice key)
{
	struct slice value;
	return db_get(read, db, key, &value) == ERR_OK;
}

void db_extent(struct read *read, enum database db, uint64_t *rows_out, uint64_t *octets_out)
{
	MDB_stat stat = { 0 };
	if (read->txn)
		mdb_stat(read->txn, read->store->dbis[db], &stat);
	*rows_out = stat.ms_entries;
	*octets_out =
		((uint64_t)stat.ms_leaf_pages + stat.ms_overflow_pages) * read->store->page_octets;
}

void row_open(struct row *row, struct read *read, enum database db)
{
	*row = (struct row){ .read = read };
	if (!read->txn)
		return;
	int code = mdb_cursor_open(read->txn, read->store->dbis[db], &row->cursor);
	if (code != 0) {
		read->failure = environment_failure(read->store, code, "walk");
		row->cursor = NULL;
	}
}

void row_close(struct row *row)
{
	if (row->cursor)
		mdb_cursor_close(row->cursor);
	row->cursor = NULL;
}

static bool row_get(struct row *row, MDB_val key, MDB_cursor_op op)
{
	MDB_val value;
	if (!row->cursor)
		return false;
	int code = mdb_cursor_get(row->cursor, &key, &value, op);
	if (code != 0) {
		if (code != MDB_NOTFOUND)
			row->read->failure = environment_failure(row->read->store, code, "walk");
		row->key = row->value = SLICE_NONE;
		return false;
	}
	row->key = slice_of(key.mv_data, key.mv_size);
	row->value = slice_of(value.mv_data, value.mv_size);
	return true;
}

bool row_seek(struct row *row, struct slice key)
{
	return row_get(row, val_of(key), MDB_SET_RANGE);
}

bool row_next(struct row *row)
{
	return row_get(row, (MDB_val){ 0, NULL }, MDB_NEXT);
}

bool row_seek_behind(struct row *row, struct slice key)
{
	bool found = row_seek(row, key);
	return found && slice_eq(row->key, key) ? row_next(row) : found;
}

bool row_seek_before(struct row *row, struct slice key)
{
	MDB_cursor_op back = row_seek(row, key) ? MDB_PREV : MDB_LAST;
	return row_get(row, (MDB_val){ 0, NULL }, back);
}

bool row_previous(struct row *row)
{
	return row_get(row, (MDB_val){ 0, NULL }, MDB_PREV);
}

/* ---- writing ---- */

/* After a put or delete that failed only abort is allowed. */
static enum err write_failure(struct write *write, int code, const char *doing)
{
	write->failure = environment_failure(write->store, code, doing);
	return write->failure;
}

enum err db_put(struct write *write, enum database db, struct slice key, struct slice value,
		unsigned flags)
{
	if (write->failure != ERR_OK)
		return write->failure;
	write_touch(write);
	MDB_val k = val_of(key), v = val_of(value);
	int code = mdb_put(write->read.txn, write->store->dbis[db], &k, &v, flags);
	return code == 0 ? ERR_OK : write_failure(write, code, "put");
}

enum err db_del(struct write *write, enum database db, struct slice key)
{
	if (write->failure != ERR_OK)
		return write->failure;
	MDB_val k = val_of(key);
	int code = mdb_del(write->read.txn, write->store->dbis[db], &k, NULL);
	if (code == MDB_NOTFOUND || code == MDB_BAD_VALSIZE)
		return ERR_NOT_FOUND;
	write_touch(write);
	return code == 0 ? ERR_OK : write_failure(write, code, "delete");
}

enum err row_replace(struct row *row, struct slice value)
{
	struct write *write = row->read->write;
	if (write->failure != ERR_OK)
		return write->failure;
	write_touch(write);
	/* A key that points into the map must not go back into a put: the page may move. */
	struct key copy = { .len = row->key.len };
	assert(copy.len <= sizeof(copy.octets) && value.len == row->value.len);
	memcpy(copy.octets, row->key.ptr, row->key.len);
	MDB_val k = val_of(key_slice(&copy)), v = val_of(value);
	int code = mdb_cursor_put(row->cursor, &k, &v, MDB_CURRENT);
	row->key = row->value = SLICE_NONE;
	return code == 0 ? ERR_OK : write_failure(write, code, "replace");
}

enum err row_delete(struct row *row)
{
	struct write *write = row->read->write;
	if (write->failure != ERR_OK)
		return write->failure;
	write_touch(write);
	int code = mdb_cursor_del(row->cursor, 0);
	row->key = row->value = SLICE_NONE;
	return code == 0 ? ERR_OK : write_failure(write, code, "delete");
}
