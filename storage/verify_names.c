/* storage/verify_names.c - the small databases against one another: domains, addresses, accounts,
 * mailbox names and mailboxes' records, each index against what it leads to; and the numbers that
 * will be given next. Runs in the admin's process. */
#include <inttypes.h>

#include "storage/address_priv.h"
#include "storage/garbage_priv.h"
#include "storage/name_priv.h"
#include "storage/verify_priv.h"

static const struct slice head_key = { (const uint8_t *)"!head", 5 };

/* ---- domains ---- */

static enum err fix_domain(struct write *write, struct fix *fix)
{
	uint8_t value[9] = { RECORD_VERSION };
	put_be64(value + 1, (uint64_t)write->now_unix);
	return db_put(write, DB_DOMAIN, fix->key, slice_of(value, sizeof(value)), PUT_ANY);
}

/* NULL: the record is right. A name of another domain that is none is a domain of its own. */
static const char *domain_wrong(struct read *read, struct slice value)
{
	struct domain_record record, other;
	struct slice other_value;
	uint64_t created;
	if (!domain_decode(value, &record, &created))
		return "its record is damaged";
	if (record.alias_of.len == 0)
		return NULL;
	if (record.alias_of.len > DOMAIN_MAX_OCTETS ||
	    db_get(read, DB_DOMAIN, record.alias_of, &other_value) != ERR_OK)
		return "it is another name of one that is not there";
	if (domain_decode(other_value, &other, &created) && other.alias_of.len > 0)
		return "it is another name of one that is such a name itself";
	return NULL;
}

static void check_domains(struct verify *v)
{
	struct verify_walk walk;
	verify_walk_begin(&walk, v, DB_DOMAIN);
	while (verify_walk_next(&walk, VERIFY_ROW_COST)) {
		verify_advance(v, 1);
		const char *wrong = domain_wrong(walk.row.read, walk.row.value);
		if (!wrong)
			continue;
		struct key key = { .len = walk.row.key.len };
		memcpy(key.octets, walk.row.key.ptr, key.len);
		struct verify_place place = { 0 };
		struct fix fix = { .run = fix_domain, .key = key_slice(&key) };
		verify_walk_pause(&walk);
		verify_tell(v, WRONG_DOMAIN, &place, &fix, "the domain %.*s: %s",
			    SLICE_ARG(key_slice(&key)), wrong);
	}
	verify_walk_end(&walk);
}

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

/* Whose address leads to the account: for one whose record cannot be read. */
static struct slice login_find(struct verify *v, uint32_t account_id)
{
	struct slice local = SLICE_NONE, domain = SLICE_NONE, login = SLICE_NONE;
	struct address_record record;
	struct arena arena = { 0 };
	struct read *read = verify_read(v);
	while (login.len == 0 && address_next(read, &local, &domain, &arena, &record))
		if (record.account_id == account_id)
			login = slice_cstr(arena_format(&v->arena, "%.*s@%.*s", SLICE_ARG(local),
							SLICE_ARG(domain)));
	arena_fini(&arena);
	return login;
}

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
		if (login_find(v, place.account_id).len > 0)
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

/* ---- accounts and addresses ---- */

/* The account as far as others know of it; its password is lost. */
static enum err fix_account(struct write *write, struct fix *fix)
{
	struct account_row row;
	enum err err = account_load(write_read(write), fix->place.account_id, &write->arena, &row);
	if (err == ERR_OK)
		return ERR_OK;
	if (fix->place.login.len == 0)
		return ERR_NOT_FOUND;
	struct account_slot *slot = account_slot_new(write, fix->place.account_id);
	slot->row.account.login = arena_copy(&write->arena, fix->place.login);
	account_slot_dirty(write, slot);
	return repair_account(write, fix->place.account_id);
}

static enum err fix_account_address(struct write *write, struct fix *fix)
{
	struct account_row account;
	struct address_record address = { 0 };
	struct slice local, domain;
	struct key key;
	enum err err =
		account_load(write_read(write), fix->place.account_id, &write->arena, &account);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	if (!login_split(account.account.login, &local, &domain) ||
	    !key_address(&key, local, domain))
		return ERR_BAD_INPUT;
	address.account_id = fix->place.account_id;
	return address_put(write, local, domain, &address);
}

static enum err fix_inbox(struct write *write, struct fix *fix)
{
	uint64_t mailbox_id;
	enum err err =
		mailbox_create(write, fix->place.account_id, SLICE("INBOX"), USE_NONE, &mailbox_id);
	return err == ERR_EXISTS ? ERR_OK : err;
}

static void check_account(struct verify *v, struct verify_walk *walk)
{
	struct read *read = walk->row.read;
	struct account_row account;
	struct address_record address;
	struct name_row inbox;
	struct slice local, domain;
	struct arena arena = { 0 };
	struct verify_place place = { .account_id = get_be32(walk->row.key.ptr) };
	struct fix fix = { .run = fix_account };
	v->last_account_id = place.account_id;
	if (!account_decode(walk->row.value, place.account_id, &account)) {
		place.login = login_find(v, place.account_id);
		verify_walk_pause(walk);
		verify_tell(v, WRONG_ACCOUNT, &place, &fix,
			    "the record of account %" PRIu32 " is damaged", place.account_id);
		return;
	}
	bool has_address = login_split(account.account.login, &local, &domain) &&
			   address_find(read, local, domain, &arena, &address) == ERR_OK &&
			   address.account_id == place.account_id;
	bool has_inbox = name_get(read, place.account_id, SLICE("INBOX"), &inbox) == ERR_OK &&
			 inbox.mailbox_id != 0;
	arena_fini(&arena);
	if (!has_address) {
		fix.run = fix_account_address;
		verify_walk_pause(walk);
		verify_tell(v, WRONG_ADDRESS, &place, &fix, "no address leads to the account");
	}
	if (!has_inbox) {
		fix.run = fix_inbox;
		verify_walk_pause(walk);
		verify_tell(v, WRONG_INBOX, &place, &fix, "the account has no INBOX");
	}
}

