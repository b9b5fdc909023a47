/* storage/journal_index.c - segments of the journal: made of the newest rows that have none, and
 * removed with the oldest. Both in small steps beside the work, as garbage goes. Runs in the back.
 *
 * A segment's marks are sorted rows of a database of its own, a few thousand octets each, so that
 * whoever looks for one reads a page or two of each segment, whatever the size of the journal. */
#include "storage/journal_index_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "storage/writer_priv.h"

enum {
	REMOVED_MAX = 500, /* rows of the journal in one transaction */
	LOOK_MS = 60 * 1000,
	SLACK = 32, /* the part of its size that goes at least, once it is too large */
};

/* ---- rows ---- */

bool journal_row_begin(struct slice *rest, int64_t *unix_ms_out)
{
	if (rest->len < ROW_HEADER_OCTETS || rest->ptr[0] != RECORD_VERSION)
		return false;
	*unix_ms_out = (int64_t)get_be64(rest->ptr + 1);
	*rest = slice_sub(*rest, ROW_HEADER_OCTETS, rest->len);
	return true;
}

bool journal_row_next(struct slice *rest, struct journal_event *event_out)
{
	if (rest->len < LENGTH_OCTETS)
		return false;
	size_t len = get_be16(rest->ptr);
	struct slice octets = slice_sub(*rest, LENGTH_OCTETS, len);
	*rest = slice_sub(*rest, LENGTH_OCTETS + len, rest->len);
	return octets.len == len && journal_event_decode(octets, event_out);
}

/* The oldest row's number; 0: there is none. */
static uint64_t journal_oldest(struct read *read)
{
	struct row row;
	struct key key;
	row_open(&row, read, DB_JOURNAL);
	key_be64(&key, 0);
	uint64_t number =
		row_seek(&row, key_slice(&key)) && row.key.len == 8 ? get_be64(row.key.ptr) : 0;
	row_close(&row);
	return number;
}

uint64_t journal_newest(struct read *read)
{
	struct row row;
	struct key key;
	row_open(&row, read, DB_JOURNAL);
	key_be64(&key, UINT64_MAX);
	uint64_t number = row_seek_before(&row, key_slice(&key)) && row.key.len == 8
				  ? get_be64(row.key.ptr)
				  : 0;
	row_close(&row);
	return number;
}

/* ---- segments ---- */

void key_segment(struct key *key, uint64_t first, enum journal_part part, uint32_t mark)
{
	put_be64(key->octets, first);
	key->octets[8] = (uint8_t)part;
	put_be32(key->octets + 9, mark);
	key->len = SEGMENT_KEY_OCTETS;
}

static void segment_encode(const struct segment *segment, uint8_t value_out[17])
{
	value_out[0] = RECORD_VERSION;
	put_be64(value_out + 1, segment->last);
	put_be64(value_out + 9, (uint64_t)segment->newest_unix_ms);
}

bool segment_decode(struct slice key, struct slice value, struct segment *segment_out)
{
	if (key.len != SEGMENT_KEY_OCTETS || key.ptr[8] != PART_HEADER || value.len != 17 ||
	    value.ptr[0] != RECORD_VERSION)
		return false;
	*segment_out = (struct segment){ .first = get_be64(key.ptr),
					 .last = get_be64(value.ptr + 1),
					 .newest_unix_ms = (int64_t)get_be64(value.ptr + 9) };
	return segment_out->last >= segment_out->first &&
	       segment_out->last - segment_out->first < SEGMENT_ROWS;
}

bool segment_before(struct read *read, uint64_t before, struct segment *segment_out)
{
	struct row row;
	struct key key;
	bool found = false;
	row_open(&row, read, DB_JOURNAL_INDEX);
	/* Any of its rows leads to the first. One whose first row is damaged is passed over. */
	while (!found) {
		key_segment(&key, before, PART_HEADER, 0);
		if (!row_seek_before(&row, key_slice(&key)) || row.key.len != SEGMENT_KEY_OCTETS ||
		    get_be64(row.key.ptr) >= before)
			break;
		before = get_be64(row.key.ptr);
		key_segment(&key, before, PART_HEADER, 0);
		found = row_seek(&row, key_slice(&key)) &&
			segment_decode(row.key, row.value, segment_out) &&
			segment_out->first == before;
	}
	row_close(&row);
	return found;
}

