/* storage/verify_addresses.c - domains, addresses and the accounts that they lead to, each against the
 * others. Runs in the admin's process. */
#include <inttypes.h>

#include "storage/address_priv.h"
#include "storage/name_priv.h"
#include "storage/verify_priv.h"

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

void verify_domains(struct verify *v)
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

/* ---- accounts and addresses ---- */

struct slice verify_login_of(struct verify *v, uint32_t account_id)
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
		place.login = verify_login_of(v, place.account_id);
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

void verify_account_records(struct verify *v)
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

void verify_addresses(struct verify *v)
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
