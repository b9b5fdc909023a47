/* runtime/limits.c - token buckets in a table of fixed size. Runs in the front.
 *
 * A bucket is kept as what was taken from it and has not run in again, so an entry that is not
 * there is a full bucket, and forgetting the one that lacks least costs least. As in auth/throttle.c,
 * small sets are picked by a keyed hash, so nobody can aim at one. */
#include "runtime/limits.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/random.h"
#include "runtime/exempt.h"

enum {
	SET_ENTRIES = 8,
	MINUTE_MS = 60 * 1000,
	HOUR_MS = 60 * MINUTE_MS,
	GOOD_FOR_HOURS = 24 * 30,
};

struct entry {
	uint64_t tag;		/* 0: free */
	uint64_t at_ms;		/* when `taken` was true */
	uint64_t good_until_ms; /* 0: nothing good is known */
	float taken[LIMIT_COUNT];
	bool is_network;
};

struct limits {
	pthread_mutex_t mutex;
	struct exempt *exempt;
	uint64_t key[2];
	size_t set_count; /* a power of two */
	struct entry *entries;
	float most[LIMIT_COUNT]; /* of one address; 0: no limit */
};

/* In which time as many run in again as there may be. */
static const uint64_t period_ms[LIMIT_COUNT] = {
	[LIMIT_CONNECTIONS] = MINUTE_MS,      [LIMIT_MESSAGES] = MINUTE_MS,
	[LIMIT_COMMANDS] = MINUTE_MS,	      [LIMIT_ERRORS] = HOUR_MS,
	[LIMIT_UNKNOWN_RECIPIENTS] = HOUR_MS,
};

struct limits *limits_new(const struct config *config, size_t entries_max)
{
	struct limits *limits = heap_alloc(sizeof(*limits));
	pthread_mutex_init(&limits->mutex, NULL);
	random_octets(limits->key, sizeof(limits->key));
	limits->set_count = 1;
	while (limits->set_count * 2 * SET_ENTRIES <= entries_max)
		limits->set_count *= 2;
	limits->entries = heap_alloc_array(limits->set_count * SET_ENTRIES, sizeof(struct entry));
	limits_set(limits, config);
	return limits;
}

void limits_set(struct limits *limits, const struct config *config)
{
	struct exempt *exempt = exempt_new(config);
	pthread_mutex_lock(&limits->mutex);
	struct exempt *old = limits->exempt;
	limits->exempt = exempt;
	limits->most[LIMIT_CONNECTIONS] = (float)config->connections_per_minute;
	limits->most[LIMIT_MESSAGES] = (float)config->messages_per_minute;
	limits->most[LIMIT_COMMANDS] = (float)config->commands_per_minute;
	limits->most[LIMIT_ERRORS] = (float)config->errors_per_hour;
	limits->most[LIMIT_UNKNOWN_RECIPIENTS] = (float)config->unknown_recipients_per_hour;
	pthread_mutex_unlock(&limits->mutex);
	exempt_free(&old);
}

void limits_free(struct limits **limits)
{
	if (!*limits)
		return;
	pthread_mutex_destroy(&(*limits)->mutex);
	exempt_free(&(*limits)->exempt);
	free((*limits)->entries);
	free(*limits);
	*limits = NULL;
}

/* ---- the table; the mutex is held ---- */

/* Multiply and fold, twice, each time with a secret. */
static uint64_t tag_of(const struct limits *limits, const struct peer *peer, bool is_network)
{
	uint64_t hash = 0;
	if (peer->family == 4)
		memcpy(&hash, peer->address, is_network ? 3 : 4);
	else
		memcpy(&hash, peer->address, is_network ? 6 : 8);
	uint64_t kind = (uint64_t)peer->family * 2 + is_network;
	hash ^= limits->key[0];
	for (size_t i = 0; i < 2; i++) {
		unsigned __int128 wide = (unsigned __int128)(hash + kind) * (limits->key[i] | 1);
		hash = (uint64_t)wide ^ (uint64_t)(wide >> 64);
	}
	return hash ? hash : 1;
}

static float factor_of(bool is_network)
{
	return is_network ? LIMITS_NETWORK_FACTOR : 1;
}

static void run_in(const struct limits *limits, struct entry *entry, uint64_t now_ms)
{
	const float factor = factor_of(entry->is_network);
	float passed_ms = now_ms > entry->at_ms ? (float)(now_ms - entry->at_ms) : 0;
	for (size_t i = 0; i < LIMIT_COUNT; i++) {
		entry->taken[i] -= passed_ms * limits->most[i] * factor / (float)period_ms[i];
		if (entry->taken[i] < 0)
			entry->taken[i] = 0;
	}
	entry->at_ms = now_ms;
}

