/* storage/domain.c - the domains whose mail ends here. Runs in the back, and in the admin's
 * process. */
#include "storage/account.h"
#include "storage/store_priv.h"

enum err domain_add(struct write *write, struct slice domain)
{
	uint8_t value[9] = { RECORD_VERSION };
	if (domain.len == 0 || domain.len > DOMAIN_MAX_OCTETS ||
	    slice_find_byte(domain, 0, 0) < domain.len)
		return ERR_BAD_INPUT;
	if (domain_is_local(write_read(write), domain))
		return ERR_EXISTS;
	enum err err = write_may_grow(write);
	if (err != ERR_OK)
		return err;
	put_be64(value + 1, (uint64_t)write->now_unix);
	return db_put(write, DB_DOMAIN, domain, slice_of(value, sizeof(value)), PUT_ANY);
}

enum err domain_remove(struct write *write, struct slice domain)
{
	struct key key;
	struct row row;
	if (!domain_is_local(write_read(write), domain) || !key_address(&key, SLICE_NONE, domain))
		return ERR_NOT_FOUND;
	row_open(&row, write_read(write), DB_ADDRESS);
	bool is_used = row_seek(&row, key_slice(&key)) && row.key.len >= key.len &&
		       memcmp(row.key.ptr, key.octets, key.len) == 0;
	row_close(&row);
	return is_used ? ERR_BUSY : db_del(write, DB_DOMAIN, domain);
}

bool domain_is_local(struct read *read, struct slice domain)
{
	return domain.len > 0 && db_has(read, DB_DOMAIN, domain);
}

bool domain_next(struct read *read, struct slice after, struct arena *arena,
		 struct slice *domain_out)
{
	struct row row;
	row_open(&row, read, DB_DOMAIN);
	bool found = row_seek(&row, after.len ? after : SLICE("\0"));
	if (found && after.len && slice_eq(row.key, after))
		found = row_next(&row);
	if (found)
		*domain_out = arena_copy(arena, row.key);
	row_close(&row);
	return found;
}
