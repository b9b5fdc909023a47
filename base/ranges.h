/* base/ranges.h - a set of 32-bit numbers as sorted runs: UIDs of a mailbox, a command's
 * sequence set, what a change touched.
 *
 * Runs are ascending, disjoint and never adjacent (1:3 and 4:5 become 1:5), so a mailbox
 * of 100,000 messages without gaps is one run. Zero-initialised: empty, owns nothing.
 * One thread at a time. */
#pragma once

#include "base/slice.h"

struct range {
	uint32_t first;
	uint32_t last; /* inclusive */
};

struct ranges {
	struct range *runs; /* NULL while count is 0 */
	uint32_t count;	    /* of runs */
	uint32_t cap;
};

/* Adds first..last, in any order of calls; cheapest in ascending order. first <= last. */
void ranges_add(struct ranges *set, uint32_t first, uint32_t last);
void ranges_remove(struct ranges *set, uint32_t first, uint32_t last);
bool ranges_contains(const struct ranges *set, uint32_t number);
/* How many numbers are in the set. */
uint64_t ranges_total(const struct ranges *set);
/* 1-based rank of a member (an IMAP sequence number, where the set is a mailbox's UIDs);
 * 0 when it is not a member. O(runs). */
uint32_t ranges_rank(const struct ranges *set, uint32_t number);
/* The member of a 1-based rank; 0 when there are not so many. O(runs). */
uint32_t ranges_at_rank(const struct ranges *set, uint32_t rank);
/* The smallest member >= number; false when there is none. */
bool ranges_next(const struct ranges *set, uint32_t number, uint32_t *member_out);
uint32_t ranges_last(const struct ranges *set); /* 0 when empty */
/* a & b, into an empty set. */
void ranges_intersect(const struct ranges *a, const struct ranges *b, struct ranges *set_out);
/* a without b, into an empty set. */
void ranges_subtract(const struct ranges *a, const struct ranges *b, struct ranges *set_out);
void ranges_drop(struct ranges *set, const struct ranges *b);	 /* *set without b */
void ranges_join(struct ranges *set, const struct ranges *more); /* adds all of `more` */
void ranges_copy(const struct ranges *from, struct ranges *set_out);
void ranges_clear(struct ranges *set); /* keeps the memory */
void ranges_free(struct ranges *set);
