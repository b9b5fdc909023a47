/* storage/change.c - the change log of a mailbox: which UIDs changed or vanished at which MODSEQ
 * (RFC 7162). Sessions keep up by it, and clients that come back.
 *
 * It is bounded, in rows and in octets; the oldest go first, many at a time. Who was away
 * longer compares with the messages themselves. Runs in the back. */
#include "storage/message.h"
#include "storage/store_priv.h"

enum {
	LOG_ROWS_MAX = 2048, /* half of them are kept: a client may miss 1,000 changes */
	LOG_OCTETS_MAX = 256 * 1024,
	ROW_OVERHEAD = 17, /* its key */
};

static void change_encode(enum change_kind kind, const struct ranges *uids, struct buffer *out)
{
	uint8_t *at = buffer_reserve(out, 2 + (size_t)uids->count * RUN_OCTETS);
	at[0] = RECORD_VERSION;
	at[1] = (uint8_t)kind;
	for (uint32_t i = 0; i < uids->count; i++) {
		put_be32(at + 2 + (size_t)i * RUN_OCTETS, uids->runs[i].first);
		put_be32(at + 2 + (size_t)i * RUN_OCTETS + 4, uids->runs[i].last);
	}
	out->len += 2 + (size_t)uids->count * RUN_OCTETS;
}

static bool change_decode(struct slice record, struct ranges *changed, struct ranges *vanished)
{
	struct cursor c = cursor_of(record);
	uint8_t kind;
	uint32_t first, last;
	if (!take_byte(&c, RECORD_VERSION) || !take_u8(&c, &kind) ||
	    (kind != CHANGE_TOUCHED && kind != CHANGE_VANISHED))
		return false;
	while (!at_end(&c)) {
		if (!take_be32(&c, &first) || !take_be32(&c, &last) || first > last)
			return false;
		ranges_add(kind == CHANGE_TOUCHED ? changed : vanished, first, last);
	}
	return true;
}

/* Down to half, so that it is seldom done. */
static enum err prune(struct write *write, struct mailbox_slot *slot)
{
	struct mailbox_record *record = &slot->record;
	enum err err = ERR_OK;
	struct key key;
	struct row row;
	struct slice modseq;
	row_open(&row, write_read(write), DB_MAILBOX);
	key_change(&key, record->mailbox.mailbox_id, 0);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && more &&
	       (record->log_rows > LOG_ROWS_MAX / 2 || record->log_octets > LOG_OCTETS_MAX / 2) &&
	       key_is_row(row.key, record->mailbox.mailbox_id, ROW_CHANGE, &modseq)) {
		uint64_t octets = row.value.len + ROW_OVERHEAD;
		record->mailbox.pruned_modseq = get_be64(modseq.ptr);
		record->log_rows -= record->log_rows > 0;
		record->log_octets -= octets < record->log_octets ? octets : record->log_octets;
		err = row_delete(&row);
		more = row_next(&row);
	}
	row_close(&row);
	return err;
}

enum err change_add(struct write *write, struct mailbox_slot *slot, uint64_t modseq,
		    enum change_kind kind, const struct ranges *uids)
{
	struct mailbox_record *record = &slot->record;
	struct buffer value = { 0 };
	struct key key;
	change_encode(kind, uids, &value);
	key_change(&key, record->mailbox.mailbox_id, modseq);
	enum err err = db_put(write, DB_MAILBOX, key_slice(&key), buffer_slice(&value), PUT_ANY);
	record->log_rows++;
	record->log_octets += value.len + ROW_OVERHEAD;
	record->mailbox.highest_modseq = modseq;
	mailbox_slot_dirty(write, slot);
	write_note(write, record->mailbox.account_id, record->mailbox.mailbox_id);
	buffer_free(&value);
	if (err == ERR_OK &&
	    (record->log_rows > LOG_ROWS_MAX || record->log_octets > LOG_OCTETS_MAX))
		err = prune(write, slot);
	return err;
}

enum err message_changes(struct read *read, uint64_t mailbox_id, uint64_t since_modseq,
			 struct ranges *changed_out, struct ranges *vanished_out)
{
	struct arena arena = { 0 };
	struct mailbox_record record;
	struct key key;
	struct row row;
	struct slice modseq;
	enum err err = mailbox_load(read, mailbox_id, &arena, &record);
	arena_fini(&arena);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_GONE : err;
	if (since_modseq < record.mailbox.pruned_modseq)
		return ERR_GONE;
	if (since_modseq >= record.mailbox.highest_modseq)
		return ERR_OK;
	row_open(&row, read, DB_MAILBOX);
	key_change(&key, mailbox_id, since_modseq + 1);
	for (bool more = row_seek(&row, key_slice(&key));
	     more && err == ERR_OK && key_is_row(row.key, mailbox_id, ROW_CHANGE, &modseq);
	     more = row_next(&row))
		if (!change_decode(row.value, changed_out, vanished_out)) {
			log_error(NULL, EVENT("store-damaged"), WORD("where", "change"),
				  HEX("mailbox", mailbox_id));
			err = ERR_DAMAGED;
		}
	row_close(&row);
	/* UIDs are never used again, so what vanished did not change afterwards. */
	for (uint32_t i = 0; i < vanished_out->count; i++)
		ranges_remove(changed_out, vanished_out->runs[i].first, vanished_out->runs[i].last);
	return err;
}
