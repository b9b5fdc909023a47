/* runtime/known_clients.c - addresses, each behind an octet that says which family. Runs in both. */
#include "runtime/known_clients.h"

#include "base/octets.h"

static size_t address_octets(uint8_t family)
{
	return family == 4 ? 4 : family == 6 ? 16 : 0;
}

void known_clients_add(struct buffer *out, const struct peer *peer)
{
	buffer_add_byte(out, peer->family);
	buffer_add(out, slice_of(peer->address, address_octets(peer->family)));
}

bool known_clients_next(struct slice *clients, struct peer *peer_out)
{
	*peer_out = (struct peer){ .family = 0 };
	if (clients->len == 0)
		return false;
	size_t octets = address_octets(clients->ptr[0]);
	if (octets == 0 || clients->len < 1 + octets)
		return false;
	peer_out->family = clients->ptr[0];
	memcpy(peer_out->address, clients->ptr + 1, octets);
	*clients = slice_sub(*clients, 1 + octets, clients->len);
	return true;
}
