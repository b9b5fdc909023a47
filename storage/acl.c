/* storage/acl.c - lists of rights (RFC 4314): a row for each entry, under its mailbox, and an index
 * from accounts to the mailboxes whose lists name them. Runs in the back, and in the admin's
 * process. */
#include "storage/acl_priv.h"

enum {
	ENTRY_KEY_OCTETS = 1 + 8 + 1 + 4,
	SHARED_KEY_OCTETS = 1 + 4 + 4 + 8,
	ENTRY_VALUE_OCTETS = 1 + 2,
};

static void key_begin(struct key *key, enum acl_row_kind kind)
{
	key->octets[0] = (uint8_t)kind;
	key->len = 1;
}

static void key_acl_mailbox(struct key *key, uint64_t mailbox_id)
{
	key_begin(key, ACL_ROW_ENTRY);
	key_add_be64(key, mailbox_id);
}

static void key_acl_entry(struct key *key, uint64_t mailbox_id, bool is_negative,
			  uint32_t account_id)
{
	key_acl_mailbox(key, mailbox_id);
	key->octets[key->len++] = is_negative;
	key_add_be32(key, account_id);
}

void key_acl_shared(struct key *key, uint32_t account_id, uint32_t owner_id, uint64_t mailbox_id)
{
	key_begin(key, ACL_ROW_SHARED);
	key_add_be32(key, account_id);
	key_add_be32(key, owner_id);
	key_add_be64(key, mailbox_id);
}

static bool rights_decode(struct slice value, unsigned *rights_out)
{
	if (value.len != ENTRY_VALUE_OCTETS || value.ptr[0] != RECORD_VERSION)
		return false;
	*rights_out = get_be16(value.ptr + 1);
	return *rights_out != 0 && *rights_out <= RIGHTS_ALL;
}

bool acl_row_decode(struct slice key, struct slice value, struct acl_row *row_out)
{
	*row_out = (struct acl_row){ 0 };
	if (key.len == ENTRY_KEY_OCTETS && key.ptr[0] == ACL_ROW_ENTRY && key.ptr[9] <= 1) {
		row_out->kind = ACL_ROW_ENTRY;
		row_out->mailbox_id = get_be64(key.ptr + 1);
		row_out->entry.is_negative = key.ptr[9];
		row_out->entry.account_id = get_be32(key.ptr + 10);
		return rights_decode(value, &row_out->entry.rights);
	}
	if (key.len != SHARED_KEY_OCTETS || key.ptr[0] != ACL_ROW_SHARED)
		return false;
	row_out->kind = ACL_ROW_SHARED;
	row_out->entry.account_id = get_be32(key.ptr + 1);
	row_out->owner_id = get_be32(key.ptr + 5);
	row_out->mailbox_id = get_be64(key.ptr + 9);
	return value.len == 1 && value.ptr[0] == RECORD_VERSION;
}

/* ---- reading ---- */

/* ERR_OK with no rights where there is no such entry. */
static enum err rights_get(struct read *read, uint64_t mailbox_id, bool is_negative,
			   uint32_t account_id, unsigned *rights_out)
{
	struct key key;
	struct slice value;
	*rights_out = 0;
	key_acl_entry(&key, mailbox_id, is_negative, account_id);
	enum err err = db_get(read, DB_ACL, key_slice(&key), &value);
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err == ERR_OK && !rights_decode(value, rights_out)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "acl"));
		err = ERR_DAMAGED;
	}
	return err;
}

unsigned acl_rights(struct read *read, uint32_t account_id, uint32_t owner_id, uint64_t mailbox_id)
{
	const uint32_t who[] = { account_id, ACL_ANYONE };
	unsigned granted = 0, taken = 0;
	if (account_id == owner_id)
		return RIGHTS_ALL;
	for (size_t i = 0; i < ARRAY_LEN(who); i++) {
		unsigned more, less;
		if (rights_get(read, mailbox_id, false, who[i], &more) != ERR_OK ||
		    rights_get(read, mailbox_id, true, who[i], &less) != ERR_OK)
			return 0;
		granted |= more;
		taken |= less;
	}
	return granted & ~taken;
}

