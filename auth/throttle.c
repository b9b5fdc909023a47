/* auth/throttle.c - a bounded table of failures, by address and by login.
 * Runs in the back.
 *
 * An address that guesses waits longer each time and is then refused without a look, so that
 * it cannot buy our processor time either. A login that is guessed at, from wherever, waits
 * too, but is never refused: else anybody could lock its owner out. Half of the failures are
 * forgotten every few minutes. What an exempt client does is neither counted nor delayed. */
#include "auth/throttle.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/heap.h"

enum {
	HALF_LIFE_MS = 5 * 60 * 1000,
	ADDRESS_FREE = 5, /* failures that cost nothing: a person who mistypes */
	ADDRESS_REFUSED = 50,
	LOGIN_FREE = 5,
	FIRST_DELAY_MS = 500,
	ADDRESS_DELAY_MAX_MS = 30 * 1000,
	LOGIN_DELAY_MAX_MS = 8 * 1000, /* its owner waits as long: below any client's patience */
	FAILURES_MAX = 1000,
};

/* As in auth/password.c: small sets, picked by a keyed hash so that nobody can aim at one. In
 * a full set the fewest failures make room, so guesses at random names push nothing out that
 * matters. */
enum { SET_ENTRIES = 8 };

struct failures {
	uint64_t tag; /* keyed hash of what failed */
	uint64_t since_ms;
	uint32_t count; /* 0: free */
};

struct throttle {
	pthread_mutex_t mutex;
	uint8_t key[crypto_shorthash_KEYBYTES];
	size_t set_count; /* a power of two */
	struct failures *entries;
};

struct throttle *throttle_new(size_t entries_max)
{
	struct throttle *throttle = heap_alloc(sizeof(*throttle));
	pthread_mutex_init(&throttle->mutex, NULL);
	crypto_shorthash_keygen(throttle->key);
	throttle->set_count = 1;
	while (throttle->set_count * 2 * SET_ENTRIES <= entries_max)
		throttle->set_count *= 2;
	throttle->entries =
		heap_alloc_array(throttle->set_count * SET_ENTRIES, sizeof(*throttle->entries));
	return throttle;
}

void throttle_free(struct throttle **throttle)
{
	if (!*throttle)
		return;
	pthread_mutex_destroy(&(*throttle)->mutex);
	free((*throttle)->entries);
	free(*throttle);
	*throttle = NULL;
}

/* 'a' and an address, or 'l' and a login: one table, no confusion. */
static uint64_t tag_of(const struct throttle *throttle, char kind, struct slice what)
{
	uint8_t text[257], hash[crypto_shorthash_BYTES];
	uint64_t tag;
	struct cursor c = cursor_of(slice_sub(what, 0, sizeof(text) - 1));
	size_t len = 0;
	text[len++] = (uint8_t)kind;
	for (; !at_end(&c); c.at++)
		text[len++] = kind == 'l' ? ascii_lower(*c.at) : *c.at;
	crypto_shorthash(hash, text, len, throttle->key);
	memcpy(&tag, hash, sizeof(tag));
	return tag;
}

static uint64_t address_tag(const struct throttle *throttle, struct slice address)
{
	/* A customer is given a /64 at least: one of its addresses is as good as another. */
	return tag_of(throttle, 'a', address.len == 16 ? slice_sub(address, 0, 8) : address);
}

static void decay(struct failures *entry, uint64_t now_ms)
{
	uint64_t halvings =
		now_ms > entry->since_ms ? (now_ms - entry->since_ms) / HALF_LIFE_MS : 0;
	entry->count = halvings < 32 ? entry->count >> halvings : 0;
	entry->since_ms += halvings * HALF_LIFE_MS;
}

/* Decays the whole set; the entry of `tag`, or NULL. The mutex is held. */
static struct failures *find(const struct throttle *throttle, uint64_t tag, uint64_t now_ms,
			     struct failures **set_out)
{
	struct failures *set = throttle->entries + (tag & (throttle->set_count - 1)) * SET_ENTRIES;
	struct failures *found = NULL;
	for (size_t i = 0; i < SET_ENTRIES; i++) {
		if (set[i].count > 0)
			decay(&set[i], now_ms);
		if (set[i].count > 0 && set[i].tag == tag)
			found = &set[i];
	}
	if (set_out)
		*set_out = set;
	return found;
}

static void add_failure(struct throttle *throttle, uint64_t tag, uint64_t now_ms)
{
	struct failures *set;
	struct failures *entry = find(throttle, tag, now_ms, &set);
	if (!entry) {
		entry = &set[0];
		for (size_t i = 1; i < SET_ENTRIES; i++)
			if (set[i].count < entry->count ||
			    (set[i].count == entry->count && set[i].since_ms < entry->since_ms))
				entry = &set[i];
		*entry = (struct failures){ .tag = tag, .since_ms = now_ms };
	}
	if (entry->count < FAILURES_MAX)
		entry->count++;
}

/* Doubles with each failure beyond those that are free. */
static uint64_t delay_of(const struct failures *entry, uint32_t free_count, uint64_t max_ms)
{
	if (!entry || entry->count < free_count)
		return 0;
	uint32_t doublings = entry->count - free_count;
	uint64_t delay_ms = doublings < 16 ? (uint64_t)FIRST_DELAY_MS << doublings : max_ms;
	return delay_ms < max_ms ? delay_ms : max_ms;
}

uint64_t throttle_delay_ms(struct throttle *throttle, struct slice address, struct slice login)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t delay_ms;

	if (address.len == 0)
		return 0;
	pthread_mutex_lock(&throttle->mutex);
	const struct failures *by_address =
		find(throttle, address_tag(throttle, address), now_ms, NULL);
	if (by_address && by_address->count >= ADDRESS_REFUSED) {
		delay_ms = UINT64_MAX;
	} else {
		delay_ms = delay_of(by_address, ADDRESS_FREE, ADDRESS_DELAY_MAX_MS);
		uint64_t login_ms =
			delay_of(find(throttle, tag_of(throttle, 'l', login), now_ms, NULL),
				 LOGIN_FREE, LOGIN_DELAY_MAX_MS);
		if (login_ms > delay_ms)
			delay_ms = login_ms;
	}
	pthread_mutex_unlock(&throttle->mutex);
	return delay_ms;
}

void throttle_failed(struct throttle *throttle, struct slice address, struct slice login)
{
	uint64_t now_ms = clock_monotonic_ms();

	if (address.len == 0)
		return;
	pthread_mutex_lock(&throttle->mutex);
	add_failure(throttle, address_tag(throttle, address), now_ms);
	add_failure(throttle, tag_of(throttle, 'l', login), now_ms);
	pthread_mutex_unlock(&throttle->mutex);
}

void throttle_succeeded(struct throttle *throttle, struct slice address, struct slice login)
{
	if (address.len == 0)
		return;
	/* Only the login is forgiven. Were the address, who owns one account here could guess at
	 * all the others by signing in to his own between the guesses. */
	pthread_mutex_lock(&throttle->mutex);
	struct failures *entry =
		find(throttle, tag_of(throttle, 'l', login), clock_monotonic_ms(), NULL);
	if (entry)
		entry->count = 0;
	pthread_mutex_unlock(&throttle->mutex);
}
