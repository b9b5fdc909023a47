/* imapd/collect_priv.h - the messages that a SORT or THREAD has found, with what they are
 * compared by. Filled by a scan (search_scan_priv.h), so on a worker; one thread at a time. */
#pragma once

#include <stdatomic.h>

#include "imapd/search_match_priv.h"
#include "imapd/walk_priv.h"

enum sort_key {
	SORT_ARRIVAL,
	SORT_CC,
	SORT_DATE,
	SORT_FROM,
	SORT_SIZE,
	SORT_SUBJECT,
	SORT_TO,
	SORT_DISPLAYFROM,
	SORT_DISPLAYTO,
	SORT_KEYS,
};

struct sort_criteria {
	struct {
		enum sort_key key;
		bool is_reversed;
	} items[SORT_KEYS];
	size_t count;
};
/* "(" sort-criterion *(SP sort-criterion) ")". One that is named again decides nothing more and
 * is left out. */
bool take_sort_criteria(struct cursor *c, struct sort_criteria *criteria_out);

enum thread_algorithm { THREAD_NONE, THREAD_ORDEREDSUBJECT, THREAD_REFERENCES };
bool take_thread_algorithm(struct cursor *c, enum thread_algorithm *algorithm_out);

/* A sender chooses how long texts are, and a search may find each message of a mailbox. */
enum {
	COLLECTED_TEXT_MAX_OCTETS = 500,
	COLLECTION_MAX_OCTETS = 256 * 1024 * 1024, /* of a search, in all its lanes */
};

union collected_value {
	int64_t number;
	struct slice text; /* as the comparator orders it */
};
/* A Message-ID, as long as it may be, by its fingerprint. */
struct collected_id {
	uint8_t fingerprint[16];
	bool is_there;
};
struct collected {
	uint32_t uid, number;	       /* number: as the client is told */
	union collected_value *values; /* one a criterion */
	/* THREAD */
	struct slice subject; /* the base subject */
	bool is_reply;
	int64_t sent_unix;
	struct collected_id *ids; /* its own Message-ID, if it has one, then its references */
	size_t id_count;
};

/* What collections keep that have one limit: those of a search's lanes, each on a worker of its own. So
 * it is the whole that counts, whichever of them finds most. */
struct collection_limit {
	uint64_t max_octets;
	_Atomic uint64_t kept_octets;
};

/* Zero-initialised but for the first group: empty. */
struct collection {
	const struct ranges *view_uids; /* NULL: numbers are UIDs */
	const struct sort_criteria *criteria;
	enum thread_algorithm algorithm;
	enum comparator comparator;
	struct collection_limit *limit;

	struct collected *items; /* in ascending UID */
	size_t count, cap;
	struct arena arena;
	uint64_t kept_octets; /* of what the limit counts */
	struct rank_walk rank;
};
/* The message that `matcher` is at, whose UID is above those before. ERR_LIMIT: there is too much
 * under the limit, and the collection is not whole. */
enum err collect(struct collection *collection, struct matcher *matcher,
		 const struct message_entry *entry) MUST_USE;
/* Moves the items of `more` in between those of `collection`, in order of UID. Both live on: the
 * texts stay where they are. */
void collection_join(struct collection *collection, struct collection *more);
void collection_fini(struct collection *collection);

bool sort_key_is_text(enum sort_key key);
/* In the order of the criteria; never 0 for two messages. */
int collected_compare(const struct collected *a, const struct collected *b,
		      const struct sort_criteria *criteria);
/* Into the order of the criteria; messages that are equal stay in order of UID. */
void collection_sort(struct collection *collection);
/* Appends the threads as a THREAD response has them: "(166)(167 (168)(169))". */
void collection_thread(struct collection *collection, struct buffer *out);
/* thread_references.c and, for both, the order of siblings: by sent date, then UID. */
void thread_references(struct collection *collection, struct buffer *out);
int collected_compare_sent(const struct collected *a, const struct collected *b);
