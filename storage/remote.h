/* storage/remote.h - what is remembered of domains elsewhere: their policies of secure transport, how
 * well mail went there before, and what happened day by day. What the policies and the results say is
 * for who puts them there; here they are octets.
 *
 * Reads on any thread; writes in a job. Domains are A-labels in lower case, at most 255 octets; a day
 * is one of UTC, counted from 1970. */
#pragma once

#include "base/arena.h"
#include "storage/store.h"

enum {
	REMOTE_TEXT_MAX_OCTETS = 64 * 1024,
	REMOTE_RESULT_MAX_OCTETS = 8 * 1024,
	REMOTE_RESULTS_MAX = 100, /* different ones, of a domain and day; then no new ones */
	REMOTE_MAX_OCTETS =
		1 << 30, /* all of it; then no new rows, and none gets longer: ERR_LIMIT */
};

/* A policy as it was fetched (RFC 8461 section 3.3). */
struct remote_policy {
	struct slice id, text;
	int64_t fetched_unix, expires_unix;
};
enum err remote_policy_put(struct write *write, struct slice domain,
			   const struct remote_policy *policy) MUST_USE;
/* Slices live in `arena`. False: there is none, or none that can be read; also one that has expired. */
bool remote_policy_find(struct read *read, struct slice domain, struct arena *arena,
			struct remote_policy *policy_out);

/* How well the way there was secured when it was at its best. The first three are 3 at most. */
struct remote_level {
	uint8_t level;
	uint8_t proven_by; /* what made it so */
	uint8_t lost_to;   /* the best that was reached since lost_unix */
	int64_t reached_unix;
	int64_t lost_unix; /* since when it is not reached any more; 0: it is */
};
enum err remote_level_put(struct write *write, struct slice domain,
			  const struct remote_level *level) MUST_USE;
bool remote_level_find(struct read *read, struct slice domain, struct remote_level *level_out);

/* What has happened, and how often; `what` tells one result from another. */
struct remote_result {
	uint32_t day;
	struct slice domain, what;
	uint64_t count;
};
/* Adds to the count. ERR_LIMIT: there are too many different ones; nothing is written. */
enum err remote_result_add(struct write *write, const struct remote_result *result) MUST_USE;
/* In order of day and domain. Zero-initialise; slices live in `arena`, the place's as well. False at
 * the end. */
struct remote_place {
	struct slice key;
};
bool remote_result_next(struct read *read, struct remote_place *place, struct arena *arena,
			struct remote_result *result_out);
/* Before the first of that day. */
struct remote_place remote_place_of(uint32_t day, struct arena *arena);

/* The last day that was told of; 0: none was. */
uint32_t remote_reported_day(struct read *read);
enum err remote_set_reported_day(struct write *write, uint32_t day) MUST_USE;

/* Removes what is past its time: results of days before `day`, policies that have expired, levels that
 * were not reached for a long time. Looks at `rows` at most, from where the last one has ended, and not
 * at results that stay. Zero-initialise the walk; `is_over`: there is nothing more to look at, and the
 * next one begins anew. */
struct remote_walk {
	uint8_t octets[1 + 253]; /* of the key that was looked at last */
	size_t len;
	bool is_over;
};
enum err remote_prune(struct write *write, uint32_t day, int64_t now_unix, size_t rows,
		      struct remote_walk *walk) MUST_USE;
