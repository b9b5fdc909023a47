/* storage/journal_find.c - finding events, from the newest back: the newest rows are read, of the
 * others the index says which may hold one. Runs in the back, which looks back once, and in the
 * admin's process. */
#include "storage/journal_index_priv.h"

#include "base/heap.h"

enum { EVENTS_IN_ROW_MAX = 1024 }; /* a row has some dozen, and 64 KiB at most */

struct search {
	struct read *read;
	const struct journal_term *terms;
	size_t count;
	int64_t since_unix_ms;
	bool (*found)(void *user, const struct journal_event *event);
	void *user;
	bool is_over;
};

/* The events of a row that match, from the last to the first. */
static void row_search(struct search *search, struct slice value)
{
	struct slice wanted[EVENTS_IN_ROW_MAX], rest = value;
	struct journal_event event;
	size_t count = 0;
	int64_t unix_ms;
	if (!journal_row_begin(&rest, &unix_ms))
		return;
	for (struct slice at = rest; count < EVENTS_IN_ROW_MAX && journal_row_next(&rest, &event);
	     at = rest) {
		bool matches = false;
		for (size_t i = 0; i < search->count && !matches; i++)
			matches = journal_term_matches(&search->terms[i], &event);
		if (matches)
			wanted[count++] = at;
	}
	while (count-- > 0 && !search->is_over) {
		if (!journal_row_next(&wanted[count], &event))
			continue;
		if (event.time_unix_ms == 0)
			event.time_unix_ms = unix_ms;
		if (event.time_unix_ms >= search->since_unix_ms &&
		    !search->found(search->user, &event))
			search->is_over = true;
	}
}

/* Rows from `last` down to `first`; with `wanted`, only those whose offset from `first` is set. */
static void rows_search(struct search *search, uint64_t first, uint64_t last, const bool *wanted)
{
	struct row row;
	struct key key;
	row_open(&row, search->read, DB_JOURNAL);
	if (wanted) {
		for (uint64_t number = last + 1; number-- > first && !search->is_over;) {
			struct slice value;
			if (!wanted[number - first])
				continue;
			key_be64(&key, number);
			if (db_get(search->read, DB_JOURNAL, key_slice(&key), &value) == ERR_OK)
				row_search(search, value);
		}
	} else if (last < UINT64_MAX) {
		key_be64(&key, last + 1);
		bool more = row_seek_before(&row, key_slice(&key));
		for (; more && !search->is_over && row.key.len == 8; more = row_previous(&row)) {
			if (get_be64(row.key.ptr) < first)
				break;
			row_search(search, row.value);
		}
	}
	row_close(&row);
}

/* Sets the offsets of the rows of the segment that may hold what the term says. */
static void segment_look(struct search *search, const struct segment *segment,
			 const struct journal_term *term, struct row *row,
			 bool wanted[SEGMENT_ROWS])
{
	struct journal_range range;
	struct key key;
	journal_term_range(term, &range);
	/* The piece before may end with the mark that the next begins with. */
	key_segment(&key, segment->first, range.part, range.first);
	for (bool more = row_seek_before(row, key_slice(&key)) || row_seek(row, key_slice(&key));
	     more; more = row_next(row)) {
		if (row->key.len != SEGMENT_KEY_OCTETS || get_be64(row->key.ptr) > segment->first ||
		    (get_be64(row->key.ptr) == segment->first && row->key.ptr[8] > range.part))
			return;
		if (get_be64(row->key.ptr) < segment->first || row->key.ptr[8] != range.part)
			continue;
		if (get_be32(row->key.ptr + 9) > range.last)
			return;
		for (size_t at = 1; at + MARK_OCTETS <= row->value.len; at += MARK_OCTETS) {
			uint32_t mark = get_be32(row->value.ptr + at);
			uint16_t offset = get_be16(row->value.ptr + at + 4);
			if (mark > range.last)
				return;
			if (mark >= range.first && offset < SEGMENT_ROWS)
				wanted[offset] = true;
		}
	}
}

void journal_find(struct read *read, const struct journal_term *terms, size_t count,
		  int64_t since_unix_ms,
		  bool (*found)(void *user, const struct journal_event *event), void *user)
{
	struct search search = { read, terms, count, since_unix_ms, found, user, false };
	struct segment segment;
	struct row row;
	uint64_t behind = journal_newest(read) + 1; /* everything from here on has been searched */
	row_open(&row, read, DB_JOURNAL_INDEX);
	while (!search.is_over && segment_before(read, behind, &segment)) {
		bool wanted[SEGMENT_ROWS] = { false };
		/* Rows behind it are the newest, or have lost their segment. */
		if (segment.last + 1 < behind)
			rows_search(&search, segment.last + 1, behind - 1, NULL);
		if (segment.newest_unix_ms >= since_unix_ms) {
			for (size_t i = 0; i < count; i++)
				segment_look(&search, &segment, &terms[i], &row, wanted);
			rows_search(&search, segment.first, segment.last, wanted);
		}
		behind = segment.first;
	}
	if (!search.is_over && behind > 0)
		rows_search(&search, 0, behind - 1, NULL);
	row_close(&row);
}

bool journal_reach(struct read *read, int64_t *oldest_unix_ms_out)
{
	struct row row;
	struct key key;
	key_be64(&key, 0);
	row_open(&row, read, DB_JOURNAL);
	struct slice rest = row_seek(&row, key_slice(&key)) ? row.value : SLICE_NONE;
	bool is_any = journal_row_begin(&rest, oldest_unix_ms_out);
	row_close(&row);
	return is_any;
}
