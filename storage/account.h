/* storage/account.h - accounts and addresses: who has mail here.
 *
 * Reads on any thread; writes (struct write) in a job. Names are in their normal form already
 * (mail/address.h). */
#pragma once

#include "base/arena.h"
#include "storage/address.h"
#include "storage/domain.h"

enum { ACCOUNT_HASH_OCTETS = 128 };

struct account {
	uint32_t account_id;
	struct slice login;	    /* local@domain */
	struct slice password_hash; /* libsodium's text form; auth/ makes and checks it */
	uint64_t modseq;	    /* highest of the account */
	uint64_t quota_octets;	    /* 0: none */
	uint64_t quota_messages;    /* 0: none */
	uint64_t used_octets;	    /* of messages in mailboxes, each copy counted */
	uint64_t used_messages;
	uint8_t flags; /* enum account_flag */
};
enum account_flag {
	ACCOUNT_IS_SHARED = 1, /* nobody's own: its mailboxes are for those whom their lists name */
	ACCOUNT_IS_ADMINISTRATOR = 2, /* sets the quotas of its domain's accounts */
};

/* Slices live in `arena`. ERR_NOT_FOUND. */
enum err account_find(struct read *read, struct slice login, struct arena *arena,
		      struct account *account_out) MUST_USE;
enum err account_get(struct read *read, uint32_t account_id, struct arena *arena,
		     struct account *account_out) MUST_USE;
/* In ascending account id: *account_id in/out, 0 to start. False at the end. */
bool account_next(struct read *read, uint32_t *account_id, struct arena *arena,
		  struct account *account_out);

/* Creates the account, its address, INBOX and the mailboxes with a special use (Drafts, Sent,
 * Junk, Trash, Archive), subscribed. ERR_EXISTS; ERR_NOT_FOUND: no such domain; ERR_BAD_INPUT:
 * it is another's name (domain_set_alias()), where no address can be. */
enum err account_add(struct write *write, struct slice local, struct slice domain,
		     struct slice password_hash, uint32_t *account_id_out) MUST_USE;
/* The same for mailboxes that belong to several: without a password, so nobody signs in, and with
 * INBOX alone. */
enum err account_add_shared(struct write *write, struct slice local, struct slice domain,
			    uint32_t *account_id_out) MUST_USE;
/* With all its mailboxes and addresses, and what others have granted to it; sessions of it end. */
enum err account_remove(struct write *write, uint32_t account_id) MUST_USE;
enum err account_set_password_hash(struct write *write, uint32_t account_id,
				   struct slice password_hash) MUST_USE;
/* ERR_NOT_FOUND. */
enum err account_set_administrator(struct write *write, uint32_t account_id,
				   bool is_administrator) MUST_USE;
enum err account_set_quota(struct write *write, uint32_t account_id, uint64_t octets,
			   uint64_t messages) MUST_USE;
