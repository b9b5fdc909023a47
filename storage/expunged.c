/* storage/expunged.c - what was expunged, until its time is over.
 *
 * An expunged message's entry moves from its mailbox to the account's expunged ones, with its
 * reference to the body: no body is touched, no count changes. A mailbox that is deleted as a
 * whole leaves its entries where they are; one row says that they are kept. When the time is
 * over, a step in the background lets go of the bodies, which then are garbage like others.
 *
 * Rows hold when they were expunged, not until when they are kept, so a change of the setting
 * counts for all. On a full disk the time shrinks by half at a time: to take mail in comes
 * before giving mail back. Runs in the back; listing and restoring in the admin's process. */
#include "storage/expunged_priv.h"

#include "storage/blob_priv.h"
#include "storage/garbage_priv.h"
#include "storage/message_priv.h"

#include "base/clock.h"

enum {
	REMOVED_MAX = 1000,    /* rows in one transaction */
	ACCOUNTS_MAX = 1000,   /* looked at in one step */
	ROUND_MS = 10 * 60000, /* the time is over some minutes late: nobody minds */
	HURRY_ROUND_MS = 1000,
	HURRY_MOST = 32, /* nothing is left of the time */
};

void store_set_undelete_seconds(struct store *store, uint32_t seconds)
{
	atomic_store(&store->undelete_seconds, seconds);
}

bool expunged_is_kept(const struct store *store)
{
	return atomic_load(&store->undelete_seconds) > 0;
}

/* ---- coming ---- */

static enum err mailbox_get_row(struct read *read, uint32_t account_id, uint64_t mailbox_id,
				struct expunged_mailbox *row_out)
{
	struct key key;
	struct slice value;
	key_expunged_mailbox(&key, account_id, mailbox_id);
	*row_out = (struct expunged_mailbox){ 0 };
	enum err err = db_get(read, DB_EXPUNGED, key_slice(&key), &value);
	if (err == ERR_OK && !expunged_mailbox_decode(value, row_out)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "expunged-mailbox"),
			  HEX("mailbox", mailbox_id));
		*row_out = (struct expunged_mailbox){ 0 };
		err = ERR_DAMAGED;
	}
	return err;
}

enum err expunged_add_mailbox(struct write *write, const struct mailbox *mailbox, bool is_deleted)
{
	struct expunged_mailbox row = {
		.last_unix = write->now_unix,
		.is_deleted = is_deleted,
		.name = mailbox->name,
		.keyword_count = mailbox->keyword_count,
	};
	struct key key;
	struct buffer value = { 0 };
	memcpy(row.keywords, mailbox->keywords, sizeof(row.keywords));
	key_expunged_mailbox(&key, mailbox->account_id, mailbox->mailbox_id);
	expunged_mailbox_encode(&row, &value);
	enum err err = db_put(write, DB_EXPUNGED, key_slice(&key), buffer_slice(&value), PUT_ANY);
	buffer_free(&value);
	return err;
}

enum err expunged_add(struct write *write, const struct mailbox *mailbox,
		      const struct message_entry *entry)
{
	struct key key;
	uint8_t value[ENTRY_OCTETS];
	key_expunged(&key, mailbox->account_id, write->now_unix, mailbox->mailbox_id, entry->uid);
	entry_encode(entry, value);
	return db_put(write, DB_EXPUNGED, key_slice(&key), slice_of(value, sizeof(value)), PUT_ANY);
}

/* ---- looking ---- */

static bool is_mailbox_key(struct slice key, uint32_t account_id, uint64_t *mailbox_id_out)
{
	uint32_t owner_id;
	return key_take_expunged_mailbox(key, &owner_id, mailbox_id_out) && owner_id == account_id;
}

static bool is_message_key(struct slice key, uint32_t account_id, struct expunged_key *key_out)
{
	return key_take_expunged(key, key_out) && key_out->account_id == account_id;
}

