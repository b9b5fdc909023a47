/* storage/address.h - what stands at an address: an account, an alias with its targets, or a list,
 * which is an alias that not everybody may write to.
 *
 * Reads on any thread; writes (struct write) in a job. Names are in their normal form already
 * (mail/address.h): domains as lower-case A-labels, local parts as local_normalise() has them. An
 * alias with an empty local part is what a domain does with addresses that nothing stands at. */
#pragma once

#include "base/arena.h"
#include "storage/store.h"

/* Who may post; `posters` of the record always may, besides. */
enum list_post {
	POST_ANYBODY,
	POST_USERS,   /* whoever has an account here and has signed in */
	POST_MEMBERS, /* whom it leads to */
	POST_NOBODY,
	POST_COUNT,
};

struct address_record {
	uint32_t account_id;   /* 0: an alias */
	struct slice *targets; /* "local@domain" each, as SMTP writes it, normalised */
	size_t target_count;
	enum list_post post;
	struct slice *posters; /* as targets */
	size_t poster_count;
};
enum { ADDRESS_TARGETS_MAX = 10000 };

/* What stands there exactly. */
enum err address_find(struct read *read, struct slice local, struct slice domain,
		      struct arena *arena, struct address_record *record_out) MUST_USE;
/* Makes an alias, or replaces the targets of one that is there; who may post stays. ERR_EXISTS: an
 * account has that address; ERR_NOT_FOUND: no such domain; ERR_BAD_INPUT: the domain is another's
 * name, or an address is too long to be one; ERR_LIMIT. */
enum err alias_set(struct write *write, struct slice local, struct slice domain,
		   const struct slice *targets, size_t target_count) MUST_USE;
/* Who may post to an alias that is there. ERR_NOT_FOUND, ERR_LIMIT, ERR_BAD_INPUT. */
enum err alias_set_post(struct write *write, struct slice local, struct slice domain,
			enum list_post post, const struct slice *posters,
			size_t poster_count) MUST_USE;
enum err alias_remove(struct write *write, struct slice local, struct slice domain) MUST_USE;
/* In order of domain and local part; start with both empty. False at the end. In `arena`. */
bool address_next(struct read *read, struct slice *local, struct slice *domain, struct arena *arena,
		  struct address_record *record_out);
