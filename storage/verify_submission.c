/* storage/verify_submission.c - what accounts may submit: rows that can be read, of accounts that are
 * there. Runs in the admin's process. */
#include "storage/submission_priv.h"
#include "storage/verify_priv.h"

static const char *row_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	struct key account, garbage;
	if (!submission_row_is_good(row->key, row->value))
		return "a row of what an account may submit cannot be read";
	uint32_t account_id = get_be32(row->key.ptr);
	key_be32(&account, account_id);
	key_garbage(&garbage, GARBAGE_EXPUNGED, account_id);
	return db_has(row->read, DB_ACCOUNT, key_slice(&account)) ||
			       db_has(row->read, DB_GARBAGE, key_slice(&garbage))
		       ? NULL
		       : "a row of what an account may submit is of one that is not there";
}

void verify_submission(struct verify *v)
{
	verify_rows(v, DB_SUBMISSION, 2 * VERIFY_ROW_COST, WRONG_SUBMISSION, row_wrong);
}
