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

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/random.h"
#include "storage/backup_priv.h"

enum {
	SLICE_OCTETS = 4 << 20, /* in one read transaction */
	SLICE_ROWS = 20000,
	SEGMENT_OCTETS = 1 << 30,
	SEGMENT_TO_INDEX = 16, /* an index is written with each segment: keep that a small part */
	LITTLE_OCTETS = 16 << 20,
	ROUNDS_MAX = 8,
	ATTEMPTS_MAX = 2,
	SMALL_SEGMENT_OCTETS = 64 << 20,
	SMALL_SEGMENTS_MAX = 64,
	SCRATCH_SPARE_OCTETS = 64 << 20,
};

/* Of what a segment holds. */
struct segment {
	uint32_t number;
	uint64_t live_octets, end; /* the last body ends there */
	bool retired;		   /* to be copied anew, so that the file can go */
};

struct run {
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
	struct segment *segments;
	size_t segment_count, segment_cap, segment_last;

	struct backup_out out; /* the segment that grows */
	uint32_t out_number;
	uint64_t round_octets;
};

/* ---- what is held already ---- */

static struct segment *segment_of(struct run *run, uint32_t number)
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
	run->segments[run->segment_count] = (struct segment){ .number = number };
	return &run->segments[run->segment_count++];
}

/* Segments of which less than half is needed, and small ones when they have become many. */
static void segments_retire(struct run *run)
{
	size_t small = 0;
	for (size_t i = 0; i < run->segment_count; i++) {
		struct segment *segment = &run->segments[i];
		segment->retired = segment->live_octets < segment->end / 2;
		small += segment->end < SMALL_SEGMENT_OCTETS;
	}
	for (size_t i = 0; i < run->segment_count && small > SMALL_SEGMENTS_MAX; i++)
		if (run->segments[i].end < SMALL_SEGMENT_OCTETS)
			run->segments[i].retired = true;
}

static enum err segments_survey(struct run *run)
{
	struct backup_index_in index;
	enum err err = backup_index_open(&index, run->folder, run->index);
	for (; err == ERR_OK && index.has_row; backup_index_next(&index)) {
		struct segment *segment = segment_of(run, index.row.segment);
		segment->live_octets += index.row.octets;
		if (index.row.offset + index.row.octets > segment->end)
			segment->end = index.row.offset + index.row.octets;
	}
	backup_in_close(&index.in);
	segments_retire(run);
	return run->folder->err;
}

/* A file that cannot be believed is as good as none: everything is copied anew. */
static bool index_is_good(struct run *run, const char *name, uint64_t *run_id_out)
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
	struct run *run;
};

/* The store notes the run, so that it knows what was copied by it, and how far its numbers
 * were given then. */
static enum err begin_run(struct write *write, struct job *job)
{
	struct run *run = CONTAINER_OF(job, struct begin, job)->run;
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

static enum err run_begin(struct run *run)
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
		strcpy(run->index, BACKUP_HELD);
		run->run_id = held_run;
		run->trusted_below = run->record.run_next_blob;
	} else if (folder->has_manifest && index_is_good(run, name, &index_run)) {
		strcpy(run->index, name);
		if (known && run->record.snapshot == folder->manifest.snapshot)
			run->trusted_below = UINT64_MAX;
		run->is_suspect = run->trusted_below == 0;
	}
	bool resumes = run->run_id != 0;
	if (folder->err == ERR_OK)
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

/* ---- one pass over the digests ---- */

struct pass {
	struct run *run;
	struct backup_index_in in;
	struct backup_out out;	 /* the index that comes of it */
	uint64_t next_blob;	 /* where it goes on */
	uint64_t segment_octets; /* no more in one segment */
	uint64_t slice_octets;	 /* copied or compared in this slice */
	bool is_last;		 /* all in one transaction */
	bool failed;		 /* the store's walk */
};

static void segment_begin(struct run *run)
{
	char name[BACKUP_NAME_OCTETS];
	if (run->out.folder)
		return;
	run->out_number = run->next_number++;
	backup_name(BACKUP_BLOBS, run->out_number, name);
	backup_out_open(&run->out, run->folder, name, BACKUP_BLOBS_MAGIC);
}

static void segment_end(struct run *run)
{
	if (!run->out.folder)
		return;
	backup_out_sync(&run->out);
	backup_out_close(&run->out);
	run->out = (struct backup_out){ .folder = NULL };
}

