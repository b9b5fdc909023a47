/* storage/mailbox.c - an account's mailboxes: the list of them, looking up, making and deleting,
 * subscriptions (RFC 9051 sections 6.3.4, 6.3.5, 6.3.7). Their names are in name.c, renaming is in
 * rename.c.
 *
 * Deleting takes the name and the record away at once; the messages go with the garbage. Runs in
 * the back, and in the admin's process. */
#include "storage/mailbox.h"

#include "storage/acl_priv.h"
#include "storage/annotation_priv.h"
#include "storage/expunged_priv.h"
#include "storage/garbage_priv.h"
#include "storage/message_priv.h"
#include "storage/name_priv.h"

/* ---- reading ---- */

enum err mailbox_find(struct read *read, uint32_t account_id, struct slice name,
		      struct arena *arena, struct mailbox *mailbox_out)
{
	struct name_row row;
	struct mailbox_record record;
	name = name_as_kept(read, account_id, name, arena);
	enum err err = name_get(read, account_id, name, &row);
	if (err == ERR_OK && row.mailbox_id == 0)
		err = ERR_NOT_FOUND;
	if (err == ERR_OK)
		err = mailbox_load(read, row.mailbox_id, arena, &record);
	if (err == ERR_OK)
		*mailbox_out = record.mailbox;
	return err;
}

enum err mailbox_get(struct read *read, uint64_t mailbox_id, struct arena *arena,
		     struct mailbox *mailbox_out)
{
	struct mailbox_record record;
	enum err err = mailbox_load(read, mailbox_id, arena, &record);
	if (err == ERR_OK)
		*mailbox_out = record.mailbox;
	return err == ERR_NOT_FOUND ? ERR_GONE : err;
}

bool mailbox_next(struct read *read, uint32_t account_id, struct slice after,
		  struct mailbox_row *row_out)
{
	struct key key;
	struct row row;
	struct name_row name;
	if (!key_mailbox_name(&key, account_id, after))
		return false;
	row_open(&row, read, DB_MAILBOX_NAME);
	bool found = row_seek_behind(&row, key_slice(&key));
	while (found && row.key.len > 4 && get_be32(row.key.ptr) == account_id &&
	       !name_decode(row.value, &name)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "mailbox-name"));
		found = row_next(&row);
	}
	found = found && row.key.len > 4 && get_be32(row.key.ptr) == account_id;
	if (found)
		*row_out = (struct mailbox_row){
			.name = slice_sub(row.key, 4, row.key.len - 4),
			.mailbox_id = name.mailbox_id,
			.subscribed = name.subscribed,
			.special_use = name.special_use,
		};
	row_close(&row);
	return found;
}

bool mailbox_is_subscribed(struct read *read, uint32_t account_id, struct slice name)
{
	struct name_row row;
	struct arena arena = { 0 };
	name = name_as_kept(read, account_id, name, &arena);
	bool is_subscribed = name_get(read, account_id, name, &row) == ERR_OK && row.subscribed;
	arena_fini(&arena);
	return is_subscribed;
}

uint32_t mailbox_names_count(struct read *read, uint32_t account_id)
{
	struct arena arena = { 0 };
	struct account_row account = { 0 };
	uint32_t count = 0;
	if (account_load(read, account_id, &arena, &account) == ERR_OK)
		count = account.mailboxes;
	arena_fini(&arena);
	return count;
}

/* ---- making ---- */

/* A number that no mailbox had before, so none of this name: the time, where that is ahead. */
static uint32_t new_uidvalidity(struct write *write)
{
	uint32_t now = (uint32_t)write->now_unix;
	uint32_t last = write->head.last_uidvalidity;
	write->head.last_uidvalidity = now > last ? now : last + 1;
	return write->head.last_uidvalidity;
}

/* The list of rights of the mailbox above it, as others see it: INBOX is above all others of an
 * account, but an owner who makes one of his own does not mean to share it. */