static void check_accounts(struct verify *v)
{
	struct verify_walk walk;
	verify_walk_begin(&walk, v, DB_ACCOUNT);
	while (verify_walk_next(&walk, 4 * VERIFY_ROW_COST)) {
		verify_advance(v, 1);
		if (walk.row.key.len == 4)
			check_account(v, &walk);
	}
	verify_walk_end(&walk);
}

static bool account_has_names(struct read *read, uint32_t account_id)
{
	struct row row;
	struct key key;
	row_open(&row, read, DB_MAILBOX_NAME);
	key_be32(&key, account_id);
	bool has = row_seek(&row, key_slice(&key)) && row.key.len > 4 &&
		   get_be32(row.key.ptr) == account_id;
	row_close(&row);
	return has;
}

static void check_address(struct verify *v, struct verify_walk *walk)
{
	struct read *read = walk->row.read;
	struct account_row account;
	struct address_record record;
	struct arena arena = { 0 };
	struct key key = { .len = walk->row.key.len }, account_key;
	struct slice value;
	memcpy(key.octets, walk->row.key.ptr, key.len);
	size_t end = slice_find_byte(key_slice(&key), 0, 0);
	struct slice domain = slice_sub(key_slice(&key), 0, end);
	struct slice local = slice_sub(key_slice(&key), end + 1, key.len);
	char *login = arena_format(&arena, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(domain));
	bool is_good =
		end < key.len && address_find(read, local, domain, &arena, &record) == ERR_OK;
	bool has_domain = domain_is_local(read, domain);
	struct verify_place place = { 0 };
	struct fix fix = { .run = fix_delete_row,
			   .db = DB_ADDRESS,
			   .key = key_slice(&key),
			   .value = arena_copy(&arena, walk->row.value) };
	const char *wrong = NULL;
	enum verify_kind kind = WRONG_ADDRESS;
	if (!is_good) {
		wrong = "what it leads to cannot be read";
	} else if (record.account_id == 0 && record.target_count == 0) {
		wrong = "it leads nowhere";
	} else if (record.account_id != 0) {
		key_be32(&account_key, record.account_id);
		if (db_get(read, DB_ACCOUNT, key_slice(&account_key), &value) == ERR_OK) {
			/* One that cannot be read is told of with the accounts. */
			if (account_decode(value, record.account_id, &account) &&
			    !slice_eq(account.account.login, slice_cstr(login)))
				wrong = "it leads to an account that has another";
		} else if (account_has_names(read, record.account_id)) {
			wrong = "the record of its account is lost";
			kind = WRONG_ACCOUNT;
			place.account_id = record.account_id;
			place.login = slice_cstr(login);
			fix.run = fix_account;
		} else {
			wrong = "it leads to an account that is not there";
		}
	}
	verify_walk_pause(walk);
	if (wrong)
		verify_tell(v, kind, &place, &fix, "the address %s: %s", login, wrong);
	fix = (struct fix){ .run = fix_domain, .key = domain };
	place = (struct verify_place){ 0 };
	if (is_good && !has_domain)
		verify_tell(v, WRONG_DOMAIN, &place, &fix,
			    "the domain of the address %s is not there", login);
	arena_fini(&arena);
}

static bool address_is_plain(struct read *read, struct slice key, struct slice value)
{
	struct cursor c = cursor_of(value);
	uint32_t account_id, count;
	uint8_t version;
	struct key account_key;
	struct slice record, domain = slice_sub(key, 0, slice_find_byte(key, 0, 0));
	struct account_row account;
	if (domain.len == key.len || !domain_is_local(read, domain) || !take_u8(&c, &version) ||
	    version != RECORD_VERSION || !take_be32(&c, &account_id) || account_id == 0 ||
	    !take_be32(&c, &count) || count != 0)
		return false;
	key_be32(&account_key, account_id);
	struct slice local = slice_sub(key, domain.len + 1, key.len);
	if (db_get(read, DB_ACCOUNT, key_slice(&account_key), &record) != ERR_OK ||
	    !account_decode(record, account_id, &account))
		return false;
	struct slice login = account.account.login;
	return login.len == key.len && slice_eq(slice_sub(login, 0, local.len), local) &&
	       login.ptr[local.len] == '@' &&
	       slice_eq(slice_sub(login, local.len + 1, login.len), domain);
}

static void check_addresses(struct verify *v)
{
	struct verify_walk walk;
	verify_walk_begin(&walk, v, DB_ADDRESS);
	while (verify_walk_next(&walk, 4 * VERIFY_ROW_COST)) {
		verify_advance(v, 1);
		if (!address_is_plain(walk.row.read, walk.row.key, walk.row.value))
			check_address(v, &walk);
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
	check_domains(v);
	/* Before anything that makes new mailboxes. */
	check_head(v);
	/* Before what belongs to the accounts that they lead to. */
	check_addresses(v);
	check_names(v);
	check_mailboxes(v);
	check_accounts(v);
	check_head(v); /* with what the walks have met */
}
