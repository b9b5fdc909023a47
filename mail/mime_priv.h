/* mail/mime_priv.h - the pieces of the structure parser (mail/mime.h). */
#pragma once

#include "mail/mime.h"

/* Room for what a result keeps of all headers. */
struct mime_budget {
	size_t kept_octets; /* at most about MIME_MAX_KEPT_OCTETS */
};
/* Fills the fields of `part` from its header (mail/header.h); what it keeps it copies to
 * `arena`. Fills part->envelope where the caller has set it. */
void mime_header_read(struct slice header, bool in_digest, struct mime_part *part,
		      struct arena *arena, struct mime_budget *budget);

/* The boundary of a multipart; blanks at its end would be transport padding. Empty: it has none. */
struct slice mime_boundary_of(const struct mime_part *part);

/* The boundaries of the multiparts that are open, the innermost last. Finding one costs the
 * length of the line, however many are open. Zeroed, it is empty. */
struct mime_boundary {
	struct slice text; /* owned by the part's parameters */
	uint64_t hash;
	size_t longest; /* of this one and those before it, in octets */
	uint8_t owner;	/* what the caller knows it by: depth of its multipart */
	uint8_t next;	/* 1 + index of the one before in the same bucket; 0: none */
};
enum { MIME_BOUNDARY_BUCKETS = 256 };
struct mime_boundaries {
	uint64_t key; /* secret, so that nobody can fill one bucket; 0: not drawn yet */
	struct mime_boundary stack[MIME_MAX_DEPTH];
	uint8_t count;
	uint8_t heads[MIME_BOUNDARY_BUCKETS]; /* 1 + index of the bucket's innermost; 0: none */
};
void mime_boundaries_push(struct mime_boundaries *set, struct slice boundary, uint8_t owner);
void mime_boundaries_pop(struct mime_boundaries *set);
/* Octets of the longest boundary; 0 when none is open. */
size_t mime_boundaries_longest(const struct mime_boundaries *set);
/* `line` is a line behind its "--", trailing blanks cut off. True where it is the delimiter of
 * an open multipart, or its close-delimiter; the innermost where several would do. */
bool mime_boundaries_find(const struct mime_boundaries *set, struct slice line, uint8_t *owner_out,
			  bool *is_close_out);