static enum err rights_inherit(struct write *write, struct account_slot *account, struct slice name,
			       uint64_t mailbox_id, bool for_other)
{
	struct name_row row;
	struct slice superior = SLICE_NONE;
	bool is_shared = account->row.account.flags & ACCOUNT_IS_SHARED;
	for (size_t end = 0; name_superior(name, &end);)
		superior = slice_sub(name, 0, end);
	if (superior.len == 0 && (for_other || is_shared))
		superior = SLICE("INBOX");
	enum err err = name_get(write_read(write), account->row.account.account_id, superior, &row);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && row.mailbox_id == 0))
		return ERR_OK;
	return err == ERR_OK && row.mailbox_id != mailbox_id
		       ? acl_inherit(write, account->row.account.account_id, row.mailbox_id,
				     mailbox_id)
		       : err;
}

static enum err mailbox_make(struct write *write, struct account_slot *account, struct slice name,
			     enum special_use use, bool for_other, uint64_t *mailbox_id_out)
{
	struct name_row row;
	uint32_t account_id = account->row.account.account_id;
	enum err err = name_get(write_read(write), account_id, name, &row);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	uint64_t mailbox_id = write->head.next_mailbox_id++;
	struct mailbox_slot *slot = mailbox_slot_new(write, mailbox_id);
	struct mailbox *mailbox = &slot->record.mailbox;
	mailbox->account_id = account_id;
	mailbox->uidvalidity = new_uidvalidity(write);
	mailbox->uidnext = 1;
	mailbox->recent_from_uid = 1;
	mailbox->highest_modseq = account_next_modseq(write, account);
	mailbox->pruned_modseq = mailbox->highest_modseq;
	mailbox->created_unix = (uint64_t)write->now_unix;
	mailbox->special_use = use;
	mailbox->name = arena_copy(&write->arena, name);
	mailbox_slot_dirty(write, slot);
	row.mailbox_id = mailbox_id;
	row.special_use = use;
	*mailbox_id_out = mailbox_id;
	write_note_news(write, account_id,
			&(struct watch_news){ .kinds = WATCH_CREATED, .name = name });
	/* Under that name there may have been another. */
	write_note(write, account_id, mailbox_id, WATCH_UIDVALIDITY);
	err = name_put(write, account, name, &row);
	return err == ERR_OK ? rights_inherit(write, account, name, mailbox_id, for_other) : err;
}

enum err superiors_make(struct write *write, struct account_slot *account, struct slice name,
			bool for_other)
{
	enum err err = ERR_OK;
	struct name_row row;
	uint64_t mailbox_id;
	for (size_t end = 0; err == ERR_OK && name_superior(name, &end);) {
		struct slice superior = slice_sub(name, 0, end);
		err = name_get(write_read(write), account->row.account.account_id, superior, &row);
		if (err == ERR_NOT_FOUND || (err == ERR_OK && row.mailbox_id == 0))
			err = mailbox_make(write, account, superior, USE_NONE, for_other,
					   &mailbox_id);
	}
	return err;
}

static enum err create(struct write *write, uint32_t account_id, struct slice name,
		       enum special_use use, bool for_other, uint64_t *mailbox_id_out)
{
	struct account_slot *account;
	enum err err = account_slot_get(write, account_id, &account);
	name = name_as_kept(write_read(write), account_id, name, &write->arena);
	if (err == ERR_OK)
		err = name_may_make(write, account, name, 1);
	if (err == ERR_OK)
		err = superiors_make(write, account, name, for_other);
	if (err == ERR_OK)
		err = mailbox_make(write, account, name, use, for_other, mailbox_id_out);
	return err;
}

enum err mailbox_create(struct write *write, uint32_t account_id, struct slice name,
			enum special_use use, uint64_t *mailbox_id_out)
{
	return create(write, account_id, name, use, false, mailbox_id_out);
}

enum err mailbox_create_for_other(struct write *write, uint32_t account_id, struct slice name,
				  enum special_use use, uint64_t *mailbox_id_out)
{
	return create(write, account_id, name, use, true, mailbox_id_out);
}

/* ---- deleting ---- */

