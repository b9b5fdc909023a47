/* auth/password.h - hashing and checking passwords: Argon2id by libsodium.
 * Costs tens of milliseconds and MiB by design: on the worker pool, never on a loop. */
#pragma once

#include "base/buffer.h"
#include "base/err.h"
#include "runtime/sign_in_limits.h"

/* Once per process, before any other call of auth/. */
void password_start(void);
/* libsodium's text form. ERR_BAD_INPUT: empty, too long, or holds NUL (RFC 4616).
 * ERR_UNAVAILABLE: no memory for it just now. */
enum err password_hash(struct slice password, struct buffer *hash_out) MUST_USE;
/* ERR_OK or ERR_DENIED. An empty hash (no such account) takes as long as a real one and is
 * denied. ERR_UNAVAILABLE: could not be checked just now; says nothing about the password. */
enum err password_verify(struct slice hash, struct slice password) MUST_USE;

/* Verified successes of the last minutes under a keyed hash, so that a client that reconnects
 * each minute costs nothing. Ask it before the throttle: who is in it knows the password.
 * Bounded. Any thread. The key never leaves the process. The stored hash is part of what is
 * remembered: a changed password is forgotten by that. */
struct verified_cache;
struct verified_cache *verified_cache_new(size_t entries_max, uint64_t keep_ms);
bool verified_cache_contains(struct verified_cache *cache, struct slice login, struct slice hash,
			     struct slice password);
void verified_cache_add(struct verified_cache *cache, struct slice login, struct slice hash,
			struct slice password);
void verified_cache_free(struct verified_cache **cache);
