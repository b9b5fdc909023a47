/* storage/read_ahead.h - what will be read soon is asked of the disk beforehand, many pages at once.
 *
 * LMDB goes to the disk when it comes to a page, and waits for it before it knows the next: processor and
 * disk take turns, and the disk has one thing to do at a time. Asking costs some microseconds a page, and
 * nothing comes back: worth it where pages are on the disk (base/disk_waits.h), waste where they are in
 * memory. Only advice, and nothing fails that would not fail later. Any thread. */
#pragma once

#include "base/ranges.h"
#include "storage/store.h"

/* The entries of those of `uids` that are at or after `from_uid`, as far as `pages_max` pages hold them.
 * Returns the first of `uids` that was not asked for; 0: there is none, or nothing can be told. */
uint32_t read_ahead_entries(struct read *read, uint64_t mailbox_id, const struct ranges *uids,
			    uint32_t from_uid, unsigned pages_max);
/* The digests of these messages, as far as `pages_max` pages hold them: best in the order in which the
 * messages came, since a page holds a dozen. Returns how many messages those were; `count`, too, where
 * nothing can be told. */
size_t read_ahead_digests(struct read *read, const uint64_t *blob_ids, size_t count,
			  unsigned pages_max);
