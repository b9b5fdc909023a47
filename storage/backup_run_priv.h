/* storage/backup_run_priv.h - a run of the backup, as its parts share it. One thread. */
#pragma once

#include "storage/backup_priv.h"

/* Of what a segment holds. */
struct backup_segment {
	uint32_t number;
	uint64_t live_octets, end; /* the last body ends there */
	bool retired;		   /* to be copied anew, so that the file can go */
};

struct backup_run {
	struct backup_folder *folder;
	struct store *store;
	const struct backup_order *order;
	struct backup_counts *counts;
	struct backup_record record; /* what the store noted before; path empty */
	uint64_t run_id;
	uint32_t next_number;		/* of segments and states */
	char index[BACKUP_NAME_OCTETS]; /* what the next pass compares with; empty: nothing */
	uint64_t trusted_below; /* blobs of that index below it are known to be the store's */
	bool is_suspect;	/* rows of the first index are not, until compared */
	struct backup_segment *segments;
	size_t segment_count, segment_cap, segment_last;

	struct backup_out out; /* the segment that grows */
	uint32_t out_number;
	uint64_t round_octets;
};

struct backup_segment *backup_segment_of(struct backup_run *run, uint32_t number);
enum err backup_store_unreadable(struct backup_run *run);
void backup_tell(struct backup_run *run);

/* backup_copy.c: all that is missing of the store's bodies; run->round_octets says how much that
 * was. */
enum err backup_copy_round(struct backup_run *run) MUST_USE;
/* All of one moment: the state, the bodies still missing, the index. */
enum err backup_copy_moment(struct backup_run *run, struct backup_manifest *manifest,
			    struct backup_survey *survey) MUST_USE;

/* backup_proof.c: ERR_OK with *damaged_out: bodies lie damaged in the folder; their segments are
 * retired. */
enum err backup_prove(struct backup_run *run, const struct backup_manifest *manifest,
		      const struct backup_survey *survey, bool *damaged_out) MUST_USE;
