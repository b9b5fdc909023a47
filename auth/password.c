/* auth/password.c - Argon2id by libsodium, and the memory of passwords that were right.
 * Runs in the back and in the admin's process.
 *
 * Parameters: 19 MiB and two passes, one lane, the least that OWASP's password storage cheat
 * sheet calls enough. libsodium's own "interactive" (64 MiB) would let sixteen clients that
 * sign in together take a gigabyte. The parameters stand in each hash, so they may grow later
 * without touching what is stored.
 *
 * A password is compared octet by octet: no SASLprep (RFC 4616 section 2 leaves it open; USER
 * and LOGIN carry octets in no declared charset, so it could only be guessed at). */
#include "auth/password.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"

enum { ARGON_PASSES = 2, ARGON_MEMORY_OCTETS = 19 * 1024 * 1024 };

/* What a login that does not exist is checked against: the cost of a real hash, and an outcome
 * that nothing hashes to but by accident of 256 bits. */
static const char nobody_hash[] = "$argon2id$v=19$m=19456,t=2,p=1$"
				  "Qm9kZSBrbm93cyBub2JvZA$"
				  "bm8gcGFzc3dvcmQgbGVhZHMgaGVyZSwgbm90IG9uZSE";

void password_start(void)
{
	if (sodium_init() < 0) {
		log_error(NULL, EVENT("random-unavailable"));
		abort();
	}
}

static bool is_password(struct slice password)
{
	return password.len > 0 && password.len <= PASSWORD_MAX_OCTETS &&
	       slice_find_byte(password, 0, '\0') == password.len;
}

enum err password_hash(struct slice password, struct buffer *hash_out)
{
	char text[crypto_pwhash_STRBYTES];
	if (!is_password(password))
		return ERR_BAD_INPUT;
	if (crypto_pwhash_str_alg(text, (const char *)password.ptr, password.len, ARGON_PASSES,
				  ARGON_MEMORY_OCTETS, crypto_pwhash_ALG_ARGON2ID13) != 0) {
		log_error(NULL, EVENT("password-hash-failed"), ERRNO(errno));
		return ERR_UNAVAILABLE;
	}
	buffer_add_cstr(hash_out, text);
	return ERR_OK;
}

enum err password_verify(struct slice hash, struct slice password)
{
	char text[crypto_pwhash_STRBYTES] = { 0 };
	bool exists = hash.len > 0 && hash.len < sizeof(text);
	/* What cannot be a password is checked all the same: its answer takes as long. */
	bool possible = is_password(password);

	if (exists)
		memcpy(text, hash.ptr, hash.len);
	else
		memcpy(text, nobody_hash, sizeof(nobody_hash));
	if (!possible)
		password = SLICE("?");
	errno = 0;
	int status = crypto_pwhash_str_verify(text, (const char *)password.ptr, password.len);
	if (status != 0 && errno == ENOMEM) {
		log_error(NULL, EVENT("password-check-failed"), ERRNO(errno));
		return ERR_UNAVAILABLE;
	}
	return status == 0 && exists && possible ? ERR_OK : ERR_DENIED;
}

/* The cache is a table of small sets. The digest picks the set, and within a full set what
 * would expire first makes room. Nobody can aim at a set, since the digest is keyed. */
enum { SET_ENTRIES = 8, DIGEST_OCTETS = 32 };

struct verified {
	uint8_t digest[DIGEST_OCTETS];
	uint64_t expires_ms; /* monotonic; 0: free */
};

struct verified_cache {
	pthread_mutex_t mutex;
	uint8_t key[crypto_generichash_KEYBYTES];
	uint64_t keep_ms;
	size_t set_count; /* a power of two */
	struct verified *entries;
};

struct verified_cache *verified_cache_new(size_t entries_max, uint64_t keep_ms)
{
	struct verified_cache *cache = heap_alloc(sizeof(*cache));
	pthread_mutex_init(&cache->mutex, NULL);
	crypto_generichash_keygen(cache->key);
	cache->keep_ms = keep_ms;
	cache->set_count = 1;
	while (cache->set_count * 2 * SET_ENTRIES <= entries_max)
		cache->set_count *= 2;
	cache->entries = heap_alloc_array(cache->set_count * SET_ENTRIES, sizeof(*cache->entries));
	return cache;
}

void verified_cache_free(struct verified_cache **cache)
{
	if (!*cache)
		return;
	wipe((*cache)->key, sizeof((*cache)->key));
	pthread_mutex_destroy(&(*cache)->mutex);
	free((*cache)->entries);
	free(*cache);
	*cache = NULL;
}

/* Each part goes in with its length before it: no two triples make one text. */
static void digest_part(crypto_generichash_state *state, struct slice part)
{
	uint64_t len = part.len;
	crypto_generichash_update(state, (const uint8_t *)&len, sizeof(len));
	crypto_generichash_update(state, part.ptr, part.len);
}

static void digest_of(const struct verified_cache *cache, struct slice login, struct slice hash,
		      struct slice password, uint8_t digest_out[DIGEST_OCTETS])
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, cache->key, sizeof(cache->key), DIGEST_OCTETS);
	digest_part(&state, login);
	digest_part(&state, hash);
	digest_part(&state, password);
	crypto_generichash_final(&state, digest_out, DIGEST_OCTETS);
	wipe(&state, sizeof(state));
}

static struct verified *set_of(const struct verified_cache *cache,
			       const uint8_t digest[DIGEST_OCTETS])
{
	uint64_t number;
	memcpy(&number, digest, sizeof(number));
	return cache->entries + (number & (cache->set_count - 1)) * SET_ENTRIES;
}

bool verified_cache_contains(struct verified_cache *cache, struct slice login, struct slice hash,
			     struct slice password)
{
	uint8_t digest[DIGEST_OCTETS];
	uint64_t now_ms = clock_monotonic_ms();
	bool found = false;

	if (hash.len == 0)
		return false;
	digest_of(cache, login, hash, password, digest);
	pthread_mutex_lock(&cache->mutex);
	const struct verified *set = set_of(cache, digest);
	for (size_t i = 0; i < SET_ENTRIES; i++)
		if (sodium_memcmp(set[i].digest, digest, DIGEST_OCTETS) == 0 &&
		    set[i].expires_ms > now_ms)
			found = true;
	pthread_mutex_unlock(&cache->mutex);
	wipe(digest, sizeof(digest));
	return found;
}

void verified_cache_add(struct verified_cache *cache, struct slice login, struct slice hash,
			struct slice password)
{
	uint8_t digest[DIGEST_OCTETS];

	if (hash.len == 0)
		return;
	digest_of(cache, login, hash, password, digest);
	pthread_mutex_lock(&cache->mutex);
	struct verified *set = set_of(cache, digest);
	struct verified *place = &set[0];
	for (size_t i = 0; i < SET_ENTRIES; i++) {
		if (memcmp(set[i].digest, digest, DIGEST_OCTETS) == 0) {
			place = &set[i];
			break;
		}
		if (set[i].expires_ms < place->expires_ms)
			place = &set[i];
	}
	memcpy(place->digest, digest, DIGEST_OCTETS);
	place->expires_ms = clock_monotonic_ms() + cache->keep_ms;
	pthread_mutex_unlock(&cache->mutex);
	wipe(digest, sizeof(digest));
}
