/* storage/journal.c - noting events. Those of a batch are gathered in its struct write and put
 * behind one another at its end, a thousand octets to a row, so that pages fill and a commit
 * dirties one leaf more. What was told from outside of a job goes along with the next batch.
 * Runs in the back, and in the admin's process. */
#include "storage/journal_index_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "storage/journal_gather_priv.h"
#include "storage/writer_priv.h"

enum {
	ROW_FULL_OCTETS = 1000,
	LOOK_SOON_MS = 100,
	TELL_DELAY_MS = 1000,
};

struct journal {
	atomic_uint days;
	_Atomic uint64_t size_octets;
	struct gather *gather;
	atomic_uint fresh_rows; /* since somebody looked whether they make a segment */
};

struct journal *journal_new(void)
{
	struct journal *journal = heap_alloc(sizeof(*journal));
	journal->gather = gather_new();
	return journal;
}

void journal_free(struct journal **journal)
{
	if (!*journal)
		return;
	gather_free(&(*journal)->gather);
	free(*journal);
	*journal = NULL;
}

void store_set_journal(struct store *store, unsigned days, uint64_t size_octets)
{
	atomic_store(&store->journal->days, days);
	atomic_store(&store->journal->size_octets, size_octets);
}

void journal_bounds(struct store *store, unsigned *days_out, uint64_t *size_octets_out)
{
	*days_out = atomic_load(&store->journal->days);
	*size_octets_out = atomic_load(&store->journal->size_octets);
}

static bool is_on(const struct store *store)
{
	return atomic_load(&store->journal->days) > 0;
}

static void add_event(struct buffer *events, const struct journal_event *event)
{
	size_t at = events->len;
	buffer_add_be16(events, 0);
	journal_event_encode(event, events);
	put_be16(events->data + at, (uint16_t)(events->len - at - LENGTH_OCTETS));
}

void journal_note(struct write *write, const struct journal_event *event)
{
	if (!is_on(write->store))
		return;
	write_touch(write);
	add_event(&write->events, event);
}

void journal_tell(struct store *store, const struct journal_event *event)
{
	struct journal *journal = store->journal;
	struct journal_event timed = *event;
	if (!is_on(store))
		return;
	if (timed.time_unix_ms == 0)
		timed.time_unix_ms = clock_unix_ms();
	if (gather_add(journal->gather, &timed, atomic_load(&journal->days),
		       atomic_load(&journal->size_octets)))
		writer_look_in(store, TELL_DELAY_MS);
}

/* What a front may know is what strangers do: no event of it says that a message was filed. */
bool journal_tell_strangers(struct store *store, struct slice octets)
{
	struct journal_event event;
	if (!journal_event_decode(octets, &event) || !journal_kind_is_strangers(event.kind))
		return false;
	event.time_unix_ms = event.next_unix_ms = 0;
	event.more = event.blob_id = event.mailbox_id = event.queue_id = event.notice = 0;
	event.account_id = event.uid = 0;
	journal_tell(store, &event);
	return true;
}

/* ---- with the commit ---- */

static enum err rows_put(struct write *write, struct slice events)
{
	struct buffer value = { 0 };
	uint64_t number = journal_newest(write_read(write)) + 1;
	uint64_t now_ms = (uint64_t)clock_unix_ms();
	enum err err = ERR_OK;
	while (err == ERR_OK && events.len > 0) {
		struct key key;
		size_t len = 0;
		while (len < events.len && len < ROW_FULL_OCTETS)
			len += LENGTH_OCTETS + get_be16(events.ptr + len);
		buffer_clear(&value);
		buffer_add_byte(&value, RECORD_VERSION);
		buffer_add_be64(&value, now_ms);
		buffer_add(&value, slice_sub(events, 0, len));
		key_be64(&key, number++);
		err = db_put(write, DB_JOURNAL, key_slice(&key), buffer_slice(&value), PUT_APPEND);
		write->journal_rows++;
		events = slice_sub(events, len, events.len);
	}
	buffer_free(&value);
	return err;
}

enum err journal_flush(struct write *write)
{
	struct store *store = write->store;
	/* Where room is short, it is for mail. */
	if (is_on(store) && !store->space_low) {
		write->told = gather_take(store->journal->gather);
		buffer_add(&write->events, buffer_slice(&write->told));
	}
	return write->events.len > 0 ? rows_put(write, buffer_slice(&write->events)) : ERR_OK;
}

void journal_committed(struct write *write)
{
	struct journal *journal = write->store->journal;
	buffer_free(&write->told);
	if (write->journal_rows == 0)
		return;
	unsigned rows = atomic_fetch_add(&journal->fresh_rows, write->journal_rows);
	if (rows + write->journal_rows >= SEGMENT_ROWS) {
		atomic_store(&journal->fresh_rows, 0);
		writer_look_in(write->store, LOOK_SOON_MS);
	}
}

void journal_give_back(struct write *write)
{
	gather_give_back(write->store->journal->gather, &write->told);
}

static enum err serve_run(struct write *write, struct job *job)
{
	write_touch(write);
	return ERR_OK;
}

void journal_serve(struct store *store)
{
	struct job job = { .run = serve_run };
	/* A failure was logged, and the events wait for the next batch. */
	if (is_on(store) && !store->space_low && gather_has_any(store->journal->gather) &&
	    store_write_now(store, &job) != ERR_OK)
		log_debug(NULL, EVENT("journal-waits"));
}

void journal_finish(struct store *store)
{
	if (!store->env)
		return;
	gather_finish(store->journal->gather);
	journal_serve(store);
}
