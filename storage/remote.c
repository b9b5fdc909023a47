/* storage/remote.c - what is remembered of domains elsewhere: a small row for each thing. Runs in the
 * back, and in the admin's process. */
#include "storage/remote_priv.h"

#include "runtime/dns_record.h"
#include "runtime/fingerprint.h"
#include "storage/store_priv.h"

enum {
	FINGERPRINT_OCTETS = 8,
	POLICY_ID_MAX_OCTETS = 32,
	LEVEL_KEPT_SECONDS = 180 * 24 * 3600,
};

/* So many octets of it at most: who has mail sent to ever new domains is not to fill the store with what
 * is remembered of them. */
static bool is_full(struct read *read)
{
	uint64_t rows, octets;
	db_extent(read, DB_REMOTE, &rows, &octets);
	return octets >= REMOTE_MAX_OCTETS;
}

static bool key_remote(struct key *key, enum remote_kind kind, struct slice domain)
{
	key->octets[0] = (uint8_t)kind;
	key->len = 1;
	if (!dns_name_is_valid(domain))
		return false;
	memcpy(key->octets + 1, domain.ptr, domain.len);
	key->len += domain.len;
	return true;
}

static enum err put_row(struct write *write, const struct key *key, struct slice record)
{
	struct slice before = SLICE_NONE;
	enum err err = db_get(write_read(write), DB_REMOTE, key_slice(key), &before);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	if (record.len > before.len && is_full(write_read(write)))
		return ERR_LIMIT;
	return db_put(write, DB_REMOTE, key_slice(key), record, PUT_ANY);
}

static bool take_version(struct cursor *c)
{
	uint8_t version;
	return take_u8(c, &version) && version == RECORD_VERSION;
}

/* ---- policies ---- */

static bool policy_decode(struct slice value, struct remote_policy *policy_out)
{
	struct cursor c = cursor_of(value);
	return take_version(&c) && take_unix(&c, &policy_out->fetched_unix) &&
	       take_unix(&c, &policy_out->expires_unix) && take_block(&c, &policy_out->id) &&
	       policy_out->id.len <= POLICY_ID_MAX_OCTETS && take_block(&c, &policy_out->text) &&
	       policy_out->text.len <= REMOTE_TEXT_MAX_OCTETS && at_end(&c);
}

enum err remote_policy_put(struct write *write, struct slice domain,
			   const struct remote_policy *policy)
{
	struct key key;
	struct buffer record = { 0 };
	enum err err = write_may_grow(write);
	if (err != ERR_OK)
		return err;
	if (!key_remote(&key, REMOTE_POLICY, domain) || policy->id.len > POLICY_ID_MAX_OCTETS ||
	    policy->text.len > REMOTE_TEXT_MAX_OCTETS)
		return ERR_BAD_INPUT;
	buffer_add_byte(&record, RECORD_VERSION);
	buffer_add_be64(&record, (uint64_t)policy->fetched_unix);
	buffer_add_be64(&record, (uint64_t)policy->expires_unix);
	buffer_add_block(&record, policy->id);
	buffer_add_block(&record, policy->text);
	err = put_row(write, &key, buffer_slice(&record));
	buffer_free(&record);
	return err;
}

bool remote_policy_find(struct read *read, struct slice domain, struct arena *arena,
			struct remote_policy *policy_out)
{
	struct key key;
	struct slice value;
	return key_remote(&key, REMOTE_POLICY, domain) &&
	       db_get(read, DB_REMOTE, key_slice(&key), &value) == ERR_OK &&
	       policy_decode(arena_copy(arena, value), policy_out);
}

/* ---- levels ---- */

enum { LEVEL_BITS = 2, LEVEL_MAX = 3 };

static bool level_decode(struct slice value, struct remote_level *level_out)
{
	struct cursor c = cursor_of(value);
	uint8_t levels;
	if (!take_version(&c) || !take_u8(&c, &levels) || levels >> 3 * LEVEL_BITS != 0 ||
	    !take_unix(&c, &level_out->reached_unix) || !take_unix(&c, &level_out->lost_unix))
		return false;
	level_out->level = levels & LEVEL_MAX;
	level_out->proven_by = levels >> LEVEL_BITS & LEVEL_MAX;
	level_out->lost_to = levels >> 2 * LEVEL_BITS;
	return at_end(&c);
}

