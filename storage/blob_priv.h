/* storage/blob_priv.h - blobs as the writer sees them. */
#pragma once

#include "storage/store_priv.h"

/* A number never given before. */
uint64_t blob_new_id(struct write *write);
enum err blob_put_chunk(struct write *write, uint64_t blob_id, uint32_t chunk,
			struct slice record) MUST_USE;
enum err blob_put_digest(struct write *write, uint64_t blob_id, struct slice record) MUST_USE;
/* The map is read page by page, since rows that are next to each other seldom lie so in the file;
 * bodies do: they are written in the order in which they are read. Asks for what follows `from`,
 * unless that was done just now: on a cold disk one such request replaces dozens. */
void blob_read_ahead(struct read *read, const uint8_t *from);
/* The record of one chunk, whose first piece is the row's; moves the row behind its last. A
 * chunk of one piece stays in the map, another in read->stored. */
struct slice chunk_collect(struct row *row, uint64_t blob_id, uint32_t chunk, bool *more);
/* The blob is complete; a message of this batch must refer to it, or it becomes garbage. */
void blob_add_fresh(struct write *write, uint64_t blob_id);

/* One more message refers to the blob. ERR_GONE: there is no such blob; nothing written. */
enum err blob_reference(struct write *write, uint64_t blob_id) MUST_USE;
/* ERR_OK when blob_reference() would go well. */
enum err blob_may_reference(struct write *write, uint64_t blob_id) MUST_USE;
/* One less; without any, the blob becomes garbage. */
enum err blob_release(struct write *write, uint64_t blob_id) MUST_USE;

/* Deletes up to *rows rows of the body, counting down. ERR_OK with *rows > 0: all are gone. */
enum err blob_erase(struct write *write, uint64_t blob_id, size_t *rows) MUST_USE;
