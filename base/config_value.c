/* base/config_value.c - numbers, sizes, durations, addresses and networks as an operator
 * writes them. Names are not resolved: an address is an address. */
#include "base/config_value_priv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/heap.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* One configuration is read at a time, on the main thread. */
static char range_text[128];

static const char *describe_range(const char *what, uint64_t min, uint64_t max)
{
	snprintf(range_text, sizeof(range_text), "must be %s from %llu to %llu", what,
		 (unsigned long long)min, (unsigned long long)max);
	return range_text;
}

/* 1*DIGIT [blanks unit]; `units` ends with a NULL name. */
static bool take_with_unit(struct slice text, const struct unit *units, uint64_t max,
			   uint64_t *number_out)
{
	struct cursor c = cursor_of(text);
	uint64_t number;
	if (!take_number(&c, max, &number))
		return false;
	skip_blanks(&c);
	uint64_t factor = at_end(&c) ? 1 : 0;
	for (const struct unit *unit = units; unit->name && factor == 0; unit++)
		if (slice_eq_nocase(cursor_rest(&c), slice_cstr(unit->name)))
			factor = unit->factor;
	if (factor == 0 || number > max / factor)
		return false;
	*number_out = number * factor;
	return true;
}

const char *value_take_number(struct slice text, uint64_t min, uint64_t max, uint64_t *number_out)
{
	uint64_t number;
	if (!slice_to_u64(text, max, &number) || number < min)
		return describe_range("a number", min, max);
	*number_out = number;
	return NULL;
}

const char *value_take_size(struct slice text, uint64_t min, uint64_t max, uint64_t *octets_out)
{
	static const struct unit units[] = {
		{ "B", 1 },  { "KiB", 1024 }, { "MiB", 1024 * 1024 }, { "GiB", 1024 * 1024 * 1024 },
		{ NULL, 0 },
	};
	uint64_t octets;
	if (!take_with_unit(text, units, max, &octets) || octets < min)
		return describe_range("a size like \"50 MiB\" (units: KiB, MiB, GiB), in octets",
				      min, max);
	*octets_out = octets;
	return NULL;
}

const char *value_take_duration(struct slice text, uint64_t min, uint64_t max,
				uint64_t *seconds_out)
{
	static const struct unit units[] = {
		{ "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 24 * 3600 }, { NULL, 0 },
	};
	uint64_t seconds;
	if (!take_with_unit(text, units, max, &seconds) || seconds < min)
		return describe_range("a time like \"30 min\" (units: s, min, h, d), in seconds",
				      min, max);
	*seconds_out = seconds;
	return NULL;
}

const char *value_take_durations(struct slice text, uint64_t min, uint64_t max, unsigned **list_out,
				 size_t *count_out)
{
	unsigned *list = NULL;
	size_t count = 0;
	const char *why = NULL;
	for (bool more = true; more && !why;) {
		uint64_t seconds;
		size_t end = slice_find_byte(text, 0, ',');
		why = value_take_duration(slice_trim(slice_sub(text, 0, end)), min, max, &seconds);
		more = end < text.len;
		text = slice_sub(text, end + 1, text.len);
		if (why)
			break;
		list = heap_resize(list, (count + 1) * sizeof(*list));
		list[count++] = (unsigned)seconds;
	}
	if (why) {
		free(list);
		return why;
	}
	*list_out = list;
	*count_out = count;
	return NULL;
}

/* RFC 1123 section 2.1; lengths from RFC 1035 section 2.3.4. */
const char *value_check_hostname(struct slice text)
{
	static const char *const why =
		"must be a host name like \"mail.example.org\": letters, digits, hyphens and "
		"dots (international names in their xn-- form)";
	size_t label_octets = 0;
	if (text.len == 0 || text.len > 253)
		return why;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		bool last = i + 1 == text.len || text.ptr[i + 1] == '.';
		if (c == '.') {
			if (label_octets == 0)
				return why;
			label_octets = 0;
			continue;
		}
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) &&
		    (c != '-' || label_octets == 0 || last))
			return why;
		if (++label_octets > 63)
			return why;
	}
	return label_octets == 0 ? "must not end with a dot" : NULL;
}

/* An address into `text_out`, in the system's own spelling; 0 where it is none. */
static int take_address(struct slice text, char text_out[INET6_ADDRSTRLEN])
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr binary;
	if (!text.ptr || text.len >= sizeof(copy))
		return 0;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	for (size_t i = 0; i < 2; i++) {
		int family = i == 0 ? AF_INET : AF_INET6;
		if (inet_pton(family, copy, &binary) == 1) {
			inet_ntop(family, &binary, text_out, INET6_ADDRSTRLEN);
			return family;
		}
	}
	return 0;
}

/* HOST:PORT, at the last colon; port 0 is none. */
static bool split_port(struct slice text, struct slice *host_out, uint16_t *port_out)
{
	uint64_t port;
	size_t colon = text.len;
	while (colon > 0 && text.ptr[colon - 1] != ':')
		colon--;
	if (colon == 0 || !slice_to_u64(slice_sub(text, colon, text.len), 65535, &port) ||
	    port == 0)
		return false;
	*host_out = slice_sub(text, 0, colon - 1);
	*port_out = (uint16_t)port;
	return true;
}

