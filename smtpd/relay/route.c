/* smtpd/relay/route.c - [route DOMAIN] before the smarthost before DNS. Runs in both: the front
 * connects by it, and the back counts by it how much is under way to one place. */
#include "smtpd/relay/route_priv.h"

void route_find(const struct config *config, struct slice destination, struct arena *arena,
		struct route *route_out)
{
	for (size_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];
		if (!slice_eq(destination, slice_cstr(route->domain)))
			continue;
		*route_out = (struct route){ .kind = ROUTE_TO_HOST,
					     .is_lmtp = route->lmtp,
					     .host = slice_cstr(route->host),
					     .port = route->port };
		route_out->key =
			slice_cstr(arena_format(arena, "%s:%s:%u", route->lmtp ? "lmtp" : "smtp",
						route->host, route->port));
		return;
	}
	if (config->smarthost) {
		*route_out = (struct route){ .kind = ROUTE_TO_SMARTHOST,
					     .host = slice_cstr(config->smarthost),
					     .port = config->smarthost_port };
		route_out->key = slice_cstr(arena_format(
			arena, "smarthost:%s:%u", config->smarthost, config->smarthost_port));
		return;
	}
	*route_out = (struct route){ .kind = ROUTE_BY_DNS,
				     .port = (uint16_t)config->relay_port,
				     .key = destination };
}
