/* storage/verify_acl.c - lists of rights: rows that can be read, of mailboxes and accounts that are
 * there, and the index from accounts to lists. Runs in the admin's process. */
#include "storage/acl_priv.h"
#include "storage/verify_priv.h"

static bool account_is_there(struct read *read, uint32_t account_id)
{
	struct key key;
	key_be32(&key, account_id);
	return db_has(read, DB_ACCOUNT, key_slice(&key));
}

static enum err fix_index(struct write *write, struct fix *fix)
{
	struct acl_row row;
	struct mailbox_slot *slot;
	if (!db_has(write_read(write), DB_ACL, fix->key) ||
	    !acl_row_decode(fix->key, fix->value, &row))
		return ERR_OK;
	enum err err = mailbox_slot_get(write, row.mailbox_id, &slot);
	return err == ERR_OK ? acl_shared_put(write, row.entry.account_id,
					      slot->record.mailbox.account_id, row.mailbox_id)
			     : err;
}

static const char *entry_wrong(const struct row *row, const struct acl_row *acl,
			       const struct mailbox *mailbox, struct fix *fix)
{
	struct key index;
	if (acl->entry.account_id == mailbox->account_id)
		return "a list of rights names the owner, who has them all";
	key_acl_shared(&index, acl->entry.account_id, mailbox->account_id, acl->mailbox_id);
	if (db_has(row->read, DB_ACL, key_slice(&index)))
		return NULL;
	fix->run = fix_index;
	return "a list of rights is not in the index";
}

static const char *row_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	struct acl_row acl;
	struct mailbox_record mailbox;
	if (!acl_row_decode(row->key, row->value, &acl))
		return "a row of a list of rights cannot be read";
	if (acl.entry.account_id != ACL_ANYONE &&
	    !account_is_there(row->read, acl.entry.account_id))
		return "rights are granted to an account that is not there";
	enum err err = mailbox_load(row->read, acl.mailbox_id, &v->arena, &mailbox);
	if (err == ERR_NOT_FOUND)
		return "rights are granted on a mailbox that is not there";
	if (err != ERR_OK)
		return NULL; /* told among the mailboxes */
	if (acl.kind == ACL_ROW_ENTRY)
		return entry_wrong(row, &acl, &mailbox.mailbox, fix);
	if (acl.owner_id != mailbox.mailbox.account_id ||
	    !acl_has_entry(row->read, acl.mailbox_id, acl.entry.account_id))
		return "the index of shared mailboxes has one that is not shared";
	return NULL;
}

void verify_acls(struct verify *v)
{
	verify_rows(v, DB_ACL, 3 * VERIFY_ROW_COST, WRONG_ACL, row_wrong);
}
