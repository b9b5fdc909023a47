/* storage/submission_priv.h - the rows of what accounts submit, as the rest of the room sees them. */
#pragma once

#include "storage/layout_priv.h"
#include "storage/store_priv.h"
#include "storage/submission.h"
#include "storage/suppression.h"

/* False: `rest`, an address or nothing, is too long. */
bool key_submission(struct key *key, uint32_t account_id, enum submission_kind kind,
		    struct slice rest);
/* Words point into the record; the address is not set. */
bool suppression_decode(struct slice value, struct suppression *suppression_out);

/* What no account has any more; at most `*rows`, which goes down. */
enum err submission_erase(struct write *write, uint32_t account_id, size_t *rows) MUST_USE;
/* Whether a row can be read. */
bool submission_row_is_good(struct slice key, struct slice value);