/* How much would be lost if it were forgotten. */
static float weight_of(const struct limits *limits, struct entry *entry, uint64_t now_ms)
{
	run_in(limits, entry, now_ms);
	float weight = entry->good_until_ms > now_ms ? 0.1f : 0;
	if (entry->tag == 0)
		return -1;
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		if (limits->most[i] > 0 && entry->taken[i] / limits->most[i] > weight)
			weight = entry->taken[i] / limits->most[i];
	return weight;
}

static struct entry *find(struct limits *limits, uint64_t tag)
{
	struct entry *set = limits->entries + (tag & (limits->set_count - 1)) * SET_ENTRIES;
	for (size_t i = 0; i < SET_ENTRIES; i++)
		if (set[i].tag == tag)
			return &set[i];
	return NULL;
}

static struct entry *find_or_make(struct limits *limits, const struct peer *peer, bool is_network,
				  uint64_t now_ms)
{
	uint64_t tag = tag_of(limits, peer, is_network);
	struct entry *entry = find(limits, tag);
	if (entry)
		return entry;
	struct entry *set = limits->entries + (tag & (limits->set_count - 1)) * SET_ENTRIES;
	entry = &set[0];
	for (size_t i = 1; i < SET_ENTRIES; i++) {
		float difference =
			weight_of(limits, &set[i], now_ms) - weight_of(limits, entry, now_ms);
		if (difference < 0 || (difference == 0 && set[i].at_ms < entry->at_ms))
			entry = &set[i];
	}
	*entry = (struct entry){ .tag = tag, .at_ms = now_ms, .is_network = is_network };
	return entry;
}

static bool has_left(struct limits *limits, const struct peer *peer, bool is_network,
		     enum limit what, uint64_t now_ms)
{
	struct entry *entry = find(limits, tag_of(limits, peer, is_network));
	if (!entry)
		return true;
	run_in(limits, entry, now_ms);
	return entry->taken[what] + 1 <= limits->most[what] * factor_of(is_network);
}

static void take(struct limits *limits, const struct peer *peer, bool is_network, enum limit what,
		 uint64_t now_ms)
{
	struct entry *entry = find_or_make(limits, peer, is_network, now_ms);
	entry->taken[what] += 1;
}

/* ---- asking ---- */

static bool is_this_machine(const struct peer *peer)
{
	static const uint8_t v4[4] = { 127, 0, 0, 1 }, v6[16] = { [15] = 1 };
	switch (peer->family) {
	case 4: return memcmp(peer->address, v4, sizeof(v4)) == 0;
	case 6: return memcmp(peer->address, v6, sizeof(v6)) == 0;
	default: return true;
	}
}

static bool ask(struct limits *limits, const struct peer *peer, enum limit what, bool takes)
{
	uint64_t now_ms = clock_monotonic_ms();
	if (!limits || is_this_machine(peer))
		return true;
	pthread_mutex_lock(&limits->mutex);
	bool is_free = limits->most[what] == 0 || exempt_contains(limits->exempt, peer);
	bool has = is_free || (has_left(limits, peer, false, what, now_ms) &&
			       has_left(limits, peer, true, what, now_ms));
	if (has && !is_free && takes) {
		take(limits, peer, false, what, now_ms);
		take(limits, peer, true, what, now_ms);
	}
	pthread_mutex_unlock(&limits->mutex);
	return has;
}

bool limits_take(struct limits *limits, const struct peer *peer, enum limit what)
{
	return ask(limits, peer, what, true);
}

bool limits_has(struct limits *limits, const struct peer *peer, enum limit what)
{
	return ask(limits, peer, what, false);
}

bool limits_trusts(struct limits *limits, const struct peer *peer)
{
	if (!limits || is_this_machine(peer))
		return true;
	pthread_mutex_lock(&limits->mutex);
	bool trusts = exempt_contains(limits->exempt, peer);
	pthread_mutex_unlock(&limits->mutex);
	return trusts;
}

bool limits_knows(struct limits *limits, const struct peer *peer)
{
	if (limits_trusts(limits, peer))
		return true;
	pthread_mutex_lock(&limits->mutex);
	const struct entry *entry = find(limits, tag_of(limits, peer, false));
	bool knows = entry && entry->good_until_ms > clock_monotonic_ms();
	pthread_mutex_unlock(&limits->mutex);
	return knows;
}

void limits_note_good(struct limits *limits, const struct peer *peer)
{
	uint64_t now_ms = clock_monotonic_ms();
	if (limits_trusts(limits, peer))
		return;
	pthread_mutex_lock(&limits->mutex);
	struct entry *entry = find_or_make(limits, peer, false, now_ms);
	entry->good_until_ms = now_ms + (uint64_t)GOOD_FOR_HOURS * HOUR_MS;
	pthread_mutex_unlock(&limits->mutex);
}