/* `is_kept`: its messages may be had back for some time, if any may. */
static enum err mailbox_remove(struct write *write, struct account_slot *account,
			       uint64_t mailbox_id, bool is_kept)
{
	struct mailbox_slot *slot;
	struct key key;
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	if (err != ERR_OK)
		return err;
	account_next_modseq(write, account);
	account->row.account.used_messages -= slot->record.mailbox.messages;
	account->row.account.used_octets -= slot->record.mailbox.size_octets;
	slot->removed = true;
	key_mailbox_row(&key, mailbox_id, ROW_RECORD);
	err = db_del(write, DB_MAILBOX, key_slice(&key));
	if (err == ERR_NOT_FOUND) /* made in this batch */
		err = ERR_OK;
	if (err == ERR_OK)
		err = annotations_remove(write, account->row.account.account_id, mailbox_id);
	if (err == ERR_OK)
		err = acl_mailbox_remove(write, account->row.account.account_id, mailbox_id);
	if (err != ERR_OK)
		return err;
	if (is_kept && expunged_is_kept(write->store) && slot->record.mailbox.messages > 0)
		return expunged_add_mailbox(write, &slot->record.mailbox, true);
	return garbage_add(write, GARBAGE_MAILBOX, mailbox_id, write->now_unix);
}

enum err mailbox_delete(struct write *write, uint32_t account_id, struct slice name)
{
	struct account_slot *account;
	struct name_row row;
	if (slice_eq(name, SLICE("INBOX")))
		return ERR_BAD_INPUT; /* RFC 9051 section 6.3.5 */
	enum err err = account_slot_get(write, account_id, &account);
	name = name_as_kept(write_read(write), account_id, name, &write->arena);
	if (err == ERR_OK)
		err = name_get(write_read(write), account_id, name, &row);
	if (err == ERR_OK && row.mailbox_id == 0)
		err = ERR_NOT_FOUND;
	if (err != ERR_OK)
		return err;
	uint64_t mailbox_id = row.mailbox_id;
	err = mailbox_remove(write, account, mailbox_id, true);
	/* The subscription stays (RFC 9051 section 6.3.7). */
	row.mailbox_id = 0;
	row.special_use = USE_NONE;
	if (err == ERR_OK)
		err = name_put(write, account, name, &row);
	write_note(write, account_id, mailbox_id, WATCH_EXPUNGED);
	write_note_news(write, account_id,
			&(struct watch_news){ .kinds = WATCH_DELETED, .name = name });
	return err;
}

enum err mailbox_remove_all(struct write *write, struct account_slot *account)
{
	enum err err = ERR_OK;
	struct key key;
	struct row row;
	struct name_row name;
	uint32_t account_id = account->row.account.account_id;
	row_open(&row, write_read(write), DB_MAILBOX_NAME);
	key_be32(&key, account_id);
	bool more = row_seek(&row, key_slice(&key));
	while (more && err == ERR_OK && row.key.len > 4 && get_be32(row.key.ptr) == account_id) {
		bool is_mailbox = name_decode(row.value, &name) && name.mailbox_id != 0;
		err = row_delete(&row);
		if (err == ERR_OK && is_mailbox)
			err = mailbox_remove(write, account, name.mailbox_id, false);
		more = row_next(&row);
	}
	row_close(&row);
	return err;
}

/* ---- small changes ---- */

enum err mailbox_subscribe(struct write *write, uint32_t account_id, struct slice name,
			   bool subscribed)
{
	struct account_slot *account;
	struct name_row row;
	enum err err = account_slot_get(write, account_id, &account);
	if (err != ERR_OK)
		return err;
	name = name_as_kept(write_read(write), account_id, name, &write->arena);
	err = name_get(write_read(write), account_id, name, &row);
	bool is_new = err == ERR_NOT_FOUND;
	if (is_new && !subscribed)
		return ERR_OK;
	if (is_new && (err = name_check_new(name)) == ERR_OK &&
	    (err = names_may_add(account, 1)) == ERR_OK)
		err = write_may_grow(write);
	if (err != ERR_OK || row.subscribed == subscribed)
		return err;
	row.subscribed = subscribed;
	write_note_news(write, account_id,
			&(struct watch_news){ .kinds = WATCH_SUBSCRIPTION, .name = name });
	return name_put(write, account, name, &row);
}

