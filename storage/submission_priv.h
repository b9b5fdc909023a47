/* storage/submission_priv.h - the rows of what accounts submit, as the rest of the room sees them. */
#pragma once

#include "storage/layout_priv.h"
#include "storage/submission.h"

/* What no account has any more; at most `*rows`, which goes down. */
enum err submission_erase(struct write *write, uint32_t account_id, size_t *rows) MUST_USE;
/* Whether a row can be read. */
bool submission_row_is_good(struct slice key, struct slice value);
