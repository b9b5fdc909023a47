/* runtime/peer.h - who is at the other end: addresses and networks. */
#pragma once

#include "base/slice.h"

struct sockaddr;

enum { PEER_TEXT_MAX = 46 }; /* INET6_ADDRSTRLEN */

/* An IPv4 address is kept as such, an IPv4-mapped IPv6 one (::ffff:a.b.c.d) becomes IPv4. */
struct peer {
	uint8_t address[16]; /* network order; the first 4 octets for IPv4 */
	uint8_t family;	     /* 4 or 6; 0: a local socket */
	uint16_t port;
};

/* Without a port. */
void peer_from_ipv6(const uint8_t octets[16], struct peer *peer_out);
/* Anything but an internet address gives a local socket. */
void peer_from_sockaddr(const struct sockaddr *address, struct peer *peer_out);
/* "192.0.2.7", "2001:db8::7", "local". */
void peer_format(const struct peer *peer, char text_out[PEER_TEXT_MAX]);
bool peer_is_loopback(const struct peer *peer);
/* Of this machine, or of a network whose addresses mean something else elsewhere, or nothing: nobody on
 * the Internet is there (RFC 6890), nor by way of a translator. */
bool peer_is_private(const struct peer *peer);

/* "10.0.0.0/8", "::1", "192.0.2.7": an address alone is a network of one. */
struct network {
	uint8_t address[16];
	uint8_t family;
	uint8_t prefix_bits;
};
bool network_parse(struct slice text, struct network *network_out);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]": the address, as a network of one (RFC 5321 section 4.1.3). */
bool address_literal_parse(struct slice literal, struct network *address_out);
/* One of the networks of such a list, as a configuration has it. */
bool networks_contain(char *const *networks, size_t count, const struct peer *peer);
bool network_contains(const struct network *network, const struct peer *peer);
