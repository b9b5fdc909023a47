/* serve/connections_priv.h - how many connections there are, in all and from each address, so
 * that neither a crowd nor one client takes everything. One table for all loops; any thread. */
#pragma once

#include "base/config.h"
#include "runtime/peer.h"

struct connections;

enum connections_verdict {
	/* Not counted, no limit: connections_leave() is not called. So is a local socket. */
	CONNECTION_EXEMPT,
	CONNECTION_COUNTED,
	CONNECTION_TOO_MANY,	      /* in all */
	CONNECTION_TOO_MANY_FROM_HIM, /* from its address; IPv6: from its /64 */
};

struct connections *connections_new(const struct config *config);
/* Other limits from now on; who is in stays in. */
void connections_set_limits(struct connections *connections, const struct config *config);
void connections_free(struct connections **connections); /* accepts NULL, leaves NULL */

enum connections_verdict connections_enter(struct connections *connections,
					   const struct peer *peer);
void connections_leave(struct connections *connections, const struct peer *peer);
unsigned connections_count(struct connections *connections);
