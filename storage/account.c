/* storage/account.c - accounts: who has mail here. Runs in the back, and in the admin's
 * process. */
#include "storage/account.h"

#include "storage/acl_priv.h"
#include "storage/address_priv.h"
#include "storage/annotation_priv.h"
#include "storage/garbage_priv.h"
#include "storage/store_priv.h"

enum err account_get(struct read *read, uint32_t account_id, struct arena *arena,
		     struct account *account_out)
{
	struct account_row row;
	enum err err = account_load(read, account_id, arena, &row);
	if (err == ERR_OK)
		*account_out = row.account;
	return err;
}

enum err account_find(struct read *read, struct slice login, struct arena *arena,
		      struct account *account_out)
{
	struct slice local, domain;
	struct address_record address;
	if (!login_split(login, &local, &domain))
		return ERR_NOT_FOUND;
	enum err err = address_find(read, local, domain, arena, &address);
	if (err != ERR_OK)
		return err;
	return address.account_id ? account_get(read, address.account_id, arena, account_out)
				  : ERR_NOT_FOUND;
}

bool account_next(struct read *read, uint32_t *account_id, struct arena *arena,
		  struct account *account_out)
{
	struct row row;
	struct key key;
	bool found = false;
	row_open(&row, read, DB_ACCOUNT);
	while (!found && *account_id < UINT32_MAX) {
		key_be32(&key, *account_id + 1);
		if (!row_seek(&row, key_slice(&key)) || row.key.len != 4)
			break;
		*account_id = get_be32(row.key.ptr);
		/* One that cannot be read was logged; the others are still wanted. */
		found = account_get(read, *account_id, arena, account_out) == ERR_OK;
	}
	row_close(&row);
	return found;
}

/* What a mail program expects to find, named as most of them do (RFC 6154). */
static const struct {
	struct slice name;
	enum special_use use;
} first_mailboxes[] = {
	{ { (const uint8_t *)"INBOX", 5 }, USE_NONE },
	{ { (const uint8_t *)"Drafts", 6 }, USE_DRAFTS },
	{ { (const uint8_t *)"Sent", 4 }, USE_SENT },
	{ { (const uint8_t *)"Junk", 4 }, USE_JUNK },
	{ { (const uint8_t *)"Trash", 5 }, USE_TRASH },
	{ { (const uint8_t *)"Archive", 7 }, USE_ARCHIVE },
};

/* With its address, and without mailboxes. */
static enum err account_make(struct write *write, struct slice local, struct slice domain,
			     struct slice password_hash, uint8_t flags, uint32_t *account_id_out)
{
	struct read *read = write_read(write);
	struct address_record address = { 0 };
	struct key key;
	if (local.len == 0 || password_hash.len > ACCOUNT_HASH_OCTETS ||
	    !key_address(&key, local, domain))
		return ERR_BAD_INPUT;
	enum err err = domain_may_have_addresses(write, domain);
	if (err != ERR_OK)
		return err;
	if (db_has(read, DB_ADDRESS, key_slice(&key)))
		return ERR_EXISTS;
	if (write->head.next_account_id == UINT32_MAX)
		return ERR_LIMIT;
	err = write_may_grow(write);
	if (err != ERR_OK)
		return err;

	address.account_id = write->head.next_account_id++;
	struct account_slot *slot = account_slot_new(write, address.account_id);
	slot->row.account.login = slice_cstr(
		arena_format(&write->arena, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(domain)));
	slot->row.account.password_hash = arena_copy(&write->arena, password_hash);
	slot->row.account.flags = flags;
	account_slot_dirty(write, slot);
	/* At once, so that a walk of this batch meets it. */
	err = account_slots_flush(write);
	if (err == ERR_OK)
		err = address_put(write, local, domain, &address);
	*account_id_out = address.account_id;
	return err;
}

enum err account_add(struct write *write, struct slice local, struct slice domain,
		     struct slice password_hash, uint32_t *account_id_out)
{
	enum err err = account_make(write, local, domain, password_hash, 0, account_id_out);
	for (size_t i = 0; i < ARRAY_LEN(first_mailboxes) && err == ERR_OK; i++) {
		uint64_t mailbox_id;
		err = mailbox_create(write, *account_id_out, first_mailboxes[i].name,
				     first_mailboxes[i].use, &mailbox_id);
		if (err == ERR_OK)
			err = mailbox_subscribe(write, *account_id_out, first_mailboxes[i].name,
						true);
	}
	return err;
}

enum err account_add_shared(struct write *write, struct slice local, struct slice domain,
			    uint32_t *account_id_out)
{
	uint64_t mailbox_id;
	enum err err =
		account_make(write, local, domain, SLICE_NONE, ACCOUNT_IS_SHARED, account_id_out);
	return err == ERR_OK ? mailbox_create(write, *account_id_out, SLICE("INBOX"), USE_NONE,
					      &mailbox_id)
			     : err;
}

enum err account_remove(struct write *write, uint32_t account_id)
{
	struct account_slot *slot;
	struct slice local, domain;
	struct key key;
	enum err err = account_slot_get(write, account_id, &slot);
	if (err != ERR_OK)
		return err;
	err = mailbox_remove_all(write, slot);
	if (err == ERR_OK)
		err = annotations_remove(write, account_id, 0);
	if (err == ERR_OK)
		err = acl_account_remove(write, account_id);
	if (err == ERR_OK)
		err = garbage_add(write, GARBAGE_EXPUNGED, account_id, write->now_unix);
	if (err == ERR_OK && login_split(slot->row.account.login, &local, &domain) &&
	    key_address(&key, local, domain))
		err = db_del(write, DB_ADDRESS, key_slice(&key));
	if (err == ERR_OK) {
		key_be32(&key, account_id);
		err = db_del(write, DB_ACCOUNT, key_slice(&key));
	}
	slot->removed = true;
	write_note(write, account_id, NOTE_EVERYTHING, WATCH_ANYTHING);
	return err;
}

enum err account_set_password_hash(struct write *write, uint32_t account_id,
				   struct slice password_hash)
{
	struct account_slot *slot;
	if (password_hash.len > ACCOUNT_HASH_OCTETS)
		return ERR_BAD_INPUT;
	enum err err = account_slot_get(write, account_id, &slot);
	if (err == ERR_OK) {
		slot->row.account.password_hash = arena_copy(&write->arena, password_hash);
		account_slot_dirty(write, slot);
	}
	return err;
}

enum err account_set_administrator(struct write *write, uint32_t account_id, bool is_administrator)
{
	struct account_slot *slot;
	enum err err = account_slot_get(write, account_id, &slot);
	if (err == ERR_OK) {
		uint8_t others = slot->row.account.flags & (uint8_t)~ACCOUNT_IS_ADMINISTRATOR;
		slot->row.account.flags =
			(uint8_t)(others | (is_administrator ? ACCOUNT_IS_ADMINISTRATOR : 0));
		account_slot_dirty(write, slot);
	}
	return err;
}

enum err account_set_quota(struct write *write, uint32_t account_id, uint64_t octets,
			   uint64_t messages)
{
	struct account_slot *slot;
	enum err err = account_slot_get(write, account_id, &slot);
	if (err == ERR_OK) {
		slot->row.account.quota_octets = octets;
		slot->row.account.quota_messages = messages;
		account_slot_dirty(write, slot);
	}
	return err;
}
