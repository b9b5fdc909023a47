/* smtpd/relay/given.c - which domains the front may tell something of: those that it was given mail for.
 * Runs in the back.
 *
 * What it tells comes when the mail may be gone already, so they are remembered for a while, the latest
 * of them. */
#include "smtpd/relay/given_priv.h"

#include <stdlib.h>

#include "base/heap.h"

enum { BUCKETS = 4096 };

struct domain {
	struct domain *next; /* in its bucket */
	struct domain *newer, *older;
	struct slice name;
};

struct given {
	struct domain *buckets[BUCKETS];
	struct domain *newest, *oldest;
	size_t count, max;
};

static struct domain **place_of(struct given *given, struct slice name)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ name.ptr[i]) * 0x100000001b3;
	struct domain **at = &given->buckets[(hash ^ hash >> 32) % BUCKETS];
	while (*at && !slice_eq((*at)->name, name))
		at = &(*at)->next;
	return at;
}

static void unlink_age(struct given *given, struct domain *domain)
{
	if (domain->newer)
		domain->newer->older = domain->older;
	else
		given->newest = domain->older;
	if (domain->older)
		domain->older->newer = domain->newer;
	else
		given->oldest = domain->newer;
}

static void make_newest(struct given *given, struct domain *domain)
{
	domain->newer = NULL;
	domain->older = given->newest;
	if (domain->older)
		domain->older->newer = domain;
	else
		given->oldest = domain;
	given->newest = domain;
}

static void forget_oldest(struct given *given)
{
	struct domain *domain = given->oldest;
	*place_of(given, domain->name) = domain->next;
	unlink_age(given, domain);
	given->count--;
	free((void *)(uintptr_t)domain->name.ptr);
	free(domain);
}

struct given *given_new(size_t max)
{
	struct given *given = heap_alloc(sizeof(*given));
	given->max = max;
	return given;
}

void given_add(struct given *given, struct slice name)
{
	struct domain **at = place_of(given, name);
	struct domain *domain = *at;
	if (domain) {
		unlink_age(given, domain);
	} else {
		domain = *at = heap_alloc(sizeof(*domain));
		domain->name = slice_of(heap_copy(name.ptr, name.len), name.len);
		given->count++;
	}
	make_newest(given, domain);
	if (given->count > given->max)
		forget_oldest(given);
}

bool given_has(struct given *given, struct slice name)
{
	return *place_of(given, name) != NULL;
}

void given_free(struct given **at)
{
	struct given *given = *at;
	*at = NULL;
	if (!given)
		return;
	while (given->oldest)
		forget_oldest(given);
	free(given);
}
