/* storage/submission.h - what an account may submit (RFC 6409 section 6): as whom beside its own
 * addresses, how much a day, and to whom it has written before.
 *
 * Reads on any thread; writes (struct write) in a job. Addresses are in their normal form, as SMTP
 * writes them (mail/address.h). A day is one of UTC. */
#pragma once

#include "base/arena.h"
#include "storage/store.h"

/* How many a day; UINT32_MAX: as the configuration says, 0: any number. */
struct submission_limits {
	uint32_t messages;
	uint32_t new_recipients; /* to whom the account has never written before */
};
#define SUBMISSION_AS_CONFIGURED UINT32_MAX

struct submission_usage {
	struct submission_limits limits; /* the account's own */
	uint32_t messages;		 /* today */
	uint32_t new_recipients;
};
enum err submission_usage(struct read *read, uint32_t account_id,
			  struct submission_usage *usage_out) MUST_USE;
enum err submission_set_limits(struct write *write, uint32_t account_id,
			       const struct submission_limits *limits) MUST_USE;

/* Has the account written to this address? */
bool submission_knows(struct read *read, uint32_t account_id, struct slice recipient);
/* A message was submitted: counts it, and those of the recipients that are new. */
enum err submission_note(struct write *write, uint32_t account_id, const struct slice *recipients,
			 size_t count) MUST_USE;

/* An address that the account may send as, "@domain" for all of a domain, or "*" for any. */
bool submission_may_use(struct read *read, uint32_t account_id, struct slice sender);
enum err submission_allow(struct write *write, uint32_t account_id, struct slice sender) MUST_USE;
/* ERR_NOT_FOUND: it was not allowed. */
enum err submission_disallow(struct write *write, uint32_t account_id,
			     struct slice sender) MUST_USE;
/* In order; `after` empty to start. False at the end. `sender_out` lives in `arena`. */
bool submission_next_sender(struct read *read, uint32_t account_id, struct slice after,
			    struct arena *arena, struct slice *sender_out);
