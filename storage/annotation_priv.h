/* storage/annotation_priv.h - annotations when their mailbox or account changes. */
#pragma once

#include "storage/annotation.h"
#include "storage/store_priv.h"

/* All of a mailbox, or (mailbox_id 0) of an account and all its mailboxes. */
enum err annotations_remove(struct write *write, uint32_t account_id, uint64_t mailbox_id) MUST_USE;
/* Of a mailbox that keeps its own (INBOX, renamed). */
enum err annotations_copy(struct write *write, uint32_t account_id, uint64_t from_mailbox_id,
			  uint64_t to_mailbox_id) MUST_USE;
/* For checks: whether the row can be read, and whose it is. */
bool annotation_row_is_good(struct slice key, struct slice value, uint32_t *account_id_out,
			    uint64_t *mailbox_id_out);
