/* storage/message.c - the messages of a mailbox: reading their entries, filing one, changing
 * flags, expunging. Copying and moving are in copy.c.
 * Runs in the back, and in the admin's process. */
#include "storage/message.h"

#include <stdlib.h>

#include "base/heap.h"
#include "storage/blob_priv.h"
#include "storage/expunged_priv.h"
#include "storage/message_priv.h"

/* ---- reading ---- */

static void entry_damaged(uint64_t mailbox_id, uint32_t uid)
{
	log_error(NULL, EVENT("store-damaged"), WORD("where", "entry"), HEX("mailbox", mailbox_id),
		  NUM("uid", uid));
}

enum err message_get(struct read *read, uint64_t mailbox_id, uint32_t uid,
		     struct message_entry *entry_out)
{
	struct key key;
	struct slice value;
	key_entry(&key, mailbox_id, uid);
	enum err err = db_get(read, DB_MAILBOX, key_slice(&key), &value);
	if (err == ERR_OK && !entry_decode(value, uid, entry_out)) {
		entry_damaged(mailbox_id, uid);
		err = ERR_DAMAGED;
	}
	return err;
}

bool entry_seek(struct row *row, uint64_t mailbox_id, uint32_t from_uid)
{
	struct key key;
	struct slice uid;
	key_entry(&key, mailbox_id, from_uid);
	return row_seek(row, key_slice(&key)) && key_is_row(row->key, mailbox_id, ROW_ENTRY, &uid);
}

bool entry_next(struct row *row, uint64_t mailbox_id)
{
	struct slice uid;
	return row_next(row) && key_is_row(row->key, mailbox_id, ROW_ENTRY, &uid);
}

uint32_t entry_uid(const struct row *row)
{
	return get_be32(row->key.ptr + 9);
}

struct message_cursor {
	struct row row;
	uint64_t mailbox_id;
	bool more;
};

struct message_cursor *message_cursor_open(struct read *read, uint64_t mailbox_id,
					   uint32_t from_uid)
{
	struct message_cursor *cursor = heap_alloc(sizeof(*cursor));
	cursor->mailbox_id = mailbox_id;
	row_open(&cursor->row, read, DB_MAILBOX);
	cursor->more = entry_seek(&cursor->row, mailbox_id, from_uid);
	return cursor;
}

bool message_cursor_next(struct message_cursor *cursor, struct message_entry *entry_out)
{
	bool found = false;
	while (cursor->more && !found) {
		found = entry_decode(cursor->row.value, entry_uid(&cursor->row), entry_out);
		if (!found)
			entry_damaged(cursor->mailbox_id, entry_uid(&cursor->row));
		cursor->more = entry_next(&cursor->row, cursor->mailbox_id);
	}
	return found;
}

void message_cursor_close(struct message_cursor **cursor)
{
	if (*cursor)
		row_close(&(*cursor)->row);
	free(*cursor);
	*cursor = NULL;
}

void message_uids(struct read *read, uint64_t mailbox_id, uint32_t from_uid,
		  struct ranges *uids_out)
{
	struct row row;
	if (from_uid <= 1 && gaps_uids(read, mailbox_id, uids_out))
		return;
	row_open(&row, read, DB_MAILBOX);
	bool more = entry_seek(&row, mailbox_id, from_uid);
	while (more) {
		/* A run at a time: the set is asked once for it. */
		uint32_t first = entry_uid(&row), last = first;
		while ((more = entry_next(&row, mailbox_id)) && entry_uid(&row) == last + 1)
			last++;
		ranges_add(uids_out, first, last);
	}
	row_close(&row);
}

static bool is_unseen(const struct row *row)
{
	struct message_entry entry;
	return entry_decode(row->value, entry_uid(row), &entry) && !(entry.flags & FLAG_SEEN);
}

