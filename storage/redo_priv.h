/* storage/redo_priv.h - the redo log: a commit is durable by one sync of a small file that is written from front
 * to back, where LMDB's own way is to sync pages that lie scattered, and its meta page behind them.
 *
 * What LMDB writes into data.mdb while a transaction commits is caught (redo_pwrite() and redo_writev() stand
 * in the place of the kernel's calls in the copy of LMDB that the build links) and collected: all pages, and
 * as the last write the meta page, which makes them the state that readers see. Before that one goes out, the
 * record of all of them is written to store/redo.log and synced, and the pages themselves meanwhile into data.mdb.
 * That is synced later, behind, by a thread. So a state is seen only when it is durable, and after a loss of power the pages of data.mdb,
 * whichever of them the disk has, become whole again by writing once more what the log holds.
 *
 *   store/redo.log   header (4 KiB): epoch. Then two areas of 4 MiB: records one after the other, each at
 *                    a multiple of 4 KiB, with numbers of transactions that follow each other. The room in the
 *                    middle of a tree's page that nothing lies in is left out.
 *
 * When one area is full the other is begun, and data.mdb synced meanwhile; an area is begun again only when
 * all that its old records tell is on the disk in data.mdb. Records of another epoch are void. Whoever
 * cannot go on behind the last record (another process wrote since, something failed) syncs data.mdb
 * and begins the next epoch. What is larger than RECORD_MAX, or lies in order in data.mdb, is not worth writing
 * twice: data.mdb is synced before the meta page and after it, in an epoch without records.
 *
 * Integers are this machine's, as LMDB's own are. One writer at a time, by LMDB's lock, from redo_begin() to
 * redo_end(); in whichever process has the store open. */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/attributes.h"
#include "base/err.h"

struct store;
struct redo;

/* ---- the file (redo_file.c) ---- */

enum {
	REDO_HEADER_OCTETS = 4096,
	REDO_ALIGN_OCTETS =
		4096, /* no block that was synced is written to again by the next record */
	REDO_AREAS = 2,
	REDO_AREA_OCTETS = 4 << 20,
	REDO_RECORD_MAX = 1 << 20,
};

struct redo_header {
	uint64_t checksum; /* of what follows it, but for is_lost */
	uint8_t magic[8];
	uint64_t store; /* redo_mark_read() of data.mdb: whose log it is */
	uint64_t epoch;
	/* A sync of data.mdb failed, for whichever process: what the kernel could not bring to the disk it may
	 * have forgotten. Never synced: after a loss of power the log is written to data.mdb anyway. */
	uint64_t is_lost;
};
struct redo_record {
	uint64_t checksum; /* of what follows it, up to `octets` */
	uint64_t epoch, txn_id;
	uint64_t before; /* redo_fingerprint() of the meta page of the transaction before */
	uint64_t
		file_octets; /* of data.mdb, which may be longer than the last page that is in use */
	uint32_t octets;     /* of all of the record */
	uint32_t
		writes; /* struct redo_write, each with its octets behind it; the meta page comes last */
};
/* Octets for data.mdb: a page, pages that one value has, or what a commit writes into the meta page. Behind it are
 * all but those of the hole, which nobody reads. (A log of version 1 knows no hole, and has zeros for it.) */
struct redo_write {
	uint64_t at;
	uint32_t octets;
	uint16_t hole_at, hole_octets;
};

/* What can be written once more. */
struct redo_image {
	bool is_damaged; /* by no loss of power: there are later records, or a header of noise */
	uint8_t *areas;	 /* as they are in the file */
	const struct redo_record **records;
	size_t count;
};

/* False: there is none, or it is not one. */
bool redo_header_read(int fd, struct redo_header *header_out);
/* And syncs it. False: errno says why. */
bool redo_header_write(int fd, uint64_t store, uint64_t epoch);
void redo_header_set_lost(int fd, bool is_lost);
/* The valid records of the file's epoch, in order. False: errno says why. */
bool redo_image_read(int fd, struct redo_image *image_out);
void redo_image_free(struct redo_image *image);
/* Each place of data.mdb as its last record has it. Readers of data.mdb may be at work: what they can
 * see does not change. Not synced. False: errno says why. */
bool redo_image_apply(const struct redo_image *image, int data_fd, uint32_t page_octets);
/* A random number at the end of data.mdb's first page, of which LMDB uses the beginning: two stores may have come
 * by the same ways to meta pages that are alike. 0: there is none. */
uint64_t redo_mark_read(int data_fd, uint32_t page_octets);
/* And syncs it. False: errno says why. */
bool redo_mark_write(int data_fd, uint32_t page_octets, uint64_t mark);
/* Of what a commit writes into the meta page. */
uint64_t redo_fingerprint(const void *octets, size_t len);

/* ---- of a store (redo_store.c) ---- */

/* Before anything of data.mdb is looked at. Where no other process has the store open, and the log holds
 * records, they are written to data.mdb. Nothing to do where there is no data.mdb yet. ERR_DISK with a sentence. */
enum err redo_open(struct store *store, const char **why_out) MUST_USE;
/* The environment is open, and its contents are a store's: from now on commits go by the log. It is made
 * where it is missing and nobody else has the store open; where it cannot be (no room), LMDB syncs. */
enum err redo_attach(struct store *store, const char **why_out) MUST_USE;
/* While it rests nothing is synced: for a store that is thrown away unless it becomes whole. An error of LMDB, or 0. */
int redo_set_rest(struct store *store, bool rests) MUST_USE;
/* Inside a write transaction that nobody has begun by redo_begin(): data.mdb is synced, and the log void. An
 * error of LMDB, or 0. */
int redo_clear(struct store *store, MDB_txn *txn) MUST_USE;
/* The same in a transaction of its own. */
int redo_settle(struct store *store) MUST_USE;
/* Syncs data.mdb and voids the log, where its records are this process's. */
void redo_close(struct store *store);

/* ---- writing (redo.c) ---- */

struct redo *redo_new(int data_fd, int fd);
void redo_free(struct redo **redo);
void redo_rest(struct redo *redo, bool rests);
int redo_data_fd(const struct redo *redo);
int redo_fd(const struct redo *redo);
void redo_set_fd(struct redo *redo, int fd);
void redo_set_environment(struct redo *redo, int env_fd, uint32_t page_octets);
/* Behind mdb_txn_begin(). Nothing to do where there is no log, or while it rests. What could not be synced
 * before is written again; where that fails, the transaction can be aborted only. */
void redo_begin(struct redo *redo, uint64_t txn_id);
/* Before mdb_txn_commit(): of the pages that LMDB writes from now on it reads none before the meta page is there. */
void redo_commit(void);
/* Behind the commit, or the abort. */
void redo_end(bool is_committed);
/* Inside a transaction: data.mdb is synced, and the log holds no records. False: errno says why. */
bool redo_void(struct redo *redo);
/* The records of this epoch are this process's. */
bool redo_has_records(const struct redo *redo);
/* The thread that syncs data.mdb behind. */
void redo_start(struct redo *redo);
void redo_stop(struct redo *redo);

/* What LMDB calls for pwrite(2) and writev(2). */
ssize_t redo_pwrite(int fd, const void *octets, size_t len, off_t at);
ssize_t redo_writev(int fd, const struct iovec *parts, int count);
