/* storage/inspect_priv.h - one stored message, looked at from end to end: every chunk's checksum,
 * and its digest against what the body says. In steps, so that no read is long. */
#pragma once

#include "mail/mime.h"
#include "storage/store_priv.h"

struct inspection {
	uint64_t blob_id;
	/* What was found. Final once inspect_step() has returned true. */
	bool is_gone;	     /* erased meanwhile, on its way out, or not yet complete */
	bool has_digest;     /* there is a record */
	bool digest_is_good; /* it can be read */
	bool digest_differs; /* it says something else than the body */
	uint32_t chunks;     /* that are good */
	uint32_t damaged;    /* chunks damaged or missing */
	uint32_t first_damaged;
	uint32_t strays;      /* rows that belong to no chunk */
	uint64_t size_octets; /* by the digest; 0 without one */
	uint64_t octets;      /* of the good chunks */
	uint64_t stored_octets;
	struct buffer rebuilt; /* what the digest's record should be, where all chunks are good and
				* it is not */

	/* How far it came. */
	uint32_t next_chunk;
	bool ends_short; /* the last chunk was not a full one: there may be no more */
	struct mime_parser *parser;
	struct arena arena;
};
void inspect_begin(struct inspection *inspection, uint64_t blob_id);
/* Reads up to `octets` more of the body. True: done. */
bool inspect_step(struct inspection *inspection, struct read *read, uint64_t octets);
bool inspection_is_good(const struct inspection *inspection);
void inspect_end(struct inspection *inspection);
