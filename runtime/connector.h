/* runtime/connector.h - connecting to an address elsewhere, without waiting. On the loop's thread. */
#pragma once

#include "runtime/loop.h"
#include "runtime/peer.h"

struct connector;

/* connected() is called once, in a later turn: with a socket, which is the callee's, or with -1 and
 * an errno (ETIMEDOUT after `timeout_ms`). The connector frees itself then. */
struct connector *connector_new(struct loop *loop, const struct peer *to, uint64_t timeout_ms,
				void (*connected)(void *user, int fd, int error), void *user);
/* connected() will not be called. Accepts NULL, leaves NULL. */
void connector_cancel(struct connector **connector);

/* The address of this machine from which a connection there would come; nothing is sent. False: there
 * is no way there. */
bool connector_own_address(const struct peer *to, struct peer *own_out);
