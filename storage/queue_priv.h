/* storage/queue_priv.h - the rows of the queue, for this room alone. */
#pragma once

#include "storage/queue.h"
#include "storage/store_priv.h"

/* The first octet of a key. */
enum queue_row_kind {
	QUEUE_ROW_NEXT = 1,  /* be64: the number of the next entry */
	QUEUE_ROW_ENTRY = 2, /* queue id be64 */
	QUEUE_ROW_DUE = 3,   /* destination, NUL, rank, due be64, queue id be64 */
	QUEUE_ROW_SECRET = 4,
};

void key_queue_entry(struct key *key, uint64_t queue_id);
/* False: the destination is too long. */
bool key_queue_due(struct key *key, const struct queue_entry *entry);
/* Of a QUEUE_ROW_DUE key; the destination points into it. */
bool key_take_queue_due(struct slice key, struct slice *destination_out,
			struct queue_place *place_out);

void queue_entry_encode(const struct queue_entry *entry, struct buffer *out);
/* Slices point into the record, arrays are in `arena`. */
bool queue_entry_decode(struct slice record, uint64_t queue_id, struct arena *arena,
			struct queue_entry *entry_out);

bool queue_secret_decode(struct slice record, uint8_t secret_out[QUEUE_SECRET_OCTETS]);

/* queue_watch.c: a batch has touched a destination; after its commit, the watch hears of it. */
void queue_note(struct write *write, struct slice destination);
void queue_publish(struct store *store, const struct queue_note *notes);
