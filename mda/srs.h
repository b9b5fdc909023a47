/* mda/srs.h - the reverse-path of what an alias passes on to elsewhere, and back again: the Sender
 * Rewriting Scheme. A server that looks at who may send for a domain (SPF, RFC 7208) would refuse
 * the path of a stranger from us; with one of ours it lets the mail in, and what comes back to that
 * is brought to the stranger.
 *
 *   ann@far.example            becomes  SRS0=HASH=TT=far.example=ann@ours.example
 *   SRS0=x=y=far.example=ann@mid.example        SRS1=HASH=mid.example==x=y=far.example=ann@ours.example
 *   SRS1=z=mid.example==x=y=...@third.example   the same: SRS1 leads to the first one, not along the way
 *
 * TT is the day, HASH is a keyed one, so that nobody but us can make such an address: we are no way
 * to write to anybody. RFC 7208 appendix D.3 tells of the scheme; there is no standard of it. Values
 * only; any thread. */
#pragma once

#include "auth/mac.h"
#include "base/arena.h"

enum {
	SRS_DAYS = 21,	     /* how long an address can be written to */
	SRS_HASH_DIGITS = 6, /* of 5 bits: letters that survive who changes their case */
};

/* The path for what `domain`, one of ours, passes on. Empty: the path is to stay as it is, because it
 * is the null one, is none, or would be longer than other servers take (RFC 5321 section 4.5.3.1.1). */
struct slice srs_forward(const uint8_t key[MAC_KEY_OCTETS], struct slice reverse_path,
			 struct slice domain, int64_t now_unix, struct arena *arena);
/* Does a local part, unquoted, look like one? */
bool srs_is_rewritten(struct slice local);
/* Whom it stands for, a path. Empty: it is none of ours, or too old. */
struct slice srs_back(const uint8_t key[MAC_KEY_OCTETS], struct slice local, int64_t now_unix,
		      struct arena *arena);
