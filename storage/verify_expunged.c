/* storage/verify_expunged.c - what was expunged and is kept for a time: its rows, and the bodies
 * they refer to. Runs in the admin's process. */
#include <inttypes.h>

#include "storage/verify_priv.h"

bool row_blob(struct slice key, struct slice value, enum database db, uint64_t *blob_id_out)
{
	struct message_entry entry;
	struct expunged_key expunged;
	struct slice uid;
	uint64_t size_octets;
	if (db == DB_QUEUE)
		return queue_row_body(key, value, blob_id_out, &size_octets);
	bool is_entry = db == DB_EXPUNGED ? key_take_expunged(key, &expunged)
					  : key.len >= 9 && key_is_row(key, get_be64(key.ptr),
								       ROW_ENTRY, &uid);
	if (!is_entry || !entry_decode(value, 0, &entry))
		return false;
	*blob_id_out = entry.blob_id;
	return true;
}

bool deleted_mailbox_find(struct read *read, uint64_t mailbox_id, uint32_t *account_id_out)
{
	struct row row;
	struct key key;
	struct slice value;
	struct expunged_mailbox mailbox;
	bool found = false;
	uint32_t account_id = 0;
	row_open(&row, read, DB_EXPUNGED);
	for (bool more = true; more && !found;) {
		key_be32(&key, account_id);
		more = row_seek(&row, key_slice(&key)) && row.key.len > 4;
		if (!more)
			break;
		account_id = get_be32(row.key.ptr);
		key_expunged_mailbox(&key, account_id, mailbox_id);
		found = db_get(read, DB_EXPUNGED, key_slice(&key), &value) == ERR_OK &&
			/* One that cannot be read is told of by itself. */
			(!expunged_mailbox_decode(value, &mailbox) || mailbox.is_deleted);
		*account_id_out = account_id;
		more = account_id++ < UINT32_MAX;
	}
	row_close(&row);
	return found;
}

/* What is known of the mailbox without the row: whether its entries are there and its record is
 * not. */
static enum err fix_mailbox_row(struct write *write, struct fix *fix)
{
	struct read *read = write_read(write);
	struct mailbox_record record;
	struct expunged_mailbox row = { .last_unix = write->now_unix };
	struct key key;
	struct slice value;
	struct buffer encoded = { 0 };
	key_expunged_mailbox(&key, fix->place.account_id, fix->place.mailbox_id);
	enum err err = db_get(read, DB_EXPUNGED, key_slice(&key), &value);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	if (mailbox_load(read, fix->place.mailbox_id, &write->arena, &record) == ERR_OK) {
		row.name = record.mailbox.name;
		row.keyword_count = record.mailbox.keyword_count;
		memcpy(row.keywords, record.mailbox.keywords, sizeof(row.keywords));
	} else {
		row.is_deleted = true;
		row.name = slice_cstr(arena_format(&write->arena, LOST_AND_FOUND "/%" PRIx64,
						   fix->place.mailbox_id));
	}
	expunged_mailbox_encode(&row, &encoded);
	err = db_put(write, DB_EXPUNGED, key_slice(&key), buffer_slice(&encoded), PUT_ANY);
	buffer_free(&encoded);
	return err;
}

static const char *mailbox_row_wrong(const struct row *row, struct fix *fix)
{
	struct expunged_mailbox mailbox;
	fix->run = fix_mailbox_row;
	return expunged_mailbox_decode(row->value, &mailbox)
		       ? NULL
		       : "what the mailbox was called cannot be read, of which messages were "
			 "expunged";
}

/* Nothing of it is left that could be put aside: it is deleted. */
static const char *message_row_wrong(const struct row *row, struct fix *fix)
{
	struct message_entry entry;
	struct key key;
	if (!entry_decode(row->value, fix->place.uid, &entry))
		return "an expunged message's entry cannot be read";
	fix->place.blob_id = entry.blob_id;
	key_be64(&key, entry.blob_id);
	bool has_body = db_has(row->read, DB_DIGEST, key_slice(&key));
	key_piece(&key, entry.blob_id, 0, 0);
	/* Where chunks are left, the bodies have told of it already. */
	return has_body || db_has(row->read, DB_BLOB, key_slice(&key))
		       ? NULL
		       : "the body of an expunged message is not there";
}

static const char *row_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	struct expunged_key expunged;
	if (key_take_expunged_mailbox(row->key, &fix->place.account_id, &fix->place.mailbox_id))
		return mailbox_row_wrong(row, fix);
	if (!key_take_expunged(row->key, &expunged))
		return NULL;
	fix->place = (struct verify_place){ .account_id = expunged.account_id,
					    .mailbox_id = expunged.mailbox_id,
					    .uid = expunged.uid };
	return message_row_wrong(row, fix);
}

void verify_expunged(struct verify *v)
{
	verify_rows(v, DB_EXPUNGED, 2 * VERIFY_ROW_COST, WRONG_EXPUNGED, row_wrong);
}
