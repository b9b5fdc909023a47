/* storage/verify_remote.c - what is remembered of domains elsewhere: rows that can be read. Runs in the
 * admin's process. */
#include "storage/remote_priv.h"
#include "storage/verify_priv.h"

static const char *row_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	return remote_row_is_good(row->key, row->value)
		       ? NULL
		       : "a row of what is known of a domain elsewhere cannot be read";
}

void verify_remote(struct verify *v)
{
	verify_rows(v, DB_REMOTE, VERIFY_ROW_COST, WRONG_REMOTE, row_wrong);
}