/* From both ends at once. From behind the first one is known when all have been met. */
uint32_t message_first_unseen(struct read *read, const struct mailbox *mailbox)
{
	enum { STEPS_MAX = 4096 };
	struct row ahead, behind;
	struct key key;
	struct slice rest;
	uint32_t left = mailbox->unseen, earliest = 0, found = 0;
	if (left == 0)
		return 0;
	row_open(&ahead, read, DB_MAILBOX);
	row_open(&behind, read, DB_MAILBOX);
	key_mailbox_row(&key, mailbox->mailbox_id, ROW_ENTRY + 1);
	bool more = entry_seek(&ahead, mailbox->mailbox_id, 1) &&
		    row_seek_before(&behind, key_slice(&key));
	for (unsigned i = 0; more && found == 0 && i < STEPS_MAX; i++) {
		if (!key_is_row(behind.key, mailbox->mailbox_id, ROW_ENTRY, &rest))
			break;
		uint32_t uid = entry_uid(&ahead), late_uid = entry_uid(&behind);
		if (is_unseen(&behind)) {
			earliest = late_uid;
			left--;
		}
		if (is_unseen(&ahead))
			found = uid;
		else if (left == 0 || uid >= late_uid)
			found = earliest;
		if (left == 0 || uid >= late_uid)
			break;
		more = entry_next(&ahead, mailbox->mailbox_id) && row_previous(&behind);
	}
	row_close(&ahead);
	row_close(&behind);
	return found;
}

/* ---- writing ---- */

enum err message_slots(struct write *write, uint64_t mailbox_id, struct mailbox_slot **mailbox_out,
		       struct account_slot **account_out)
{
	enum err err = mailbox_slot_get(write, mailbox_id, mailbox_out);
	if (err == ERR_OK)
		err = account_slot_get(write, (*mailbox_out)->record.mailbox.account_id,
				       account_out);
	return err == ERR_NOT_FOUND ? ERR_GONE : err;
}

void mailbox_count(struct mailbox *mailbox, const struct message_entry *entry, int sign)
{
	uint32_t one = (uint32_t)sign;
	mailbox->messages += one;
	if (!(entry->flags & FLAG_SEEN))
		mailbox->unseen += one;
	if (entry->flags & FLAG_DELETED)
		mailbox->deleted += one;
	mailbox->size_octets += (uint64_t)(int64_t)sign * entry->size_octets;
}

enum err quota_check(const struct account *account, uint64_t messages, uint64_t octets)
{
	if (account->quota_messages != 0 &&
	    (account->used_messages >= account->quota_messages ||
	     messages > account->quota_messages - account->used_messages))
		return messages ? ERR_QUOTA : ERR_OK;
	if (account->quota_octets != 0 && octets > 0 &&
	    (account->used_octets >= account->quota_octets ||
	     octets > account->quota_octets - account->used_octets))
		return ERR_QUOTA;
	return ERR_OK;
}

/* `given_uid` 0: the mailbox's next. */
static enum err append(struct write *write, uint64_t mailbox_id, uint32_t given_uid,
		       const struct message_entry *entry, const struct slice *keywords,
		       size_t keyword_count, uint32_t *uid_out)
{
	struct mailbox_slot *slot;
	struct account_slot *account;
	struct message_entry filed = *entry;
	uint8_t value[ENTRY_OCTETS];
	struct key key;
	enum err err = message_slots(write, mailbox_id, &slot, &account);
	if (err == ERR_OK)
		err = quota_check(&account->row.account, 1, entry->size_octets);
	if (err == ERR_OK)
		err = blob_may_reference(write, entry->blob_id);
	if (err == ERR_OK)
		err = write_may_grow(write);
	if (err == ERR_OK &&
	    (slot->record.mailbox.uidnext == UINT32_MAX || given_uid > MESSAGE_GIVEN_UID_MAX))
		err = ERR_LIMIT;
	if (err == ERR_OK && given_uid != 0 && given_uid < slot->record.mailbox.uidnext)
		err = ERR_EXISTS;
	if (err == ERR_OK)
		err = keyword_bits(write, slot, keywords, keyword_count, true, &filed.keywords);
	if (err != ERR_OK)
		return err;

	struct mailbox *mailbox = &slot->record.mailbox;
	uint32_t next_uid = mailbox->uidnext;
	filed.uid = given_uid ? given_uid : next_uid;
	mailbox->uidnext = filed.uid + 1;
	filed.modseq = account_next_modseq(write, account);
	filed.saved_unix = write->now_unix;
	mailbox_count(mailbox, &filed, 1);
	account->row.account.used_messages++;
	account->row.account.used_octets += filed.size_octets;
	entry_encode(&filed, value);
	key_entry(&key, mailbox_id, filed.uid);
	struct range run = { filed.uid, filed.uid };
	struct ranges uids = { .runs = &run, .count = 1 };
	err = db_put(write, DB_MAILBOX, key_slice(&key), slice_of(value, sizeof(value)), PUT_ANY);
	if (err == ERR_OK)
		err = blob_reference(write, filed.blob_id);
	if (err == ERR_OK && filed.uid > next_uid)
		err = gaps_add_run(write, mailbox_id, next_uid, filed.uid - 1);
	if (err == ERR_OK)
		err = change_add(write, slot, filed.modseq,
				 &(struct change){ .kind = CHANGE_TOUCHED }, &uids);
	*uid_out = filed.uid;
	return err;
}

