/* storage/migration_priv.h - a store of an older format becomes one of today's. */
#pragma once

#include "storage/store_priv.h"

/* All steps from `format` to STORE_FORMAT, within a transaction that does nothing else: what
 * fails on the way leaves the store as it was. */
enum err migrate(struct store *store, MDB_txn *txn, uint32_t format, const char **why_out) MUST_USE;

/* Keeps servers away while the format changes. ERR_BUSY: one is running, and it is an older one. */
enum err migration_lock(struct store *store, int *fd_out, const char **why_out) MUST_USE;
void migration_unlock(int *fd);

/* environment.c */
int format_put(MDB_txn *txn, MDB_dbi main, uint32_t format, uint64_t created_unix);
enum err open_failure(struct store *store, int code, const char **why_out);
