/* tests/unit/storage/journal_bed.h - a store with a journal, and what stands in it. */
#pragma once

#include "tests/unit/storage/bed.h"

#include "storage/journal.h"

static inline void bed_with_journal(struct bed *bed, enum store_mode mode)
{
	bed_begin(bed, mode);
	store_set_journal(bed->store, 30, 256 << 20);
}

struct found {
	size_t rows, events;
	struct journal_event last; /* slices in `octets` */
	struct buffer octets;
};

static inline struct found look(struct bed *bed)
{
	struct found found = { 0 };
	struct read *read = read_begin(bed->store);
	struct row row;
	row_open(&row, read, DB_JOURNAL);
	for (bool more = row_seek(&row, SLICE("\0")); more; more = row_next(&row)) {
		found.rows++;
		struct slice rest = slice_sub(row.value, 9, row.value.len);
		assert_int_equal(row.value.ptr[0], RECORD_VERSION);
		while (rest.len > 0) {
			size_t len = get_be16(rest.ptr);
			buffer_clear(&found.octets);
			buffer_add(&found.octets, slice_sub(rest, 2, len));
			assert_true(journal_event_decode(buffer_slice(&found.octets), &found.last));
			found.events++;
			rest = slice_sub(rest, 2 + len, rest.len);
		}
	}
	row_close(&row);
	read_end(&read);
	return found;
}

static inline size_t count_events(struct bed *bed)
{
	struct found found = look(bed);
	buffer_free(&found.octets);
	return found.events;
}
