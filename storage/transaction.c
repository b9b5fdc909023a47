/* storage/transaction.c - read transactions out of a pool, and the write transaction. Readers do not
 * block the writer nor it them; but a reader keeps pages that the writer would use again, so none
 * stays open longer than one turn of a loop. Runs in the back, and in the admin's process. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/random.h"
#include "storage/garbage_priv.h"
#include "storage/journal_priv.h"
#include "storage/queue_priv.h"
#include "storage/redo_priv.h"
#include "storage/store_priv.h"
#include "storage/text_frame_priv.h"
#include "storage/writer_priv.h"

static const struct slice head_key = { (const uint8_t *)"!head", 5 };

/* ---- reading ---- */

bool store_enter(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	bool is_open = store->env != NULL;
	store->inside++;
	pthread_mutex_unlock(&store->lock);
	return is_open;
}

void store_leave(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	if (--store->inside == 0)
		pthread_cond_broadcast(&store->left);
	pthread_mutex_unlock(&store->lock);
}

struct read *read_begin(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	bool is_open = store->env != NULL;
	store->inside++;
	struct read *read = store->idle_reads;
	if (read)
		store->idle_reads = read->next;
	pthread_mutex_unlock(&store->lock);
	if (!read) {
		read = heap_alloc(sizeof(*read));
		read->store = store;
	}
	read->next = NULL;
	read->failure = is_open ? ERR_OK : ERR_DISK;
	read->lost_dictionary = 0;
	if (!is_open)
		return read;
	int code = read->txn ? mdb_txn_renew(read->txn)
			     : mdb_txn_begin(store->env, NULL, MDB_RDONLY, &read->txn);
	if (code != 0) {
		read->failure = environment_failure(store, code, "read");
		mdb_txn_abort(read->txn);
		read->txn = NULL;
	}
	return read;
}

enum err read_failure(const struct read *read)
{
	return read->failure;
}

void read_end(struct read **read_at)
{
	struct read *read = *read_at;
	if (!read)
		return;
	*read_at = NULL;
	struct store *store = read->store;
	if (read->cursor)
		mdb_cursor_close(read->cursor);
	read->cursor = NULL;
	if (read->txn)
		mdb_txn_reset(read->txn);
	pthread_mutex_lock(&store->lock);
	read->next = store->idle_reads;
	store->idle_reads = read;
	if (--store->inside == 0)
		pthread_cond_broadcast(&store->left);
	pthread_mutex_unlock(&store->lock);
}

void read_scratch_free(struct read *read)
{
	ZSTD_freeDCtx(read->decompressor);
	read->decompressor = NULL;
	text_window_free(&read->window);
	buffer_free(&read->stored);
	buffer_free(&read->plain);
	buffer_free(&read->text);
	buffer_free(&read->octets);
}

/* ---- writing ---- */

void write_touch(struct write *write)
{
	write->writes++;
}

/* In order, so that who is told of several changes can follow them. */
static void note_add(struct write *write, struct change_note note)
{
	struct change_note *added = arena_alloc(&write->arena, sizeof(*added));
	note.origin = write->origin;
	*added = note;
	if (write->notes)
		write->last_note->next = added;
	else
		write->notes = added;
	write->last_note = added;
}

void write_note(struct write *write, uint32_t account_id, uint64_t mailbox_id, unsigned kinds)
{
	for (struct change_note *note = write->notes; note; note = note->next)
		if (note->account_id == account_id && note->mailbox_id == mailbox_id &&
		    note->origin == write->origin) {
			note->news.kinds |= kinds;
			return;
		}
	note_add(write, (struct change_note){ .account_id = account_id,
					      .mailbox_id = mailbox_id,
					      .news = { kinds, mailbox_id } });
}

void write_note_news(struct write *write, uint32_t account_id, const struct watch_news *news)
{
	struct change_note note = { .account_id = account_id, .news = *news };
	note.news.name = arena_copy(&write->arena, news->name);
	note.news.old_name = arena_copy(&write->arena, news->old_name);
	note_add(write, note);
}

struct read *write_read(struct write *write)
{
	return &write->read;
}

static void write_fini(struct write *write)
{
	arena_fini(&write->arena);
	free(write->fresh_blobs);
	buffer_free(&write->events);
	if (write->told.len > 0)
		journal_give_back(write);
	read_scratch_free(&write->read);
	write->fresh_blobs = NULL;
	write->notes = NULL;
	write->queue_notes = NULL;
	write->read = (struct read){ 0 };
}

/* Clients only see that nobody answers: whether the disk keeps the writer or another process that
 * writes is to be told by us. Once a minute is enough, since it comes in swarms. */
static void tell_if_slow(struct store *store, const char *waited_for, uint64_t since_ms)
{
	enum { LOG_EVERY_MS = 60 * 1000 };
	uint64_t now_ms = clock_monotonic_ms(), logged_ms = store->slow_logged_ms;
	if (now_ms - since_ms < store->slow_ms)
		return;
	atomic_fetch_add(&store->slow, 1);
	if (logged_ms != 0 && now_ms - logged_ms < LOG_EVERY_MS)
		return;
	store->slow_logged_ms = now_ms;
	log_warning(NULL, EVENT("store-slow"), WORD("waited-for", waited_for),
		    NUM("ms", now_ms - since_ms));
}

