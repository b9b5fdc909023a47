/* storage/expunged_priv.h - what was expunged, as the writer sees it. */
#pragma once

#include "storage/expunged.h"
#include "storage/store_priv.h"

bool expunged_is_kept(const struct store *store);
/* Of a mailbox some messages go, or the whole of it: its name and keywords are noted. */
enum err expunged_add_mailbox(struct write *write, const struct mailbox *mailbox,
			      bool is_deleted) MUST_USE;
/* The entry was taken out of its mailbox; its reference to the blob comes along. */
enum err expunged_add(struct write *write, const struct mailbox *mailbox,
		      const struct message_entry *entry) MUST_USE;
/* Removes up to *rows rows of an account that is no more, counting down. ERR_OK with *rows > 0:
 * all are gone. */
enum err expunged_erase(struct write *write, uint32_t account_id, size_t *rows) MUST_USE;

/* Where the removal of what is past its time stands. Zero-initialise. */
struct expunged_walk {
	uint32_t account_id;
	unsigned hurry; /* the disk is full: the time is halved so often */
};
/* One small transaction's worth; `wait_ms_out` as in garbage_step(). */
enum err expunged_step(struct store *store, struct expunged_walk *walk,
		       uint64_t *wait_ms_out) MUST_USE;