/* Whether the row says of this blob what the store has. */
static bool row_holds(struct pass *pass, const struct backup_row *row, struct row *pieces,
		      struct slice digest)
{
	struct run *run = pass->run;
	struct backup_out nowhere = { .folder = run->folder, .fd = -1 };
	struct backup_row now;
	bool damaged;
	if (segment_of(run, row->segment)->retired || row->digest_sum != checksum_of(digest))
		return false;
	if (row->blob_id < run->trusted_below)
		return true;
	pass->slice_octets += row->octets;
	return backup_blob_copy(&nowhere, pieces->read, pieces, row->blob_id, digest, &now,
				&damaged) == ERR_OK &&
	       now.sum == row->sum && now.octets == row->octets;
}

static enum err pass_blob(struct pass *pass, uint64_t blob_id, struct slice digest,
			  struct row *pieces)
{
	struct run *run = pass->run;
	struct backup_row row;
	bool damaged = false;
	while (pass->in.has_row && pass->in.row.blob_id < blob_id)
		backup_index_next(&pass->in); /* the store has it no more */
	if (pass->in.has_row && pass->in.row.blob_id == blob_id &&
	    row_holds(pass, &pass->in.row, pieces, digest)) {
		backup_index_add(&pass->out, &pass->in.row);
		run->counts->octets += pass->in.row.octets;
		return run->folder->err;
	}
	segment_begin(run);
	row = (struct backup_row){ .segment = run->out_number, .offset = run->out.octets };
	enum err err =
		backup_blob_copy(&run->out, pieces->read, pieces, blob_id, digest, &row, &damaged);
	if (err != ERR_OK)
		return err;
	backup_index_add(&pass->out, &row);
	pass->slice_octets += row.octets;
	run->round_octets += row.octets;
	run->counts->octets += row.octets;
	run->counts->octets_new += row.octets;
	run->counts->bodies_damaged += damaged;
	return run->folder->err;
}

/* The digests from pass->next_blob on, in one transaction. True: there are more. */
static bool pass_slice(struct pass *pass, struct read *read, uint64_t *walked)
{
	struct row digests, pieces;
	struct key key;
	size_t rows = 0;
	enum err err = pass->run->folder->err;
	pass->slice_octets = 0;
	row_open(&digests, read, DB_DIGEST);
	row_open(&pieces, read, DB_BLOB);
	pass->failed = !digests.cursor || !pieces.cursor;
	key_be64(&key, pass->next_blob);
	bool more = !pass->failed && row_seek(&digests, key_slice(&key));
	while (more && err == ERR_OK && !pass->failed) {
		if (!pass->is_last &&
		    (pass->slice_octets >= SLICE_OCTETS || rows >= SLICE_ROWS ||
		     (pass->run->out.folder && pass->run->out.octets >= pass->segment_octets)))
			break;
		if (digests.key.len != 8) {
			pass->failed = true;
			break;
		}
		uint64_t blob_id = get_be64(digests.key.ptr);
		err = pass_blob(pass, blob_id, digests.value, &pieces);
		pass->next_blob = blob_id + 1;
		rows++;
		more = row_next(&digests);
	}
	row_close(&digests);
	row_close(&pieces);
	*walked += rows;
	return more && err == ERR_OK && !pass->failed;
}

static enum err pass_begin(struct pass *pass, const char *name)
{
	struct run *run = pass->run;
	pass->in.in.fd = -1;
	if (run->index[0] && backup_index_open(&pass->in, run->folder, run->index) == ERR_NOT_FOUND)
		backup_fail(run->folder, ERR_DISK, "%s/%s has gone", run->folder->path, run->index);
	/* While some rows were not compared yet, nobody may resume from them. */
	backup_index_begin(&pass->out, run->folder, name, run->is_suspect ? 0 : run->run_id);
	pass->segment_octets =
		run->order->segment_octets ? run->order->segment_octets : SEGMENT_OCTETS;
	if (pass->segment_octets < pass->in.in.end * SEGMENT_TO_INDEX &&
	    !run->order->segment_octets)
		pass->segment_octets = pass->in.in.end * SEGMENT_TO_INDEX;
	return run->folder->err;
}

static enum err store_unreadable(struct run *run)
{
	return backup_fail(run->folder, ERR_DISK,
			   "the store in %s cannot be read whole; \"bode verify\" says more",
			   run->store->path);
}

