/* imapd/fetch_priv.h - a FETCH that runs: the command (fetch.c), made slice by slice (fetch_slice.c). */
#pragma once

#include "imapd/fetch_answer_priv.h"
#include "imapd/view_priv.h"
#include "imapd/walk_priv.h"
#include "runtime/pool.h"

enum slice_outcome {
	SLICE_ALL_DONE,
	SLICE_OUT_FULL,
	SLICE_SPENT,
	SLICE_BATCH_DONE, /* the next messages have to get \Seen first */
	SLICE_BROKEN,	  /* a promised literal cannot be kept: the connection must close */
};

/* Of output that is made ahead, and at most a chunk more. A session has two such buffers at most: one that is
 * being filled, and one of which the socket has not taken all. */
enum { FETCH_AHEAD_OCTETS = 256 * 1024 };
/* At a time; the loop makes the others, 64 KiB at a time. */
enum { FETCHES_AHEAD_MAX = 100 };

/* What was asked of the disk ahead, a stretch of messages at a time. */
struct prefetch {
	uint32_t from, end; /* the last stretch: its first UID, and the first behind it */
	bool is_over;	    /* there is no more */
};

/* Between begin and end of a slice all but `s` is the thread's that makes it; so is the view, which a slice
 * only reads, like the ranges and items of the command. */
struct fetch {
	struct imap_session *s;
	struct fetch_items items;
	struct ranges uids;	 /* what the sequence set names */
	uint32_t batch_last_uid; /* up to here \Seen is set */
	struct ranges unseen;	 /* of the batch */
	/* The change log does not reach back to CHANGEDSINCE: each entry's MODSEQ is looked at. */
	bool asks_entries;
	struct task turn; /* the loop's, between slices */

	uint32_t next_uid; /* of uids: the first that has not been answered */
	struct fetch_answer answer;
	bool answering;	       /* an answer is under way */
	struct rank_walk rank; /* sequence numbers of what has been answered */

	/* The slice's own. */
	struct answer_slice slice;
	struct message_walk walk;
	struct arena slice_arena;
	struct ranges told; /* their flags were news, and have gone out with the rest */
	uint64_t shown_modseq;
	enum slice_outcome outcome;
	bool waited; /* the last slice, for the disk */
	struct prefetch entries_ahead, digests_ahead;

	/* The next slice, while what was made before is being sent. */
	bool is_long;	/* one slice was not enough */
	bool has_place; /* among those that are made ahead */
	struct work ahead;
	struct buffer made;
	size_t made_full_octets;
};

/* Makes the next answers into `out`, until it has `full_octets` or about a millisecond is over; what came
 * of it is f->outcome. Any thread. */
void fetch_slice_make(struct fetch *f, struct buffer *out, size_t full_octets);
/* In a slice, before each message, where the last slice waited for the disk: asks it for what the next
 * messages will need, when that is due. */
void fetch_prefetch(struct fetch *f);
/* After each slice, on the session's loop: what it has told is news no more. */
void fetch_slice_note_told(struct fetch *f);
/* CHANGEDSINCE leaves the message out. */
static inline bool fetch_is_unchanged(const struct fetch *f, const struct message_entry *entry)
{
	return f->asks_entries && entry->modseq <= f->items.changed_since;
}
