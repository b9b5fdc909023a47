/* storage/backup.c - a run of the backup: copy, while the server writes; one moment for all that
 * changes; proof; only then the new state.
 *
 * A body never changes once it is written, so most of the copying needs no one moment: rounds
 * walk the store's digests and the index of what the folder holds side by side and copy what is
 * missing, each slice in a read transaction of its own, since one held for long would make the
 * store's file grow. When a round finds little that is new, one last transaction takes all the
 * other rows and the few bodies that are still missing. They are copied within it, and not
 * later by trusting to the delay of the garbage: on a full disk there is none.
 *
 * Then the state is restored into a scratch store, and that one's rows, counts and bodies are
 * compared with what the last transaction saw. What is found damaged in the folder is copied
 * anew from the store, once.
 *
 * What an interrupted run has copied is in `held`, written anew with each segment.
 * In the admin's process. */
#include "storage/backup.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/random.h"
#include "storage/backup_run_priv.h"

enum {
	LITTLE_OCTETS = 16 << 20, /* may be copied within one transaction */
	ROUNDS_MAX = 8,
	ATTEMPTS_MAX = 2,
	SMALL_SEGMENT_OCTETS = 64 << 20,
	SMALL_SEGMENTS_MAX = 64,
};

enum err backup_store_unreadable(struct backup_run *run)
{
	return backup_fail(run->folder, ERR_DISK,
			   "the store in %s cannot be read whole; \"bode verify\" says more",
			   run->store->path);
}

void backup_tell(struct backup_run *run)
{
	const struct backup_watcher *watcher = run->order->watcher;
	if (watcher)
		watcher->progress(watcher->user, run->counts->octets);
}

/* ---- what is held already ---- */

struct backup_segment *backup_segment_of(struct backup_run *run, uint32_t number)
{
	if (run->segment_last < run->segment_count &&
	    run->segments[run->segment_last].number == number)
		return &run->segments[run->segment_last];
	for (size_t i = run->segment_count; i > 0; i--)
		if (run->segments[i - 1].number == number) {
			run->segment_last = i - 1;
			return &run->segments[i - 1];
		}
	if (run->segment_count == run->segment_cap) {
		run->segment_cap = run->segment_cap ? run->segment_cap * 2 : 16;
		run->segments =
			heap_resize(run->segments, run->segment_cap * sizeof(*run->segments));
	}
	run->segments[run->segment_count] = (struct backup_segment){ .number = number };
	return &run->segments[run->segment_count++];
}

/* Segments of which less than half is needed, and small ones when they have become many. */
static void segments_retire(struct backup_run *run)
{
	size_t small = 0;
	for (size_t i = 0; i < run->segment_count; i++) {
		struct backup_segment *segment = &run->segments[i];
		segment->retired = segment->live_octets < segment->end / 2;
		small += segment->end < SMALL_SEGMENT_OCTETS;
	}
	for (size_t i = 0; i < run->segment_count && small > SMALL_SEGMENTS_MAX; i++)
		if (run->segments[i].end < SMALL_SEGMENT_OCTETS)
			run->segments[i].retired = true;
}

static enum err segments_survey(struct backup_run *run)
{
	struct backup_index_in index;
	enum err err = backup_index_open(&index, run->folder, run->index);
	for (; err == ERR_OK && index.has_row; backup_index_next(&index)) {
		struct backup_segment *segment = backup_segment_of(run, index.row.segment);
		segment->live_octets += index.row.octets;
		if (index.row.offset + index.row.octets > segment->end)
			segment->end = index.row.offset + index.row.octets;
	}
	backup_in_close(&index.in);
	segments_retire(run);
	return run->folder->err;
}

