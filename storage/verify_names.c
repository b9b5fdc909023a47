/* storage/verify_names.c - the small databases against one another, each index against what it leads to:
 * here mailbox names and mailboxes' records, and the numbers that will be given next. Runs in the
 * admin's process. */
#include <inttypes.h>

#include "storage/address_priv.h"
#include "storage/garbage_priv.h"
#include "storage/name_priv.h"
#include "storage/verify_priv.h"

static const struct slice head_key = { (const uint8_t *)"!head", 5 };

/* ---- mailbox names ---- */

/* The name of a mailbox that is not there: what is left of it is the subscription. */
static enum err fix_name_row(struct write *write, struct fix *fix)
{
	struct name_row row;
	struct mailbox_record record;
	struct slice value;
	struct buffer encoded = { 0 };
	enum err err = db_get(write_read(write), DB_MAILBOX_NAME, fix->key, &value);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	if (!name_decode(value, &row))
		return db_del(write, DB_MAILBOX_NAME, fix->key);
	bool leads = row.mailbox_id != 0 && mailbox_load(write_read(write), row.mailbox_id,
							 &write->arena, &record) == ERR_OK;
	bool is_its = leads && record.mailbox.account_id == fix->place.account_id &&
		      slice_eq(record.mailbox.name, slice_sub(fix->key, 4, fix->key.len - 4));
	if (is_its) {
		row.special_use = record.mailbox.special_use;
	} else {
		row.mailbox_id = 0;
		row.special_use = USE_NONE;
	}
	if (row.mailbox_id == 0 && !row.subscribed)
		return db_del(write, DB_MAILBOX_NAME, fix->key);
	name_encode(&row, &encoded);
	err = db_put(write, DB_MAILBOX_NAME, fix->key, buffer_slice(&encoded), PUT_ANY);
	buffer_free(&encoded);
	return err;
}

/* The record is lost, the messages may be there. */
static enum err fix_lost_record(struct write *write, struct fix *fix)
{
	return repair_mailbox(write, fix->place.mailbox_id);
}

static bool has_rows(struct read *read, uint64_t mailbox_id)
{
	struct row row;
	struct key key;
	key_be64(&key, mailbox_id);
	row_open(&row, read, DB_MAILBOX);
	bool has = row_seek(&row, key_slice(&key)) && row.key.len >= 8 &&
		   get_be64(row.key.ptr) == mailbox_id;
	row_close(&row);
	return has;
}

/* NULL: the row is right. `lost_out`: it is the mailbox's record that is not. */
static const char *name_wrong(struct read *read, uint32_t account_id, struct slice name,
			      struct slice value, struct name_row *row, bool *lost_out)
{
	struct key key;
	struct slice record_value;
	struct mailbox_record record;
	*lost_out = false;
	if (!name_decode(value, row))
		return "the row of the name is damaged";
	if (row->mailbox_id == 0)
		return row->subscribed ? NULL : "a name without a mailbox or a subscription";
	key_mailbox_row(&key, row->mailbox_id, ROW_RECORD);
	enum err err = db_get(read, DB_MAILBOX, key_slice(&key), &record_value);
	if (err != ERR_OK || !mailbox_decode(record_value, row->mailbox_id, &record)) {
		*lost_out = err == ERR_OK || has_rows(read, row->mailbox_id);
		return *lost_out ? "the mailbox's record is lost or damaged"
				 : "the name leads to a mailbox that is not there";
	}
	if (record.mailbox.account_id != account_id || !slice_eq(record.mailbox.name, name))
		return "the name leads to a mailbox that has another";
	return row->special_use == record.mailbox.special_use
		       ? NULL
		       : "the special use of the name is not the mailbox's";
}