enum err remote_level_put(struct write *write, struct slice domain,
			  const struct remote_level *level)
{
	uint8_t value[1 + 1 + 8 + 8] = { RECORD_VERSION };
	struct key key;
	enum err err = write_may_grow(write);
	if (err != ERR_OK)
		return err;
	if (!key_remote(&key, REMOTE_LEVEL, domain) || level->level > LEVEL_MAX ||
	    level->proven_by > LEVEL_MAX || level->lost_to > LEVEL_MAX)
		return ERR_BAD_INPUT;
	value[1] = (uint8_t)(level->level | level->proven_by << LEVEL_BITS |
			     level->lost_to << 2 * LEVEL_BITS);
	put_be64(value + 2, (uint64_t)level->reached_unix);
	put_be64(value + 10, (uint64_t)level->lost_unix);
	return put_row(write, &key, slice_of(value, sizeof(value)));
}

bool remote_level_find(struct read *read, struct slice domain, struct remote_level *level_out)
{
	struct key key;
	struct slice value;
	return key_remote(&key, REMOTE_LEVEL, domain) &&
	       db_get(read, DB_REMOTE, key_slice(&key), &value) == ERR_OK &&
	       level_decode(value, level_out);
}

/* ---- results ---- */

static void key_day(struct key *key, uint32_t day)
{
	key->octets[0] = REMOTE_RESULT;
	put_be32(key->octets + 1, day);
	key->len = 5;
}

/* Up to the fingerprint. */
static void key_results(struct key *key, uint32_t day, struct slice domain)
{
	key_day(key, day);
	memcpy(key->octets + key->len, domain.ptr, domain.len);
	key->len += domain.len;
	key->octets[key->len++] = 0;
}

static bool result_decode(struct slice key, struct slice value, struct remote_result *result_out)
{
	struct cursor c = cursor_of(value);
	enum { AROUND = 1 + 4 + 1 + FINGERPRINT_OCTETS };
	if (key.len <= AROUND || key.ptr[0] != REMOTE_RESULT)
		return false;
	result_out->day = get_be32(key.ptr + 1);
	result_out->domain = slice_sub(key, 5, key.len - AROUND);
	return dns_name_is_valid(result_out->domain) && key.ptr[5 + result_out->domain.len] == 0 &&
	       take_version(&c) && take_be64(&c, &result_out->count) &&
	       take_block(&c, &result_out->what) &&
	       result_out->what.len <= REMOTE_RESULT_MAX_OCTETS && at_end(&c);
}

static size_t count_results(struct read *read, const struct key *prefix)
{
	struct row row;
	size_t count = 0;
	row_open(&row, read, DB_REMOTE);
	for (bool more = row_seek(&row, key_slice(prefix));
	     more && count < REMOTE_RESULTS_MAX &&
	     slice_eq(slice_sub(row.key, 0, prefix->len), key_slice(prefix));
	     more = row_next(&row))
		count++;
	row_close(&row);
	return count;
}

enum err remote_result_add(struct write *write, const struct remote_result *result)
{
	struct key key;
	struct slice value;
	struct remote_result present = { .count = 0 };
	struct buffer record = { 0 };
	enum err err = write_may_grow(write);
	if (err != ERR_OK)
		return err;
	if (!dns_name_is_valid(result->domain) || result->what.len > REMOTE_RESULT_MAX_OCTETS)
		return ERR_BAD_INPUT;
	key_results(&key, result->day, result->domain);
	const struct key prefix = key;
	fingerprint(&result->what, 1, key.octets + key.len, FINGERPRINT_OCTETS);
	key.len += FINGERPRINT_OCTETS;
	err = db_get(write_read(write), DB_REMOTE, key_slice(&key), &value);
	if (err == ERR_OK)
		(void)result_decode(key_slice(&key), value, &present);
	else if (err != ERR_NOT_FOUND)
		return err;
	else if (count_results(write_read(write), &prefix) == REMOTE_RESULTS_MAX)
		return ERR_LIMIT;
	buffer_add_byte(&record, RECORD_VERSION);
	buffer_add_be64(&record, present.count + result->count);
	buffer_add_block(&record, result->what);
	err = put_row(write, &key, buffer_slice(&record));
	buffer_free(&record);
	return err;
}

struct remote_place remote_place_of(uint32_t day, struct arena *arena)
{
	struct key key;
	key_day(&key, day);
	return (struct remote_place){ arena_copy(arena, key_slice(&key)) };
}

bool remote_result_next(struct read *read, struct remote_place *place, struct arena *arena,
			struct remote_result *result_out)
{
	struct row row;
	struct key start;
	bool found = false;
	key_day(&start, 0);
	row_open(&row, read, DB_REMOTE);
	bool more = row_seek(&row, place->key.len > 0 ? place->key : key_slice(&start));
	if (more && slice_eq(row.key, place->key))
		more = row_next(&row);
	for (; more && !found && row.key.len > 0 && row.key.ptr[0] == REMOTE_RESULT;
	     more = !found && row_next(&row)) {
		place->key = arena_copy(arena, row.key);
		found = result_decode(place->key, arena_copy(arena, row.value), result_out);
	}
	row_close(&row);
	return found;
}

