/* smtpd/relay/families_priv.h - by which family of addresses, IPv6 or IPv4, mail leaves: both, but one
 * in which this machine has an address without a name in DNS only where there is no other way, since
 * many servers refuse mail from such ones. On the front's loop. */
#pragma once

#include "base/arena.h"
#include "runtime/front.h"

enum family_state {
	FAMILY_UNKNOWN,	 /* to DNS, or hidden behind another address: used */
	FAMILY_NAMED,	 /* a name leads to it and it to the name */
	FAMILY_NAMELESS, /* DNS knows for certain: none does */
	FAMILY_ABSENT,	 /* this machine has no way there */
};

struct family {
	struct families *families;
	uint8_t family; /* 4 or 6 */
	enum family_state state;
	struct peer own;
	struct dns_question question;
	struct arena arena;
	struct slice *names;
	size_t name_count, name_at;
};

struct families {
	const struct front *front;
	struct family v6, v4;
	struct timer *timer;
};

/* `front` is read whenever something is needed. Checks at once, and every day. */
void families_begin(struct families *families, const struct front *front);
void families_end(struct families *families);
/* 4 or 6: not to be used where there is another way; 0: neither is. */
uint8_t families_avoided(const struct families *families);
enum { FAMILIES_ORDER_MAX = 32 };
/* What is to be tried in order: families alternate, IPv6 first (RFC 8305 section 4), and none of the
 * one to be avoided, where there are others. Returns how many are left. */
size_t families_order(struct peer *addresses, size_t count, uint8_t avoided);
