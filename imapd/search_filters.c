/* imapd/search_filters.c - named searches. In the back.
 *
 * RFC 5466: they are private annotations of the account, which clients keep by SETMETADATA; no
 * user may set shared ones here, so there are none. */
#include "imapd/search_filters_priv.h"

#include "storage/annotation.h"

static bool get(struct search_filters *filters, struct slice name, struct arena *arena,
		struct slice *keys_out)
{
	struct account_filters *own = CONTAINER_OF(filters, struct account_filters, filters);
	struct read *read = read_begin(own->s->back->store);
	struct slice value;
	char *entry = arena_format(arena, "/private/filters/values/%.*s", SLICE_ARG(name));
	bool found =
		annotation_get(read, own->s->account_id, 0, slice_cstr(entry), &value) == ERR_OK;
	if (found)
		*keys_out = arena_copy(arena, value);
	read_end(&read);
	return found;
}

struct account_filters account_filters_of(struct imap_session *s)
{
	return (struct account_filters){ .filters = { .get = get }, .s = s };
}