bool acl_next(struct read *read, uint64_t mailbox_id, const struct acl_entry *after,
	      struct acl_entry *entry_out)
{
	struct key key, start;
	struct row row;
	struct acl_row found;
	bool is_found = false;
	key_acl_mailbox(&key, mailbox_id);
	start = key;
	if (after)
		key_acl_entry(&start, mailbox_id, after->is_negative, after->account_id);
	row_open(&row, read, DB_ACL);
	bool more = row_seek(&row, key_slice(&start));
	if (more && after && slice_eq(row.key, key_slice(&start)))
		more = row_next(&row);
	/* One that cannot be read is left out: it grants nothing. */
	for (; !is_found && more && row.key.len >= key.len &&
	       memcmp(row.key.ptr, key.octets, key.len) == 0;
	     more = row_next(&row))
		if (acl_row_decode(row.key, row.value, &found)) {
			*entry_out = found.entry;
			is_found = true;
		}
	row_close(&row);
	return is_found;
}

bool acl_has_entry(struct read *read, uint64_t mailbox_id, uint32_t account_id)
{
	struct key granting, taking;
	key_acl_entry(&granting, mailbox_id, false, account_id);
	key_acl_entry(&taking, mailbox_id, true, account_id);
	return db_has(read, DB_ACL, key_slice(&granting)) ||
	       db_has(read, DB_ACL, key_slice(&taking));
}

/* The first row of the index for exactly this account behind `after`. */
static bool shared_next_of(struct read *read, uint32_t account_id, const struct acl_shared *after,
			   struct acl_shared *shared_out)
{
	struct key key;
	struct row row;
	struct acl_row found;
	key_acl_shared(&key, account_id, after ? after->owner_id : 0,
		       after ? after->mailbox_id : 0);
	row_open(&row, read, DB_ACL);
	bool more = row_seek_behind(&row, key_slice(&key));
	bool is_found = more && acl_row_decode(row.key, row.value, &found) &&
			found.kind == ACL_ROW_SHARED && found.entry.account_id == account_id;
	if (is_found)
		*shared_out = (struct acl_shared){ found.owner_id, found.mailbox_id };
	row_close(&row);
	return is_found;
}

bool acl_shared_next(struct read *read, uint32_t account_id, const struct acl_shared *after,
		     struct acl_shared *shared_out)
{
	struct acl_shared at = after ? *after : (struct acl_shared){ 0 };
	struct acl_shared own, anyones;
	do {
		bool has_own = shared_next_of(read, account_id, &at, &own);
		bool has_anyones = shared_next_of(read, ACL_ANYONE, &at, &anyones);
		if (!has_own && !has_anyones)
			return false;
		bool own_is_first = has_own && (!has_anyones || own.owner_id < anyones.owner_id ||
						(own.owner_id == anyones.owner_id &&
						 own.mailbox_id <= anyones.mailbox_id));
		at = own_is_first ? own : anyones;
		/* What it shares with anyone itself is nothing of another's: all of it is skipped. */
		if (at.owner_id == account_id)
			at.mailbox_id = UINT64_MAX;
	} while (at.owner_id == account_id);
	*shared_out = at;
	return true;
}

/* ---- writing ---- */

static enum err entry_put(struct write *write, uint64_t mailbox_id, const struct acl_entry *entry)
{
	struct key key;
	uint8_t value[ENTRY_VALUE_OCTETS] = { RECORD_VERSION };
	key_acl_entry(&key, mailbox_id, entry->is_negative, entry->account_id);
	put_be16(value + 1, (uint16_t)entry->rights);
	return db_put(write, DB_ACL, key_slice(&key), slice_of(value, sizeof(value)), PUT_ANY);
}

enum err acl_shared_put(struct write *write, uint32_t account_id, uint32_t owner_id,
			uint64_t mailbox_id)
{
	struct key key;
	const uint8_t value[1] = { RECORD_VERSION };
	key_acl_shared(&key, account_id, owner_id, mailbox_id);
	return db_put(write, DB_ACL, key_slice(&key), slice_of(value, sizeof(value)), PUT_ANY);
}

