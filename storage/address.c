/* storage/address.c - what stands at an address: an account, or an alias with its targets.
 * Runs in the back, and in the admin's process. */
#include "storage/address_priv.h"

#include "storage/store_priv.h"

enum { TARGETS_MAX = 10000, TARGET_MAX_OCTETS = LOCAL_MAX_OCTETS + 1 + DOMAIN_MAX_OCTETS };

bool login_split(struct slice login, struct slice *local_out, struct slice *domain_out)
{
	for (size_t i = login.len; i > 0; i--)
		if (login.ptr[i - 1] == '@') {
			*local_out = slice_sub(login, 0, i - 1);
			*domain_out = slice_sub(login, i, login.len - i);
			return true;
		}
	return false;
}

static bool address_decode(struct slice value, struct arena *arena,
			   struct address_record *record_out)
{
	struct cursor c = cursor_of(value);
	uint32_t count;
	*record_out = (struct address_record){ 0 };
	if (!take_byte(&c, RECORD_VERSION) || !take_be32(&c, &record_out->account_id) ||
	    !take_be32(&c, &count) || count > TARGETS_MAX)
		return false;
	record_out->targets = arena_alloc_array(arena, count, sizeof(*record_out->targets));
	for (; record_out->target_count < count; record_out->target_count++) {
		struct slice target;
		if (!take_block(&c, &target))
			return false;
		record_out->targets[record_out->target_count] = arena_copy(arena, target);
	}
	return true;
}

enum err address_find(struct read *read, struct slice local, struct slice domain,
		      struct arena *arena, struct address_record *record_out)
{
	struct key key;
	struct slice value;
	if (!key_address(&key, local, domain))
		return ERR_NOT_FOUND;
	enum err err = db_get(read, DB_ADDRESS, key_slice(&key), &value);
	if (err != ERR_OK)
		return err;
	if (!address_decode(value, arena, record_out)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "address"));
		return ERR_DAMAGED;
	}
	return ERR_OK;
}

bool address_next(struct read *read, struct slice *local, struct slice *domain, struct arena *arena,
		  struct address_record *record_out)
{
	struct row row;
	struct key key;
	bool found = false;
	if (!key_address(&key, *local, *domain))
		return false;
	if (local->len == 0 && domain->len == 0)
		key.len = 0; /* to start: before every key that is not empty */
	row_open(&row, read, DB_ADDRESS);
	bool more = row_seek(&row, key.len ? key_slice(&key) : SLICE("\0"));
	if (more && key.len && slice_eq(row.key, key_slice(&key)))
		more = row_next(&row);
	while (more && !found) {
		size_t end = slice_find_byte(row.key, 0, 0);
		found = end < row.key.len && address_decode(row.value, arena, record_out);
		if (found) {
			*domain = arena_copy(arena, slice_sub(row.key, 0, end));
			*local = arena_copy(arena,
					    slice_sub(row.key, end + 1, row.key.len - end - 1));
		} else {
			more = row_next(&row);
		}
	}
	row_close(&row);
	return found;
}

enum err address_put(struct write *write, struct slice local, struct slice domain,
		     const struct address_record *record)
{
	struct key key;
	if (!key_address(&key, local, domain))
		return ERR_BAD_INPUT;
	struct buffer value = { 0 };
	buffer_add_byte(&value, RECORD_VERSION);
	buffer_add_be32(&value, record->account_id);
	buffer_add_be32(&value, (uint32_t)record->target_count);
	for (size_t i = 0; i < record->target_count; i++)
		buffer_add_block(&value, record->targets[i]);
	enum err err = db_put(write, DB_ADDRESS, key_slice(&key), buffer_slice(&value), PUT_ANY);
	buffer_free(&value);
	return err;
}

enum err alias_set(struct write *write, struct slice local, struct slice domain,
		   const struct slice *targets, size_t target_count)
{
	struct key key;
	struct address_record record = { 0 };
	if (target_count == 0 || local.len == 0 || !key_address(&key, local, domain))
		return ERR_BAD_INPUT;
	if (target_count > TARGETS_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < target_count; i++)
		if (targets[i].len == 0 || targets[i].len > TARGET_MAX_OCTETS)
			return ERR_BAD_INPUT;
	if (!domain_is_local(write_read(write), domain))
		return ERR_NOT_FOUND;
	enum err err = address_find(write_read(write), local, domain, &write->arena, &record);
	if (err == ERR_OK && record.account_id != 0)
		return ERR_EXISTS;
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	if ((err = write_may_grow(write)) != ERR_OK)
		return err;
	record = (struct address_record){
		.targets = arena_alloc_array(&write->arena, target_count, sizeof(*targets)),
		.target_count = target_count,
	};
	memcpy(record.targets, targets, target_count * sizeof(*targets));
	return address_put(write, local, domain, &record);
}

enum err alias_remove(struct write *write, struct slice local, struct slice domain)
{
	struct key key;
	struct address_record record;
	enum err err = address_find(write_read(write), local, domain, &write->arena, &record);
	if (err == ERR_OK && record.account_id != 0)
		err = ERR_NOT_FOUND; /* an account is not an alias */
	if (err == ERR_OK && key_address(&key, local, domain))
		err = db_del(write, DB_ADDRESS, key_slice(&key));
	return err;
}