/* ---- making one ---- */

struct making {
	struct job job;
	struct segment segment;
	uint64_t *marks; /* part << 48 | mark << 16 | offset, ascending, each once */
	size_t count, cap;
};

static void making_add(struct making *making, const struct journal_event *event, uint16_t offset)
{
	struct journal_marks marks;
	journal_marks_of(event, &marks);
	if (making->count + marks.count > making->cap) {
		making->cap = making->cap ? making->cap * 2 : 8192;
		making->marks = heap_resize(making->marks, making->cap * sizeof(*making->marks));
	}
	for (size_t i = 0; i < marks.count; i++)
		making->marks[making->count++] =
			(uint64_t)marks.parts[i] << 48 | (uint64_t)marks.marks[i] << 16 | offset;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* False: there are not enough rows yet. */
static bool making_read(struct making *making, struct read *read)
{
	struct segment newest;
	struct row row;
	struct key key;
	uint64_t first = journal_oldest(read), last = journal_newest(read);
	if (segment_before(read, UINT64_MAX, &newest) && newest.last >= first)
		first = newest.last + 1;
	if (first == 0 || last < first || last - first + 1 < SEGMENT_ROWS)
		return false;
	making->segment = (struct segment){ .first = first, .last = first + SEGMENT_ROWS - 1 };
	row_open(&row, read, DB_JOURNAL);
	key_be64(&key, first);
	bool more = row_seek(&row, key_slice(&key));
	for (; more && row.key.len == 8; more = row_next(&row)) {
		uint64_t number = get_be64(row.key.ptr);
		struct slice rest = row.value;
		struct journal_event event;
		int64_t unix_ms;
		if (number > making->segment.last)
			break;
		if (!journal_row_begin(&rest, &unix_ms))
			continue;
		if (unix_ms > making->segment.newest_unix_ms)
			making->segment.newest_unix_ms = unix_ms;
		while (journal_row_next(&rest, &event))
			making_add(making, &event, (uint16_t)(number - first));
	}
	row_close(&row);
	if (making->count > 0)
		qsort(making->marks, making->count, sizeof(*making->marks), compare);
	size_t kept = 0;
	for (size_t i = 0; i < making->count; i++)
		if (i == 0 || making->marks[i] != making->marks[kept - 1])
			making->marks[kept++] = making->marks[i];
	making->count = kept;
	return true;
}

static enum err making_run(struct write *write, struct job *job)
{
	struct making *making = CONTAINER_OF(job, struct making, job);
	uint8_t value[1 + PIECE_MARKS * MARK_OCTETS] = { RECORD_VERSION };
	uint64_t first = making->segment.first;
	struct segment newest;
	struct key key;
	/* By now somebody else may have made it: nobody does, but what follows is appended. */
	if (segment_before(write_read(write), UINT64_MAX, &newest) && newest.first >= first)
		return ERR_OK;
	enum err err = write_may_grow(write);
	if (err != ERR_OK)
		return err;
	uint8_t header[17];
	segment_encode(&making->segment, header);
	key_segment(&key, first, PART_HEADER, 0);
	err = db_put(write, DB_JOURNAL_INDEX, key_slice(&key), slice_of(header, sizeof(header)),
		     PUT_APPEND);
	for (size_t i = 0; i < making->count && err == ERR_OK;) {
		uint8_t *at = value + 1;
		uint64_t part = making->marks[i] >> 48;
		key_segment(&key, first, (enum journal_part)part,
			    (uint32_t)(making->marks[i] >> 16));
		for (size_t n = 0;
		     n < PIECE_MARKS && i < making->count && making->marks[i] >> 48 == part;
		     n++, i++, at += MARK_OCTETS) {
			put_be32(at, (uint32_t)(making->marks[i] >> 16));
			put_be16(at + 4, (uint16_t)making->marks[i]);
		}
		err = db_put(write, DB_JOURNAL_INDEX, key_slice(&key),
			     slice_of(value, (size_t)(at - value)), PUT_APPEND);
	}
	return err;
}

static enum err segment_make(struct store *store, bool *made_out)
{
	struct making making = { .job.run = making_run };
	struct read *read = read_begin(store);
	enum err err = ERR_OK;
	*made_out = making_read(&making, read);
	read_end(&read);
	if (*made_out)
		err = store_write_now(store, &making.job);
	free(making.marks);
	return err;
}

/* ---- letting go ---- */

struct removal {
	struct job job;
	int64_t before_unix_ms;
	uint64_t octets; /* to be removed at least, whatever their age */
	size_t removed;
};

/* Of segments whose rows are all gone. */
static enum err segments_remove(struct write *write, uint64_t oldest)
{
	struct read *read = write_read(write);
	struct segment segment;
	struct row row;
	struct key key;
	enum err err = ERR_OK;
	row_open(&row, read, DB_JOURNAL_INDEX);
	key_be64(&key, 0);
	bool more = row_seek(&row, key_slice(&key));
	bool goes = false;
	while (err == ERR_OK && more) {
		bool is_header = row.key.len == SEGMENT_KEY_OCTETS && row.key.ptr[8] == PART_HEADER;
		if (is_header || !goes)
			goes = !segment_decode(row.key, row.value, &segment) ||
			       segment.last < oldest || oldest == 0;
		if (!goes)
			break;
		err = row_delete(&row);
		more = row_next(&row);
	}
	row_close(&row);
	return err;
}

static enum err removal_run(struct write *write, struct job *job)
{
	struct removal *removal = CONTAINER_OF(job, struct removal, job);
	enum err err = ERR_OK;
	uint64_t octets = 0;
	struct row row;
	struct key key;
	removal->removed = 0;
	row_open(&row, write_read(write), DB_JOURNAL);
	key_be64(&key, 0);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && more && removal->removed < REMOVED_MAX) {
		struct slice rest = row.value;
		int64_t unix_ms;
		bool is_old =
			!journal_row_begin(&rest, &unix_ms) || unix_ms < removal->before_unix_ms;
		if (!is_old && octets >= removal->octets)
			break;
		octets += row.key.len + row.value.len;
		err = row_delete(&row);
		removal->removed++;
		more = row_next(&row);
	}
	row_close(&row);
	if (err == ERR_OK && removal->removed > 0)
		err = segments_remove(write, journal_oldest(write_read(write)));
	return err;
}

