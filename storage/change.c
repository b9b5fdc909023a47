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

/* Adds the runs of a change to a set. */
static bool add_runs(const struct change *change, struct ranges *set)
{
	for (size_t at = 0; at < change->runs.len; at += RUN_OCTETS) {
		uint32_t first = get_be32(change->runs.ptr + at);
		uint32_t last = get_be32(change->runs.ptr + at + 4);
		if (first > last)
			return false;
		ranges_add(set, first, last);
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

enum err change_log_empty(struct write *write, struct mailbox_slot *slot)
{
	struct row row;
	struct key key;
	struct slice modseq;
	enum err err = ERR_OK;
	uint64_t mailbox_id = slot->record.mailbox.mailbox_id;
	row_open(&row, write_read(write), DB_MAILBOX);
	key_change(&key, mailbox_id, 0);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && more && key_is_row(row.key, mailbox_id, ROW_CHANGE, &modseq)) {
		err = row_delete(&row);
		more = row_next(&row);
	}
	row_close(&row);
	slot->record.log_rows = 0;
	slot->record.log_octets = 0;
	return err;
}

static unsigned kinds_of(const struct change *change)
{
	switch (change->kind) {
	case CHANGE_TOUCHED: return WATCH_ARRIVED;
	case CHANGE_VANISHED: return WATCH_EXPUNGED;
	case CHANGE_FLAGS: break;
	}
	return change->flags & FLAG_SEEN ? WATCH_FLAGS | WATCH_SEEN : WATCH_FLAGS;
}

enum err change_add(struct write *write, struct mailbox_slot *slot, uint64_t modseq,
		    const struct change *change, const struct ranges *uids)
{
	struct mailbox_record *record = &slot->record;
	struct buffer value = { 0 };
	struct key key;
	change_encode(change, uids, &value);
	key_change(&key, record->mailbox.mailbox_id, modseq);
	enum err err = db_put(write, DB_MAILBOX, key_slice(&key), buffer_slice(&value), PUT_ANY);
	record->log_rows++;
	record->log_octets += value.len + ROW_OVERHEAD;
	record->mailbox.highest_modseq = modseq;
	mailbox_slot_dirty(write, slot);
	write_note(write, record->mailbox.account_id, record->mailbox.mailbox_id, kinds_of(change));
	buffer_free(&value);
	if (err == ERR_OK &&
	    (record->log_rows > LOG_ROWS_MAX || record->log_octets > LOG_OCTETS_MAX))
		err = prune(write, slot);
	return err;
}

/* Visits the rows after a MODSEQ. visit() says false of one that cannot be. */
static enum err log_each(struct read *read, uint64_t mailbox_id, uint64_t since_modseq,
			 bool (*visit)(void *user, const struct change *change), void *user)
{
	enum err err = ERR_OK;
	struct change change;
	struct slice modseq;
	struct key key;
	struct row row;
	row_open(&row, read, DB_MAILBOX);
	key_change(&key, mailbox_id, since_modseq + 1);
	for (bool more = row_seek(&row, key_slice(&key));
	     more && err == ERR_OK && key_is_row(row.key, mailbox_id, ROW_CHANGE, &modseq);
	     more = row_next(&row))
		if (!change_decode(row.value, &change) || !visit(user, &change)) {
			log_error(NULL, EVENT("store-damaged"), WORD("where", "change"),
				  HEX("mailbox", mailbox_id));
			err = ERR_DAMAGED;
		}
	row_close(&row);
	return err;
}

struct sets {
	struct ranges *changed, *vanished;
};

static bool visit_change(void *user, const struct change *change)
{
	const struct sets *sets = user;
	return add_runs(change, change->kind == CHANGE_VANISHED ? sets->vanished : sets->changed);
}

enum err message_changes(struct read *read, uint64_t mailbox_id, uint64_t since_modseq,
			 struct ranges *changed_out, struct ranges *vanished_out)
{
	struct arena arena = { 0 };
	struct mailbox_record record;
	enum err err = mailbox_load(read, mailbox_id, &arena, &record);
	arena_fini(&arena);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_GONE : err;
	if (since_modseq < record.mailbox.pruned_modseq)
		return ERR_GONE;
	if (since_modseq >= record.mailbox.highest_modseq)
		return ERR_OK;
	err = log_each(read, mailbox_id, since_modseq, visit_change,
		       &(struct sets){ changed_out, vanished_out });
	/* UIDs are never used again, so what vanished did not change afterwards. */
	ranges_drop(changed_out, vanished_out);
	return err;
}

struct conflicts {
	uint8_t flags;
	uint64_t keywords;
	struct ranges *uids;
};

static bool visit_conflict(void *user, const struct change *change)
{
	const struct conflicts *conflicts = user;
	if (change->kind == CHANGE_VANISHED ||
	    (change->kind == CHANGE_FLAGS && !(change->flags & conflicts->flags) &&
	     !(change->keywords & conflicts->keywords)))
		return true;
	return add_runs(change, conflicts->uids);
}

enum err change_conflicts(struct read *read, const struct mailbox *mailbox, uint64_t since_modseq,
			  uint8_t flags, uint64_t keywords, struct ranges *uids_out)
{
	struct conflicts conflicts = { flags, keywords, uids_out };
	if (since_modseq < mailbox->pruned_modseq)
		return ERR_GONE;
	return log_each(read, mailbox->mailbox_id, since_modseq, visit_conflict, &conflicts);
}