static bool next_message(struct read *read, uint32_t account_id, struct expunged_place *place,
			 struct arena *arena, struct expunged *out)
{
	struct row row;
	struct key key;
	struct expunged_key at;
	struct expunged_mailbox mailbox;
	bool found = false;
	row_open(&row, read, DB_EXPUNGED);
	key_expunged(&key, account_id, place->from_unix, place->mailbox_id, place->uid);
	bool more = row_seek_behind(&row, key_slice(&key));
	for (; more && !found && is_message_key(row.key, account_id, &at);
	     more = !found && row_next(&row)) {
		place->from_unix = out->expunged_unix = at.expunged_unix;
		place->mailbox_id = out->mailbox_id = at.mailbox_id;
		place->uid = at.uid;
		found = entry_decode(row.value, place->uid, &out->entry);
		if (!found)
			log_error(NULL, EVENT("store-damaged"), WORD("where", "expunged"),
				  HEX("mailbox", place->mailbox_id), NUM("uid", place->uid));
	}
	row_close(&row);
	if (!found)
		return false;
	out->mailbox_is_deleted = false;
	out->mailbox_name = SLICE_NONE;
	if (mailbox_get_row(read, account_id, out->mailbox_id, &mailbox) == ERR_OK)
		out->mailbox_name = arena_copy(arena, mailbox.name);
	return true;
}

/* Of the mailbox at `place`, which was deleted. */
static bool next_entry(struct read *read, struct expunged_place *place, struct expunged *out)
{
	struct row row;
	bool found = false;
	row_open(&row, read, DB_MAILBOX);
	bool more = place->uid < UINT32_MAX && entry_seek(&row, place->mailbox_id, place->uid + 1);
	for (; more && !found; more = !found && entry_next(&row, place->mailbox_id)) {
		place->uid = entry_uid(&row);
		found = entry_decode(row.value, place->uid, &out->entry);
	}
	row_close(&row);
	return found;
}

static bool next_deleted(struct read *read, uint32_t account_id, struct expunged_place *place,
			 struct arena *arena, struct expunged *out)
{
	struct row row;
	struct key key;
	struct expunged_mailbox mailbox;
	uint64_t mailbox_id;
	bool found = false;
	row_open(&row, read, DB_EXPUNGED);
	key_expunged_mailbox(&key, account_id, place->mailbox_id);
	for (bool more = row_seek(&row, key_slice(&key));
	     more && !found && is_mailbox_key(row.key, account_id, &mailbox_id);
	     more = !found && row_next(&row)) {
		if (mailbox_id != place->mailbox_id) {
			place->mailbox_id = mailbox_id;
			place->uid = 0;
		}
		if (!expunged_mailbox_decode(row.value, &mailbox) || !mailbox.is_deleted)
			continue;
		found = next_entry(read, place, out);
		if (found) {
			out->mailbox_id = mailbox_id;
			out->mailbox_is_deleted = true;
			out->expunged_unix = mailbox.last_unix;
			out->mailbox_name = arena_copy(arena, mailbox.name);
		}
	}
	row_close(&row);
	return found;
}

bool expunged_next(struct read *read, uint32_t account_id, struct expunged_place *place,
		   struct arena *arena, struct expunged *expunged_out)
{
	if (!place->in_deleted && next_message(read, account_id, place, arena, expunged_out))
		return true;
	if (!place->in_deleted)
		*place = (struct expunged_place){ .in_deleted = true };
	return next_deleted(read, account_id, place, arena, expunged_out);
}

uint64_t expunged_keywords(struct read *read, uint32_t account_id, uint64_t mailbox_id,
			   unsigned *left)
{
	struct row row;
	struct key key;
	struct expunged_key at;
	struct message_entry entry;
	uint64_t bits = 0;
	row_open(&row, read, DB_EXPUNGED);
	key_expunged(&key, account_id, 0, 0, 0);
	bool more = row_seek(&row, key_slice(&key));
	for (; more && *left > 0 && ~bits != 0 && is_message_key(row.key, account_id, &at);
	     --*left) {
		if (at.mailbox_id == mailbox_id && entry_decode(row.value, at.uid, &entry))
			bits |= entry.keywords;
		more = row_next(&row);
	}
	row_close(&row);
	return *left > 0 ? bits : UINT64_MAX;
}

/* ---- coming back ---- */

