/* storage/verify_queue.c - mail that leaves: each entry has its body, and its place in the order in
 * which its destination's entries are tried. Runs in the admin's process. */
#include <inttypes.h>

#include "storage/queue_priv.h"
#include "storage/verify_priv.h"

bool queue_row_body(struct slice key, struct slice value, uint64_t *blob_id_out,
		    uint64_t *size_octets_out)
{
	struct arena arena = { 0 };
	struct queue_entry entry;
	bool is_entry = key.len == 9 && key.ptr[0] == QUEUE_ROW_ENTRY &&
			queue_entry_decode(value, 0, &arena, &entry);
	if (is_entry) {
		*blob_id_out = entry.blob_id;
		*size_octets_out = entry.size_octets;
	}
	arena_fini(&arena);
	return is_entry;
}

/* The entry's place anew; those that lead elsewhere are told of by themselves. */
static enum err fix_due(struct write *write, struct fix *fix)
{
	struct queue_entry entry;
	enum err err = queue_get(write_read(write), fix->number, &write->arena, &entry);
	if (err == ERR_OK)
		err = queue_put(write, &entry);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static const char *entry_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	struct queue_entry entry;
	struct key key;
	uint64_t queue_id = get_be64(row->key.ptr + 1);
	fix->number = queue_id;
	if (!queue_entry_decode(row->value, queue_id, &v->arena, &entry) ||
	    !key_queue_due(&key, &entry))
		return "the record of a message that waits to be sent is damaged";
	bool is_due = db_has(row->read, DB_QUEUE, key_slice(&key));
	key_be64(&key, entry.blob_id);
	bool has_body = db_has(row->read, DB_DIGEST, key_slice(&key));
	key_piece(&key, entry.blob_id, 0, 0);
	/* Where chunks are left, the bodies have told of it already. */
	if (!has_body && !db_has(row->read, DB_BLOB, key_slice(&key)))
		return "the body of a message that waits to be sent is not there";
	fix->run = fix_due;
	/* One that an older Bode held has no place, and none is missed. */
	return is_due || entry.is_held ? NULL
				       : "a message that waits to be sent would never be tried";
}

static const char *due_wrong(struct verify *v, const struct row *row)
{
	struct slice destination;
	struct queue_place place;
	struct queue_entry entry;
	struct key key;
	if (!key_take_queue_due(row->key, &destination, &place))
		return "a row of the queue's order cannot be read";
	if (queue_get(row->read, place.queue_id, &v->arena, &entry) == ERR_OK &&
	    key_queue_due(&key, &entry) && slice_eq(key_slice(&key), row->key))
		return NULL;
	return "a row of the queue's order leads to no message";
}

static const char *row_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	struct slice key = row->key;
	uint8_t secret[QUEUE_SECRET_OCTETS];
	uint64_t number;
	if (key.len == 9 && key.ptr[0] == QUEUE_ROW_ENTRY)
		return entry_wrong(v, row, fix);
	if (key.ptr[0] == QUEUE_ROW_DUE)
		return due_wrong(v, row);
	if (key.len == 1 && key.ptr[0] == QUEUE_ROW_NEXT && number_decode(row->value, &number))
		return NULL;
	if (key.len == 1 && key.ptr[0] == QUEUE_ROW_SECRET &&
	    queue_secret_decode(row->value, secret))
		return NULL;
	return "a row of the queue cannot be read";
}

void verify_queue(struct verify *v)
{
	verify_rows(v, DB_QUEUE, 2 * VERIFY_ROW_COST, WRONG_QUEUE, row_wrong);
}
