/* storage/domain.c - the domains whose mail ends here. Runs in the back, and in the admin's
 * process.
 *
 * A record is of version 1, the time alone, as long as it says nothing else; so most read as they
 * were first written. */
#include "storage/domain.h"

#include "storage/address_priv.h"
#include "storage/store_priv.h"

enum { DOMAIN_VERSION = 2, DOMAIN_HIDES_CLIENTS = 1 };

/* `created_unix` beside what the rest of the world knows. */
struct domain_row {
	uint64_t created_unix;
	struct domain_record record;
};

bool domain_decode(struct slice value, struct domain_record *record_out, uint64_t *created_out)
{
	struct cursor c = cursor_of(value);
	uint8_t version, flags, senders;

	*record_out = (struct domain_record){ .senders = SENDERS_OWN };
	if (!take_u8(&c, &version) || !take_be64(&c, created_out))
		return false;
	if (version == RECORD_VERSION)
		return at_end(&c);
	if (version != DOMAIN_VERSION || !take_u8(&c, &flags) || !take_u8(&c, &senders) ||
	    senders >= SENDERS_COUNT || !take_block(&c, &record_out->alias_of) || !at_end(&c))
		return false;
	record_out->hides_clients = flags & DOMAIN_HIDES_CLIENTS;
	record_out->senders = (enum domain_senders)senders;
	return true;
}

static enum err domain_put(struct write *write, struct slice domain, const struct domain_row *row)
{
	struct buffer value = { 0 };
	const struct domain_record *record = &row->record;
	bool is_plain = record->alias_of.len == 0 && record->senders == SENDERS_OWN &&
			!record->hides_clients;

	buffer_add_byte(&value, is_plain ? RECORD_VERSION : DOMAIN_VERSION);
	buffer_add_be64(&value, row->created_unix);
	if (!is_plain) {
		buffer_add_byte(&value, record->hides_clients ? DOMAIN_HIDES_CLIENTS : 0);
		buffer_add_byte(&value, (uint8_t)record->senders);
		buffer_add_block(&value, record->alias_of);
	}
	enum err err = db_put(write, DB_DOMAIN, domain, buffer_slice(&value), PUT_ANY);
	buffer_free(&value);
	return err;
}

static enum err domain_load(struct read *read, struct slice domain, struct arena *arena,
			    struct domain_row *row_out)
{
	struct slice value;
	if (domain.len == 0 || domain.len > DOMAIN_MAX_OCTETS)
		return ERR_NOT_FOUND;
	enum err err = db_get(read, DB_DOMAIN, domain, &value);
	if (err != ERR_OK)
		return err;
	if (!domain_decode(value, &row_out->record, &row_out->created_unix)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "domain"));
		return ERR_DAMAGED;
	}
	row_out->record.alias_of = arena_copy(arena, row_out->record.alias_of);
	return ERR_OK;
}

enum err domain_add(struct write *write, struct slice domain)
{
	const struct domain_row row = { .created_unix = (uint64_t)write->now_unix };
	if (domain.len == 0 || domain.len > DOMAIN_MAX_OCTETS ||
	    slice_find_byte(domain, 0, 0) < domain.len)
		return ERR_BAD_INPUT;
	if (domain_is_local(write_read(write), domain))
		return ERR_EXISTS;
	enum err err = write_may_grow(write);
	return err == ERR_OK ? domain_put(write, domain, &row) : err;
}

static bool has_addresses(struct write *write, struct slice domain)
{
	struct key key;
	struct row row;
	if (!key_address(&key, SLICE_NONE, domain))
		return false;
	row_open(&row, write_read(write), DB_ADDRESS);
	bool has = row_seek(&row, key_slice(&key)) && row.key.len >= key.len &&
		   memcmp(row.key.ptr, key.octets, key.len) == 0;
	row_close(&row);
	return has;
}

/* Another domain is a name of this one. */
static bool is_target(struct write *write, struct slice domain)
{
	struct row row;
	struct domain_record record;
	uint64_t created;
	bool is = false;
	row_open(&row, write_read(write), DB_DOMAIN);
	for (bool more = row_seek(&row, SLICE("\0")); more && !is; more = row_next(&row))
		is = domain_decode(row.value, &record, &created) &&
		     slice_eq(record.alias_of, domain);
	row_close(&row);
	return is;
}

enum err domain_remove(struct write *write, struct slice domain)
{
	if (!domain_is_local(write_read(write), domain))
		return ERR_NOT_FOUND;
	if (has_addresses(write, domain) || is_target(write, domain))
		return ERR_BUSY;
	return db_del(write, DB_DOMAIN, domain);
}

bool domain_is_local(struct read *read, struct slice domain)
{
	return domain.len > 0 && domain.len <= DOMAIN_MAX_OCTETS && db_has(read, DB_DOMAIN, domain);
}

enum err domain_get(struct read *read, struct slice domain, struct arena *arena,
		    struct domain_record *record_out)
{
	struct domain_row row;
	enum err err = domain_load(read, domain, arena, &row);
	if (err == ERR_OK)
		*record_out = row.record;
	return err;
}

enum err domain_set(struct write *write, struct slice domain, const struct domain_record *record)
{
	struct domain_row row;
	enum err err = domain_load(write_read(write), domain, &write->arena, &row);
	if (err != ERR_OK)
		return err;
	row.record.senders = record->senders;
	row.record.hides_clients = record->hides_clients;
	return domain_put(write, domain, &row);
}

enum err domain_set_alias(struct write *write, struct slice domain, struct slice target)
{
	struct domain_row row, target_row;
	enum err err = domain_load(write_read(write), target, &write->arena, &target_row);
	if (err != ERR_OK)
		return err;
	if (target_row.record.alias_of.len > 0 || slice_eq(domain, target))
		return ERR_BAD_INPUT;
	err = domain_add(write, domain);
	if (err != ERR_OK && err != ERR_EXISTS)
		return err;
	if (has_addresses(write, domain) || is_target(write, domain))
		return ERR_BUSY;
	err = domain_load(write_read(write), domain, &write->arena, &row);
	if (err != ERR_OK)
		return err;
	row.record.alias_of = target;
	return domain_put(write, domain, &row);
}

enum err domain_may_have_addresses(struct write *write, struct slice domain)
{
	struct domain_row row;
	enum err err = domain_load(write_read(write), domain, &write->arena, &row);
	return err == ERR_OK && row.record.alias_of.len > 0 ? ERR_BAD_INPUT : err;
}

bool domain_next(struct read *read, struct slice after, struct arena *arena,
		 struct slice *domain_out)
{
	struct row row;
	row_open(&row, read, DB_DOMAIN);
	bool found = row_seek_behind(&row, after.len ? after : SLICE("\0"));
	if (found)
		*domain_out = arena_copy(arena, row.key);
	row_close(&row);
	return found;
}
