/* storage/acl_priv.h - lists of rights when their mailbox or an account goes, and for checks. */
#pragma once

#include "storage/acl.h"
#include "storage/store_priv.h"

enum acl_row_kind {
	ACL_ROW_ENTRY = 1,  /* mailbox be64, u8 negative, account be32 */
	ACL_ROW_SHARED = 2, /* account be32, owner be32, mailbox be64: it has an entry there */
};
struct acl_row {
	enum acl_row_kind kind;
	uint32_t owner_id; /* ACL_ROW_SHARED */
	uint64_t mailbox_id;
	struct acl_entry entry; /* ACL_ROW_SHARED: the account only */
};
/* False where it cannot be read. */
bool acl_row_decode(struct slice key, struct slice value, struct acl_row *row_out);
/* Whether the list has an entry for the account, of either sign. */
bool acl_has_entry(struct read *read, uint64_t mailbox_id, uint32_t account_id);
void key_acl_shared(struct key *key, uint32_t account_id, uint32_t owner_id, uint64_t mailbox_id);
enum err acl_shared_put(struct write *write, uint32_t account_id, uint32_t owner_id,
			uint64_t mailbox_id) MUST_USE;

enum err acl_mailbox_remove(struct write *write, uint32_t owner_id, uint64_t mailbox_id) MUST_USE;
/* What others have granted to the account. */
enum err acl_account_remove(struct write *write, uint32_t account_id) MUST_USE;
/* A new mailbox of the same owner inherits (RFC 4314 section 4, CREATE). */
enum err acl_inherit(struct write *write, uint32_t owner_id, uint64_t from_mailbox_id,
		     uint64_t to_mailbox_id) MUST_USE;