enum err message_append(struct write *write, uint64_t mailbox_id, const struct message_entry *entry,
			const struct slice *keywords, size_t keyword_count, uint32_t *uid_out)
{
	return append(write, mailbox_id, 0, entry, keywords, keyword_count, uid_out);
}

enum err message_append_as(struct write *write, uint64_t mailbox_id, uint32_t uid,
			   const struct message_entry *entry, const struct slice *keywords,
			   size_t keyword_count)
{
	uint32_t filed_uid;
	return append(write, mailbox_id, uid, entry, keywords, keyword_count, &filed_uid);
}

static uint64_t change_bits(enum flag_change change, uint64_t old, uint64_t bits)
{
	return change == FLAGS_SET ? bits : change == FLAGS_ADD ? old | bits : old & ~bits;
}

/* A STORE under way. */
struct storing {
	struct read *read;
	struct mailbox *mailbox;
	const struct store_flags *change;
	uint64_t keywords; /* their bits */
	uint64_t modseq;
	struct ranges changed;
	struct change seen; /* which flags changed */
	/* Adding or removing flags meets only who changed the same ones (RFC 7162 section 3.1.12). */
	bool has_asked_log, knows_conflicts;
	struct ranges conflicts;
};

static bool is_modified(struct storing *s, const struct message_entry *entry)
{
	const struct store_flags *change = s->change;
	if (!change->is_conditional || entry->modseq <= change->unchanged_since)
		return false;
	if (change->change == FLAGS_SET || change->unchanged_since == 0)
		return true;
	if (!s->has_asked_log)
		s->knows_conflicts =
			change_conflicts(s->read, s->mailbox, change->unchanged_since,
					 change->flags, s->keywords, &s->conflicts) == ERR_OK;
	s->has_asked_log = true;
	return !s->knows_conflicts || ranges_contains(&s->conflicts, entry->uid);
}

/* Changes those of one run. */
static enum err store_run(struct storing *s, struct row *row, struct range run)
{
	enum err err = ERR_OK;
	struct message_entry entry;
	bool more = entry_seek(row, s->mailbox->mailbox_id, run.first);
	while (err == ERR_OK && more && entry_uid(row) <= run.last) {
		uint32_t uid = entry_uid(row);
		if (!entry_decode(row->value, uid, &entry)) {
			entry_damaged(s->mailbox->mailbox_id, uid);
		} else if (is_modified(s, &entry)) {
			ranges_add(s->change->modified_out, uid, uid);
		} else {
			uint8_t flags = (uint8_t)change_bits(s->change->change, entry.flags,
							     s->change->flags);
			uint64_t bits = change_bits(s->change->change, entry.keywords, s->keywords);
			flags = (uint8_t)((flags & ~s->change->withheld.flags) |
					  (entry.flags & s->change->withheld.flags));
			if (s->change->withheld.keywords)
				bits = entry.keywords;
			if (flags != entry.flags || bits != entry.keywords) {
				uint8_t value[ENTRY_OCTETS];
				s->seen.flags |= flags ^ entry.flags;
				s->seen.keywords |= bits ^ entry.keywords;
				mailbox_count(s->mailbox, &entry, -1);
				entry.flags = flags;
				entry.keywords = bits;
				entry.modseq = s->modseq;
				mailbox_count(s->mailbox, &entry, 1);
				entry_encode(&entry, value);
				err = row_replace(row, slice_of(value, sizeof(value)));
				ranges_add(&s->changed, uid, uid);
			}
		}
		more = entry_next(row, s->mailbox->mailbox_id);
	}
	return err;
}