/* ---- the day of the last report ---- */

static const uint8_t reported_key[] = { REMOTE_REPORTED };

uint32_t remote_reported_day(struct read *read)
{
	struct slice value;
	uint64_t day;
	return db_get(read, DB_REMOTE, slice_of(reported_key, 1), &value) == ERR_OK &&
			       number_decode(value, &day) && day <= UINT32_MAX
		       ? (uint32_t)day
		       : 0;
}

enum err remote_set_reported_day(struct write *write, uint32_t day)
{
	struct buffer record = { 0 };
	number_encode(day, &record);
	enum err err =
		db_put(write, DB_REMOTE, slice_of(reported_key, 1), buffer_slice(&record), PUT_ANY);
	buffer_free(&record);
	return err;
}

/* ---- all of them ---- */

/* What is long stays where it is: its times stand first. */
static bool policy_is_past(struct slice value, int64_t now_unix)
{
	struct cursor c = cursor_of(value);
	int64_t fetched_unix, expires_unix;
	return take_version(&c) && take_unix(&c, &fetched_unix) && take_unix(&c, &expires_unix) &&
	       expires_unix < now_unix;
}

static bool level_is_past(struct slice value, int64_t now_unix)
{
	struct remote_level level;
	return level_decode(value, &level) && level.reached_unix < now_unix - LEVEL_KEPT_SECONDS;
}

static enum err prune_results(struct write *write, uint32_t day, size_t *rows)
{
	struct row row;
	struct key first;
	enum err err = ERR_OK;
	key_day(&first, 0);
	row_open(&row, write_read(write), DB_REMOTE);
	for (bool more = row_seek(&row, key_slice(&first));
	     more && err == ERR_OK && *rows > 0 && row.key.len > 5 &&
	     row.key.ptr[0] == REMOTE_RESULT && get_be32(row.key.ptr + 1) < day;
	     more = row_next(&row)) {
		err = row_delete(&row);
		--*rows;
	}
	row_close(&row);
	return err;
}

/* Policies and levels, which stand before all else. */
static enum err prune_domains(struct write *write, int64_t now_unix, size_t rows,
			      struct remote_walk *walk)
{
	static const uint8_t first[] = { REMOTE_POLICY };
	struct row row;
	enum err err = ERR_OK;
	struct slice place = slice_of(walk->octets, walk->len);
	row_open(&row, write_read(write), DB_REMOTE);
	bool more = row_seek(&row, walk->len > 0 ? place : slice_of(first, 1));
	if (more && slice_eq(row.key, place))
		more = row_next(&row);
	for (; more && err == ERR_OK && rows > 0 && row.key.ptr[0] <= REMOTE_LEVEL;
	     more = row_next(&row), rows--) {
		walk->len = row.key.len < sizeof(walk->octets) ? row.key.len : sizeof(walk->octets);
		memcpy(walk->octets, row.key.ptr, walk->len);
		if (row.key.ptr[0] == REMOTE_POLICY ? policy_is_past(row.value, now_unix)
						    : level_is_past(row.value, now_unix))
			err = row_delete(&row);
	}
	walk->is_over = err == ERR_OK && rows > 0;
	if (walk->is_over)
		walk->len = 0;
	row_close(&row);
	return err;
}

enum err remote_prune(struct write *write, uint32_t day, int64_t now_unix, size_t rows,
		      struct remote_walk *walk)
{
	enum err err = prune_results(write, day, &rows);
	walk->is_over = false;
	return err == ERR_OK && rows > 0 ? prune_domains(write, now_unix, rows, walk) : err;
}

bool remote_row_is_good(struct slice key, struct slice value)
{
	struct slice domain = slice_sub(key, 1, key.len);
	struct remote_policy policy;
	struct remote_level level;
	struct remote_result result;
	uint64_t day;
	switch (key.len > 0 ? key.ptr[0] : 0) {
	case REMOTE_POLICY: return dns_name_is_valid(domain) && policy_decode(value, &policy);
	case REMOTE_LEVEL: return dns_name_is_valid(domain) && level_decode(value, &level);
	case REMOTE_RESULT: return result_decode(key, value, &result);
	case REMOTE_REPORTED: return key.len == 1 && number_decode(value, &day);
	default: return false;
	}
}