enum err write_begin(struct store *store, struct write *write)
{
	int code = MDB_PANIC;
	uint64_t since_ms = clock_monotonic_ms();
	for (int attempt = 0; attempt < 2 && code != 0; attempt++) {
		*write = (struct write){ .store = store,
					 .now_unix = clock_unix(),
					 .garbage_due_unix = INT64_MAX };
		bool is_open = store_enter(store);
		unsigned generation = store->generation;
		code = is_open ? mdb_txn_begin(store->env, NULL, 0, &write->read.txn) : MDB_PANIC;
		if (code == 0)
			break;
		store_leave(store);
		if (code != MDB_PANIC)
			return environment_failure(store, code, "begin");
		enum err err = environment_reopen(store, generation);
		if (err != ERR_OK)
			return err;
	}
	if (code != 0)
		return environment_failure(store, code, "begin");
	tell_if_slow(store, "another-writer", since_ms);
	if (store->redo)
		redo_begin(store->redo, mdb_txn_id(write->read.txn));
	write->read.store = store;
	write->read.write = write;
	struct slice record;
	if (db_get(&write->read, DB_MAIN, head_key, &record) != ERR_OK ||
	    !head_decode(record, &write->head)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "head"));
		write_abort(write);
		return ERR_DISK;
	}
	return ERR_OK;
}

void write_abort(struct write *write)
{
	if (!write->read.txn)
		return;
	if (write->has_looked && write->writes > 0)
		keyword_looks_forget(write->store);
	mdb_txn_abort(write->read.txn);
	redo_end(false);
	write_fini(write);
	store_leave(write->store);
}

static enum err head_flush(struct write *write)
{
	int fd;
	struct stat status;
	if (mdb_env_get_fd(write->store->env, &fd) == 0 && fstat(fd, &status) == 0)
		write->head.file_octets = (uint64_t)status.st_size;
	write->head.stamp = random_u64();
	struct buffer record = { 0 };
	head_encode(&write->head, &record);
	enum err err = db_put(write, DB_MAIN, head_key, buffer_slice(&record), PUT_ANY);
	buffer_free(&record);
	return err;
}

/* A commit that failed while its last page was written may have come to be all the same: the
 * stamp tells. Then its jobs must not run a second time. */
static bool is_committed(struct store *store, uint64_t stamp)
{
	struct slice record;
	struct head head;
	struct read *read = read_begin(store);
	bool is = db_get(read, DB_MAIN, head_key, &record) == ERR_OK &&
		  head_decode(record, &head) && head.stamp == stamp;
	read_end(&read);
	return is;
}

static bool is_poisoned(struct store *store)
{
	MDB_txn *txn;
	bool is_open = store_enter(store);
	int code = is_open ? mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) : MDB_PANIC;
	if (code == 0)
		mdb_txn_abort(txn);
	store_leave(store);
	return code == MDB_PANIC;
}

enum err write_commit(struct write *write)
{
	struct store *store = write->store;
	enum err err = write->failure;
	if (err == ERR_OK)
		err = garbage_add_fresh(write);
	if (err == ERR_OK)
		err = mailbox_slots_flush(write);
	if (err == ERR_OK)
		err = account_slots_flush(write);
	if (err == ERR_OK)
		err = journal_flush(write);
	if (err == ERR_OK)
		err = head_flush(write);
	if (err != ERR_OK) {
		write_abort(write);
		return err;
	}
	uint64_t bodies, octets;
	db_extent(&write->read, DB_DIGEST, &bodies, &octets);
	unsigned generation = store->generation;
	uint64_t since_ms = clock_monotonic_ms();
	redo_commit();
	int code = mdb_txn_commit(write->read.txn);
	redo_end(code == 0);
	tell_if_slow(store, "disk", since_ms);
	write->read.txn = NULL;
	store_leave(store);
	if (code != 0) {
		err = environment_failure(store, code, "commit");
		if (is_poisoned(store) && environment_reopen(store, generation) == ERR_OK &&
		    is_committed(store, write->head.stamp) && redo_settle(store) == 0) {
			log_warning(NULL, EVENT("commit-found-again"));
			err = ERR_OK;
		}
	}
	if (err != ERR_OK && write->has_looked)
		keyword_looks_forget(store);
	if (err == ERR_OK) {
		store->wrote = true;
		journal_committed(write);
		watch_publish(store, write->notes);
		queue_publish(store, write->queue_notes);
		dictionary_grown(store, bodies);
		if (write->garbage_due_unix != INT64_MAX) {
			int64_t wait = write->garbage_due_unix - write->now_unix;
			writer_look_in(store, wait > 0 ? (uint64_t)wait * 1000 : 0);
		}
	}
	write_fini(write);
	return err;
}
