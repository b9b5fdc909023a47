/* storage/suppression.h - to whom an account had better not write: addresses that another server has
 * said do not exist. Who writes to such ones again and again looks like a spammer, and the whole
 * machine with him.
 *
 * Reads on any thread; writes (struct write) in a job. Addresses are in their normal form, as SMTP
 * writes them (mail/address.h). A message to the address that was let through after all forgets it
 * (submission_note()). */
#pragma once

#include "base/arena.h"
#include "storage/store.h"

enum { SUPPRESSION_WORDS_MAX_OCTETS = 512 };

struct suppression {
	struct slice address;
	int64_t at_unix;
	struct slice words; /* the other server's, or ours */
};

/* Written over what is there. ERR_NOT_FOUND: no such account. ERR_BAD_INPUT: the address is too long. */
enum err suppression_put(struct write *write, uint32_t account_id,
			 const struct suppression *suppression) MUST_USE;
/* ERR_NOT_FOUND. */
enum err suppression_remove(struct write *write, uint32_t account_id,
			    struct slice address) MUST_USE;
bool suppression_find(struct read *read, uint32_t account_id, struct slice address,
		      struct arena *arena, struct suppression *suppression_out);
/* In order of address; `after` empty to start. False at the end. */
bool suppression_next(struct read *read, uint32_t account_id, struct slice after,
		      struct arena *arena, struct suppression *suppression_out);
