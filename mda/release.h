/* mda/release.h - mail of the queue for addresses here (QUEUE_HERE of storage/queue.h): its sender has
 * had it held (RFC 4865), and now it may go; or it waits for a mailbox to have room. Where the
 * addresses lead is asked now. Runs in the back. */
#pragma once

#include "base/config.h"
#include "mda/placement.h"
#include "storage/queue.h"

struct release;

/* Who can have it now. It lives in `arena`, and uses the entry and `config` as long as it lives. */
struct release *release_new(struct read *read, const struct config *config,
			    const struct queue_entry *entry, struct arena *arena);
/* Of a recipient, by his number in the entry. ERR_OK; ERR_QUOTA, and failures of the store: perhaps
 * later; others: never. */
enum err release_outcome(const struct release *release, size_t recipient);
/* What his sender can be told then. */
enum placed_end release_end(const struct release *release, size_t recipient);
/* In a job: puts it where it belongs, for those whose outcome is ERR_OK; the entry itself is the
 * caller's. ERR_BUSY: it is no longer so as it was, nothing is written; make a new one. */
enum err release_write(struct write *write, struct release *release) MUST_USE;
