/* admin/queue_priv.h - what the files of `bode queue` share. */
#pragma once

#include "admin/admin_priv.h"
#include "storage/queue.h"

/* Takes an entry off the queue and tells its sender, in one transaction; the store's writer runs.
 * False: it is not there (any more), or said what went wrong. */
bool queue_bounce(struct admin *admin, uint64_t queue_id);
