/* smtpd/relay/looks_priv.h - what was found in messages that were looked through for a server that takes
 * less, kept for the next attempt. In the back; values only. */
#pragma once

#include "mail/downgrade.h"

/* So many, the oldest goes first; a plan is some records for each part of its message. */
enum { LOOKS_MAX = 16, LOOKS_KEPT_MS = 3600 * 1000 };

struct look {
	uint64_t blob_id; /* 0: none */
	uint64_t start;	  /* of the content in it */
	enum downgrade_form form;
	struct downgrade_outcome outcome;
	uint64_t kept_ms; /* since when */
};
struct looks {
	struct look kept[LOOKS_MAX];
};

/* Takes the plan, which may have been read of. */
void looks_keep(struct looks *looks, const struct look *look, uint64_t now_ms);
/* True: it was known, `look->outcome` is the caller's, and known no more. */
bool looks_take(struct looks *looks, struct look *look, uint64_t now_ms);
void looks_fini(struct looks *looks);