static void tell(struct run *run)
{
	const struct backup_watcher *watcher = run->order->watcher;
	if (watcher)
		watcher->progress(watcher->user, run->counts->octets);
}

/* From a blob on, until a segment is full or the store's end is reached. What comes of it is
 * `held`: all that the folder holds. */
static enum err pass_run(struct run *run, uint64_t *next_blob, bool *more_out)
{
	struct pass pass = { .run = run };
	uint64_t walked = 0;
	enum err err = pass_begin(&pass, BACKUP_HELD_NEW);
	/* Dealt with by the pass before. */
	for (; err == ERR_OK && pass.in.has_row && pass.in.row.blob_id < *next_blob;
	     backup_index_next(&pass.in))
		backup_index_add(&pass.out, &pass.in.row);
	pass.next_blob = *next_blob;
	*more_out = err == ERR_OK;
	while (*more_out && !(run->out.folder && run->out.octets >= pass.segment_octets)) {
		struct read *read = read_begin(run->store);
		*more_out = pass_slice(&pass, read, &walked);
		read_end(&read);
		tell(run);
		if (pass.failed)
			store_unreadable(run);
	}
	*next_blob = pass.next_blob;
	/* What comes behind is still as before. */
	for (; *more_out && pass.in.has_row; backup_index_next(&pass.in))
		if (pass.in.row.blob_id >= pass.next_blob)
			backup_index_add(&pass.out, &pass.in.row);
	if (pass.in.in.fd >= 0)
		backup_in_close(&pass.in.in);
	segment_end(run);
	if (run->folder->err == ERR_OK)
		backup_out_seal(&pass.out, BACKUP_HELD);
	else
		backup_out_close(&pass.out);
	strcpy(run->index, BACKUP_HELD);
	return run->folder->err;
}

static enum err round_run(struct run *run)
{
	uint64_t next_blob = 0;
	bool more = true;
	enum err err = ERR_OK;
	run->round_octets = 0;
	run->counts->octets = 0;
	while (more && err == ERR_OK)
		err = pass_run(run, &next_blob, &more);
	/* All of it was compared, or copied just now. */
	run->trusted_below = UINT64_MAX;
	run->is_suspect = false;
	return err;
}

/* ---- one moment ---- */

static enum err moment_read(struct run *run, struct read *read, struct backup_manifest *manifest,
			    struct backup_survey *survey)
{
	struct pass pass = { .run = run, .in.in.fd = -1, .is_last = true };
	struct backup_out state;
	MDB_stat stat;
	char name[BACKUP_NAME_OCTETS];
	backup_name(BACKUP_STATE, manifest->run, name);
	backup_out_open(&state, run->folder, name, "bodesta1");
	bool good = run->folder->err == ERR_OK &&
		    backup_state_write(&state, read, run->order->files, run->order->file_count,
				       survey) &&
		    mdb_stat(read->txn, run->store->dbis[DB_DIGEST], &stat) == 0;
	run->counts->octets = 0;
	backup_name(BACKUP_INDEX, manifest->run, name);
	if (good && pass_begin(&pass, name) == ERR_OK) {
		(void)pass_slice(&pass, read, &manifest->bodies);
		good = !pass.failed &&
		       (run->folder->err != ERR_OK || manifest->bodies == stat.ms_entries);
	}
	if (!good)
		store_unreadable(run);
	/* The rest needs the transaction no more. */
	read_end(&read);
	if (pass.in.in.fd >= 0)
		backup_in_close(&pass.in.in);
	segment_end(run);
	if (run->folder->err == ERR_OK && good) {
		backup_name(BACKUP_STATE, manifest->run, name);
		backup_out_seal(&state, name);
		backup_name(BACKUP_INDEX, manifest->run, name);
		backup_out_seal(&pass.out, name);
	} else {
		backup_out_close(&state);
		if (pass.out.folder)
			backup_out_close(&pass.out);
	}
	return run->folder->err;
}

static enum err moment_take(struct run *run, struct backup_manifest *manifest,
			    struct backup_survey *survey)
{
	*manifest = (struct backup_manifest){ .folder = run->folder->id,
					      .run = run->next_number++,
					      .snapshot = random_u64(),
					      .made_unix = clock_unix() };
	enum err err = moment_read(run, read_begin(run->store), manifest, survey);
	manifest->store_format = survey->format;
	manifest->store_created_unix = survey->created_unix;
	manifest->users = survey->users;
	manifest->messages = survey->messages;
	manifest->octets = run->counts->octets;
	tell(run);
	return err;
}

