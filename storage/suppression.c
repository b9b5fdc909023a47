/* storage/suppression.c - addresses that an account had better not write to, as rows beside what else
 * it submits. Runs in the back, and in the admin's process. */
#include "storage/suppression.h"

#include "storage/submission_priv.h"

bool suppression_decode(struct slice value, struct suppression *suppression_out)
{
	struct cursor c = cursor_of(value);
	uint8_t version;
	uint64_t at;
	if (!take_u8(&c, &version) || version != RECORD_VERSION || !take_be64(&c, &at) ||
	    at > INT64_MAX || !take_block(&c, &suppression_out->words))
		return false;
	suppression_out->at_unix = (int64_t)at;
	return at_end(&c);
}

enum err suppression_put(struct write *write, uint32_t account_id,
			 const struct suppression *suppression)
{
	struct key key, account;
	struct buffer record = { 0 };
	key_be32(&account, account_id);
	if (!db_has(write_read(write), DB_ACCOUNT, key_slice(&account)))
		return ERR_NOT_FOUND;
	if (suppression->address.len == 0 ||
	    !key_submission(&key, account_id, SUBMISSION_SUPPRESSED, suppression->address))
		return ERR_BAD_INPUT;
	buffer_add_byte(&record, RECORD_VERSION);
	buffer_add_be64(&record, (uint64_t)suppression->at_unix);
	buffer_add_block(&record, slice_sub(suppression->words, 0, SUPPRESSION_WORDS_MAX_OCTETS));
	enum err err =
		db_put(write, DB_SUBMISSION, key_slice(&key), buffer_slice(&record), PUT_ANY);
	buffer_free(&record);
	return err;
}

enum err suppression_remove(struct write *write, uint32_t account_id, struct slice address)
{
	struct key key;
	if (address.len == 0 || !key_submission(&key, account_id, SUBMISSION_SUPPRESSED, address))
		return ERR_NOT_FOUND;
	return db_del(write, DB_SUBMISSION, key_slice(&key));
}

bool suppression_find(struct read *read, uint32_t account_id, struct slice address,
		      struct arena *arena, struct suppression *suppression_out)
{
	struct key key;
	struct slice value;
	if (!key_submission(&key, account_id, SUBMISSION_SUPPRESSED, address) ||
	    db_get(read, DB_SUBMISSION, key_slice(&key), &value) != ERR_OK ||
	    !suppression_decode(arena_copy(arena, value), suppression_out))
		return false;
	suppression_out->address = arena_copy(arena, address);
	return true;
}

bool suppression_next(struct read *read, uint32_t account_id, struct slice after,
		      struct arena *arena, struct suppression *suppression_out)
{
	struct row row;
	struct key key;
	bool found = false;
	if (!key_submission(&key, account_id, SUBMISSION_SUPPRESSED, after))
		return false;
	row_open(&row, read, DB_SUBMISSION);
	bool more = row_seek_behind(&row, key_slice(&key));
	for (; more && !found; more = !found && row_next(&row)) {
		if (row.key.len <= 5 || get_be32(row.key.ptr) != account_id ||
		    row.key.ptr[4] != SUBMISSION_SUPPRESSED)
			break;
		found = suppression_decode(arena_copy(arena, row.value), suppression_out);
		if (found)
			suppression_out->address =
				arena_copy(arena, slice_sub(row.key, 5, row.key.len));
	}
	row_close(&row);
	return found;
}
