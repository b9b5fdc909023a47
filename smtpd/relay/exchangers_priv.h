/* smtpd/relay/exchangers_priv.h - the hosts that take mail for a destination, one address after the
 * other, each looked up when it is needed. On the front's loop. */
#pragma once

#include "runtime/front.h"
#include "smtpd/relay/route_priv.h"
#include "smtpd/relay/tlsa_priv.h"

enum { EXCHANGERS_ADDRESSES_MAX = 10 }; /* that are tried for one delivery */

enum exchangers_end {
	EXCHANGERS_NEXT,	   /* there is one: try it */
	EXCHANGERS_NO_MORE,	   /* all were tried */
	EXCHANGERS_NO_SUCH_DOMAIN, /* for good */
	EXCHANGERS_NO_MAIL,	   /* the domain says so (RFC 7505); for good */
	EXCHANGERS_OURSELVES,	   /* it would come back here; for good */
	EXCHANGERS_NO_ADDRESS,	   /* none of its hosts has one that may be tried; for good */
	EXCHANGERS_DNS_FAILED,	   /* not known just now */
};

struct exchanger {
	struct slice host; /* its name; empty: only an address is known */
	struct peer address;
	/* Others of the same host, which would come next; until exchangers_next(). */
	const struct peer *rivals;
	size_t rival_count;
	/* DNSSEC says that the destination's mail goes to this host, or the configuration does. */
	bool is_secure;
	/* What it says of its certificate; lives as long as the exchangers. NULL: nothing. */
	const struct dane *dane;
	struct slice canonical; /* the destination's name at the end of its CNAMEs; likewise */
};

struct exchangers;
/* `found` is called once for each exchangers_next(), in a later turn. Of the family to be avoided (4, 6
 * or 0) there are addresses only where a host has no others. */
struct exchangers *exchangers_new(const struct front *front, const struct route *route,
				  struct slice destination, uint8_t avoided_family,
				  void (*found)(void *user, enum exchangers_end end,
						const struct exchanger *exchanger),
				  void *user);
void exchangers_next(struct exchangers *exchangers);
/* Those of the rivals whose bits are set were tried as well. */
void exchangers_drop(struct exchangers *exchangers, uint32_t rivals);
/* DNS did not answer about one of the hosts, which may be a good one. */
bool exchangers_are_doubtful(const struct exchangers *exchangers);
/* Accepts NULL, leaves NULL. */
void exchangers_free(struct exchangers **exchangers);
/* In words, for the sender. */
const char *exchangers_words(enum exchangers_end end);
