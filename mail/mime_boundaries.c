/* mail/mime_boundaries.c - which multipart a delimiter line belongs to.
 *
 * RFC 2046 section 5.1.1. A line is a delimiter only if it is nothing but "--", the boundary,
 * perhaps "--", and blanks, as the grammar has it: so a boundary that begins another is never
 * taken for it. A table keyed by a hash finds the boundary in the time it takes to read the
 * line, where comparing with each open one would let a nest of 100 multiply the work. Runs in
 * both. */
#include <assert.h>

#include "base/random.h"
#include "mail/mime_priv.h"

static const uint64_t modulus = ((uint64_t)1 << 61) - 1; /* prime */

/* a * key + octet modulo 2^61 - 1: a polynomial in the secret key, so that two texts of n
 * octets meet with a chance of n in 2^61. */
static uint64_t hash_octet(uint64_t hash, uint64_t key, uint8_t octet)
{
	unsigned __int128 product = (unsigned __int128)hash * key + octet + 1;
	uint64_t folded = (uint64_t)(product & modulus) + (uint64_t)(product >> 61);
	return folded >= modulus ? folded - modulus : folded;
}

static uint64_t hash_of(uint64_t hash, uint64_t key, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = hash_octet(hash, key, text.ptr[i]);
	return hash;
}

static size_t bucket_of(uint64_t hash)
{
	return (size_t)(hash % MIME_BOUNDARY_BUCKETS);
}

void mime_boundaries_push(struct mime_boundaries *set, struct slice boundary, uint8_t owner)
{
	assert(set->count < MIME_MAX_DEPTH && boundary.len > 0);
	if (set->key == 0) /* most messages have no boundary, and need none */
		set->key = random_u64() % (modulus - 256) + 256;
	struct mime_boundary *new = &set->stack[set->count];
	new->text = boundary;
	new->hash = hash_of(0, set->key, boundary);
	new->owner = owner;
	new->longest = mime_boundaries_longest(set);
	if (new->longest < boundary.len)
		new->longest = boundary.len;
	uint8_t *head = &set->heads[bucket_of(new->hash)];
	new->next = *head;
	*head = ++set->count;
}

void mime_boundaries_pop(struct mime_boundaries *set)
{
	assert(set->count > 0);
	const struct mime_boundary *last = &set->stack[set->count - 1];
	uint8_t *head = &set->heads[bucket_of(last->hash)];
	assert(*head == set->count);
	*head = last->next;
	set->count--;
}

size_t mime_boundaries_longest(const struct mime_boundaries *set)
{
	return set->count ? set->stack[set->count - 1].longest : 0;
}

/* 1 + index of the innermost boundary that is `text`; 0 where there is none. */
static uint8_t find(const struct mime_boundaries *set, struct slice text, uint64_t hash)
{
	uint8_t at = set->heads[bucket_of(hash)];
	while (at && !(set->stack[at - 1].hash == hash && slice_eq(set->stack[at - 1].text, text)))
		at = set->stack[at - 1].next;
	return at;
}

bool mime_boundaries_find(const struct mime_boundaries *set, struct slice line, uint8_t *owner_out,
			  bool *is_close_out)
{
	size_t stem_len = line.len < 2 ? 0 : line.len - 2;
	struct slice stem = slice_sub(line, 0, stem_len);
	struct slice tail = slice_sub(line, stem_len, 2);
	uint64_t stem_hash = hash_of(0, set->key, stem);
	uint8_t close = slice_eq(tail, SLICE("--")) ? find(set, stem, stem_hash) : 0;
	uint8_t open = find(set, line, hash_of(stem_hash, set->key, tail));
	if (!open && !close)
		return false;
	*is_close_out = close > open;
	*owner_out = set->stack[(close > open ? close : open) - 1].owner;
	return true;
}
