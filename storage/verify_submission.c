/* storage/verify_submission.c - what accounts may submit: rows that can be read, of accounts that are
 * there. Runs in the admin's process. */
#include "storage/submission_priv.h"
#include "storage/verify_priv.h"

static const char *row_wrong(const struct row *row)
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
	struct verify_walk walk;
	verify_walk_begin(&walk, v, DB_SUBMISSION);
	while (verify_walk_next(&walk, 2 * VERIFY_ROW_COST)) {
		const char *wrong = row_wrong(&walk.row);
		verify_advance(v, 1);
		if (wrong) {
			struct verify_place place = { 0 };
			struct fix fix = { .run = fix_delete_row, .db = DB_SUBMISSION };
			fix.key = arena_copy(&v->arena, walk.row.key);
			fix.value = arena_copy(&v->arena, walk.row.value);
			verify_walk_pause(&walk);
			verify_tell(v, WRONG_SUBMISSION, &place, &fix, "%s", wrong);
		}
		arena_reset(&v->arena);
	}
	verify_walk_end(&walk);
	verify_pause(v);
}