static void check_names(struct verify *v)
{
	struct verify_walk walk;
	verify_walk_begin(&walk, v, DB_MAILBOX_NAME);
	while (verify_walk_next(&walk, 2 * VERIFY_ROW_COST)) {
		struct name_row row = { 0 };
		bool is_lost;
		verify_advance(v, 1);
		if (walk.row.key.len <= 4)
			continue;
		uint32_t account_id = get_be32(walk.row.key.ptr);
		struct slice name = slice_sub(walk.row.key, 4, walk.row.key.len - 4);
		const char *wrong =
			name_wrong(walk.row.read, account_id, name, walk.row.value, &row, &is_lost);
		if (!wrong)
			continue;
		struct key key = { .len = walk.row.key.len };
		memcpy(key.octets, walk.row.key.ptr, key.len);
		struct verify_place place = { .account_id = account_id,
					      .mailbox_id = is_lost ? row.mailbox_id : 0,
					      .name = slice_sub(key_slice(&key), 4, key.len - 4) };
		struct fix fix = { .run = is_lost ? fix_lost_record : fix_name_row,
				   .key = key_slice(&key) };
		verify_walk_pause(&walk);
		verify_tell(v, is_lost ? WRONG_MAILBOX : WRONG_NAME, &place, &fix, "%s", wrong);
	}
	verify_walk_end(&walk);
}

/* ---- mailboxes ---- */

/* A name for a mailbox that has none: its own, or, where another has that, one in lost+found. */
static enum err fix_nameless(struct write *write, struct fix *fix)
{
	struct mailbox_slot *slot;
	struct account_slot *account;
	struct name_row row;
	enum err err = mailbox_slot_get(write, fix->place.mailbox_id, &slot);
	if (err == ERR_OK)
		err = account_slot_get(write, slot->record.mailbox.account_id, &account);
	if (err != ERR_OK)
		return err;
	struct mailbox *mailbox = &slot->record.mailbox;
	err = name_get(write_read(write), mailbox->account_id, mailbox->name, &row);
	if (err == ERR_OK && row.mailbox_id == mailbox->mailbox_id)
		return ERR_OK;
	if ((err == ERR_OK && row.mailbox_id != 0) || name_check(mailbox->name) != ERR_OK) {
		mailbox->name = slice_cstr(arena_format(&write->arena, LOST_AND_FOUND "/%" PRIx64,
							mailbox->mailbox_id));
		mailbox_slot_dirty(write, slot);
		row.subscribed = true;
	}
	row.mailbox_id = mailbox->mailbox_id;
	row.special_use = mailbox->special_use;
	err = name_put(write, account, mailbox->name, &row);
	write_note_news(write, mailbox->account_id,
			&(struct watch_news){ .kinds = WATCH_CREATED, .name = mailbox->name });
	return err;
}

