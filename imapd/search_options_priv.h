/* imapd/search_options_priv.h - what SEARCH, SORT and ESEARCH are to return (RFC 9051 section
 * 6.4.4), and the ranges of PARTIAL, which FETCH has too (RFC 9394). In the back. */
#pragma once

#include "imapd/grammar_priv.h"

enum search_return {
	RETURN_MIN = 1,
	RETURN_MAX = 2,
	RETURN_ALL = 4,
	RETURN_COUNT = 8,
	RETURN_SAVE = 16,
	RETURN_PARTIAL = 32,
	RETURN_UPDATE = 64,   /* RFC 5267 section 4.3 */
	RETURN_CONTEXT = 128, /* a hint (section 4.2), of which we make nothing */
};

/* partial-range: places among the results, from the first on or from the last back. */
struct partial_range {
	bool from_end;
	uint32_t first, last; /* as the client wrote them */
};
bool take_partial_range(struct cursor *c, struct partial_range *range_out);
void respond_partial_range(struct buffer *out, const struct partial_range *range);
/* Which places of `total` results these are: first..last, from 1 on. False: none. */
bool partial_range_clip(const struct partial_range *range, uint64_t total, uint64_t *first_out,
			uint64_t *last_out);

struct search_options {
	unsigned returns; /* enum search_return; 0: no options were given */
	struct partial_range partial;
	struct slice update_items; /* UPDATE's fetch-att list, as written; ptr NULL: none */
};
/* ["RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP] */
bool take_search_options(struct cursor *c, struct arena *arena, struct search_options *options_out);