enum err message_store(struct write *write, uint64_t mailbox_id, const struct ranges *uids,
		       const struct store_flags *change, struct ranges *changed_out,
		       uint64_t *modseq_out)
{
	struct mailbox_slot *slot;
	struct account_slot *account;
	struct row row;
	struct storing s = { .read = write_read(write),
			     .change = change,
			     .seen = { .kind = CHANGE_FLAGS } };
	enum err err = message_slots(write, mailbox_id, &slot, &account);
	if (err == ERR_OK)
		err = keyword_bits(write, slot, change->keywords, change->keyword_count,
				   change->change != FLAGS_REMOVE, &s.keywords);
	if (err != ERR_OK)
		return err;
	s.mailbox = &slot->record.mailbox;
	s.modseq = account->row.account.modseq + 1;
	if (change->is_conditional)
		ranges_clear(change->modified_out);
	row_open(&row, s.read, DB_MAILBOX);
	for (uint32_t i = 0; i < uids->count && err == ERR_OK; i++)
		err = store_run(&s, &row, uids->runs[i]);
	row_close(&row);
	if (err == ERR_OK && s.changed.count > 0)
		err = change_add(write, slot, account_next_modseq(write, account), &s.seen,
				 &s.changed);
	*modseq_out = slot->record.mailbox.highest_modseq;
	if (changed_out)
		ranges_copy(&s.changed, changed_out);
	ranges_free(&s.changed);
	ranges_free(&s.conflicts);
	return err;
}

/* Removes those of one run. */
static enum err expunge_run(struct write *write, struct row *row, struct mailbox *mailbox,
			    struct account *account, struct range run, bool only_deleted,
			    struct ranges *expunged)
{
	enum err err = ERR_OK;
	struct message_entry entry;
	bool is_kept = expunged_is_kept(write->store);
	bool more = entry_seek(row, mailbox->mailbox_id, run.first);
	while (err == ERR_OK && more && entry_uid(row) <= run.last) {
		uint32_t uid = entry_uid(row);
		if (!entry_decode(row->value, uid, &entry)) {
			entry_damaged(mailbox->mailbox_id, uid);
		} else if (!only_deleted || (entry.flags & FLAG_DELETED)) {
			mailbox_count(mailbox, &entry, -1);
			account->used_messages--;
			account->used_octets -= entry.size_octets;
			err = row_delete(row);
			if (err == ERR_OK && is_kept)
				err = expunged_add(write, mailbox, &entry);
			else if (err == ERR_OK)
				err = blob_release(write, entry.blob_id);
			ranges_add(expunged, uid, uid);
		}
		more = entry_next(row, mailbox->mailbox_id);
	}
	return err;
}

enum err message_expunge(struct write *write, uint64_t mailbox_id, const struct ranges *uids,
			 bool only_deleted, struct ranges *expunged_out)
{
	struct mailbox_slot *slot;
	struct account_slot *account;
	struct row row;
	enum err err = message_slots(write, mailbox_id, &slot, &account);
	if (err != ERR_OK)
		return err;
	ranges_clear(expunged_out);
	row_open(&row, write_read(write), DB_MAILBOX);
	for (uint32_t i = 0; i < uids->count && err == ERR_OK; i++)
		err = expunge_run(write, &row, &slot->record.mailbox, &account->row.account,
				  uids->runs[i], only_deleted, expunged_out);
	row_close(&row);
	if (err == ERR_OK && expunged_out->count > 0 && expunged_is_kept(write->store))
		err = expunged_add_mailbox(write, &slot->record.mailbox, false);
	if (err == ERR_OK)
		err = gaps_add(write, mailbox_id, expunged_out);
	if (err == ERR_OK && expunged_out->count > 0)
		err = change_add(write, slot, account_next_modseq(write, account),
				 &(struct change){ .kind = CHANGE_VANISHED }, expunged_out);
	return err;
}