/* Its mailbox, or one of that name. */
static enum err target_find(struct write *write, uint32_t account_id, uint64_t mailbox_id,
			    struct slice name, uint64_t *target_out)
{
	struct mailbox_slot *slot;
	struct mailbox mailbox;
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	*target_out = mailbox_id;
	if (err == ERR_OK && slot->record.mailbox.account_id == account_id)
		return ERR_OK;
	if (name.len == 0)
		name = SLICE("INBOX"); /* always there */
	err = mailbox_find(write_read(write), account_id, name, &write->arena, &mailbox);
	if (err == ERR_NOT_FOUND && !mailbox_name_is_others(name))
		return mailbox_create(write, account_id, name, USE_NONE, target_out);
	if (err == ERR_NOT_FOUND) /* it may not be made again */
		err = mailbox_find(write_read(write), account_id, SLICE("INBOX"), &write->arena,
				   &mailbox);
	*target_out = mailbox.mailbox_id;
	return err;
}

enum err expunged_restore(struct write *write, uint32_t account_id, const struct expunged *expunged)
{
	struct read *read = write_read(write);
	struct expunged_mailbox mailbox;
	struct message_entry entry;
	struct slice value, keywords[MAILBOX_KEYWORDS_MAX];
	size_t keyword_count = 0;
	uint64_t target_id;
	uint32_t uid;
	struct key key;
	enum database db = expunged->mailbox_is_deleted ? DB_MAILBOX : DB_EXPUNGED;
	enum err err = mailbox_get_row(read, account_id, expunged->mailbox_id, &mailbox);
	if (expunged->mailbox_is_deleted && (err != ERR_OK || !mailbox.is_deleted))
		return ERR_NOT_FOUND;
	/* What the map holds moves under the writes that follow. */
	struct slice name = arena_copy(&write->arena, mailbox.name);
	for (size_t i = 0; i < mailbox.keyword_count; i++)
		mailbox.keywords[i] = arena_copy(&write->arena, mailbox.keywords[i]);
	if (expunged->mailbox_is_deleted)
		key_entry(&key, expunged->mailbox_id, expunged->entry.uid);
	else
		key_expunged(&key, account_id, expunged->expunged_unix, expunged->mailbox_id,
			     expunged->entry.uid);
	err = db_get(read, db, key_slice(&key), &value);
	if (err != ERR_OK)
		return err;
	if (!entry_decode(value, expunged->entry.uid, &entry))
		return ERR_DAMAGED;
	for (uint64_t bits = entry.keywords; bits; bits &= bits - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(bits);
		if (mailbox.keywords[bit].len > 0)
			keywords[keyword_count++] = mailbox.keywords[bit];
	}
	entry.flags &= (uint8_t)~FLAG_DELETED;
	err = target_find(write, account_id, expunged->mailbox_id, name, &target_id);
	if (err == ERR_OK)
		err = message_append(write, target_id, &entry, keywords, keyword_count, &uid);
	if (err == ERR_OK)
		err = db_del(write, db, key_slice(&key));
	return err == ERR_OK ? blob_release(write, entry.blob_id) : err;
}

/* ---- going ---- */

/* Removes rows of one account from the walk's place on, as long as they are from before the time;
 * `before_unix` INT64_MAX: all. */
static enum err messages_remove(struct write *write, uint32_t account_id, int64_t before_unix,
				size_t *rows)
{
	enum err err = ERR_OK;
	struct row row;
	struct key key;
	struct expunged_key at;
	struct message_entry entry;
	row_open(&row, write_read(write), DB_EXPUNGED);
	key_expunged(&key, account_id, 0, 0, 0);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && *rows > 0 && more && is_message_key(row.key, account_id, &at) &&
	       at.expunged_unix <= before_unix) {
		bool is_entry = entry_decode(row.value, at.uid, &entry);
		err = row_delete(&row);
		if (err == ERR_OK && is_entry)
			err = blob_release(write, entry.blob_id);
		more = row_next(&row);
		(*rows)--;
	}
	row_close(&row);
	return err;
}

