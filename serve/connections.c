/* serve/connections.c - a hash table of addresses with their counts, under a lock.
 * Runs in the front.
 *
 * It grows with the addresses that are connected and is bounded by the limit on connections.
 * The hash is keyed, so nobody can choose addresses that meet in one place. */
#include "serve/connections_priv.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/random.h"
#include "runtime/exempt.h"

enum { SLOTS_FIRST = 64, IPV6_SITE_OCTETS = 8 };

struct slot {
	uint64_t site;	/* an IPv4 address, or an IPv6 network of 64 bits */
	uint32_t count; /* 0: free */
	uint8_t family;
};

struct connections {
	pthread_mutex_t mutex;
	struct slot *slots;
	size_t slot_count; /* a power of two, at least twice `used` */
	size_t used;
	uint64_t key[2];
	unsigned count, limit, limit_per_address;
	struct exempt *exempt;
};

struct connections *connections_new(const struct config *config)
{
	struct connections *connections = heap_alloc(sizeof(*connections));
	pthread_mutex_init(&connections->mutex, NULL);
	connections->slots = heap_alloc_array(SLOTS_FIRST, sizeof(struct slot));
	connections->slot_count = SLOTS_FIRST;
	random_octets(connections->key, sizeof(connections->key));
	connections_set_limits(connections, config);
	return connections;
}

void connections_set_limits(struct connections *connections, const struct config *config)
{
	struct exempt *exempt = exempt_new(config);
	pthread_mutex_lock(&connections->mutex);
	struct exempt *old = connections->exempt;
	connections->exempt = exempt;
	connections->limit = config->connections;
	connections->limit_per_address = config->connections_per_address;
	pthread_mutex_unlock(&connections->mutex);
	exempt_free(&old);
}

void connections_free(struct connections **connections)
{
	if (!*connections)
		return;
	pthread_mutex_destroy(&(*connections)->mutex);
	exempt_free(&(*connections)->exempt);
	free((*connections)->slots);
	free(*connections);
	*connections = NULL;
}

static uint64_t site_of(const struct peer *peer)
{
	uint64_t site = 0;
	memcpy(&site, peer->address, peer->family == 4 ? 4 : IPV6_SITE_OCTETS);
	return site;
}

/* Multiply and fold, twice, each time with a secret. */
static size_t place_of(const struct connections *connections, uint64_t site, uint8_t family)
{
	uint64_t hash = site ^ connections->key[0];
	for (size_t i = 0; i < 2; i++) {
		unsigned __int128 wide =
			(unsigned __int128)(hash + family) * (connections->key[i] | 1);
		hash = (uint64_t)wide ^ (uint64_t)(wide >> 64);
	}
	return hash & (connections->slot_count - 1);
}

/* The slot of a site, or the free one where it would stand. */
static struct slot *find(const struct connections *connections, uint64_t site, uint8_t family)
{
	size_t place = place_of(connections, site, family);
	for (;;) {
		struct slot *slot = &connections->slots[place];
		if (slot->count == 0 || (slot->site == site && slot->family == family))
			return slot;
		place = (place + 1) & (connections->slot_count - 1);
	}
}

static void grow(struct connections *connections)
{
	struct slot *old = connections->slots;
	size_t old_count = connections->slot_count;
	connections->slot_count *= 2;
	connections->slots = heap_alloc_array(connections->slot_count, sizeof(struct slot));
	for (size_t i = 0; i < old_count; i++)
		if (old[i].count > 0)
			*find(connections, old[i].site, old[i].family) = old[i];
	free(old);
}

/* Frees a slot and moves up those behind it that stood there only for lack of their own place. */
static void remove_slot(struct connections *connections, struct slot *slot)
{
	size_t mask = connections->slot_count - 1;
	size_t hole = (size_t)(slot - connections->slots);
	for (size_t at = (hole + 1) & mask; connections->slots[at].count > 0;
	     at = (at + 1) & mask) {
		const struct slot *other = &connections->slots[at];
		size_t home = place_of(connections, other->site, other->family);
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			connections->slots[hole] = *other;
			hole = at;
		}
	}
	connections->slots[hole] = (struct slot){ 0 };
	connections->used--;
}

enum connections_verdict connections_enter(struct connections *connections, const struct peer *peer)
{
	enum connections_verdict verdict = CONNECTION_COUNTED;
	pthread_mutex_lock(&connections->mutex);
	struct slot *slot = find(connections, site_of(peer), peer->family);
	if (peer->family == 0 || exempt_contains(connections->exempt, peer)) {
		verdict = CONNECTION_EXEMPT;
	} else if (connections->count >= connections->limit) {
		verdict = CONNECTION_TOO_MANY;
	} else if (slot->count >= connections->limit_per_address) {
		verdict = CONNECTION_TOO_MANY_FROM_HIM;
	} else {
		if (slot->count == 0) {
			*slot = (struct slot){ .site = site_of(peer), .family = peer->family };
			connections->used++;
		}
		slot->count++;
		connections->count++;
		if (connections->used * 2 > connections->slot_count)
			grow(connections);
	}
	pthread_mutex_unlock(&connections->mutex);
	return verdict;
}

void connections_leave(struct connections *connections, const struct peer *peer)
{
	pthread_mutex_lock(&connections->mutex);
	struct slot *slot = find(connections, site_of(peer), peer->family);
	assert(slot->count > 0 && connections->count > 0);
	connections->count--;
	if (--slot->count == 0)
		remove_slot(connections, slot);
	pthread_mutex_unlock(&connections->mutex);
}

unsigned connections_count(struct connections *connections)
{
	pthread_mutex_lock(&connections->mutex);
	unsigned count = connections->count;
	pthread_mutex_unlock(&connections->mutex);
	return count;
}
