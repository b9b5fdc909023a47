/* storage/remote_priv.h - the rows about domains elsewhere, as the rest of the room sees them. */
#pragma once

#include "storage/layout_priv.h"
#include "storage/remote.h"

/* Whether a row can be read. */
bool remote_row_is_good(struct slice key, struct slice value);
