/* runtime/exempt.c - the networks that no limit touches. Runs in both. */
#include "runtime/exempt.h"

#include <stdlib.h>

#include "base/heap.h"

struct exempt {
	size_t count;
	struct network networks[];
};

struct exempt *exempt_new(const struct config *config)
{
	struct exempt *exempt =
		heap_alloc(sizeof(*exempt) + config->exempt_count * sizeof(struct network));
	for (size_t i = 0; i < config->exempt_count; i++)
		if (network_parse(slice_cstr(config->exempt[i]), &exempt->networks[exempt->count]))
			exempt->count++;
	return exempt;
}

bool exempt_contains(const struct exempt *exempt, const struct peer *peer)
{
	for (size_t i = 0; i < exempt->count; i++)
		if (network_contains(&exempt->networks[i], peer))
			return true;
	return false;
}

void exempt_free(struct exempt **exempt)
{
	free(*exempt);
	*exempt = NULL;
}
