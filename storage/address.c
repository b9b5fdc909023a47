/* storage/address.c - what stands at an address: an account, or an alias with its targets.
 * Runs in the back, and in the admin's process.
 *
 * A record is of version 1 unless it says who may post. */
#include "storage/address_priv.h"

#include "storage/store_priv.h"

enum {
	ADDRESS_VERSION_POST = 2,
	/* Every octet of a local part that is quoted may have a backslash before it. */
	TARGET_MAX_OCTETS = 2 * LOCAL_MAX_OCTETS + 2 + 1 + DOMAIN_MAX_OCTETS,
};

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

static bool take_addresses(struct cursor *c, struct arena *arena, struct slice **addresses_out,
			   size_t *count_out)
{
	uint32_t count;
	if (!take_be32(c, &count) || count > ADDRESS_TARGETS_MAX)
		return false;
	*addresses_out = arena_alloc_array(arena, count, sizeof(**addresses_out));
	for (*count_out = 0; *count_out < count; ++*count_out) {
		struct slice address;
		if (!take_block(c, &address))
			return false;
		(*addresses_out)[*count_out] = arena_copy(arena, address);
	}
	return true;
}

static bool address_decode(struct slice value, struct arena *arena,
			   struct address_record *record_out)
{
	struct cursor c = cursor_of(value);
	uint8_t version, post;
	*record_out = (struct address_record){ 0 };
	if (!take_u8(&c, &version) || !take_be32(&c, &record_out->account_id) ||
	    !take_addresses(&c, arena, &record_out->targets, &record_out->target_count))
		return false;
	if (version == RECORD_VERSION)
		return true;
	if (version != ADDRESS_VERSION_POST || !take_u8(&c, &post) || post >= POST_COUNT ||
	    !take_addresses(&c, arena, &record_out->posters, &record_out->poster_count))
		return false;
	record_out->post = (enum list_post)post;
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
	bool more = row_seek_behind(&row, key.len ? key_slice(&key) : SLICE("\0"));
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

static void add_addresses(struct buffer *value, const struct slice *addresses, size_t count)
{
	buffer_add_be32(value, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		buffer_add_block(value, addresses[i]);
}

enum err address_put(struct write *write, struct slice local, struct slice domain,
		     const struct address_record *record)
{
	struct key key;
	bool says_who = record->post != POST_ANYBODY || record->poster_count > 0;
	if (!key_address(&key, local, domain))
		return ERR_BAD_INPUT;
	struct buffer value = { 0 };
	buffer_add_byte(&value, says_who ? ADDRESS_VERSION_POST : RECORD_VERSION);
	buffer_add_be32(&value, record->account_id);
	add_addresses(&value, record->targets, record->target_count);
	if (says_who) {
		buffer_add_byte(&value, (uint8_t)record->post);
		add_addresses(&value, record->posters, record->poster_count);
	}
	enum err err = db_put(write, DB_ADDRESS, key_slice(&key), buffer_slice(&value), PUT_ANY);
	buffer_free(&value);
	return err;
}

static enum err check_addresses(const struct slice *addresses, size_t count)
{
	if (count > ADDRESS_TARGETS_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < count; i++)
		if (addresses[i].len == 0 || addresses[i].len > TARGET_MAX_OCTETS)
			return ERR_BAD_INPUT;
	return ERR_OK;
}

/* The alias as it is; ERR_EXISTS: an account. */
static enum err alias_load(struct write *write, struct slice local, struct slice domain,
			   struct address_record *record_out)
{
	enum err err = address_find(write_read(write), local, domain, &write->arena, record_out);
	return err == ERR_OK && record_out->account_id != 0 ? ERR_EXISTS : err;
}

static struct slice *copy_slices(struct write *write, const struct slice *slices, size_t count)
{
	struct slice *copy = arena_alloc_array(&write->arena, count, sizeof(*copy));
	if (count > 0)
		memcpy(copy, slices, count * sizeof(*copy));
	return copy;
}

enum err alias_set(struct write *write, struct slice local, struct slice domain,
		   const struct slice *targets, size_t target_count)
{
	struct key key;
	struct address_record record = { 0 };
	if (target_count == 0 || !key_address(&key, local, domain))
		return ERR_BAD_INPUT;
	enum err err = check_addresses(targets, target_count);
	if (err == ERR_OK)
		err = domain_may_have_addresses(write, domain);
	if (err != ERR_OK)
		return err;
	err = alias_load(write, local, domain, &record);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	if ((err = write_may_grow(write)) != ERR_OK)
		return err;
	record.targets = copy_slices(write, targets, target_count);
	record.target_count = target_count;
	return address_put(write, local, domain, &record);
}

enum err alias_set_post(struct write *write, struct slice local, struct slice domain,
			enum list_post post, const struct slice *posters, size_t poster_count)
{
	struct address_record record;
	enum err err = check_addresses(posters, poster_count);
	if (err == ERR_OK)
		err = alias_load(write, local, domain, &record);
	if (err == ERR_EXISTS)
		return ERR_NOT_FOUND;
	if (err == ERR_OK)
		err = write_may_grow(write);
	if (err != ERR_OK)
		return err;
	record.post = post;
	record.posters = copy_slices(write, posters, poster_count);
	record.poster_count = poster_count;
	return address_put(write, local, domain, &record);
}

enum err alias_remove(struct write *write, struct slice local, struct slice domain)
{
	struct key key;
	struct address_record record;
	enum err err = alias_load(write, local, domain, &record);
	if (err == ERR_EXISTS)
		err = ERR_NOT_FOUND; /* an account is not an alias */
	if (err == ERR_OK && key_address(&key, local, domain))
		err = db_del(write, DB_ADDRESS, key_slice(&key));
	return err;
}