/* ---- proof ---- */

static void on_damaged(void *user, const struct backup_row *row)
{
	struct run *run = user;
	struct segment *segment = segment_of(run, row->segment);
	run->counts->segments_renewed += !segment->retired;
	segment->retired = true;
}

static void scratch_remove(const struct backup_order *order)
{
	static const char *const names[] = { "store/data.mdb", "store/lock.mdb", "store" };
	char path[4096];
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", order->scratch_dir, names[i]);
		remove(path);
	}
}

/* A proof that fills the disk would be in the way of the mail. */
static enum err scratch_has_room(struct run *run, const struct backup_manifest *manifest)
{
	struct statvfs fs;
	/* Pages are not always full. */
	uint64_t needed = manifest->octets + manifest->octets / 4 +
			  run->store->page_octets * (manifest->messages / 8) + SCRATCH_SPARE_OCTETS;
	if (statvfs(run->order->scratch_dir, &fs) != 0)
		return backup_fail(run->folder, ERR_DISK, "%s cannot be used for the proof: %s",
				   run->order->scratch_dir, strerror(errno));
	if ((uint64_t)fs.f_bavail * fs.f_frsize < needed)
		return backup_fail(
			run->folder, ERR_FULL,
			"the backup cannot be proven: restoring it for a test takes "
			"%llu MiB, and %s has %llu MiB; make room, or name another place "
			"with --scratch",
			(unsigned long long)(needed >> 20), run->order->scratch_dir,
			(unsigned long long)((uint64_t)fs.f_bavail * fs.f_frsize >> 20));
	return ERR_OK;
}

/* The scratch store's bodies against the index, each octet. */
static enum err bodies_compare(struct run *run, struct store *scratch)
{
	const struct backup_watcher *watcher = run->order->watcher;
	struct backup_folder *folder = run->folder;
	char name[BACKUP_NAME_OCTETS];
	uint64_t bodies = 0, octets = 0;
	backup_name(BACKUP_INDEX, folder->manifest.run, name);
	struct backup_index_in index;
	enum err err = backup_index_open(&index, folder, name);
	if (err == ERR_NOT_FOUND)
		err = backup_fail(folder, ERR_DISK, "%s/%s has gone", folder->path, name);
	struct read *read = read_begin(scratch);
	struct row digests, pieces;
	struct backup_out nowhere = { .folder = folder, .fd = -1 };
	row_open(&digests, read, DB_DIGEST);
	row_open(&pieces, read, DB_BLOB);
	bool same = true;
	for (bool more = row_seek(&digests, slice_of("", 1)); more && same && err == ERR_OK;
	     more = row_next(&digests), bodies++) {
		struct backup_row found;
		bool damaged;
		uint64_t blob_id = digests.key.len == 8 ? get_be64(digests.key.ptr) : 0;
		same = index.has_row && index.row.blob_id == blob_id &&
		       backup_blob_copy(&nowhere, read, &pieces, blob_id, digests.value, &found,
					&damaged) == ERR_OK &&
		       found.sum == index.row.sum && found.octets == index.row.octets;
		octets += index.row.octets;
		if (watcher)
			watcher->progress(watcher->user, folder->manifest.octets + octets);
		backup_index_next(&index);
	}
	row_close(&digests);
	row_close(&pieces);
	read_end(&read);
	backup_in_close(&index.in);
	if (err == ERR_OK && (!same || index.has_row || bodies != folder->manifest.bodies))
		err = backup_fail(folder, ERR_DAMAGED,
				  "the proof failed: a message that was restored from %s differs "
				  "from the store's; the older state stays",
				  folder->path);
	return err;
}

static enum err rows_compare(struct run *run, struct store *scratch,
			     const struct backup_survey *survey)
{
	struct backup_survey found;
	struct read *read = read_begin(scratch);
	bool good = backup_state_write(NULL, read, NULL, 0, &found);
	read_end(&read);
	for (int db = 0; db < DB_COUNT && good; db++)
		good = found.databases[db].rows == survey->databases[db].rows &&
		       found.databases[db].sum == survey->databases[db].sum;
	good = good && found.head.next_account_id == survey->head.next_account_id &&
	       found.head.next_mailbox_id == survey->head.next_mailbox_id &&
	       found.head.next_blob_id == survey->head.next_blob_id &&
	       found.head.last_uidvalidity == survey->head.last_uidvalidity &&
	       found.users == survey->users && found.messages == survey->messages;
	return good ? ERR_OK
		    : backup_fail(run->folder, ERR_DAMAGED,
				  "the proof failed: what was restored from %s differs from the "
				  "store; the older state stays",
				  run->folder->path);
}

