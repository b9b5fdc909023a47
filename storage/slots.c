/* storage/slots.c - the records of accounts and mailboxes as a batch sees them: read once,
 * changed in memory, written once before the commit, however many messages the batch files.
 * Runs in the back, and in the admin's process. */
#include "storage/store_priv.h"

static enum err damaged(const char *what, uint64_t id)
{
	log_error(NULL, EVENT("store-damaged"), WORD("where", what), HEX("id", id));
	return ERR_DAMAGED;
}

/* ---- accounts ---- */

static struct account_slot *account_slot_find(struct write *write, uint32_t account_id)
{
	struct account_slot *slot = write->accounts[account_id % WRITE_BUCKETS];
	while (slot && slot->row.account.account_id != account_id)
		slot = slot->next;
	return slot;
}

struct account_slot *account_slot_new(struct write *write, uint32_t account_id)
{
	struct account_slot *slot = arena_alloc(&write->arena, sizeof(*slot));
	slot->row.account.account_id = account_id;
	slot->next = write->accounts[account_id % WRITE_BUCKETS];
	write->accounts[account_id % WRITE_BUCKETS] = slot;
	return slot;
}

static void account_copy(const struct account_row *from, struct arena *arena,
			 struct account_row *to)
{
	*to = *from;
	to->account.login = arena_copy(arena, from->account.login);
	to->account.password_hash = arena_copy(arena, from->account.password_hash);
}

enum err account_load(struct read *read, uint32_t account_id, struct arena *arena,
		      struct account_row *row_out)
{
	struct account_slot *slot = read->write ? account_slot_find(read->write, account_id) : NULL;
	if (slot && slot->removed)
		return ERR_NOT_FOUND;
	if (slot) {
		account_copy(&slot->row, arena, row_out);
		return ERR_OK;
	}
	struct key key;
	struct slice record;
	struct account_row row;
	key_be32(&key, account_id);
	enum err err = db_get(read, DB_ACCOUNT, key_slice(&key), &record);
	if (err != ERR_OK)
		return err;
	if (!account_decode(record, account_id, &row))
		return damaged("account", account_id);
	account_copy(&row, arena, row_out);
	return ERR_OK;
}

enum err account_slot_get(struct write *write, uint32_t account_id, struct account_slot **slot_out)
{
	struct account_row row;
	*slot_out = account_slot_find(write, account_id);
	if (*slot_out)
		return (*slot_out)->removed ? ERR_NOT_FOUND : ERR_OK;
	enum err err = account_load(write_read(write), account_id, &write->arena, &row);
	if (err != ERR_OK)
		return err;
	*slot_out = account_slot_new(write, account_id);
	(*slot_out)->row = row;
	return ERR_OK;
}

void account_slot_dirty(struct write *write, struct account_slot *slot)
{
	write_touch(write);
	slot->dirty = true;
}

uint64_t account_next_modseq(struct write *write, struct account_slot *slot)
{
	account_slot_dirty(write, slot);
	return ++slot->row.account.modseq;
}

enum err account_slots_flush(struct write *write)
{
	struct buffer record = { 0 };
	enum err err = ERR_OK;
	for (size_t i = 0; i < WRITE_BUCKETS && err == ERR_OK; i++)
		for (struct account_slot *slot = write->accounts[i]; slot && err == ERR_OK;
		     slot = slot->next) {
			struct key key;
			if (!slot->dirty || slot->removed)
				continue;
			buffer_clear(&record);
			account_encode(&slot->row, &record);
			key_be32(&key, slot->row.account.account_id);
			err = db_put(write, DB_ACCOUNT, key_slice(&key), buffer_slice(&record),
				     PUT_ANY);
			slot->dirty = false;
		}
	buffer_free(&record);
	return err;
}

/* ---- mailboxes ---- */

static struct mailbox_slot *mailbox_slot_find(struct write *write, uint64_t mailbox_id)
{
	struct mailbox_slot *slot = write->mailboxes[mailbox_id % WRITE_BUCKETS];
	while (slot && slot->record.mailbox.mailbox_id != mailbox_id)
		slot = slot->next;
	return slot;
}

struct mailbox_slot *mailbox_slot_new(struct write *write, uint64_t mailbox_id)
{
	struct mailbox_slot *slot = arena_alloc(&write->arena, sizeof(*slot));
	slot->record.mailbox.mailbox_id = mailbox_id;
	slot->next = write->mailboxes[mailbox_id % WRITE_BUCKETS];
	write->mailboxes[mailbox_id % WRITE_BUCKETS] = slot;
	return slot;
}

static void mailbox_copy(const struct mailbox_record *from, struct arena *arena,
			 struct mailbox_record *to)
{
	*to = *from;
	to->mailbox.name = arena_copy(arena, from->mailbox.name);
	for (size_t i = 0; i < from->mailbox.keyword_count; i++)
		if (from->mailbox.keywords[i].ptr)
			to->mailbox.keywords[i] = arena_copy(arena, from->mailbox.keywords[i]);
}

enum err mailbox_load(struct read *read, uint64_t mailbox_id, struct arena *arena,
		      struct mailbox_record *record_out)
{
	struct mailbox_slot *slot = read->write ? mailbox_slot_find(read->write, mailbox_id) : NULL;
	if (slot && slot->removed)
		return ERR_NOT_FOUND;
	if (slot) {
		mailbox_copy(&slot->record, arena, record_out);
		return ERR_OK;
	}
	struct key key;
	struct slice value;
	struct mailbox_record record;
	key_mailbox_row(&key, mailbox_id, ROW_RECORD);
	enum err err = db_get(read, DB_MAILBOX, key_slice(&key), &value);
	if (err != ERR_OK)
		return err;
	if (!mailbox_decode(value, mailbox_id, &record))
		return damaged("mailbox", mailbox_id);
	mailbox_copy(&record, arena, record_out);
	return ERR_OK;
}

enum err mailbox_slot_get(struct write *write, uint64_t mailbox_id, struct mailbox_slot **slot_out)
{
	struct mailbox_record record;
	*slot_out = mailbox_slot_find(write, mailbox_id);
	if (*slot_out)
		return (*slot_out)->removed ? ERR_NOT_FOUND : ERR_OK;
	enum err err = mailbox_load(write_read(write), mailbox_id, &write->arena, &record);
	if (err != ERR_OK)
		return err;
	*slot_out = mailbox_slot_new(write, mailbox_id);
	(*slot_out)->record = record;
	return ERR_OK;
}

void mailbox_slot_dirty(struct write *write, struct mailbox_slot *slot)
{
	write_touch(write);
	slot->dirty = true;
}

enum err mailbox_slots_flush(struct write *write)
{
	struct buffer record = { 0 };
	enum err err = ERR_OK;
	for (size_t i = 0; i < WRITE_BUCKETS && err == ERR_OK; i++)
		for (struct mailbox_slot *slot = write->mailboxes[i]; slot && err == ERR_OK;
		     slot = slot->next) {
			struct key key;
			if (!slot->dirty || slot->removed)
				continue;
			buffer_clear(&record);
			mailbox_encode(&slot->record, &record);
			key_mailbox_row(&key, slot->record.mailbox.mailbox_id, ROW_RECORD);
			err = db_put(write, DB_MAILBOX, key_slice(&key), buffer_slice(&record),
				     PUT_ANY);
			slot->dirty = false;
		}
	buffer_free(&record);
	return err;
}
