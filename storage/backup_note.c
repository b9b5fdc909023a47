/* storage/backup_note.c - what the store notes of its backups: per folder, which state of it was
 * proven last and which run began last. A folder's bodies are believed to be the store's own only
 * where the store knows of them: one that was set back to an older time, or restored from
 * elsewhere, may have given their numbers to others. In the admin's process. */
#include <stdio.h>

#include "storage/backup_priv.h"

enum { KEY_PREFIX = sizeof(BACKUP_RECORD_KEY) - 1, FOLDERS_MAX = 16 };

static struct key record_key(uint64_t folder_id)
{
	struct key key = { .len = KEY_PREFIX + 8 };
	memcpy(key.octets, BACKUP_RECORD_KEY, KEY_PREFIX);
	put_be64(key.octets + KEY_PREFIX, folder_id);
	return key;
}

static bool record_decode(struct slice value, struct backup_record *record_out)
{
	struct cursor c = cursor_of(value);
	uint64_t proven;
	if (!take_byte(&c, RECORD_VERSION) || !take_be64(&c, &proven) ||
	    !take_be64(&c, &record_out->snapshot) || !take_be64(&c, &record_out->messages) ||
	    !take_be64(&c, &record_out->run_id) || !take_be64(&c, &record_out->run_next_blob) ||
	    !take_block(&c, &record_out->path))
		return false;
	record_out->proven_unix = (int64_t)proven;
	return true;
}

bool backup_record_get(struct read *read, uint64_t folder_id, struct backup_record *record_out)
{
	struct key key = record_key(folder_id);
	struct slice value;
	*record_out = (struct backup_record){ .run_id = 0 };
	return db_get(read, DB_MAIN, key_slice(&key), &value) == ERR_OK &&
	       record_decode(value, record_out);
}

/* The records, one after the other. */
static bool record_next(struct row *row, bool first, struct backup_record *record_out)
{
	bool more = first ? row_seek(row, SLICE(BACKUP_RECORD_KEY)) : row_next(row);
	for (; more && row->key.len >= KEY_PREFIX &&
	       memcmp(row->key.ptr, BACKUP_RECORD_KEY, KEY_PREFIX) == 0;
	     more = row_next(row))
		if (row->key.len == KEY_PREFIX + 8 && record_decode(row->value, record_out))
			return true;
	return false;
}

/* Folders that came and went: the oldest makes room. */
static enum err make_room(struct write *write)
{
	struct row row;
	struct backup_record record;
	struct key oldest = { .len = 0 };
	int64_t oldest_unix = INT64_MAX;
	unsigned count = 0;
	row_open(&row, write_read(write), DB_MAIN);
	for (bool more = record_next(&row, true, &record); more;
	     more = record_next(&row, false, &record)) {
		count++;
		if (record.proven_unix < oldest_unix) {
			oldest_unix = record.proven_unix;
			oldest.len = row.key.len;
			memcpy(oldest.octets, row.key.ptr, row.key.len);
		}
	}
	row_close(&row);
	return count < FOLDERS_MAX ? ERR_OK : db_del(write, DB_MAIN, key_slice(&oldest));
}

enum err backup_record_put(struct write *write, uint64_t folder_id,
			   const struct backup_record *record)
{
	struct key key = record_key(folder_id);
	struct buffer value = { 0 };
	enum err err = ERR_OK;
	if (!db_has(write_read(write), DB_MAIN, key_slice(&key)))
		err = make_room(write);
	buffer_add_byte(&value, RECORD_VERSION);
	buffer_add_be64(&value, (uint64_t)record->proven_unix);
	buffer_add_be64(&value, record->snapshot);
	buffer_add_be64(&value, record->messages);
	buffer_add_be64(&value, record->run_id);
	buffer_add_be64(&value, record->run_next_blob);
	buffer_add_block(&value, record->path);
	if (err == ERR_OK)
		err = db_put(write, DB_MAIN, key_slice(&key), buffer_slice(&value), PUT_ANY);
	buffer_free(&value);
	return err;
}

bool backup_last_proven(struct store *store, struct backup_note *note_out)
{
	struct row row;
	struct backup_record record;
	*note_out = (struct backup_note){ .proven_unix = 0 };
	struct read *read = read_begin(store);
	row_open(&row, read, DB_MAIN);
	for (bool more = record_next(&row, true, &record); more;
	     more = record_next(&row, false, &record))
		if (record.proven_unix > note_out->proven_unix) {
			note_out->proven_unix = record.proven_unix;
			note_out->messages = record.messages;
			snprintf(note_out->path, sizeof(note_out->path), "%.*s",
				 SLICE_ARG(record.path));
		}
	row_close(&row);
	read_end(&read);
	return note_out->proven_unix > 0;
}
