/* runtime/known_clients.h - clients that have sent good mail before, as the back tells a front that has
 * just begun: the payload of MESSAGE_KNOWN_CLIENTS. Values only; any thread. */
#pragma once

#include "base/buffer.h"
#include "runtime/peer.h"

enum { KNOWN_CLIENTS_MAX = 2000 }; /* in one message */

void known_clients_add(struct buffer *out, const struct peer *peer);
/* False: there is no other, or it is malformed. */
bool known_clients_next(struct slice *clients, struct peer *peer_out);
