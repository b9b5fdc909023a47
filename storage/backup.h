/* storage/backup.h - a copy of the whole store in a folder, taken while the server runs, proven
 * by restoring it; and the way back.
 *
 * In the admin's process, one thread. The folder holds:
 *
 *   bode-backup   says that the folder is ours, and of which version; also the lock
 *   manifest      the current state: names the files below, written last, by rename
 *   previous      the manifest before
 *   state-N       all rows but those of bodies, at one moment; configuration and keys
 *   index-N       where the body of each message lies
 *   blobs-N       bodies as the store has them, one behind the other; never changed
 *   held          what an unfinished run has copied
 *
 * Every file but the first ends with, or every record has, a checksum. A state becomes current
 * after it was restored into a scratch store and found equal. Until then, and whenever a run
 * ends early, the older state is untouched. Numbers are big-endian: the folder may go to any
 * machine. */
#pragma once

#include "storage/store.h"

/* What must come back beside the store: the configuration, certificates, keys. */
struct backup_file {
	struct slice path;
	struct slice content;
	uint32_t mode;
};

struct backup_counts {
	uint64_t users, messages;  /* copies of a message counted each */
	uint64_t bodies;	   /* as stored: each once */
	uint64_t octets;	   /* of bodies as stored, in the folder */
	uint64_t octets_new;	   /* of them, copied by this run */
	uint64_t bodies_damaged;   /* in the store already; copied as they are */
	uint64_t segments_renewed; /* damaged in the folder, copied anew */
	bool manifest_damaged;	   /* the folder's, which was made anew */
	bool noted;		   /* the store knows that it was proven */
};

enum backup_phase { BACKUP_COPY, BACKUP_PROOF, BACKUP_RESTORE };
struct backup_watcher {
	void (*phase)(void *user, enum backup_phase phase, uint64_t total_octets);
	void (*progress)(void *user, uint64_t octets);
	void *user;
};

/* A folder that is open, and locked against others. `why` stays valid like store_open()'s. */
struct backup_folder;
/* `fd` is the open directory (its owner stays the caller), `path` its name for messages. With
 * `create` an empty folder becomes one of ours. ERR_BAD_INPUT: it is somebody else's, or (without
 * `create`) empty. ERR_VERSION, ERR_BUSY, ERR_DISK, ERR_DENIED, ERR_FULL; nothing was touched. */
enum err backup_folder_open(int fd, const char *path, bool create,
			    struct backup_folder **folder_out, const char **why_out) MUST_USE;
void backup_folder_close(struct backup_folder **folder); /* accepts NULL, leaves NULL */

struct backup_order {
	const struct backup_file *files;
	size_t file_count;
	const char *scratch_dir; /* for the proof; an empty folder, left as it was */
	const struct backup_watcher *watcher;
	uint64_t segment_octets; /* 0: as usual */
};
/* ERR_BAD_INPUT: the folder holds another store's backup. ERR_DAMAGED: the proof failed. Only
 * ERR_OK makes the new state current. */
enum err backup_run(struct backup_folder *folder, struct store *store,
		    const struct backup_order *order, struct backup_counts *counts_out,
		    const char **why_out) MUST_USE;

/* What a state is, before it is restored. */
struct backup_facts {
	int64_t made_unix;
	struct backup_counts counts;
};
/* With `previous`, the state before the current one is what the folder is about from now on.
 * ERR_NOT_FOUND, ERR_DAMAGED, ERR_VERSION. */
enum err backup_folder_choose(struct backup_folder *folder, bool previous,
			      struct backup_facts *facts_out, const char **why_out) MUST_USE;
/* Calls `take` with each file in it; its slices end with the call. */
enum err backup_files(struct backup_folder *folder,
		      void (*take)(void *user, const struct backup_file *file), void *user,
		      const char **why_out) MUST_USE;
/* Whether a store, or what may be one, is in the way. */
bool backup_store_is_there(const char *state_dir);
/* Makes STATE_DIR/store, whole or not at all. ERR_EXISTS: there is one. ERR_DAMAGED: what the
 * folder holds is damaged; with `despite_damage` only the bodies that are are left out, and
 * counted in `counts_out`. */
enum err backup_restore(struct backup_folder *folder, const char *state_dir, bool despite_damage,
			const struct backup_watcher *watcher, struct backup_counts *counts_out,
			const char **why_out) MUST_USE;

/* What the store knows of its last proven backup. False: there was none. */
struct backup_note {
	int64_t proven_unix;
	uint64_t messages;
	char path[256]; /* of the folder, cut where it is longer */
};
bool backup_last_proven(struct store *store, struct backup_note *note_out);
