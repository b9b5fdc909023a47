/* storage/backup_proof.c - the proof of a backup: it is restored into a scratch store, which is
 * then compared with what the copying saw in the real one. In the admin's process. */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "storage/backup_run_priv.h"

enum { SCRATCH_SPARE_OCTETS = 64 << 20 };

static void on_damaged(void *user, const struct backup_row *row)
{
	struct backup_run *run = user;
	struct backup_segment *segment = backup_segment_of(run, row->segment);
	run->counts->segments_renewed += !segment->retired;
	segment->retired = true;
}

/* A proof that fills the disk would be in the way of the mail. */
static enum err scratch_has_room(struct backup_run *run, const struct backup_manifest *manifest)
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
static enum err bodies_compare(struct backup_run *run, struct store *scratch)
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

static enum err rows_compare(struct backup_run *run, struct store *scratch,
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

enum err backup_prove(struct backup_run *run, const struct backup_manifest *manifest,
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
	backup_remove_unfinished(run->order->scratch_dir);
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
	backup_remove_unfinished(run->order->scratch_dir);
	return err;
}
