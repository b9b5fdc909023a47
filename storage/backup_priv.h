/* storage/backup_priv.h - a backup's folder inside: files, index, bodies, state. One thread. */
#pragma once

#include "base/checksum.h"
#include "storage/backup.h"
#include "storage/store_priv.h"

enum {
	BACKUP_VERSION = 1,
	BACKUP_NAME_OCTETS = 32,
	BACKUP_PATH_OCTETS = 256,
	RESTORE_BATCH_OCTETS = 16 << 20, /* about as much goes into the store in one transaction */
};

/* What a manifest says. */
struct backup_manifest {
	uint64_t folder;   /* the folder's id; random */
	uint32_t run;	   /* counts up; in the names of the files */
	uint64_t snapshot; /* the state's id; random */
	int64_t made_unix;
	uint32_t store_format;
	uint64_t store_created_unix; /* whose backup this is */
	uint64_t users, messages, bodies, octets;
};

struct backup_folder {
	int fd, lock_fd;
	char path[BACKUP_PATH_OCTETS];
	uint64_t id;
	bool has_manifest;
	struct backup_manifest manifest; /* the current state, or the one chosen */
	enum err err;			 /* the first failure; why[] says it */
	char why[768];
};

/* Keeps the first failure; returns it. */
enum err backup_fail(struct backup_folder *folder, enum err err, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* The same with errno's words: "DIR/NAME cannot be DOING: ...". */
enum err backup_fail_errno(struct backup_folder *folder, const char *name, const char *doing);

/* ---- files (backup_file.c) ---- */

enum { BACKUP_MAGIC_OCTETS = 8 };

/* A file on its way: `magic`, what is added, and the checksum of both. With fd -1 only octets and
 * checksum are counted. */
struct backup_out {
	struct backup_folder *folder;
	char name[BACKUP_NAME_OCTETS];
	int fd;
	struct buffer waiting;
	struct checksum sum;
	uint64_t octets;
};
/* A failure is kept in the folder; adding goes on without effect. */
void backup_out_open(struct backup_out *out, struct backup_folder *folder, const char *name,
		     const char *magic);
void backup_out_add(struct backup_out *out, struct slice octets);
/* With the checksum behind it, on the disk; then under its final name, which may be its own. */
void backup_out_seal(struct backup_out *out, const char *final_name);
/* On the disk, without a checksum. */
void backup_out_sync(struct backup_out *out);
void backup_out_close(struct backup_out *out);
/* Renames on the disk. */
void backup_folder_sync(struct backup_folder *folder);

/* A sealed file, checked whole when it is opened, then read once through. */
struct backup_in {
	struct backup_folder *folder;
	char name[BACKUP_NAME_OCTETS];
	int fd;
	uint64_t at, end; /* of what lies between magic and checksum */
	struct buffer ahead;
	size_t taken; /* of `ahead` */
};
/* ERR_NOT_FOUND is no failure of the folder; ERR_DAMAGED and others are. */
enum err backup_in_open(struct backup_in *in, struct backup_folder *folder, const char *name,
			const char *magic);
/* Up to `len` octets, fewer at the end only; they live until the next call. */
struct slice backup_in_take(struct backup_in *in, size_t len);
void backup_in_close(struct backup_in *in);

/* ---- the folder (backup_folder.c) ---- */

enum backup_kind { BACKUP_STATE, BACKUP_INDEX, BACKUP_BLOBS };
void backup_name(enum backup_kind kind, uint32_t number, char out[BACKUP_NAME_OCTETS]);
#define BACKUP_HELD "held"
#define BACKUP_HELD_NEW "held.new"
#define BACKUP_MANIFEST "manifest"
#define BACKUP_PREVIOUS "previous"
/* A number above all that are in use. */
uint32_t backup_next_number(struct backup_folder *folder);
/* ERR_NOT_FOUND and ERR_VERSION included, every failure is said. */
enum err backup_manifest_read(struct backup_folder *folder, const char *name,
			      struct backup_manifest *manifest_out) MUST_USE;
/* Makes the state current, and the current one the previous. */
enum err backup_manifest_commit(struct backup_folder *folder,
				const struct backup_manifest *manifest) MUST_USE;
/* Removes what neither manifest, nor `held` (with keep_held), needs. */
void backup_prune(struct backup_folder *folder, bool keep_held);

/* ---- the index (backup_index.c) ---- */

/* Where a body lies. In order of blob. */
struct backup_row {
	uint64_t blob_id;
	uint32_t segment;
	uint64_t offset, octets; /* in the segment */
	uint64_t sum;		 /* of all of them */
	uint64_t digest_sum;	 /* of the digest's record */
};
#define BACKUP_INDEX_MAGIC "bodeidx1"
struct backup_index_in {
	struct backup_in in;
	uint64_t run_id;
	bool has_row;
	struct backup_row row;
};
/* As backup_in_open(). */
enum err backup_index_open(struct backup_index_in *index, struct backup_folder *folder,
			   const char *name);
/* The next one to index->row, or has_row is false. */
void backup_index_next(struct backup_index_in *index);
void backup_index_begin(struct backup_out *out, struct backup_folder *folder, const char *name,
			uint64_t run_id);
void backup_index_add(struct backup_out *out, const struct backup_row *row);

/* ---- bodies (backup_blobs.c) ---- */

#define BACKUP_BLOBS_MAGIC "bodeblb1"
/* Appends the blob as it is in the store; fills octets, sum and digest_sum of `row`. With
 * out->fd -1 nothing is written. `pieces` is a row of DB_BLOB in `read`. *damaged_out: a chunk
 * does not match its checksum, or is not there (looked at only where something is written). */
enum err backup_blob_copy(struct backup_out *out, struct read *read, struct row *pieces,
			  uint64_t blob_id, struct slice digest, struct backup_row *row,
			  bool *damaged_out) MUST_USE;
/* Bodies being read; keeps one segment open. */
struct backup_blobs_in {
	struct backup_folder *folder;
	bool is_open;
	uint32_t segment;
	int fd;
	struct buffer octets;
};
/* ERR_DAMAGED: what lies there is not what was written; no failure of the folder. Others are. */
enum err backup_blob_check(struct backup_blobs_in *in, const struct backup_row *row) MUST_USE;
/* Puts it into a store. */
enum err backup_blob_put(struct backup_blobs_in *in, const struct backup_row *row,
			 struct write *write) MUST_USE;
void backup_blobs_close(struct backup_blobs_in *in);

/* ---- the state (backup_state.c) ---- */

/* Of a database: what there is, for comparing. */
struct backup_survey {
	struct {
		uint64_t rows, sum;
	} databases[DB_COUNT];
	struct head head;
	uint64_t users, messages;
	uint64_t created_unix;
	uint32_t format;
};
/* What the read sees. With `out`, writes it behind the files. False: the store cannot be read
 * (logged). */
bool backup_state_write(struct backup_out *out, struct read *read, const struct backup_file *files,
			size_t file_count, struct backup_survey *survey_out);
enum err backup_state_restore(struct backup_folder *folder, struct store *store) MUST_USE;

/* ---- the way back (restore.c) ---- */

/* Into a store that was just made, from the folder's manifest. Damaged bodies are left out and
 * told of. */
enum err backup_restore_into(struct backup_folder *folder, struct store *store,
			     const struct backup_watcher *watcher,
			     void (*damaged)(void *user, const struct backup_row *row), void *user,
			     struct backup_counts *counts) MUST_USE;
/* The restored store's UIDs and MODSEQs go on behind all that clients may have seen (resume.c). */
enum err backup_resume(struct store *store) MUST_USE;
/* Removes a store that an attempt has left in a state directory: its files and nothing else. */
void backup_remove_unfinished(const char *state_dir);
/* The folder's own failure as the caller's. */
enum err backup_end(struct backup_folder *folder, const char **why_out);

/* ---- what the store notes (backup_note.c) ---- */

struct backup_record {
	int64_t proven_unix;
	uint64_t snapshot; /* the last that was proven */
	uint64_t messages;
	uint64_t run_id;	/* the last that began */
	uint64_t run_next_blob; /* the store's next number then */
	struct slice path;
};
/* False: none, or damaged. `path` lives in the map. */
bool backup_record_get(struct read *read, uint64_t folder_id, struct backup_record *record_out);
enum err backup_record_put(struct write *write, uint64_t folder_id,
			   const struct backup_record *record) MUST_USE;
#define BACKUP_RECORD_KEY "!backup"
