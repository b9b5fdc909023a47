/* imapd/search_priv.h - a SEARCH, SORT or THREAD under way: search.c finds, search_answer.c
 * tells. In the back; the session owns it, and its lanes belong to workers while they are out. */
#pragma once

#include "imapd/search_options_priv.h"
#include "imapd/search_scan_priv.h"
#include "imapd/search_sources_priv.h"
#include "imapd/view_priv.h"
#include "runtime/pool.h"

enum search_verb { VERB_SEARCH, VERB_SORT, VERB_THREAD };

/* A part of the mailbox, looked through by one thread at a time. */
struct search_lane {
	struct search *search;
	struct search_scan scan;
	struct collection collection;
	struct work work;
};
enum { SEARCH_LANES = 2 };

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

	struct search_lane lanes[SEARCH_LANES]; /* in ascending UID */
	unsigned lane_count, lanes_out;
	struct task turn;   /* the loop's, between light slices */
	struct work finish; /* the pool's: sorting, threading */
	bool is_finished;

	/* What was found. */
	struct ranges found; /* UIDs */
	uint64_t first_modseq, last_modseq, highest_modseq;
	struct buffer threads; /* THREAD's response */

	/* What is still to be told. */
	struct ranges numbers;		/* of VERB_SEARCH, as the client reads them */
	uint32_t next_run, next_number; /* of numbers */
	size_t next_item, end_item;	/* of VERB_SORT: of the first lane's collection */
	size_t next_octet;		/* of VERB_THREAD */
	bool has_told_one;
};

/* UIDs, not sequence numbers, are what the client reads. */
static inline bool search_tells_uids(const struct search *search)
{
	return search->s->command->uid || search->mailboxes;
}
/* The result is there: what "$" becomes, and the response's beginning. */
void search_save(struct search *search);
void search_answer_begin(struct search *search);
/* The rest of the response, as far as the output takes it; false: to be continued. */
bool search_answer_go_on(struct search *search);