/* Whether anything is to go: what is older than before_unix_ms, and how many octets at least. */
static bool is_due(struct store *store, struct removal *removal)
{
	unsigned days;
	uint64_t size_octets, rows, octets, index_octets, index_rows;
	journal_bounds(store, &days, &size_octets);
	struct read *read = read_begin(store);
	struct row row;
	struct key key;
	int64_t oldest_unix_ms;
	removal->before_unix_ms =
		days ? clock_unix_ms() - (int64_t)days * 24 * 3600 * 1000 : INT64_MAX;
	key_be64(&key, 0);
	row_open(&row, read, DB_JOURNAL);
	bool due = false;
	if (row_seek(&row, key_slice(&key))) {
		struct slice rest = row.value;
		due = !journal_row_begin(&rest, &oldest_unix_ms) ||
		      oldest_unix_ms < removal->before_unix_ms;
	}
	row_close(&row);
	db_extent(read, DB_JOURNAL, &rows, &octets);
	db_extent(read, DB_JOURNAL_INDEX, &index_rows, &index_octets);
	read_end(&read);
	if (rows > 0 && octets + index_octets > size_octets) {
		removal->octets = octets + index_octets - size_octets + size_octets / SLACK;
		due = true;
	}
	return due;
}

enum err journal_step(struct store *store, uint64_t *wait_ms_out)
{
	struct removal removal = { .job.run = removal_run };
	bool made;
	*wait_ms_out = 0;
	if (is_due(store, &removal)) {
		enum err err = store_write_now(store, &removal.job);
		if (err != ERR_OK)
			*wait_ms_out = LOOK_MS;
		return err;
	}
	enum err err = segment_make(store, &made);
	if (err != ERR_OK || !made)
		*wait_ms_out = LOOK_MS;
	return err;
}
