/* smtpd/relay/kept.c - connections that are kept after a message, and which of them is good for another:
 * to the same place, no older than what was found out when it began, and secured well enough. Runs in the
 * front. */
#include "smtpd/relay/sender_priv.h"

/* For so long and for so many messages it stands for what DNS, policy and certificate said when it began. */
enum { KEPT_MS = 5 * 60 * 1000, KEPT_MESSAGES = 100 };

bool connection_is_worn(const struct connection *connection)
{
	uint64_t now_ms = loop_now_ms(connection->sender->front->loop);
	return connection->message_count >= KEPT_MESSAGES ||
	       now_ms - connection->began_ms >= KEPT_MS;
}

enum tls_level connection_level(const struct connection *connection)
{
	if (!stream_is_secure(connection->stream))
		return TLS_LEVEL_NONE;
	return connection->demand.proven_by != TLS_POLICY_NONE ? TLS_LEVEL_PROVEN
							       : TLS_LEVEL_ENCRYPTED;
}

/* A better one may have been reached meanwhile, which is expected of all from then on. */
static bool is_good_enough(const struct connection *connection, const struct outgoing *outgoing)
{
	if (outgoing->message.tls_optional)
		return true;
	return !connection->demand.is_lax &&
	       (outgoing->route.kind != ROUTE_BY_DNS ||
		connection_level(connection) >= outgoing->message.known_level);
}

struct connection *connection_find(const struct outgoing *outgoing)
{
	const char *status;
	for (struct connection *c = outgoing->sender->connections; c; c = c->next)
		if (!c->outgoing && c->client.state == CLIENT_READY &&
		    slice_eq(slice_cstr(c->key), outgoing->route.key) && !connection_is_worn(c) &&
		    is_good_enough(c, outgoing) &&
		    !client_lacks_tls(&c->client, &outgoing->message, &status))
			return c;
	return NULL;
}