/* ERR_OK with *damaged_out: bodies lie damaged in the folder, and their segments are retired. */
static enum err prove(struct run *run, const struct backup_manifest *manifest,
		      const struct backup_survey *survey, bool *damaged_out)
{
	const struct backup_watcher *watcher = run->order->watcher;
	struct backup_folder *folder = run->folder;
	struct backup_manifest before = folder->manifest;
	struct backup_counts counts = { .users = 0 };
	struct store *scratch = NULL;
	const char *why;
	*damaged_out = false;
	enum err err = scratch_has_room(run, manifest);
	if (err != ERR_OK)
		return err;
	if (watcher)
		watcher->phase(watcher->user, BACKUP_PROOF, 2 * manifest->octets);
	scratch_remove(run->order);
	if ((err = store_open(run->order->scratch_dir, STORE_CREATE, &scratch, &why)) != ERR_OK)
		err = backup_fail(folder, err, "%s", why);
	folder->manifest = *manifest;
	if (err == ERR_OK)
		err = backup_restore_into(folder, scratch, watcher, on_damaged, run, &counts);
	*damaged_out = counts.bodies_damaged > 0;
	if (err == ERR_OK && !*damaged_out)
		err = rows_compare(run, scratch, survey);
	if (err == ERR_OK && !*damaged_out)
		err = bodies_compare(run, scratch);
	folder->manifest = before;
	store_close(&scratch);
	scratch_remove(run->order);
	return err;
}

/* ---- all of it ---- */

struct finish {
	struct job job;
	struct run *run;
};

static enum err finish_run(struct write *write, struct job *job)
{
	struct run *run = CONTAINER_OF(job, struct finish, job)->run;
	struct backup_record record = {
		.proven_unix = clock_unix(),
		.snapshot = run->folder->manifest.snapshot,
		.messages = run->folder->manifest.messages,
		.path = slice_cstr(run->folder->path),
	};
	return backup_record_put(write, run->folder->id, &record);
}

/* A new server must not wipe out the backup of the one that it replaces. */
static enum err store_is_same(struct run *run)
{
	struct backup_survey survey;
	struct slice value;
	uint8_t version;
	struct read *read = read_begin(run->store);
	bool good = db_get(read, DB_MAIN, SLICE("!bode"), &value) == ERR_OK;
	struct cursor c = cursor_of(value);
	good = good && take_u8(&c, &version) && take_be32(&c, &survey.format) &&
	       take_be64(&c, &survey.created_unix);
	read_end(&read);
	if (!good)
		return store_unreadable(run);
	if (run->folder->has_manifest &&
	    run->folder->manifest.store_created_unix != survey.created_unix)
		return backup_fail(run->folder, ERR_BAD_INPUT,
				   "%s holds the backup of another store; name another folder, or "
				   "restore it first",
				   run->folder->path);
	return ERR_OK;
}

static enum err attempt(struct run *run, bool *again)
{
	struct backup_manifest manifest;
	struct backup_survey survey;
	enum err err;
	int rounds = 0;
	do
		err = round_run(run);
	while (err == ERR_OK && run->round_octets > LITTLE_OCTETS && ++rounds < ROUNDS_MAX);
	if (err == ERR_OK)
		err = moment_take(run, &manifest, &survey);
	if (err == ERR_OK)
		err = prove(run, &manifest, &survey, again);
	if (err == ERR_OK && !*again)
		err = backup_manifest_commit(run->folder, &manifest);
	return err;
}

enum err backup_run(struct backup_folder *folder, struct store *store,
		    const struct backup_order *order, struct backup_counts *counts_out,
		    const char **why_out)
{
	struct run run = { .folder = folder, .store = store, .order = order, .counts = counts_out };
	*counts_out = (struct backup_counts){ .users = 0 };
	enum err err = backup_manifest_read(folder, BACKUP_MANIFEST, &folder->manifest);
	folder->has_manifest = err == ERR_OK;
	if (err == ERR_OK || err == ERR_NOT_FOUND)
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
