/* storage/verify_journal.c - the journal: rows whose events can be read, and an index in order. What
 * is wrong in the index costs its segment: the rows are read then, as those without one are. Runs in
 * the admin's process. */
#include "storage/journal_index_priv.h"
#include "storage/verify_priv.h"

static bool row_is_good(const struct row *row)
{
	struct slice rest = row->value;
	struct journal_event event;
	int64_t unix_ms;
	if (row->key.len != 8 || !journal_row_begin(&rest, &unix_ms))
		return false;
	while (rest.len > 0)
		if (!journal_row_next(&rest, &event))
			return false;
	return true;
}

static bool index_row_is_good(const struct row *row)
{
	struct segment segment;
	uint32_t last = 0;
	if (row->key.len != SEGMENT_KEY_OCTETS)
		return false;
	if (row->key.ptr[8] == PART_HEADER)
		return segment_decode(row->key, row->value, &segment);
	if (row->key.ptr[8] > PART_IPV6 || row->value.len < 1 + MARK_OCTETS ||
	    row->value.ptr[0] != RECORD_VERSION || (row->value.len - 1) % MARK_OCTETS != 0 ||
	    !slice_eq(slice_sub(row->value, 1, 4), slice_sub(row->key, 9, 4)))
		return false;
	for (size_t at = 1; at < row->value.len; at += MARK_OCTETS) {
		uint32_t mark = get_be32(row->value.ptr + at);
		if (mark < last || get_be16(row->value.ptr + at + 4) >= SEGMENT_ROWS)
			return false;
		last = mark;
	}
	return true;
}

/* All rows of the segment that the key belongs to. */
static enum err fix_segment(struct write *write, struct fix *fix)
{
	struct row row;
	enum err err = ERR_OK;
	struct slice first = slice_sub(fix->key, 0, 8);
	row_open(&row, write_read(write), DB_JOURNAL_INDEX);
	bool more = row_seek(&row, first);
	while (err == ERR_OK && more && slice_eq(slice_sub(row.key, 0, first.len), first)) {
		err = row_delete(&row);
		more = row_next(&row);
	}
	row_close(&row);
	return err;
}

static const char *row_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	return row_is_good(row) ? NULL : "a row of the journal cannot be read";
}

static const char *index_row_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	fix->run = fix_segment;
	return index_row_is_good(row) ? NULL : "the index of a part of the journal is damaged";
}

void verify_journal(struct verify *v)
{
	verify_rows(v, DB_JOURNAL, 4 * VERIFY_ROW_COST, WRONG_JOURNAL, row_wrong);
	verify_rows(v, DB_JOURNAL_INDEX, 4 * VERIFY_ROW_COST, WRONG_JOURNAL, index_row_wrong);
}