enum err mailbox_set_special_use(struct write *write, uint32_t account_id, struct slice name,
				 enum special_use use)
{
	struct account_slot *account;
	struct mailbox_slot *slot;
	struct name_row row;
	enum err err = account_slot_get(write, account_id, &account);
	name = name_as_kept(write_read(write), account_id, name, &write->arena);
	if (err == ERR_OK)
		err = name_get(write_read(write), account_id, name, &row);
	if (err == ERR_OK && row.mailbox_id == 0)
		err = ERR_NOT_FOUND;
	if (err == ERR_OK)
		err = mailbox_slot_get(write, row.mailbox_id, &slot);
	if (err != ERR_OK || row.special_use == use)
		return err;
	row.special_use = use;
	slot->record.mailbox.special_use = use;
	if ((err = mailbox_raise_modseq(write, row.mailbox_id)) != ERR_OK)
		return err;
	/* As RFC 6154 section 4 names it. */
	write_note_news(write, account_id,
			&(struct watch_news){ .kinds = WATCH_ANNOTATION,
					      .mailbox_id = row.mailbox_id,
					      .name = SLICE("/private/specialuse") });
	return name_put(write, account, name, &row);
}

enum err mailbox_claim_recent(struct write *write, uint64_t mailbox_id,
			      uint32_t *recent_from_uid_out)
{
	struct mailbox_slot *slot;
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_GONE : err;
	struct mailbox *mailbox = &slot->record.mailbox;
	*recent_from_uid_out = mailbox->recent_from_uid;
	if (mailbox->recent_from_uid != mailbox->uidnext) {
		mailbox->recent_from_uid = mailbox->uidnext;
		mailbox_slot_dirty(write, slot);
	}
	return ERR_OK;
}

/* ---- what an import brings along ---- */

enum err mailbox_adopt_uidvalidity(struct write *write, uint64_t mailbox_id, uint32_t uidvalidity)
{
	struct mailbox_slot *slot;
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_GONE : err;
	struct mailbox *mailbox = &slot->record.mailbox;
	if (mailbox->uidvalidity == uidvalidity)
		return ERR_OK;
	if (mailbox->uidnext != 1)
		return ERR_EXISTS;
	if (uidvalidity == 0 || uidvalidity > (uint32_t)write->now_unix)
		return ERR_LIMIT;
	mailbox->uidvalidity = uidvalidity;
	if (uidvalidity > write->head.last_uidvalidity)
		write->head.last_uidvalidity = uidvalidity;
	mailbox_slot_dirty(write, slot);
	write_note(write, mailbox->account_id, mailbox_id, WATCH_UIDVALIDITY);
	return ERR_OK;
}

enum err mailbox_renew_uidvalidity(struct write *write, uint64_t mailbox_id)
{
	struct mailbox_slot *slot;
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_GONE : err;
	slot->record.mailbox.uidvalidity = new_uidvalidity(write);
	mailbox_slot_dirty(write, slot);
	write_note(write, slot->record.mailbox.account_id, mailbox_id, WATCH_UIDVALIDITY);
	return ERR_OK;
}

enum err mailbox_raise_modseq(struct write *write, uint64_t mailbox_id)
{
	struct mailbox_slot *slot;
	struct account_slot *account;
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	if (err == ERR_OK)
		err = account_slot_get(write, slot->record.mailbox.account_id, &account);
	if (err != ERR_OK)
		return err;
	slot->record.mailbox.highest_modseq = account_next_modseq(write, account);
	mailbox_slot_dirty(write, slot);
	return ERR_OK;
}

enum err mailbox_raise_uidnext(struct write *write, uint64_t mailbox_id, uint32_t uidnext)
{
	struct mailbox_slot *slot;
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_GONE : err;
	if (uidnext > MESSAGE_GIVEN_UID_MAX)
		return ERR_LIMIT;
	uint32_t next_uid = slot->record.mailbox.uidnext;
	if (next_uid >= uidnext)
		return ERR_OK;
	slot->record.mailbox.uidnext = uidnext;
	mailbox_slot_dirty(write, slot);
	return gaps_add_run(write, mailbox_id, next_uid, uidnext - 1);
}
