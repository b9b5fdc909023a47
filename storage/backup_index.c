/* storage/backup_index.c - the index of a backup: one row per body, in order of blob, so that
 * an index and the store are compared by walking both side by side, in constant memory.
 * In the admin's process. */
#include "storage/backup_priv.h"

enum { ROW_OCTETS = 8 + 4 + 8 + 8 + 8 + 8 };

void backup_index_begin(struct backup_out *out, struct backup_folder *folder, const char *name,
			uint64_t run_id)
{
	uint8_t number[8];
	backup_out_open(out, folder, name, BACKUP_INDEX_MAGIC);
	put_be64(number, run_id);
	backup_out_add(out, slice_of(number, sizeof(number)));
}

void backup_index_add(struct backup_out *out, const struct backup_row *row)
{
	uint8_t record[ROW_OCTETS];
	put_be64(record, row->blob_id);
	put_be32(record + 8, row->segment);
	put_be64(record + 12, row->offset);
	put_be64(record + 20, row->octets);
	put_be64(record + 28, row->sum);
	put_be64(record + 36, row->digest_sum);
	backup_out_add(out, slice_of(record, sizeof(record)));
}

enum err backup_index_open(struct backup_index_in *index, struct backup_folder *folder,
			   const char *name)
{
	*index = (struct backup_index_in){ .has_row = false };
	enum err err = backup_in_open(&index->in, folder, name, BACKUP_INDEX_MAGIC);
	if (err != ERR_OK)
		return err;
	struct slice number = backup_in_take(&index->in, 8);
	index->run_id = number.len == 8 ? get_be64(number.ptr) : 0;
	backup_index_next(index);
	return folder->err;
}

void backup_index_next(struct backup_index_in *index)
{
	uint64_t last = index->has_row ? index->row.blob_id : 0;
	index->has_row = false;
	if (index->in.fd < 0)
		return;
	struct slice record = backup_in_take(&index->in, ROW_OCTETS);
	if (record.len == 0)
		return;
	if (record.len == ROW_OCTETS)
		index->row = (struct backup_row){
			.blob_id = get_be64(record.ptr),
			.segment = get_be32(record.ptr + 8),
			.offset = get_be64(record.ptr + 12),
			.octets = get_be64(record.ptr + 20),
			.sum = get_be64(record.ptr + 28),
			.digest_sum = get_be64(record.ptr + 36),
		};
	if (record.len < ROW_OCTETS || index->row.blob_id <= last ||
	    index->row.offset > INT64_MAX || index->row.octets > INT64_MAX - index->row.offset)
		backup_fail(index->in.folder, ERR_DAMAGED, "%s/%s is damaged (a row of it)",
			    index->in.folder->path, index->in.name);
	else
		index->has_row = true;
}