/* A file that cannot be believed is as good as none: everything is copied anew. */
static bool index_is_good(struct backup_run *run, const char *name, uint64_t *run_id_out)
{
	struct backup_index_in index;
	bool good = backup_index_open(&index, run->folder, name) == ERR_OK;
	*run_id_out = good ? index.run_id : 0;
	if (index.in.fd >= 0)
		backup_in_close(&index.in);
	if (run->folder->err == ERR_DAMAGED)
		run->folder->err = ERR_OK;
	return good;
}

struct begin {
	struct job job;
	struct backup_run *run;
};

/* The store notes the run, so that it knows what was copied by it, and how far its numbers
 * were given then. */
static enum err begin_run(struct write *write, struct job *job)
{
	struct backup_run *run = CONTAINER_OF(job, struct begin, job)->run;
	struct backup_record record;
	(void)backup_record_get(write_read(write), run->folder->id, &record);
	record.run_id = run->run_id;
	record.run_next_blob = write->head.next_blob_id;
	/* It lies in the map, where the put may move it. */
	char *path = heap_string(record.path);
	record.path = slice_cstr(path);
	enum err err = backup_record_put(write, run->folder->id, &record);
	free(path);
	return err;
}

static enum err run_begin(struct backup_run *run)
{
	struct backup_folder *folder = run->folder;
	uint64_t held_run, index_run;
	struct read *read = read_begin(run->store);
	bool known = backup_record_get(read, folder->id, &run->record);
	run->record.path = SLICE_NONE;
	read_end(&read);
	bool has_held = index_is_good(run, BACKUP_HELD, &held_run);
	char name[BACKUP_NAME_OCTETS];
	backup_name(BACKUP_INDEX, folder->manifest.run, name);
	if (has_held && known && held_run == run->record.run_id) {
		snprintf(run->index, sizeof(run->index), "%s", BACKUP_HELD);
		run->run_id = held_run;
		run->trusted_below = run->record.run_next_blob;
	} else if (folder->has_manifest && index_is_good(run, name, &index_run)) {
		snprintf(run->index, sizeof(run->index), "%s", name);
		if (known && run->record.snapshot == folder->manifest.snapshot)
			run->trusted_below = UINT64_MAX;
		run->is_suspect = run->trusted_below == 0;
	}
	bool resumes = run->run_id != 0;
	/* What a damaged manifest named is kept until there is a new state. */
	if (folder->err == ERR_OK && !run->counts->manifest_damaged)
		backup_prune(folder, resumes);
	/* What could not be pruned is in nobody's way. */
	if (folder->err == ERR_DAMAGED)
		folder->err = ERR_OK;
	run->next_number = backup_next_number(folder);
	if (run->index[0] && segments_survey(run) != ERR_OK)
		return folder->err;
	if (!resumes) {
		run->run_id = random_u64() | 1;
		struct begin begin = { .job.run = begin_run, .run = run };
		/* On a full disk nothing is noted, and what is copied is compared again next time. */
		if (store_write_now(run->store, &begin.job) != ERR_OK)
			log_warning(NULL, EVENT("backup-not-noted"));
	}
	return folder->err;
}

/* ---- all of it ---- */

struct finish {
	struct job job;
	struct backup_run *run;
};

static enum err finish_run(struct write *write, struct job *job)
{
	struct backup_run *run = CONTAINER_OF(job, struct finish, job)->run;
	struct backup_record record = {
		.proven_unix = clock_unix(),
		.snapshot = run->folder->manifest.snapshot,
		.messages = run->folder->manifest.messages,
		.path = slice_cstr(run->folder->path),
	};
	return backup_record_put(write, run->folder->id, &record);
}

/* The current state. Where its manifest is damaged the run begins from the state before, or from
 * nothing: what is in the folder is compared then and not believed. */
