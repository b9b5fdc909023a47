/* base/config_set.c - a value of the configuration goes where its key says, and is released. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/config_keys_priv.h"
#include "base/config_value_priv.h"
#include "base/heap.h"

enum { LISTENS_MAX = 64, NETWORKS_MAX = 256, ROUTES_MAX = 1000 };

static char *path_resolve(const char *file_name, struct slice path)
{
	struct buffer full = { NULL };
	const char *slash = strrchr(file_name, '/');
	if (slash && path.ptr[0] != '/')
		buffer_add(&full, slice_of(file_name, (size_t)(slash - file_name) + 1));
	buffer_add(&full, path);
	char *text = heap_string(buffer_slice(&full));
	buffer_free(&full);
	return text;
}

static const char *set_listens(struct config *config, enum config_service service,
			       struct slice text)
{
	struct slice word;
	while (value_next_word(&text, &word)) {
		char *address;
		uint16_t port;
		const char *why = service == SERVICE_LMTP || service == SERVICE_SENDMAIL
					  ? value_take_local_listen(word, &address, &port)
					  : value_take_listen(word, &address, &port);
		if (why)
			return why;
		if (service == SERVICE_SENDMAIL && port != 0)
			why = "must be the path of a socket, like \"/run/bode/sendmail\"";
		for (size_t i = 0; i < config->listen_count && !why; i++)
			if (config->listens[i].port == port &&
			    strcmp(config->listens[i].address, address) == 0)
				why = "has an address and port that are given already in [listen]";
		if (config->listen_count == LISTENS_MAX)
			why = "is too much: [listen] may have 64 addresses in all";
		if (why) {
			free(address);
			return why;
		}
		config->listens = heap_resize(config->listens, (config->listen_count + 1) *
								       sizeof(*config->listens));
		config->listens[config->listen_count++] =
			(struct config_listen){ service, address, port };
	}
	return NULL;
}

static const char *add_network(struct slice word, char ***networks, size_t *count)
{
	const char *why = value_check_network(word);
	if (!why && *count == NETWORKS_MAX)
		why = "is too much: there may be 256";
	if (why)
		return why;
	*networks = heap_resize(*networks, (*count + 1) * sizeof(char *));
	(*networks)[(*count)++] = heap_string(word);
	return NULL;
}

static const char *set_networks(struct slice text, char ***networks, size_t *count)
{
	struct slice word;
	const char *why = NULL;
	while (!why && value_next_word(&text, &word))
		why = add_network(word, networks, count);
	return why;
}

static const char *set_literals(struct config *config, struct slice text)
{
	if (slice_find_byte(text, 0, '/') < text.len)
		return "must be addresses, like 192.0.2.1 2001:db8::1, not networks";
	return set_networks(text, &config->literals, &config->literal_count);
}

static const char *set_endpoint(char **text_out, struct slice text)
{
	char *address;
	uint16_t port;
	const char *why = value_take_listen(text, &address, &port);
	if (why)
		return "must be ADDRESS:PORT, like \"192.0.2.1:53\" or \"[::1]:53\"";
	free(address);
	*text_out = heap_string(text);
	return NULL;
}

static const char *set_route(struct config *config, struct slice domain, struct slice text)
{
	struct config_route route = { .lmtp = slice_starts_nocase(text, SLICE("lmtp:")) };
	if (!route.lmtp && !slice_starts_nocase(text, SLICE("smtp:")))
		return "must begin with smtp: or lmtp:, like \"smtp:192.0.2.1:25\"";
	const char *why = value_take_host(slice_sub(text, 5, text.len), &route.host, &route.port);
	if (why)
		return why;
	route.domain = heap_string(domain);
	for (char *at = route.domain; *at; at++)
		*at = (char)ascii_lower((uint8_t)*at);
	for (size_t i = 0; i < config->route_count && !why; i++)
		if (strcmp(config->routes[i].domain, route.domain) == 0)
			why = "is given twice for this domain: remove one of them";
	if (!why && config->route_count == ROUTES_MAX)
		why = "is too much: there may be 1000 routes";
	if (why) {
		free(route.domain);
		free(route.host);
		return why;
	}
	config->routes =
		heap_resize(config->routes, (config->route_count + 1) * sizeof(*config->routes));
	config->routes[config->route_count++] = route;
	return NULL;
}

static const char *set_choice(const struct config_key *key, struct slice text, unsigned *index_out)
{
	static char why[128];
	for (unsigned i = 0; key->choices[i]; i++)
		if (slice_eq_nocase(text, slice_cstr(key->choices[i]))) {
			*index_out = i;
			return NULL;
		}
	size_t len = (size_t)snprintf(why, sizeof(why), "must be one of:");
	for (unsigned i = 0; key->choices[i]; i++)
		len += (size_t)snprintf(why + len, sizeof(why) - len, " %s", key->choices[i]);
	return why;
}

const char *config_set(struct config *config, const struct config_key *key, const char *file_name,
		       struct slice domain, struct slice text)
{
	void *member = (char *)config + key->offset;
	uint64_t number = 0;
	const char *why = NULL;

	if (text.len == 0)
		return "has no value: give it one, or remove the line";
	switch (key->type) {
	case KEY_HOSTNAME:
		if ((why = value_check_hostname(text)) == NULL)
			*(char **)member = heap_string(text);
		break;
	case KEY_USER: *(char **)member = heap_string(text); break;
	case KEY_PATH: *(char **)member = path_resolve(file_name, text); break;
	case KEY_NUMBER:
	case KEY_DURATION:
		why = key->type == KEY_NUMBER
			      ? value_take_number(text, key->min, key->max, &number)
			      : value_take_duration(text, key->min, key->max, &number);
		if (!why)
			*(unsigned *)member = (unsigned)number;
		break;
	case KEY_SIZE:
		if ((why = value_take_size(text, key->min, key->max, &number)) == NULL)
			*(uint64_t *)member = number;
		break;
	case KEY_BOOL: {
		unsigned index;
		if ((why = set_choice(key, text, &index)) == NULL)
			*(bool *)member = index == 1;
		break;
	}
	case KEY_CHOICE: why = set_choice(key, text, member); break;
	case KEY_DNS_LISTS:
		if ((why = value_check_dns_lists(text)) == NULL)
			*(char **)member = heap_string(text);
		break;
	case KEY_ENDPOINT: why = set_endpoint(member, text); break;
	case KEY_HOST:
		why = value_take_host(text, &config->smarthost, &config->smarthost_port);
		break;
	case KEY_DURATIONS:
		why = value_take_durations(text, key->min, key->max, &config->retry_seconds,
					   &config->retry_count);
		break;
	case KEY_ROUTE: why = set_route(config, domain, text); break;
	case KEY_LISTEN: why = set_listens(config, (enum config_service)key->min, text); break;
	case KEY_NETWORKS:
		why = set_networks(text, member, (size_t *)((char *)config + key->min));
		break;
	case KEY_LITERALS: why = set_literals(config, text); break;
	case KEY_SEPARATORS:
		if ((why = value_check_separators(text)) == NULL &&
		    !slice_eq_nocase(text, SLICE("none")))
			*(char **)member = heap_string(text);
		break;
	case KEY_ADDRESS:
		if ((why = value_check_address(text)) == NULL)
			*(char **)member = heap_string(text);
		break;
	}
	return why;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->listen_count; i++)
		free(config->listens[i].address);
	for (size_t i = 0; i < config->exempt_count; i++)
		free(config->exempt[i]);
	for (size_t i = 0; i < config->literal_count; i++)
		free(config->literals[i]);
	free(config->literals);
	free(config->separators);
	free(config->postmaster);
	free(config->origin);
	for (size_t i = 0; i < config->route_count; i++) {
		free(config->routes[i].domain);
		free(config->routes[i].host);
	}
	free(config->routes);
	free(config->retry_seconds);
	free(config->smarthost);
	free(config->smarthost_user);
	free(config->smarthost_password_file);
	free(config->smarthost_ca);
	free(config->relay_authorities);
	free(config->listens);
	for (size_t i = 0; i < config->proxy_count; i++)
		free(config->proxies[i]);
	for (size_t i = 0; i < config->xclient_count; i++)
		free(config->xclients[i]);
	free(config->proxies);
	free(config->xclients);
	free(config->exempt);
	free(config->hostname);
	free(config->state_dir);
	free(config->user_front);
	free(config->user_back);
	free(config->certificate);
	free(config->key);
	free(config->dns_forward);
	free(config->dns_lists);
	free(config->dns_trust_anchor);
	free(config);
}