/* With the row of the index, where no entry needs it any more. */
static enum err entry_remove(struct write *write, uint32_t owner_id, uint64_t mailbox_id,
			     bool is_negative, uint32_t account_id)
{
	struct key key;
	key_acl_entry(&key, mailbox_id, is_negative, account_id);
	enum err err = db_del(write, DB_ACL, key_slice(&key));
	if (err == ERR_NOT_FOUND)
		err = ERR_OK;
	if (err != ERR_OK || acl_has_entry(write_read(write), mailbox_id, account_id))
		return err;
	key_acl_shared(&key, account_id, owner_id, mailbox_id);
	err = db_del(write, DB_ACL, key_slice(&key));
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static size_t entries_count(struct read *read, uint64_t mailbox_id)
{
	struct acl_entry entry;
	size_t count = 0;
	for (bool more = acl_next(read, mailbox_id, NULL, &entry); more; count++)
		more = acl_next(read, mailbox_id, &entry, &entry);
	return count;
}

static void note(struct write *write, uint32_t account_id, uint32_t owner_id, uint64_t mailbox_id)
{
	const struct watch_news news = { .kinds = WATCH_RIGHTS, .mailbox_id = mailbox_id };
	write_note(write, owner_id, mailbox_id, WATCH_RIGHTS);
	write_note_news(write, account_id, &news);
}

enum err acl_change(struct write *write, uint64_t mailbox_id, enum acl_change change,
		    const struct acl_entry *entry)
{
	struct mailbox_slot *slot;
	struct account_slot *account;
	struct acl_entry now = *entry;
	unsigned before;
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_GONE : err;
	uint32_t owner_id = slot->record.mailbox.account_id;
	if (entry->account_id == owner_id || (entry->rights & ~(unsigned)RIGHTS_ALL))
		return ERR_BAD_INPUT;
	if (entry->account_id != ACL_ANYONE)
		err = account_slot_get(write, entry->account_id, &account);
	if (err == ERR_OK)
		err = rights_get(write_read(write), mailbox_id, entry->is_negative,
				 entry->account_id, &before);
	if (err == ERR_DAMAGED) {
		before = 0; /* what could not be read is replaced */
		err = ERR_OK;
	}
	if (err != ERR_OK)
		return err;
	if (change == ACL_ADD)
		now.rights |= before;
	else if (change == ACL_REMOVE)
		now.rights = before & ~entry->rights;
	if (now.rights == before && before != 0)
		return ERR_OK;
	if (before == 0 && now.rights != 0) {
		if (entries_count(write_read(write), mailbox_id) >= ACL_ENTRIES_MAX)
			return ERR_LIMIT;
		err = write_may_grow(write);
	}
	if (err != ERR_OK)
		return err;
	note(write, entry->account_id, owner_id, mailbox_id);
	if (now.rights == 0)
		return entry_remove(write, owner_id, mailbox_id, entry->is_negative,
				    entry->account_id);
	err = entry_put(write, mailbox_id, &now);
	return err == ERR_OK ? acl_shared_put(write, entry->account_id, owner_id, mailbox_id) : err;
}

void acl_notify_account(struct store *store, uint32_t account_id)
{
	const struct change_note note = { .account_id = account_id,
					  .mailbox_id = NOTE_EVERYTHING,
					  .news = { .kinds = WATCH_RIGHTS } };
	watch_publish(store, &note);
}

enum err acl_mailbox_remove(struct write *write, uint32_t owner_id, uint64_t mailbox_id)
{
	struct acl_entry entry;
	enum err err = ERR_OK;
	while (err == ERR_OK && acl_next(write_read(write), mailbox_id, NULL, &entry)) {
		err = entry_remove(write, owner_id, mailbox_id, entry.is_negative,
				   entry.account_id);
		note(write, entry.account_id, owner_id, mailbox_id);
	}
	return err;
}

enum err acl_account_remove(struct write *write, uint32_t account_id)
{
	struct acl_shared shared;
	enum err err = ERR_OK;
	while (err == ERR_OK && shared_next_of(write_read(write), account_id, NULL, &shared)) {
		err = entry_remove(write, shared.owner_id, shared.mailbox_id, false, account_id);
		if (err == ERR_OK)
			err = entry_remove(write, shared.owner_id, shared.mailbox_id, true,
					   account_id);
		write_note(write, shared.owner_id, shared.mailbox_id, WATCH_RIGHTS);
	}
	return err;
}

enum err acl_inherit(struct write *write, uint32_t owner_id, uint64_t from_mailbox_id,
		     uint64_t to_mailbox_id)
{
	struct acl_entry entry;
	enum err err = ERR_OK;
	bool more = acl_next(write_read(write), from_mailbox_id, NULL, &entry);
	while (err == ERR_OK && more) {
		err = entry_put(write, to_mailbox_id, &entry);
		if (err == ERR_OK)
			err = acl_shared_put(write, entry.account_id, owner_id, to_mailbox_id);
		note(write, entry.account_id, owner_id, to_mailbox_id);
		more = acl_next(write_read(write), from_mailbox_id, &entry, &entry);
	}
	return err;
}
