/* imapd/sorted_results_priv.h - the results of a SORT that goes on, in their order, and the places
 * where some come and go (RFC 5267 sections 4.3.3 and 4.3.4). On the session's loop. */
#pragma once

#include "imapd/collect_priv.h"

/* Zero-initialised: none. */
struct sorted_results {
	struct sort_criteria criteria;
	struct collected *items; /* `values` and what they point to are one heap block each */
	size_t count, cap;
};
void sorted_results_init(struct sorted_results *results, const struct collection *sorted);
void sorted_results_fini(struct sorted_results *results);

/* Both append pairs to `pairs`, "3 7,5:6 1 2", each of a place and what is to be removed or
 * inserted there, to be done one after another. As UIDs, or (`numbers_of` not NULL) as their
 * ranks there. */
void sorted_results_remove(struct sorted_results *results, const struct ranges *uids,
			   const struct ranges *numbers_of, struct buffer *pairs);
/* Inserts those of `incoming` that are in `uids`, whatever their order. */
void sorted_results_insert(struct sorted_results *results, struct collection *incoming,
			   const struct ranges *uids, const struct ranges *numbers_of,
			   struct buffer *pairs);
