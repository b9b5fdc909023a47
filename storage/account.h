/* storage/account.h - domains, accounts and addresses: who has mail here.
 *
 * Reads on any thread; writes (struct write) in a job. Names are in their normal form
 * already (mail/address.h): domains as lower-case A-labels, local parts in lower case. */
#pragma once

#include "base/arena.h"
#include "storage/store.h"

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
 * Junk, Trash, Archive), subscribed. ERR_EXISTS; ERR_NOT_FOUND: no such domain. */
enum err account_add(struct write *write, struct slice local, struct slice domain,
		     struct slice password_hash, uint32_t *account_id_out) MUST_USE;
/* With all its mailboxes and addresses; sessions of it end. */
enum err account_remove(struct write *write, uint32_t account_id) MUST_USE;
enum err account_set_password_hash(struct write *write, uint32_t account_id,
				   struct slice password_hash) MUST_USE;
enum err account_set_quota(struct write *write, uint32_t account_id, uint64_t octets,
			   uint64_t messages) MUST_USE;

enum err domain_add(struct write *write, struct slice domain) MUST_USE; /* ERR_EXISTS */
/* ERR_BUSY while accounts or aliases use it. */
enum err domain_remove(struct write *write, struct slice domain) MUST_USE;
bool domain_is_local(struct read *read, struct slice domain);
/* In order of name; `after` empty to start. False at the end. `domain_out` lives in `arena`. */
bool domain_next(struct read *read, struct slice after, struct arena *arena,
		 struct slice *domain_out);

/* What stands at an address: an account, or an alias with one or more targets. */
struct address_record {
	uint32_t account_id;   /* 0: an alias */
	struct slice *targets; /* "local@domain" each, normalised */
	size_t target_count;
};
enum err address_find(struct read *read, struct slice local, struct slice domain,
		      struct arena *arena, struct address_record *record_out) MUST_USE;
/* Replaces the targets of an alias that is there. ERR_EXISTS: an account has that address;
 * ERR_NOT_FOUND: no such domain. */
enum err alias_set(struct write *write, struct slice local, struct slice domain,
		   const struct slice *targets, size_t target_count) MUST_USE;
enum err alias_remove(struct write *write, struct slice local, struct slice domain) MUST_USE;
/* In order of domain and local part; start with both empty. False at the end. In `arena`. */
bool address_next(struct read *read, struct slice *local, struct slice *domain, struct arena *arena,
		  struct address_record *record_out);
