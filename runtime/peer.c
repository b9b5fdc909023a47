/* runtime/peer.c - addresses of IPv4 and IPv6 (RFC 4291 section 2.2 for the text forms) and the
 * networks they belong to. Scoped addresses (fe80::1%eth0) are taken without their scope. */
#include "runtime/peer.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/attributes.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

void peer_from_ipv6(const uint8_t octets[16], struct peer *peer_out)
{
	bool mapped = memcmp(octets, mapped_prefix, sizeof(mapped_prefix)) == 0;
	*peer_out = (struct peer){ .family = mapped ? 4 : 6 };
	memcpy(peer_out->address, octets + (mapped ? 12 : 0), mapped ? 4 : 16);
}

void peer_from_sockaddr(const struct sockaddr *address, struct peer *peer_out)
{
	*peer_out = (struct peer){ 0 };
	if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof(v4));
		memcpy(peer_out->address, &v4.sin_addr, 4);
		peer_out->family = 4;
		peer_out->port = ntohs(v4.sin_port);
	} else if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof(v6));
		peer_from_ipv6(v6.sin6_addr.s6_addr, peer_out);
		peer_out->port = ntohs(v6.sin6_port);
	}
}

void peer_format(const struct peer *peer, char text_out[PEER_TEXT_MAX])
{
	int family = peer->family == 4 ? AF_INET : AF_INET6;
	if (peer->family == 0 || !inet_ntop(family, peer->address, text_out, PEER_TEXT_MAX))
		snprintf(text_out, PEER_TEXT_MAX, "local");
}

bool peer_is_loopback(const struct peer *peer)
{
	static const uint8_t loopback_v6[16] = { [15] = 1 };
	switch (peer->family) {
	case 4: return peer->address[0] == 127;
	case 6: return memcmp(peer->address, loopback_v6, sizeof(loopback_v6)) == 0;
	default: return true;
	}
}

/* Host bits are cleared, so that 192.0.2.7/24 is the network of 192.0.2.0/24. */
static void clear_host_bits(struct network *network)
{
	for (unsigned bit = network->prefix_bits; bit < 128; bit++)
		network->address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

bool network_parse(struct slice text, struct network *network_out)
{
	struct network network = { 0 };
	char address[PEER_TEXT_MAX];
	size_t slash = slice_find_byte(text, 0, '/');
	if (slash >= sizeof(address) || slice_find_byte(text, 0, '\0') != text.len)
		return false;
	memcpy(address, text.ptr ? text.ptr : (const uint8_t *)"", slash);
	address[slash] = '\0';

	if (inet_pton(AF_INET, address, network.address) == 1)
		network.family = 4;
	else if (inet_pton(AF_INET6, address, network.address) == 1)
		network.family = 6;
	else
		return false;

	uint64_t bits = network.family == 4 ? 32 : 128;
	if (slash < text.len && !slice_to_u64(slice_sub(text, slash + 1, text.len), bits, &bits))
		return false;
	/* A peer is never IPv4-mapped, so a network must not be either. */
	if (network.family == 6 && bits >= 96 &&
	    memcmp(network.address, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		memmove(network.address, network.address + 12, 4);
		network.family = 4;
		bits -= 96;
	}
	network.prefix_bits = (uint8_t)bits;
	clear_host_bits(&network);
	*network_out = network;
	return true;
}

bool network_contains(const struct network *network, const struct peer *peer)
{
	if (peer->family == 0 || network->family != peer->family)
		return false;
	unsigned whole = network->prefix_bits / 8, rest = network->prefix_bits % 8;
	if (memcmp(network->address, peer->address, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	return ((network->address[whole] ^ peer->address[whole]) >> (8 - rest)) == 0;
}

bool address_literal_parse(struct slice literal, struct network *address_out)
{
	if (literal.len < 3 || literal.ptr[0] != '[' || literal.ptr[literal.len - 1] != ']')
		return false;
	struct slice inside = slice_sub(literal, 1, literal.len - 2);
	if (slice_starts_nocase(inside, SLICE("IPv6:")))
		inside = slice_sub(inside, 5, inside.len);
	return slice_find_byte(inside, 0, '/') == inside.len && network_parse(inside, address_out);
}

bool networks_contain(char *const *networks, size_t count, const struct peer *peer)
{
	struct network network;

	for (size_t i = 0; i < count; i++)
		if (network_parse(slice_cstr(networks[i]), &network) &&
		    network_contains(&network, peer))
			return true;
	return false;
}

static bool one_contains(const struct network *networks, size_t count, const struct peer *peer)
{
	for (size_t i = 0; i < count; i++)
		if (network_contains(&networks[i], peer))
			return true;
	return false;
}

/* The tables of RFC 6890 section 2.2, and what came to them since. Of IPv6 nothing is public but 2000::/3
 * (RFC 4291 section 2.4), so that only what is special in there is named. */
bool peer_is_private(const struct peer *peer)
{
	static const struct network special_v4[] = {
		{ .family = 4, .prefix_bits = 8, .address = { 0 } },
		{ .family = 4, .prefix_bits = 8, .address = { 10 } },
		{ .family = 4, .prefix_bits = 10, .address = { 100, 64 } },
		{ .family = 4, .prefix_bits = 8, .address = { 127 } },
		{ .family = 4, .prefix_bits = 16, .address = { 169, 254 } },
		{ .family = 4, .prefix_bits = 12, .address = { 172, 16 } },
		{ .family = 4, .prefix_bits = 24, .address = { 192, 0, 0 } },
		{ .family = 4, .prefix_bits = 24, .address = { 192, 0, 2 } },
		{ .family = 4, .prefix_bits = 24, .address = { 192, 88, 99 } },
		{ .family = 4, .prefix_bits = 16, .address = { 192, 168 } },
		{ .family = 4, .prefix_bits = 15, .address = { 198, 18 } },
		{ .family = 4, .prefix_bits = 24, .address = { 198, 51, 100 } },
		{ .family = 4, .prefix_bits = 24, .address = { 203, 0, 113 } },
		{ .family = 4, .prefix_bits = 3, .address = { 224 } }, /* multicast, reserved */
	};
	static const struct network public_v6 = { .family = 6,
						  .prefix_bits = 3,
						  .address = { 0x20 } };
	static const struct network special_v6[] = {
		{ .family = 6, .prefix_bits = 23, .address = { 0x20, 0x01 } },
		{ .family = 6, .prefix_bits = 32, .address = { 0x20, 0x01, 0x0d, 0xb8 } },
		{ .family = 6, .prefix_bits = 16, .address = { 0x20, 0x02 } },
		{ .family = 6, .prefix_bits = 20, .address = { 0x3f, 0xff } },
	};
	/* By a translator, to the IPv4 address at the end (RFC 6052 section 2.1). */
	static const struct network translated = { .family = 6,
						   .prefix_bits = 96,
						   .address = { 0x00, 0x64, 0xff, 0x9b } };
	struct peer behind = { .family = 4 };

	if (network_contains(&translated, peer))
		memcpy(behind.address, peer->address + 12, 4);
	else
		behind = *peer;
	switch (behind.family) {
	case 4: return one_contains(special_v4, ARRAY_LEN(special_v4), &behind);
	case 6:
		return !network_contains(&public_v6, &behind) ||
		       one_contains(special_v6, ARRAY_LEN(special_v6), &behind);
	default: return true;
	}
}
