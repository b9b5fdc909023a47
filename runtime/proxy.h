/* runtime/proxy.h - the header of the PROXY protocol, by which a load balancer says who its client
 * is; versions 1 (a line) and 2 (binary). Values only; any thread. */
#pragma once

#include "runtime/peer.h"

/* Of a whole header; one that is longer is broken. */
enum { PROXY_HEADER_MAX_OCTETS = 4096 };

enum proxy_header {
	PROXY_PARTIAL, /* the next *more_out octets belong to it, at least */
	PROXY_WHOLE,
	PROXY_BROKEN,
};
/* What `octets`, from the connection's first on, are of a header. Never wants more than it has, so
 * that what follows can be left in the socket. On PROXY_WHOLE `peer` is the client, or unchanged
 * where the balancer speaks for itself, or for somebody without an internet address. */
enum proxy_header proxy_header_take(struct slice octets, size_t *more_out, struct peer *peer);
