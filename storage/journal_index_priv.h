/* storage/journal_index_priv.h - the journal's rows and their index, for this room.
 *
 * The newest rows have no index: they are read. When there are enough of them, the marks of all
 * their events are sorted and put down as a segment, so that noting an event costs no more than
 * its octets, and the index is written once and in order. */
#pragma once

#include "storage/journal_priv.h"

enum {
	ROW_HEADER_OCTETS = 1 + 8,
	LENGTH_OCTETS = 2,   /* before each event */
	MARK_OCTETS = 4 + 2, /* be32 mark, be16 offset of the row in its segment */
	PIECE_MARKS = 330,   /* of a row of the index: two to a page */
	/* Of the journal. No more than marks in a piece, so that no two pieces begin with the same
	 * mark. */
	SEGMENT_ROWS = PIECE_MARKS,
	MARKS_OF_EVENT_MAX = 16,
};

/* Behind the segment's number in the index' keys. */
enum journal_part { PART_HEADER, PART_HASHES, PART_IPV4, PART_IPV6 };

/* What an event is found by: hashes, and for a client's address its first 32 bits themselves, so
 * that a network is a range. */
struct journal_marks {
	enum journal_part parts[MARKS_OF_EVENT_MAX];
	uint32_t marks[MARKS_OF_EVENT_MAX];
	size_t count;
};
void journal_marks_of(const struct journal_event *event, struct journal_marks *marks);

struct journal_range {
	enum journal_part part;
	uint32_t first, last;
};
void journal_term_range(const struct journal_term *term, struct journal_range *range_out);
/* Whether it really is so. */
bool journal_term_matches(const struct journal_term *term, const struct journal_event *event);

/* The events of a row, in order: `rest` starts as the row's value. False at the end, and where the
 * rest cannot be read. */
bool journal_row_begin(struct slice *rest, int64_t *unix_ms_out);
bool journal_row_next(struct slice *rest, struct journal_event *event_out);

/* A segment: the rows from `first` to `last`. */
struct segment {
	uint64_t first, last;
	int64_t newest_unix_ms; /* of its rows */
};
bool segment_decode(struct slice key, struct slice value, struct segment *segment_out);
enum { SEGMENT_KEY_OCTETS = 8 + 1 + 4 };
void key_segment(struct key *key, uint64_t first, enum journal_part part, uint32_t mark);

/* The newest row's number; 0: there is none. */
uint64_t journal_newest(struct read *read);
/* The newest segment before row `before`. False: none. */
bool segment_before(struct read *read, uint64_t before, struct segment *segment_out);

/* One small transaction's worth of putting down what has no index yet, and of letting go of what
 * is too old or too much. *wait_ms_out as in garbage_step(). */
enum err journal_step(struct store *store, uint64_t *wait_ms_out) MUST_USE;
