/* imapd/search_scan_priv.h - a search over one mailbox, in slices. A scan of the messages
 * answers today; an index can answer behind the same calls. */
#pragma once

#include "imapd/collect_priv.h"
#include "imapd/search_match_priv.h"
#include "imapd/walk_priv.h"

struct search_scan {
	struct store *store;
	uint64_t mailbox_id;
	const struct search_program *program;
	struct ranges candidates;      /* UIDs that are worth a look: the stretch under way */
	uint64_t earlier;	       /* how many there were in the stretches before */
	bool first_only;	       /* stop at the first match: RETURN (MIN) */
	struct collection *collection; /* SORT, THREAD: gets what is found; NULL: nobody asks */

	struct ranges found;	 /* UIDs, so far */
	uint64_t highest_modseq; /* of them */
	uint32_t next_uid;
	bool is_over; /* the stretch has been looked at; true at the start */
	/* Of the store, or ERR_LIMIT: the search is over, and what it found is not all. */
	enum err failure;
	struct matcher matcher;

	/* Of the slice. */
	struct read *read;
	struct message_walk walk;
	struct content_source source;
	struct content_blob blob;
	uint64_t read_octets; /* since the read transaction began */
};

/* Which messages of the view are worth a look, into an empty set: all but those that a sequence set
 * at the top leaves out. The program is bound. */
void search_candidates(const struct search_program *program, const struct ranges *uids,
		       struct ranges *candidates_out);
/* `program` is bound and stays the caller's. There is nothing to look at yet. */
void search_scan_init(struct search_scan *scan, struct store *store, uint64_t mailbox_id,
		      const struct search_program *program);
/* Takes the first `count` of `left`, or all, for its next stretch. They are above those before. */
void search_scan_take(struct search_scan *scan, struct ranges *left, uint64_t count);
/* Looks at the next messages; scan->is_over after the last. One thread at a time. */
void search_scan_slice(struct search_scan *scan);
/* True where a slice may take longer than a loop can wait: it runs on the worker pool then. */
bool search_scan_is_heavy(const struct search_scan *scan);
/* How many candidates it has looked at. */
uint64_t search_scan_done(const struct search_scan *scan);
void search_scan_fini(struct search_scan *scan);
