/* runtime/proxy.c - the PROXY protocol, sections 2.1 (version 1) and 2.2 (version 2) of its
 * specification by HAProxy's makers. Runs in the front.
 *
 * Left out: what the balancer can add about TLS, host names and the like, which is passed over. */
#include "runtime/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/octets.h"

enum {
	V1_MAX_OCTETS = 107,
	V1_MIN_OCTETS = 15, /* "PROXY UNKNOWN" and CRLF */
	V2_SIGNATURE_OCTETS = 12,
	V2_HEAD_OCTETS = 16,
	V2_LOCAL = 0x20,
	V2_PROXY = 0x21,
	V2_TCP4 = 0x11,
	V2_TCP6 = 0x21,
};

static const uint8_t v2_signature[V2_SIGNATURE_OCTETS] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
							   0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

static void set_peer(int family, const void *address, uint16_t port, struct peer *peer)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	if (family == AF_INET) {
		memcpy(&v4.sin_addr, address, sizeof(v4.sin_addr));
		peer_from_sockaddr((const struct sockaddr *)&v4, peer);
	} else {
		memcpy(&v6.sin6_addr, address, sizeof(v6.sin6_addr));
		peer_from_sockaddr((const struct sockaddr *)&v6, peer);
	}
}

/* ---- version 1 ---- */

static bool is_not_blank(uint8_t c)
{
	return c > ' ' && c < 127;
}

/* SP, then an address of the family */
static bool take_address(struct cursor *c, int family, uint8_t address_out[16])
{
	char text[INET6_ADDRSTRLEN];
	struct slice word;

	if (!take_byte(c, ' ') || !take_while(c, is_not_blank, &word) || word.len >= sizeof(text))
		return false;
	memcpy(text, word.ptr, word.len);
	text[word.len] = '\0';
	return inet_pton(family, text, address_out) == 1;
}

/* SP, then a port without leading zeros */
static bool take_port(struct cursor *c, uint16_t *port_out)
{
	uint64_t port;

	if (!take_byte(c, ' '))
		return false;
	const uint8_t *start = c->at;
	if (!take_number(c, UINT16_MAX, &port) || (*start == '0' && c->at - start > 1))
		return false;
	*port_out = (uint16_t)port;
	return true;
}

/* "PROXY" SP "TCP4" / "TCP6" and source and destination, or "UNKNOWN" and anything */
static bool take_line(struct slice line, struct peer *peer)
{
	struct cursor c = cursor_of(line);
	uint8_t source[16], destination[16];
	uint16_t source_port, destination_port;
	int family = AF_INET;

	if (!take_word_nocase(&c, SLICE("PROXY ")))
		return false;
	if (take_word_nocase(&c, SLICE("UNKNOWN")))
		return at_end(&c) || next_is(&c, ' ');
	if (take_word_nocase(&c, SLICE("TCP6")))
		family = AF_INET6;
	else if (!take_word_nocase(&c, SLICE("TCP4")))
		return false;
	if (!take_address(&c, family, source) || !take_address(&c, family, destination) ||
	    !take_port(&c, &source_port) || !take_port(&c, &destination_port) || !at_end(&c))
		return false;
	set_peer(family, source, source_port, peer);
	return true;
}

static enum proxy_header take_v1(struct slice octets, size_t *more_out, struct peer *peer)
{
	*more_out = octets.len < V1_MIN_OCTETS ? V1_MIN_OCTETS - octets.len : 1;
	size_t lf = slice_find_byte(octets, 0, '\n');
	if (lf == octets.len)
		return octets.len < V1_MAX_OCTETS ? PROXY_PARTIAL : PROXY_BROKEN;
	/* Nothing may have been taken that is not the header's. */
	if (lf + 1 < octets.len || lf == 0 || octets.ptr[lf - 1] != '\r')
		return PROXY_BROKEN;
	return take_line(slice_sub(octets, 0, lf - 1), peer) ? PROXY_WHOLE : PROXY_BROKEN;
}

/* ---- version 2 ---- */

static enum proxy_header take_v2(struct slice octets, size_t *more_out, struct peer *peer)
{
	if (octets.len < V2_HEAD_OCTETS) {
		*more_out = V2_HEAD_OCTETS - octets.len;
		return PROXY_PARTIAL;
	}
	uint8_t command = octets.ptr[12], family = octets.ptr[13];
	size_t rest_len = get_be16(octets.ptr + 14), whole_len = V2_HEAD_OCTETS + rest_len;
	const uint8_t *at = octets.ptr + V2_HEAD_OCTETS;

	if ((command != V2_LOCAL && command != V2_PROXY) || whole_len > PROXY_HEADER_MAX_OCTETS ||
	    octets.len > whole_len)
		return PROXY_BROKEN;
	if (octets.len < whole_len) {
		*more_out = whole_len - octets.len;
		return PROXY_PARTIAL;
	}
	if (command == V2_LOCAL)
		return PROXY_WHOLE;
	if (family == V2_TCP4) {
		if (rest_len < 12)
			return PROXY_BROKEN;
		set_peer(AF_INET, at, get_be16(at + 8), peer);
	} else if (family == V2_TCP6) {
		if (rest_len < 36)
			return PROXY_BROKEN;
		set_peer(AF_INET6, at, get_be16(at + 32), peer);
	}
	return PROXY_WHOLE;
}

enum proxy_header proxy_header_take(struct slice octets, size_t *more_out, struct peer *peer)
{
	size_t head_len = octets.len < V2_SIGNATURE_OCTETS ? octets.len : V2_SIGNATURE_OCTETS;
	bool is_v2 = head_len > 0 && memcmp(octets.ptr, v2_signature, head_len) == 0;
	struct slice word = SLICE("PROXY ");

	if (is_v2 && head_len == V2_SIGNATURE_OCTETS)
		return take_v2(octets, more_out, peer);
	*more_out = V2_SIGNATURE_OCTETS - head_len;
	if (head_len == 0 || is_v2)
		return PROXY_PARTIAL;
	if (!slice_eq(slice_sub(octets, 0, word.len), slice_sub(word, 0, octets.len)))
		return PROXY_BROKEN;
	return take_v1(octets, more_out, peer);
}