static enum err mailboxes_remove(struct write *write, uint32_t account_id, int64_t before_unix,
				 size_t *rows)
{
	enum err err = ERR_OK;
	struct row row;
	struct key key;
	struct expunged_mailbox mailbox;
	uint64_t mailbox_id;
	row_open(&row, write_read(write), DB_EXPUNGED);
	key_expunged_mailbox(&key, account_id, 0);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && *rows > 0 && more &&
	       is_mailbox_key(row.key, account_id, &mailbox_id)) {
		bool is_good = expunged_mailbox_decode(row.value, &mailbox);
		if (is_good && mailbox.last_unix <= before_unix) {
			err = row_delete(&row);
			if (err == ERR_OK && mailbox.is_deleted)
				err = garbage_add(write, GARBAGE_MAILBOX, mailbox_id,
						  write->now_unix);
			(*rows)--;
		}
		more = row_next(&row);
	}
	row_close(&row);
	return err;
}

enum err expunged_erase(struct write *write, uint32_t account_id, size_t *rows)
{
	enum err err = messages_remove(write, account_id, INT64_MAX, rows);
	return err == ERR_OK && *rows > 0 ? mailboxes_remove(write, account_id, INT64_MAX, rows)
					  : err;
}

struct removal {
	struct job job;
	uint32_t account_id;
	int64_t before_unix;
};

static enum err removal_run(struct write *write, struct job *job)
{
	struct removal *removal = CONTAINER_OF(job, struct removal, job);
	size_t rows = REMOVED_MAX;
	enum err err = messages_remove(write, removal->account_id, removal->before_unix, &rows);
	/* A mailbox's row outlives what was expunged of it. */
	return err == ERR_OK && rows > 0
		       ? mailboxes_remove(write, removal->account_id, removal->before_unix, &rows)
		       : err;
}

/* Whether the account, whose first row `row` stands at, has anything that is past its time. */
static bool has_due(struct row *row, uint32_t account_id, int64_t before_unix)
{
	struct key key;
	struct expunged_key at;
	struct expunged_mailbox mailbox;
	uint64_t mailbox_id;
	bool found = false, more = true;
	for (; more && !found && is_mailbox_key(row->key, account_id, &mailbox_id);
	     more = row_next(row))
		found = expunged_mailbox_decode(row->value, &mailbox) &&
			mailbox.last_unix <= before_unix;
	key_expunged(&key, account_id, 0, 0, 0);
	return found ||
	       (row_seek(row, key_slice(&key)) && is_message_key(row->key, account_id, &at) &&
		at.expunged_unix <= before_unix);
}

enum err expunged_step(struct store *store, struct expunged_walk *walk, uint64_t *wait_ms_out)
{
	struct removal removal = { .job.run = removal_run };
	struct key key;
	struct row row;
	bool is_due = false, is_end = false;
	if (walk->account_id == 0 && store->space_low && space_is_enough(store))
		walk->hurry = 0;
	removal.before_unix = clock_unix() - (int64_t)(store->undelete_seconds >> walk->hurry);
	struct read *read = read_begin(store);
	row_open(&row, read, DB_EXPUNGED);
	for (unsigned i = 0; i < ACCOUNTS_MAX && !is_due && !is_end; i++) {
		key_be32(&key, walk->account_id);
		is_end = !row_seek(&row, key_slice(&key)) || row.key.len < 5;
		if (is_end)
			break;
		removal.account_id = get_be32(row.key.ptr);
		is_due = has_due(&row, removal.account_id, removal.before_unix);
		/* With something due, from the same place again: there may be more of it. */
		walk->account_id = removal.account_id + !is_due;
		is_end = walk->account_id == 0;
	}
	row_close(&row);
	read_end(&read);
	*wait_ms_out = 0;
	if (is_due)
		return store_write_now(store, &removal.job);
	if (!is_end)
		return ERR_OK;
	walk->account_id = 0;
	*wait_ms_out = ROUND_MS;
	if (!store->space_low) {
		walk->hurry = 0;
	} else if (walk->hurry < HURRY_MOST - 1) {
		/* What this round has let go of is removed first; then it is seen whether more must. */
		walk->hurry++;
		*wait_ms_out = HURRY_ROUND_MS;
	}
	return ERR_OK;
}
