/* auth/token.c - who has signed in, by token. Runs in the back.
 *
 * Entries lie in a list by age, for the bound, and in a hash table, for the look-up. The table
 * is keyed: how long a look-up takes says nothing about any token. */
#include "auth/token.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/heap.h"

struct entry {
	struct token token;
	struct token_owner owner;
	struct entry *newer, *older;
	struct entry *next; /* in its bucket */
};

struct token_table {
	pthread_mutex_t mutex;
	uint8_t key[crypto_shorthash_KEYBYTES];
	size_t count, count_max;
	struct entry *newest, *oldest;
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
};

struct token_table *token_table_new(size_t entries_max)
{
	struct token_table *table = heap_alloc(sizeof(*table));
	pthread_mutex_init(&table->mutex, NULL);
	crypto_shorthash_keygen(table->key);
	table->count_max = entries_max ? entries_max : 1;
	table->bucket_count = 16;
	while (table->bucket_count < table->count_max)
		table->bucket_count *= 2;
	table->buckets = heap_alloc_array(table->bucket_count, sizeof(struct entry *));
	return table;
}

/* The link that leads to the token's entry, or to NULL where it is not there. */
static struct entry **find(const struct token_table *table, const struct token *token)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t number;
	crypto_shorthash(hash, token->octets, TOKEN_OCTETS, table->key);
	memcpy(&number, hash, sizeof(number));
	struct entry **link = &table->buckets[number & (table->bucket_count - 1)];
	while (*link && sodium_memcmp((*link)->token.octets, token->octets, TOKEN_OCTETS) != 0)
		link = &(*link)->next;
	return link;
}

static void remove_at(struct token_table *table, struct entry **link)
{
	struct entry *entry = *link;
	*link = entry->next;
	*(entry->newer ? &entry->newer->older : &table->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &table->oldest) = entry->newer;
	table->count--;
	wipe(entry, sizeof(*entry));
	free(entry);
}

void token_table_free(struct token_table **table)
{
	if (!*table)
		return;
	while ((*table)->oldest)
		remove_at(*table, find(*table, &(*table)->oldest->token));
	pthread_mutex_destroy(&(*table)->mutex);
	free((*table)->buckets);
	free(*table);
	*table = NULL;
}

void token_issue(struct token_table *table, const struct token_owner *owner,
		 struct token *token_out)
{
	struct entry *entry = heap_alloc(sizeof(*entry));
	entry->owner = *owner;
	pthread_mutex_lock(&table->mutex);
	struct entry **link;
	do { /* once; again only for a number that means "nobody" or is taken */
		randombytes_buf(entry->token.octets, TOKEN_OCTETS);
		link = find(table, &entry->token);
	} while (*link || sodium_is_zero(entry->token.octets, TOKEN_OCTETS));
	*link = entry;
	entry->older = table->newest;
	*(table->newest ? &table->newest->newer : &table->oldest) = entry;
	table->newest = entry;
	*token_out = entry->token;
	if (++table->count > table->count_max)
		remove_at(table, find(table, &table->oldest->token));
	pthread_mutex_unlock(&table->mutex);
}

bool token_find(struct token_table *table, const struct token *token, struct token_owner *owner_out)
{
	pthread_mutex_lock(&table->mutex);
	const struct entry *entry = *find(table, token);
	if (entry)
		*owner_out = entry->owner;
	pthread_mutex_unlock(&table->mutex);
	return entry != NULL;
}

void token_forget(struct token_table *table, const struct token *token)
{
	pthread_mutex_lock(&table->mutex);
	struct entry **link = find(table, token);
	if (*link)
		remove_at(table, link);
	pthread_mutex_unlock(&table->mutex);
}
