/* tests/unit/failing_reads.h - a store that cannot be read for a moment, or from then on: between it and LMDB
 * the test program has its own mdb_cursor_get() and others. What fails, fails for the thread that set it
 * so. */
#pragma once

#include <dlfcn.h>
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

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn_out)
{
	int (*true_one)(MDB_env *, MDB_txn *, unsigned, MDB_txn **);
	*(void **)&true_one = dlsym(RTLD_NEXT, "mdb_txn_begin");
	return (flags & MDB_RDONLY) && read_fails(&reads_left)
		       ? EIO
		       : true_one(env, parent, flags, txn_out);
}

int mdb_txn_renew(MDB_txn *txn)
{
	int (*true_one)(MDB_txn *);
	*(void **)&true_one = dlsym(RTLD_NEXT, "mdb_txn_renew");
	return read_fails(&reads_left) ? EIO : true_one(txn);
}

int mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	int (*true_one)(MDB_cursor *, MDB_val *, MDB_val *, MDB_cursor_op);
	*(void **)&true_one = dlsym(RTLD_NEXT, "mdb_cursor_get");
	steps++;
	return read_fails(&steps_left) ? EIO : true_one(cursor, key, value, op);
}

int mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	int (*true_one)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *);
	*(void **)&true_one = dlsym(RTLD_NEXT, "mdb_get");
	return read_fails(&gets_left) ? EIO : true_one(txn, dbi, key, value);
}
