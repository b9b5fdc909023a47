/* runtime/race.h - connecting to a host that has several addresses: to one after the other, without
 * waiting for the end of the one before (RFC 8305). On the loop's thread. */
#pragma once

#include "runtime/connector.h"

enum {
	RACE_ADDRESSES_MAX = 10,
	RACE_DELAY_MS = 250, /* between two attempts (RFC 8305 section 5) */
};

struct race_result {
	int fd;		 /* the callee's; -1: none of them */
	size_t at;	 /* whose it is, where there is one */
	int error;	 /* an errno, of the last one that failed, where there is none */
	uint32_t failed; /* a bit for each address that was tried and is of no use */
};

struct race;

/* In the order of `addresses`, at most RACE_ADDRESSES_MAX, which are copied. raced() is called once,
 * in a later turn; the race frees itself then. */
struct race *race_new(struct loop *loop, const struct peer *addresses, size_t count,
		      uint64_t timeout_ms,
		      void (*raced)(void *user, const struct race_result *result), void *user);
/* raced() will not be called. Accepts NULL, leaves NULL. */
void race_cancel(struct race **race);
