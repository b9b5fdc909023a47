/* storage/repair.c - derived records brought in line with what they are derived from: the counts
 * and numbers of a mailbox, its change log, the usage of an account. Each in one write, which
 * counts for itself. Runs in the admin's process. */
#include <inttypes.h>

#include "storage/message_priv.h"
#include "storage/verify_priv.h"

/* ---- a mailbox whose record is lost ---- */

/* The name that leads to it, or the account that its broken record still names. */
static enum err owner_find(struct write *write, uint64_t mailbox_id, uint32_t *account_id_out,
			   struct slice *name_out, struct name_row *row_out)
{
	struct read *read = write_read(write);
	struct row row;
	struct key key = { .octets = { 0 }, .len = 1 };
	bool found = false;
	row_open(&row, read, DB_MAILBOX_NAME);
	for (bool more = row_seek(&row, key_slice(&key)); more && !found; more = row_next(&row))
		if (row.key.len > 4 && name_decode(row.value, row_out) &&
		    row_out->mailbox_id == mailbox_id) {
			*account_id_out = get_be32(row.key.ptr);
			*name_out =
				arena_copy(&write->arena, slice_sub(row.key, 4, row.key.len - 4));
			found = true;
		}
	row_close(&row);
	if (found)
		return ERR_OK;
	struct slice record;
	struct account_row account;
	key_mailbox_row(&key, mailbox_id, ROW_RECORD);
	if (db_get(read, DB_MAILBOX, key_slice(&key), &record) != ERR_OK || record.len < 5)
		return ERR_NOT_FOUND;
	*account_id_out = get_be32(record.ptr + 1);
	if (account_load(read, *account_id_out, &write->arena, &account) != ERR_OK)
		return ERR_NOT_FOUND;
	*name_out = slice_cstr(arena_format(&write->arena, LOST_AND_FOUND "/%" PRIx64, mailbox_id));
	*row_out = (struct name_row){ .mailbox_id = mailbox_id, .subscribed = true };
	return ERR_OK;
}

/* With a UIDVALIDITY that was never used: what clients know of it may not hold. */
static enum err record_rebuild(struct write *write, uint64_t mailbox_id,
			       struct mailbox_slot **slot_out)
{
	struct name_row name;
	struct slice text;
	uint32_t account_id;
	struct account_row account;
	enum err err = owner_find(write, mailbox_id, &account_id, &text, &name);
	if (err == ERR_OK)
		err = account_load(write_read(write), account_id, &write->arena, &account);
	if (err != ERR_OK)
		return err;
	uint32_t now = (uint32_t)write->now_unix, last = write->head.last_uidvalidity;
	write->head.last_uidvalidity = now > last ? now : last + 1;
	struct mailbox_slot *slot = mailbox_slot_new(write, mailbox_id);
	slot->record.mailbox.account_id = account_id;
	slot->record.mailbox.uidvalidity = write->head.last_uidvalidity;
	slot->record.mailbox.recent_from_uid = 1;
	slot->record.mailbox.uidnext = 1;
	slot->record.mailbox.created_unix = (uint64_t)write->now_unix;
	slot->record.mailbox.special_use = name.special_use;
	slot->record.mailbox.name = text;
	mailbox_slot_dirty(write, slot);
	*slot_out = slot;
	return ERR_OK;
}

/* ---- a mailbox ---- */

static void tally_all(struct tally *tally, struct read *read, const struct mailbox_record *record)
{
	struct row row;
	struct message_entry entry;
	uint64_t mailbox_id = record->mailbox.mailbox_id;
	tally_log(tally, read, record);
	row_open(&row, read, DB_MAILBOX);
	for (bool more = entry_seek(&row, mailbox_id, 0); more;
	     more = entry_next(&row, mailbox_id)) {
		if (entry_decode(row.value, entry_uid(&row), &entry))
			tally_entry(tally, read, record, &entry);
		else
			tally->last_uid = entry_uid(&row);
	}
	row_close(&row);
}

static void keywords_name(struct write *write, struct mailbox *mailbox, uint64_t nameless)
{
	for (; nameless; nameless &= nameless - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(nameless);
		mailbox->keywords[bit] =
			slice_cstr(arena_format(&write->arena, "keyword-%u", bit + 1));
		if (bit >= mailbox->keyword_count)
			mailbox->keyword_count = bit + 1;
	}
}

enum err repair_mailbox(struct write *write, uint64_t mailbox_id)
{
	struct mailbox_slot *slot;
	struct account_slot *account;
	struct tally tally = { 0 };
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	if (err == ERR_NOT_FOUND || err == ERR_DAMAGED)
		err = record_rebuild(write, mailbox_id, &slot);
	if (err == ERR_OK)
		err = account_slot_get(write, slot->record.mailbox.account_id, &account);
	if (err != ERR_OK)
		return err;
	struct mailbox *mailbox = &slot->record.mailbox;
	tally_all(&tally, write_read(write), &slot->record);
	mailbox->messages = tally.messages;
	mailbox->unseen = tally.unseen;
	mailbox->deleted = tally.deleted;
	mailbox->size_octets = tally.size_octets;
	if (tally.last_uid >= mailbox->uidnext)
		mailbox->uidnext = tally.last_uid < UINT32_MAX ? tally.last_uid + 1 : UINT32_MAX;
	if (mailbox->recent_from_uid > mailbox->uidnext)
		mailbox->recent_from_uid = mailbox->uidnext;
	keywords_name(write, mailbox, tally_nameless_keywords(&tally, mailbox));
	if (tally.last_modseq > mailbox->highest_modseq)
		mailbox->highest_modseq = tally.last_modseq;
	if (mailbox->highest_modseq > account->row.account.modseq)
		account->row.account.modseq = mailbox->highest_modseq;
	/* Sessions that have it open hear that something is new, and that the log is no help. */
	mailbox->highest_modseq = account_next_modseq(write, account);
	err = change_log_empty(write, slot);
	if (err == ERR_OK)
		err = gaps_rebuild(write, mailbox_id, mailbox->uidnext);
	mailbox->pruned_modseq = mailbox->highest_modseq;
	mailbox_slot_dirty(write, slot);
	write_note(write, mailbox->account_id, mailbox_id,
		   WATCH_ARRIVED | WATCH_EXPUNGED | WATCH_FLAGS | WATCH_SEEN);
	tally_fini(&tally);
	return err;
}

/* ---- an account ---- */

enum err repair_account(struct write *write, uint32_t account_id)
{
	struct account_slot *account;
	struct row row;
	struct key key;
	struct name_row name;
	enum err err = account_slot_get(write, account_id, &account);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	struct account *is = &account->row.account;
	is->used_messages = is->used_octets = 0;
	account->row.mailboxes = 0;
	row_open(&row, write_read(write), DB_MAILBOX_NAME);
	key_be32(&key, account_id);
	for (bool more = row_seek(&row, key_slice(&key));
	     more && row.key.len > 4 && get_be32(row.key.ptr) == account_id;
	     more = row_next(&row)) {
		struct mailbox_slot *slot;
		account->row.mailboxes++;
		if (!name_decode(row.value, &name) || name.mailbox_id == 0 ||
		    mailbox_slot_get(write, name.mailbox_id, &slot) != ERR_OK)
			continue;
		is->used_messages += slot->record.mailbox.messages;
		is->used_octets += slot->record.mailbox.size_octets;
		if (slot->record.mailbox.highest_modseq > is->modseq)
			is->modseq = slot->record.mailbox.highest_modseq;
	}
	row_close(&row);
	account_slot_dirty(write, account);
	return ERR_OK;
}