static enum err fix_mailbox_garbage(struct write *write, struct fix *fix)
{
	struct key key;
	key_garbage(&key, GARBAGE_MAILBOX, fix->place.mailbox_id);
	enum err err = db_del(write, DB_GARBAGE, key_slice(&key));
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static void check_record(struct verify *v, struct verify_walk *walk, uint64_t mailbox_id)
{
	struct read *read = walk->row.read;
	struct mailbox_record record;
	struct name_row name;
	struct account_row account;
	struct key key;
	struct slice rest, value;
	struct verify_place place = { .mailbox_id = mailbox_id };
	struct fix fix = { .run = fix_lost_record };
	key_garbage(&key, GARBAGE_MAILBOX, mailbox_id);
	bool is_garbage = db_has(read, DB_GARBAGE, key_slice(&key));
	bool has_record = key_is_row(walk->row.key, mailbox_id, ROW_RECORD, &rest);
	if (!has_record &&
	    (is_garbage || deleted_mailbox_find(read, mailbox_id, &place.account_id)))
		return; /* deleted, and kept for a time or on its way out */
	if (!has_record || !mailbox_decode(walk->row.value, mailbox_id, &record)) {
		verify_walk_pause(walk);
		verify_tell(v, WRONG_MAILBOX, &place, &fix,
			    "the record of mailbox %" PRIx64 " is lost or damaged", mailbox_id);
		return;
	}
	if (record.mailbox.uidvalidity > v->last_uidvalidity)
		v->last_uidvalidity = record.mailbox.uidvalidity;
	place.account_id = record.mailbox.account_id;
	if (is_garbage) {
		fix.run = fix_mailbox_garbage;
		verify_walk_pause(walk);
		verify_tell(v, WRONG_GARBAGE, &place, &fix, "the mailbox is to be removed");
		return;
	}
	key_be32(&key, record.mailbox.account_id);
	if (db_get(read, DB_ACCOUNT, key_slice(&key), &value) != ERR_OK) {
		verify_walk_pause(walk);
		/* Where an address leads to the account, that was told of. */
		if (verify_login_of(v, place.account_id).len > 0)
			return;
		verify_tell(v, WRONG_OWNER, &place, NULL,
			    "the mailbox belongs to an account that is not there");
		return;
	}
	if (!account_decode(value, record.mailbox.account_id, &account))
		return; /* told with the accounts */
	bool has_name = key_mailbox_name(&key, record.mailbox.account_id, record.mailbox.name) &&
			db_get(read, DB_MAILBOX_NAME, key_slice(&key), &value) == ERR_OK &&
			name_decode(value, &name) && name.mailbox_id == mailbox_id;
	if (!has_name) {
		fix.run = fix_nameless;
		verify_walk_pause(walk);
		verify_tell(v, WRONG_NAME, &place, &fix, "no name leads to the mailbox");
	}
}

static void check_mailboxes(struct verify *v)
{
	struct verify_walk walk;
	struct key next;
	verify_walk_begin(&walk, v, DB_MAILBOX);
	while (verify_walk_next(&walk, 2 * VERIFY_ROW_COST)) {
		if (walk.row.key.len < 8)
			continue;
		uint64_t mailbox_id = get_be64(walk.row.key.ptr);
		v->last_mailbox_id = mailbox_id;
		check_record(v, &walk, mailbox_id);
		if (mailbox_id == UINT64_MAX)
			break;
		key_be64(&next, mailbox_id + 1);
		verify_walk_skip_to(&walk, &next);
	}
	verify_walk_end(&walk);
}

/* ---- the numbers that come next ---- */

static uint64_t last_number(struct read *read, enum database db)
{
	struct row row;
	struct key key;
	uint64_t low = 0, high = UINT64_MAX;
	/* The greatest first octets of a key: halved until they are found. */
	row_open(&row, read, db);
	while (low < high) {
		uint64_t middle = low + (high - low) / 2 + 1;
		key_be64(&key, middle);
		if (row_seek(&row, key_slice(&key)) && row.key.len >= 8) {
			low = get_be64(row.key.ptr);
		} else {
			high = middle - 1;
		}
	}
	row_close(&row);
	return low;
}

static bool head_is_right(struct verify *v, struct read *read, const struct head *head)
{
	uint64_t blob_id = last_number(read, DB_BLOB), digest_id = last_number(read, DB_DIGEST);
	v->last_blob_id = blob_id > digest_id ? blob_id : digest_id;
	v->last_mailbox_id = last_number(read, DB_MAILBOX);
	return head->next_blob_id > v->last_blob_id && head->next_mailbox_id > v->last_mailbox_id &&
	       head->next_account_id > v->last_account_id &&
	       head->last_uidvalidity >= v->last_uidvalidity;
}

static enum err fix_head(struct write *write, struct fix *fix)
{
	struct verify *v = fix->v;
	struct head *head = &write->head;
	if (head_is_right(v, write_read(write), head))
		return ERR_OK;
	if (head->next_blob_id <= v->last_blob_id)
		head->next_blob_id = v->last_blob_id + 1;
	if (head->next_mailbox_id <= v->last_mailbox_id)
		head->next_mailbox_id = v->last_mailbox_id + 1;
	if (head->next_account_id <= v->last_account_id)
		head->next_account_id = v->last_account_id + 1;
	if (head->last_uidvalidity < v->last_uidvalidity)
		head->last_uidvalidity = v->last_uidvalidity;
	write_touch(write);
	return ERR_OK;
}

static void check_head(struct verify *v)
{
	struct slice record;
	struct head head;
	struct verify_place place = { 0 };
	struct fix fix = { .run = fix_head };
	struct read *read = verify_read(v);
	if (db_get(read, DB_MAIN, head_key, &record) != ERR_OK || !head_decode(record, &head))
		verify_tell(v, UNREADABLE, &place, NULL, "the store's head cannot be read");
	else if (!head_is_right(v, read, &head))
		verify_tell(v, WRONG_HEAD, &place, &fix,
			    "a number that is to be given next is in use already");
	verify_pause(v);
}

void verify_names(struct verify *v)
{
	verify_domains(v);
	/* Before anything that makes new mailboxes. */
	check_head(v);
	/* Before what belongs to the accounts that they lead to. */
	verify_addresses(v);
	check_names(v);
	check_mailboxes(v);
	verify_account_records(v);
	check_head(v); /* with what the walks have met */
}
