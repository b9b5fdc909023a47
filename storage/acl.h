/* storage/acl.h - who may do what with whose mailbox (RFC 4314).
 *
 * An account has all rights on its own mailboxes, always; on another's it has those that the
 * mailbox's list gives to it and to anyone, without those that the list takes from it and from
 * anyone. Lists name accounts by number, so a login may change, and go with either account and
 * with their mailbox. A new mailbox has the list of the one above it. Reads on any thread; writes in
 * a job. */
#pragma once

#include "base/arena.h"
#include "storage/mailbox.h"
#include "storage/store.h"

enum acl_right { /* RFC 4314 section 2.1 */
		 RIGHT_LOOKUP = 1,
		 RIGHT_READ = 2,
		 RIGHT_SEEN = 4,
		 RIGHT_WRITE = 8,
		 RIGHT_INSERT = 16,
		 RIGHT_POST = 32,
		 RIGHT_CREATE = 64,
		 RIGHT_DELETE_MAILBOX = 128,
		 RIGHT_DELETE_MESSAGES = 256,
		 RIGHT_EXPUNGE = 512,
		 RIGHT_ADMINISTER = 1024,
		 RIGHTS_ALL = 2047,
		 /* With any of these a mailbox is no secret (section 4, "Any"). */
		 RIGHTS_TO_KNOW = RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT | RIGHT_CREATE |
				  RIGHT_DELETE_MAILBOX | RIGHT_ADMINISTER,
};
enum { ACL_ENTRIES_MAX = 500 /* of one mailbox */, ACL_ANYONE = 0 /* as account_id */ };

/* The one place that judges: what the account may do with a mailbox of `owner_id`. Nothing where
 * the list cannot be read. */
unsigned acl_rights(struct read *read, uint32_t account_id, uint32_t owner_id, uint64_t mailbox_id);

struct acl_entry {
	uint32_t account_id; /* ACL_ANYONE */
	bool is_negative;    /* takes the rights away */
	unsigned rights;     /* enum acl_right; never none */
};
/* In order of identifier, those that grant first; `after` NULL to start. False at the end. */
bool acl_next(struct read *read, uint64_t mailbox_id, const struct acl_entry *after,
	      struct acl_entry *entry_out);

enum acl_change { ACL_SET, ACL_ADD, ACL_REMOVE };
/* Changes the entry of entry->account_id; without rights it goes. Sessions of its account hear that
 * its list of mailboxes has changed (all that watch ACL_ANYONE, where it is for anyone), those that
 * watch the mailbox that it has. ERR_GONE: no such
 * mailbox. ERR_NOT_FOUND: no such account. ERR_BAD_INPUT: it is the owner, who keeps all rights.
 * ERR_LIMIT. */
enum err acl_change(struct write *write, uint64_t mailbox_id, enum acl_change change,
		    const struct acl_entry *entry) MUST_USE;

/* Another process (the admin's) has changed lists of rights: of the account's mailboxes, or what they give
 * to it (ACL_ANYONE: to all). Tells all watches of the account. Any thread. */
void acl_notify_account(struct store *store, uint32_t account_id);

/* Mailboxes of other accounts whose lists name the account or anyone, by an index, so that nobody
 * else's rows are read. */
struct acl_shared {
	uint32_t owner_id;
	uint64_t mailbox_id;
};
/* In order of owner and mailbox, each once, whatever the rights; `after` NULL to start. False at
 * the end. */
bool acl_shared_next(struct read *read, uint32_t account_id, const struct acl_shared *after,
		     struct acl_shared *shared_out);

/* acl_text.c: "+lrs", as SETACL has it; "c" is "kx", "d" is "te". False where a letter is none. */
bool acl_text_parse(struct slice text, enum acl_change *change_out, unsigned *rights_out);
/* "lrswipkxtecda"; "c" and "d" where any of what they stand for is there. */
enum { ACL_TEXT_OCTETS = 13 + 1 };
void acl_text_format(unsigned rights, char out[ACL_TEXT_OCTETS]);