static enum err manifest_begin(struct backup_run *run)
{
	struct backup_folder *folder = run->folder;
	enum err err = backup_manifest_read(folder, BACKUP_MANIFEST, &folder->manifest);
	if (err == ERR_DAMAGED) {
		run->counts->manifest_damaged = true;
		folder->err = ERR_OK;
		err = backup_manifest_read(folder, BACKUP_PREVIOUS, &folder->manifest);
	}
	if (err == ERR_DAMAGED) {
		folder->err = ERR_OK;
		err = ERR_NOT_FOUND;
	}
	folder->has_manifest = err == ERR_OK;
	if (!folder->has_manifest)
		folder->manifest = (struct backup_manifest){ .run = 0 };
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* A new server must not wipe out the backup of the one that it replaces. */
static enum err store_is_same(struct backup_run *run)
{
	struct backup_survey survey;
	struct backup_record record;
	struct slice value;
	uint8_t version;
	struct read *read = read_begin(run->store);
	bool good = db_get(read, DB_MAIN, SLICE("!bode"), &value) == ERR_OK;
	struct cursor c = cursor_of(value);
	good = good && take_u8(&c, &version) && take_be32(&c, &survey.format) &&
	       take_be64(&c, &survey.created_unix);
	bool is_known = backup_record_get(read, run->folder->id, &record);
	read_end(&read);
	if (!good)
		return backup_store_unreadable(run);
	if (run->folder->has_manifest &&
	    run->folder->manifest.store_created_unix != survey.created_unix)
		return backup_fail(run->folder, ERR_BAD_INPUT,
				   "%s holds the backup of another store; name another folder, or "
				   "restore it first",
				   run->folder->path);
	if (!run->folder->has_manifest && run->counts->manifest_damaged && !is_known)
		return backup_fail(
			run->folder, ERR_DAMAGED,
			"%s/%s is damaged, and nothing else tells whose backup it is; name "
			"another folder",
			run->folder->path, BACKUP_MANIFEST);
	return ERR_OK;
}

static enum err attempt(struct backup_run *run, bool *again)
{
	struct backup_manifest manifest;
	struct backup_survey survey;
	enum err err;
	int rounds = 0;
	do
		err = backup_copy_round(run);
	while (err == ERR_OK && run->round_octets > LITTLE_OCTETS && ++rounds < ROUNDS_MAX);
	if (err == ERR_OK)
		err = backup_copy_moment(run, &manifest, &survey);
	if (err == ERR_OK)
		err = backup_prove(run, &manifest, &survey, again);
	if (err == ERR_OK && !*again)
		err = backup_manifest_commit(run->folder, &manifest);
	return err;
}

enum err backup_run(struct backup_folder *folder, struct store *store,
		    const struct backup_order *order, struct backup_counts *counts_out,
		    const char **why_out)
{
	struct backup_run run = {
		.folder = folder, .store = store, .order = order, .counts = counts_out
	};
	*counts_out = (struct backup_counts){ .users = 0 };
	enum err err = manifest_begin(&run);
	if (err == ERR_OK)
		err = store_is_same(&run);
	if (err == ERR_OK)
		err = run_begin(&run);
	if (err == ERR_OK && order->watcher)
		order->watcher->phase(order->watcher->user, BACKUP_COPY, folder->manifest.octets);
	bool again = true;
	for (int i = 0; i < ATTEMPTS_MAX && again && err == ERR_OK; i++)
		err = attempt(&run, &again);
	if (err == ERR_OK && again)
		err = backup_fail(
			folder, ERR_DAMAGED,
			"the proof failed: what was written to %s comes back damaged; the "
			"older state stays",
			folder->path);
	free(run.segments);
	if (err == ERR_OK) {
		const struct backup_manifest *m = &folder->manifest;
		struct finish finish = { .job.run = finish_run, .run = &run };
		counts_out->users = m->users;
		counts_out->messages = m->messages;
		counts_out->bodies = m->bodies;
		counts_out->octets = m->octets;
		counts_out->noted = store_write_now(store, &finish.job) == ERR_OK;
		backup_prune(folder, false);
		folder->err = ERR_OK; /* the state is good whatever became of what is old */
	}
	return backup_end(folder, why_out);
}
