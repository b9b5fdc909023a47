/* imapd/catenate_priv.h - a message or part of the store as a piece of a new message (RFC 4469). On
 * the session's loop. */
#pragma once

#include "imapd/content_priv.h"
#include "imapd/session_priv.h"

/* Zero-initialised: none. */
struct catenation {
	uint64_t blob_id;
	struct octet_range left; /* of the stored message, or of `fields` */
	bool has_fields;
	struct buffer fields; /* HEADER.FIELDS, which lie scattered */
	struct buffer piece;
};
/* Finds what the URL means. `part` has its size in `left`. ERR_BAD_INPUT: not a URL of a message or
 * part that is there and may be read; other errors are the store's. */
enum err catenation_open(struct imap_session *s, struct slice url, struct arena *arena,
			 struct catenation *part) MUST_USE;
/* The next piece, at most a chunk; it lives until the next call. Empty at the end. */
enum err catenation_next(struct catenation *part, struct store *store,
			 struct slice *piece_out) MUST_USE;
void catenation_fini(struct catenation *part);
