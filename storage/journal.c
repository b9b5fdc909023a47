/* storage/journal.c - noting events. Those of a batch are gathered in its struct write and put
 * behind one another at its end, a thousand octets to a row, so that pages fill and a commit
 * dirties one leaf more. What was told from outside of a job goes along with the next batch.
 * Runs in the back, and in the admin's process. */
#include "storage/journal_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "storage/writer_priv.h"

enum {
	ROW_FULL_OCTETS = 1000,
	TOLD_MAX_OCTETS = 256 * 1024, /* that wait for a batch */
	TELL_DELAY_MS = 1000,
	LENGTH_OCTETS = 2, /* before each event */
};

struct journal {
	atomic_uint days;
	_Atomic uint64_t size_octets;
	pthread_mutex_t lock;
	struct buffer told; /* as write->events */
};

struct journal *journal_new(void)
{
	struct journal *journal = heap_alloc(sizeof(*journal));
	pthread_mutex_init(&journal->lock, NULL);
	return journal;
}

void journal_free(struct journal **journal)
{
	if (!*journal)
		return;
	buffer_free(&(*journal)->told);
	pthread_mutex_destroy(&(*journal)->lock);
	free(*journal);
	*journal = NULL;
}

void store_set_journal(struct store *store, unsigned days, uint64_t size_octets)
{
	atomic_store(&store->journal->days, days);
	atomic_store(&store->journal->size_octets, size_octets);
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
	pthread_mutex_lock(&journal->lock);
	bool is_first = journal->told.len == 0;
	if (journal->told.len < TOLD_MAX_OCTETS)
		add_event(&journal->told, &timed);
	pthread_mutex_unlock(&journal->lock);
	if (is_first)
		writer_look_in(store, TELL_DELAY_MS);
}

/* ---- with the commit ---- */

static uint64_t next_number(struct write *write)
{
	struct row row;
	struct key key;
	uint64_t number = 1;
	row_open(&row, write_read(write), DB_JOURNAL);
	key_be64(&key, UINT64_MAX);
	if (row_seek_before(&row, key_slice(&key)) && row.key.len == 8)
		number = get_be64(row.key.ptr) + 1;
	row_close(&row);
	return number;
}

static enum err rows_put(struct write *write, struct slice events)
{
	struct buffer value = { 0 };
	uint64_t number = next_number(write);
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
		events = slice_sub(events, len, events.len);
	}
	buffer_free(&value);
	return err;
}

enum err journal_flush(struct write *write)
{
	struct store *store = write->store;
	struct journal *journal = store->journal;
	/* Where room is short, it is for mail. */
	if (store->writer && is_on(store) && !store->space_low) {
		pthread_mutex_lock(&journal->lock);
		write->told = journal->told;
		journal->told = (struct buffer){ 0 };
		pthread_mutex_unlock(&journal->lock);
		buffer_add(&write->events, buffer_slice(&write->told));
	}
	return write->events.len > 0 ? rows_put(write, buffer_slice(&write->events)) : ERR_OK;
}

void journal_give_back(struct write *write)
{
	struct journal *journal = write->store->journal;
	pthread_mutex_lock(&journal->lock);
	buffer_add(&write->told, buffer_slice(&journal->told));
	buffer_free(&journal->told);
	journal->told = write->told;
	pthread_mutex_unlock(&journal->lock);
	write->told = (struct buffer){ 0 };
}

static enum err serve_run(struct write *write, struct job *job)
{
	write_touch(write);
	return ERR_OK;
}

void journal_serve(struct store *store)
{
	struct journal *journal = store->journal;
	struct job job = { .run = serve_run };
	pthread_mutex_lock(&journal->lock);
	bool is_any = journal->told.len > 0;
	pthread_mutex_unlock(&journal->lock);
	/* A failure was logged, and the events wait for the next batch. */
	if (is_any && store_write_now(store, &job) != ERR_OK)
		log_debug(NULL, EVENT("journal-waits"));
}
