/* tests/unit/failing_reads.h - a store that cannot be read for a moment, or from then on: between it and LMDB
 * the test program has its own mdb_cursor_get() and others. What fails, fails for the thread that set it
 * so. */
#pragma once

#include <errno.h>
#include <stdbool.h>

#include "storage/store_priv.h"

enum { NEVER = -1 };

/* Before one of them fails: reads that begin, steps of cursors, rows that are got. */
static _Thread_local int reads_left = NEVER, steps_left = NEVER, gets_left = NEVER;
static _Thread_local bool fails_for_good; /* what has failed once */
static unsigned failed_reads;
static _Thread_local unsigned steps; /* of cursors */

static inline bool read_fails(int *left)
{
	bool now = *left == 0;
	if (*left > 0 || (now && !fails_for_good))
		--*left;
	failed_reads += now;
	return now;
}

int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn_out);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn_out);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn_out)
{
	return (flags & MDB_RDONLY) && read_fails(&reads_left)
		       ? EIO
		       : __real_mdb_txn_begin(env, parent, flags, txn_out);
}

int __real_mdb_txn_renew(MDB_txn *txn);
int __wrap_mdb_txn_renew(MDB_txn *txn);
int __wrap_mdb_txn_renew(MDB_txn *txn)
{
	return read_fails(&reads_left) ? EIO : __real_mdb_txn_renew(txn);
}

int __real_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);
int __wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);
int __wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	steps++;
	return read_fails(&steps_left) ? EIO : __real_mdb_cursor_get(cursor, key, value, op);
}

int __real_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value);
int __wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value);
int __wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	return read_fails(&gets_left) ? EIO : __real_mdb_get(txn, dbi, key, value);
}
