/* imapd/search_priv.h - a SEARCH, SORT or THREAD under way: search.c and search_lanes.c find,
 * search_answer.c tells. In the back; the session owns it, and its lanes belong to workers while they
 * are out. */
#pragma once

#include "imapd/search_mailboxes_priv.h"
#include "imapd/search_options_priv.h"
#include "imapd/search_scan_priv.h"
#include "imapd/view_priv.h"
#include "runtime/pool.h"

enum search_verb { VERB_SEARCH, VERB_SORT, VERB_THREAD };

/* What one thread at a time looks at: a stretch of the mailbox, then the next that is left. */
struct search_lane {
	struct search *search;
	struct search_scan scan;
	struct collection collection;
	struct work work;
	unsigned slices; /* since it went out */
};
enum {
	SEARCH_LANES = 2,
	/* Then the lanes come home, so that the session hears whether its client has left. */
	SEARCH_LANE_SLICES = 16,
};

struct search {
	struct imap_session *s;
	enum search_verb verb;
	/* The session's view; of a mailbox that is not selected, one that nobody watches. */
	struct imap_view *view, other;
	const struct mailbox *mailbox;
	/* ESEARCH: one after another; NULL for the others. */
	struct search_mailboxes *mailboxes;
	size_t next_mailbox;
	struct arena mailbox_arena; /* of `mailbox`, where there are several */
	bool uses_esearch;	    /* in the response */
	struct search_options options;
	struct search_program program;
	struct slice program_text; /* as the client wrote it */
	struct sort_criteria criteria;
	enum thread_algorithm algorithm;

	struct ranges left;  /* UIDs that no lane has taken yet */
	uint64_t candidates; /* how many there were in all */
	struct search_lane lanes[SEARCH_LANES];
	unsigned lane_count, lanes_out;
	struct collection_limit collected; /* by all of them */
	bool came_home;			   /* since the session was asked last */
	enum err failure;		   /* of a lane */
	struct work finish;		   /* the pool's: sorting, threading */
	bool is_finished;

	/* What was found. */
	struct ranges found; /* UIDs */
	uint64_t highest_modseq;
	struct buffer threads; /* THREAD's response */

	/* What is still to be told. */
	struct ranges numbers;		/* of VERB_SEARCH, as the client reads them */
	uint32_t next_run, next_number; /* of numbers */
	size_t next_item, end_item;	/* of VERB_SORT: of the first lane's collection */
	size_t next_octet;		/* of VERB_THREAD */
	struct ranges returned;		/* UIDs whose MODSEQs are still to be looked at; */
	uint32_t next_returned;		/* from here on */
	uint64_t told_modseq;		/* the highest of them, 0: none is told */
	bool has_told_one;
};

/* UIDs, not sequence numbers, are what the client reads. */
static inline bool search_tells_uids(const struct search *search)
{
	return search->s->command->uid || search->mailboxes;
}

/* ---- search_lanes.c ---- */

/* The program is bound: what there is to look at. */
void search_lanes_begin(struct search *search);
/* Whether all has been looked at, or search->failure says why not. Otherwise each lane
 * that can has its stretch. This and what follows only while no lane is out. */
bool search_lanes_are_over(struct search *search);
/* The session's job until they come home, all together. */
void search_lanes_send_out(struct search *search);
/* What they have found becomes the search's. */
void search_lanes_join(struct search *search);
void search_lanes_fini(struct search *search);

/* ---- search_answer.c ---- */

/* The result is there: what "$" becomes, and the response's beginning. */
void search_save(struct search *search);
void search_answer_begin(struct search *search);
/* The rest of the response, as far as the output takes it; false: to be continued. */
bool search_answer_go_on(struct search *search);
