/* smtpd/relay/route_priv.h - by which way mail for a destination leaves: as the configuration says,
 * or by DNS. The same in front and back. */
#pragma once

#include "base/arena.h"
#include "base/config.h"

enum route_kind { ROUTE_BY_DNS, ROUTE_TO_HOST, ROUTE_TO_SMARTHOST };

struct route {
	enum route_kind kind;
	bool is_lmtp;
	struct slice host; /* a name or an address; empty for ROUTE_BY_DNS */
	uint16_t port;
	/* What destinations with the same way have in common: connections are shared by it. */
	struct slice key;
};
/* Slices point into `config` and `destination`, or lie in `arena`. */
void route_find(const struct config *config, struct slice destination, struct arena *arena,
		struct route *route_out);
