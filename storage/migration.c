/* storage/migration.c - from the format of an older Bode to the next, and the next, until it is
 * today's: each step a row of a table, all of them in one transaction of their own, when the
 * store is opened. There is no way back: an older Bode refuses what a newer has written.
 * Runs in the back, and in the admin's process. */
#include "storage/migration_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"

/* Nothing moves, but an older Bode would take what it does not know for damage, or read it wrongly. */
static int change_nothing(MDB_txn *txn)
{
	(void)txn;
	return 0;
}

static int add_database(MDB_txn *txn, const char *name)
{
	MDB_dbi dbi;
	return mdb_dbi_open(txn, name, MDB_CREATE, &dbi);
}

/* From format 1 to 2: what is expunged may be had back. */
static int add_expunged(MDB_txn *txn)
{
	return add_database(txn, "expunged");
}

/* From format 2 to 3: mail that leaves. */
static int add_queue(MDB_txn *txn)
{
	return add_database(txn, "queue");
}

/* From format 3 to 4: the journal. */
static int add_journal(MDB_txn *txn)
{
	int code = add_database(txn, "journal");
	return code == 0 ? add_database(txn, "journal-index") : code;
}

/* From format 5 to 6: what accounts may submit. */
static int add_submission(MDB_txn *txn)
{
	return add_database(txn, "submission");
}

/* From format 6 to 7: what clients note of mailboxes. */
static int add_annotations(MDB_txn *txn)
{
	return add_database(txn, "annotation");
}

/* From format 9 to 10: lists of rights. */
static int add_acl(MDB_txn *txn)
{
	return add_database(txn, "acl");
}

/* From format 10 to 11: what is remembered of domains elsewhere. */
static int add_remote(MDB_txn *txn)
{
	return add_database(txn, "remote");
}

/* From format 13 to 14: dictionaries. Chunks that are read with one would be damage to an older Bode. */
static int add_dictionary(MDB_txn *txn)
{
	int code = add_database(txn, "dictionary");
	return code == 0 ? add_database(txn, "dictionary-copy") : code;
}

/* The step at i leads from format i + 1 to i + 2. A step speaks LMDB, and names and layouts as
 * they were then: what the rest of the room knows is today's. */
static int (*const steps[STORE_FORMAT - 1])(MDB_txn *txn) = {
	add_expunged,
	add_queue,
	add_journal,
	change_nothing, /* 5: a domain may be another's name; nobody would seem to be there */
	add_submission,
	add_annotations,
	change_nothing, /* 8: what an alias has forwarded, and whom an account cannot write to */
	change_nothing, /* 9: the change log says which flags changed */
	add_acl,
	add_remote,
	change_nothing, /* 12: digests with the text of the structure would be damage */
	change_nothing, /* 13: and so would chunks with their base64 decoded, and digests in the clear */
	add_dictionary,
	change_nothing, /* 15: what was committed may stand in the redo log alone */
};

static uint64_t created_unix(MDB_txn *txn, MDB_dbi main)
{
	MDB_val key = { 5, (void *)(uintptr_t) "!bode" }, value;
	uint8_t version;
	uint32_t format;
	uint64_t created = (uint64_t)clock_unix();
	if (mdb_get(txn, main, &key, &value) == 0) {
		struct cursor c = cursor_of(slice_of(value.mv_data, value.mv_size));
		if (!take_u8(&c, &version) || !take_be32(&c, &format) || !take_be64(&c, &created))
			created = (uint64_t)clock_unix();
	}
	return created;
}

enum err migrate(struct store *store, MDB_txn *txn, uint32_t format, const char **why_out)
{
	MDB_dbi main;
	if (format == 0) {
		*why_out = why_format("the store in %s is damaged (there never was a version 0); "
				      "restore it from a backup",
				      store->path);
		return ERR_DISK;
	}
	int code = mdb_dbi_open(txn, NULL, 0, &main);
	for (uint32_t at = format; at < STORE_FORMAT && code == 0; at++)
		code = steps[at - 1](txn);
	if (code == 0)
		code = format_put(txn, main, STORE_FORMAT, created_unix(txn, main));
	if (code != 0)
		return open_failure(store, code, why_out);
	log_info(NULL, EVENT("store-migrated"), CSTR("path", store->path), NUM("from", format),
		 NUM("to", STORE_FORMAT));
	return ERR_OK;
}

enum err migration_lock(struct store *store, int *fd_out, const char **why_out)
{
	char *path = heap_alloc(strlen(store->path) + sizeof("/serving"));
	sprintf(path, "%s/serving", store->path);
	enum err err = ERR_OK;
	*fd_out = open(path, O_RDWR | O_CLOEXEC);
	if (*fd_out >= 0 && flock(*fd_out, LOCK_EX | LOCK_NB) != 0) {
		*why_out = why_format("the store in %s is being served by an older Bode: stop that "
				      "server first, this one brings the store up to date",
				      store->path);
		err = ERR_BUSY;
		migration_unlock(fd_out);
	}
	free(path);
	return err; /* without the file it never was served */
}

void migration_unlock(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