const char *value_take_listen(struct slice text, char **address_out, uint16_t *port_out)
{
	static const char *const why =
		"must be ADDRESS:PORT, like \"192.0.2.1:25\", \"0.0.0.0:25\" or \"[::]:25\" (IPv6 "
		"in brackets; several are separated by blanks)";
	char address[INET6_ADDRSTRLEN];
	struct slice host;
	uint16_t port;
	if (!split_port(text, &host, &port))
		return why;
	bool bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	if (bracketed)
		host = slice_sub(host, 1, host.len - 2);
	if (take_address(host, address) != (bracketed ? AF_INET6 : AF_INET))
		return why;
	*address_out = heap_string(slice_cstr(address));
	*port_out = port;
	return NULL;
}

const char *value_take_local_listen(struct slice text, char **address_out, uint16_t *port_out)
{
	enum { SOCKET_PATH_MAX_OCTETS = 107 }; /* unix(7) */

	if (text.len > 0 && text.ptr[0] == '/') {
		if (text.len > SOCKET_PATH_MAX_OCTETS)
			return "is too long for a socket's path: it may have 107 characters";
		*address_out = heap_string(text);
		*port_out = 0;
		return NULL;
	}
	if (!slice_starts_nocase(text, SLICE("127.")) &&
	    !slice_starts_nocase(text, SLICE("[::1]:")))
		return "must be the path of a socket, like \"/run/bode/lmtp\", or a port of this "
		       "machine, like \"127.0.0.1:24\" or \"[::1]:24\"";
	return value_take_listen(text, address_out, port_out);
}

const char *value_take_host(struct slice text, char **host_out, uint16_t *port_out)
{
	static const char *const why = "must be HOST:PORT, like \"mail.example.org:587\" or "
				       "\"192.0.2.1:25\" (IPv6 in brackets)";
	struct slice host;
	uint16_t port;
	if (value_take_listen(text, host_out, port_out) == NULL)
		return NULL;
	if (!split_port(text, &host, &port) || value_check_hostname(host) != NULL)
		return why;
	char *lower = heap_string(host);
	for (char *at = lower; *at; at++)
		*at = (char)ascii_lower((uint8_t)*at);
	*host_out = lower;
	*port_out = port;
	return NULL;
}

const char *value_check_network(struct slice text)
{
	char address[INET6_ADDRSTRLEN];
	size_t slash = slice_find_byte(text, 0, '/');
	uint64_t bits = 0;
	int family = take_address(slice_sub(text, 0, slash), address);
	if (family == 0 || (slash < text.len && !slice_to_u64(slice_sub(text, slash + 1, text.len),
							      family == AF_INET ? 32 : 128, &bits)))
		return "must be networks like \"192.0.2.0/24\" or \"2001:db8::/32\", or single "
		       "addresses, separated by blanks";
	return NULL;
}

const char *value_check_separators(struct slice text)
{
	static const char allowed[] = "!#$%&'*+-/=?^_`{|}~.";
	if (slice_eq_nocase(text, SLICE("none")))
		return NULL;
	for (size_t i = 0; i < text.len; i++)
		if (memchr(allowed, text.ptr[i], sizeof(allowed) - 1) == NULL)
			return "must be characters like + - _ = without blanks, or none";
	return text.len <= 8 ? NULL : "is too much: give at most 8 characters";
}

const char *value_check_address(struct slice text)
{
	size_t at = slice_find_byte(text, 0, '@');
	if (at == 0 || at + 1 >= text.len || text.len > 320)
		return "must be a mail address, like you@example.org";
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] == 127)
			return "must be one mail address, like you@example.org, without blanks";
	return NULL;
}

bool value_next_word(struct slice *rest, struct slice *word_out)
{
	struct slice left = slice_trim(*rest);
	size_t len = 0;
	while (len < left.len && left.ptr[len] != ' ' && left.ptr[len] != '\t')
		len++;
	*word_out = slice_sub(left, 0, len);
	*rest = slice_sub(left, len, left.len);
	return len > 0;
}

/* ZONE [ "=" network ] [ ":" weight ] */
static bool is_dns_list(struct slice word)
{
	size_t colon = slice_find_byte(word, 0, ':');
	struct slice zone = slice_sub(word, 0, colon);
	size_t equals = slice_find_byte(zone, 0, '=');
	struct slice weight = slice_sub(word, colon + 1, word.len);
	uint64_t number;

	if (weight.len > 0 && weight.ptr[0] == '-')
		weight = slice_sub(weight, 1, weight.len);
	if (colon < word.len && (!slice_to_u64(weight, 1000, &number) || number == 0))
		return false;
	struct slice network = slice_sub(zone, equals + 1, zone.len);
	if (equals < zone.len && (value_check_network(network) != NULL ||
				  slice_find_byte(network, 0, '.') == network.len))
		return false;
	return value_check_hostname(slice_sub(zone, 0, equals)) == NULL;
}

const char *value_check_dns_lists(struct slice text)
{
	struct slice word;
	for (unsigned count = 0; value_next_word(&text, &word); count++) {
		if (count == 32)
			return "is too much: there may be 32 lists";
		if (!is_dns_list(word))
			return "must be ZONE, ZONE:WEIGHT or ZONE=NETWORK:WEIGHT, like "
			       "\"bl.example.org\" or \"wl.example.org=127.0.0.0/16:-2\", "
			       "separated by blanks";
	}
	return NULL;
}
