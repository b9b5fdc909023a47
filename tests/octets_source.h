/* tests/octets_source.h - a message in memory, as FETCH and SEARCH read those of the store. */
#pragma once

#include "imapd/content_priv.h"

struct octets_source {
	struct content_source source;
	struct slice message, record; /* and its digest */
	struct slice in_place;	      /* as a glance shows it: the same, but for a test of that */
	unsigned reads, digests;      /* how often each was asked for */
};

static inline enum err octets_read(struct content_source *source, uint64_t offset, uint64_t len,
				   struct buffer *out)
{
	struct octets_source *octets = CONTAINER_OF(source, struct octets_source, source);
	octets->reads++;
	buffer_add(out, slice_sub(octets->message, (size_t)offset, (size_t)len));
	return ERR_OK;
}

static inline enum err octets_digest(struct content_source *source, struct arena *arena,
				     struct slice *record_out)
{
	struct octets_source *octets = CONTAINER_OF(source, struct octets_source, source);
	octets->digests++;
	*record_out = octets->record;
	return ERR_OK;
}

static inline bool octets_glance(struct content_source *source, struct slice *record_out)
{
	*record_out = CONTAINER_OF(source, struct octets_source, source)->in_place;
	return true;
}

static inline struct octets_source octets_source_of(struct slice message, struct slice record)
{
	return (struct octets_source){ .source = { octets_read, octets_digest, octets_glance },
				       .message = message,
				       .record = record,
				       .in_place = record };
}
