/* storage/backup_copy.c - the copying of a backup: rounds, in which bodies are copied slice by
 * slice beside the writing server, and the one moment, in which everything else is.
 *
 * A pass walks the store's digests and an index side by side, both in order of blob, and writes
 * the next index: what comes of each pass says all that the folder holds. In the admin's
 * process. */
#include "base/clock.h"
#include "base/random.h"
#include "storage/backup_run_priv.h"
#include "storage/dictionary_priv.h"

enum {
	SLICE_OCTETS = 4 << 20, /* in one read transaction */
	SLICE_ROWS = 20000,
	SEGMENT_OCTETS = 1 << 30,
	SEGMENT_TO_INDEX = 16, /* an index is written with each segment: keep that a small part */
};

/* ---- one pass over the digests ---- */

struct pass {
	struct backup_run *run;
	struct backup_index_in in;
	struct backup_out out;	 /* the index that comes of it */
	uint64_t next_blob;	 /* where it goes on */
	uint64_t segment_octets; /* no more in one segment */
	uint64_t slice_octets;	 /* copied or compared in this slice */
	bool is_last;		 /* all in one transaction */
	bool failed;		 /* the store's walk */
};

static void segment_begin(struct backup_run *run)
{
	char name[BACKUP_NAME_OCTETS];
	if (run->out.folder)
		return;
	run->out_number = run->next_number++;
	backup_name(BACKUP_BLOBS, run->out_number, name);
	backup_out_open(&run->out, run->folder, name, BACKUP_BLOBS_MAGIC);
}

static void segment_end(struct backup_run *run)
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
	struct backup_run *run = pass->run;
	struct backup_out nowhere = { .folder = run->folder, .fd = -1 };
	struct backup_row now;
	bool damaged;
	if (backup_segment_of(run, row->segment)->retired || row->digest_sum != checksum_of(digest))
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
	struct backup_run *run = pass->run;
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
	struct backup_run *run = pass->run;
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

/* From a blob on, until a segment is full or the store's end is reached. What comes of it is
 * `held`: all that the folder holds. */
static enum err pass_run(struct backup_run *run, uint64_t *next_blob, bool *more_out)
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
		backup_tell(run);
		if (pass.failed)
			backup_store_unreadable(run);
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

enum err backup_copy_round(struct backup_run *run)
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

static enum err moment_read(struct backup_run *run, struct read *read,
			    struct backup_manifest *manifest, struct backup_survey *survey)
{
	struct pass pass = { .run = run, .in.in.fd = -1, .is_last = true };
	struct backup_out state;
	MDB_stat stat;
	char name[BACKUP_NAME_OCTETS];
	/* A state without it would push out the older one that has it. */
	uint16_t lost = dictionary_lost(read);
	if (lost != NO_DICTIONARY && read_failure(read) == ERR_OK)
		backup_fail(run->folder, ERR_DAMAGED,
			    "dictionary %u of the store is lost, without which the texts of many "
			    "messages cannot be read; the backup stays as it was: restore it",
			    lost);
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
		backup_store_unreadable(run);
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

enum err backup_copy_moment(struct backup_run *run, struct backup_manifest *manifest,
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
	backup_tell(run);
	return err;
}
