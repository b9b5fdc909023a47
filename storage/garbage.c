/* storage/garbage.c - what nothing refers to any more goes later, in the background, in small
 * transactions: bodies of expunged messages, the rows of deleted mailboxes, what a crash left
 * of messages that never arrived whole.
 *
 * A session looks a body up anew in each short read, so it may lose one between two reads; the
 * delay lets a FETCH under way finish. When the disk is full there is none: then room comes
 * first, and who still reads finds ERR_GONE. Runs in the back. */
#include "storage/garbage_priv.h"

#include "base/clock.h"
#include "storage/blob_priv.h"
#include "storage/expunged_priv.h"
#include "storage/submission_priv.h"

enum {
	LOOKED_AT_MAX = 10000, /* rows of the list, in one step */
	ERASED_MAX = 2000,     /* rows of bodies and mailboxes, in one transaction */
	ROUND_LEAST_MS = 1000,
	ADMIN_PENDING_SECONDS = 24 * 3600, /* another process may still be writing it until then */
};

enum err garbage_add(struct write *write, enum garbage_kind kind, uint64_t id,
		     int64_t not_before_unix)
{
	struct key key;
	uint8_t value[GARBAGE_OCTETS];
	key_garbage(&key, kind, id);
	garbage_encode(&(struct garbage_row){ .not_before_unix = not_before_unix }, value);
	if (not_before_unix < write->garbage_due_unix)
		write->garbage_due_unix = not_before_unix;
	return db_put(write, DB_GARBAGE, key_slice(&key), slice_of(value, sizeof(value)), PUT_ANY);
}

enum err garbage_add_fresh(struct write *write)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < write->fresh_count && err == ERR_OK; i++)
		err = garbage_add(write, GARBAGE_BLOB, write->fresh_blobs[i], write->now_unix);
	write->fresh_count = 0;
	return err;
}

/* ---- removal ---- */

/* A step as a job: what to remove, found by reading, and how far it came. */
struct step {
	struct job job;
	struct garbage_walk from, to;
	bool urgent;
};

static bool row_is_due(struct slice value, bool urgent, int64_t now_unix, int64_t *due_unix)
{
	struct garbage_row row;
	if (!garbage_decode(value, &row))
		return true;
	*due_unix = row.not_before_unix;
	return urgent || row.not_before_unix <= now_unix;
}

/* The messages of a deleted mailbox let go of their bodies; then its other rows go. */
static enum err mailbox_erase(struct write *write, uint64_t mailbox_id, size_t *rows)
{
	enum err err = ERR_OK;
	struct key key;
	struct row row;
	struct slice uid;
	struct message_entry entry;
	row_open(&row, write_read(write), DB_MAILBOX);
	key_be64(&key, mailbox_id);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && *rows > 0 && more && row.key.len >= 8 &&
	       get_be64(row.key.ptr) == mailbox_id) {
		bool is_entry = key_is_row(row.key, mailbox_id, ROW_ENTRY, &uid) &&
				entry_decode(row.value, get_be32(uid.ptr), &entry);
		err = row_delete(&row);
		if (err == ERR_OK && is_entry)
			err = blob_release(write, entry.blob_id);
		more = row_next(&row);
		(*rows)--;
	}
	row_close(&row);
	return err;
}

static enum err account_erase(struct write *write, uint32_t account_id, size_t *rows)
{
	enum err err = expunged_erase(write, account_id, rows);
	return err == ERR_OK && *rows > 0 ? submission_erase(write, account_id, rows) : err;
}

static enum err step_run(struct write *write, struct job *job)
{
	struct step *step = CONTAINER_OF(job, struct step, job);
	enum err err = ERR_OK;
	size_t rows = ERASED_MAX;
	struct key key, end;
	struct row row;
	int64_t due;
	key_garbage(&key, step->from.kind, step->from.id);
	key_garbage(&end, step->to.kind, step->to.id);
	while (err == ERR_OK && rows > 0) {
		/* Opened anew each time: removing a mailbox adds to this list. */
		row_open(&row, write_read(write), DB_GARBAGE);
		bool found = row_seek(&row, key_slice(&key)) && row.key.len == 9 &&
			     slice_compare(row.key, key_slice(&end)) <= 0;
		while (found && !row_is_due(row.value, step->urgent, write->now_unix, &due))
			found = row_next(&row) && row.key.len == 9 &&
				slice_compare(row.key, key_slice(&end)) <= 0;
		uint8_t kind = found ? row.key.ptr[0] : 0;
		uint64_t id = found ? get_be64(row.key.ptr + 1) : 0;
		row_close(&row);
		if (!found)
			break;
		err = kind == GARBAGE_MAILBOX ? mailbox_erase(write, id, &rows)
		      : kind == GARBAGE_BLOB  ? blob_erase(write, id, &rows)
					      : account_erase(write, (uint32_t)id, &rows);
		key_garbage(&key, kind, id);
		if (err == ERR_OK && rows > 0) {
			err = db_del(write, DB_GARBAGE, key_slice(&key));
			rows--;
		}
	}
	return err;
}

enum err garbage_step(struct store *store, struct garbage_walk *walk, uint64_t *wait_ms_out)
{
	struct step step = { .job.run = step_run, .from = *walk, .urgent = store->space_low };
	struct key key;
	struct row row;
	size_t due_count = 0, looked_at = 0;
	int64_t now_unix = clock_unix();
	if (walk->kind == 0)
		walk->next_unix = INT64_MAX;
	struct read *read = read_begin(store);
	row_open(&row, read, DB_GARBAGE);
	key_garbage(&key, walk->kind, walk->id);
	bool more = row_seek(&row, key_slice(&key));
	for (; more && looked_at < LOOKED_AT_MAX && due_count < ERASED_MAX; looked_at++) {
		int64_t due_unix = 0;
		if (row.key.len == 9) {
			step.to.kind = row.key.ptr[0];
			step.to.id = get_be64(row.key.ptr + 1);
			if (row_is_due(row.value, step.urgent, now_unix, &due_unix))
				due_count++;
			else if (due_unix < walk->next_unix)
				walk->next_unix = due_unix;
		}
		more = row_next(&row);
	}
	row_close(&row);
	read_end(&read);

	*wait_ms_out = 0;
	if (due_count > 0)
		/* Then from the same place again: there may be more of it. */
		return store_write_now(store, &step.job);
	if (more) {
		walk->kind = step.to.kind;
		walk->id = step.to.id + 1;
		return ERR_OK;
	}
	/* Round. What was added behind the walk's back has been announced by its commit. */
	if (walk->next_unix == INT64_MAX)
		*wait_ms_out = UINT64_MAX;
	else
		*wait_ms_out = ROUND_LEAST_MS + (uint64_t)(walk->next_unix - now_unix) * 1000;
	*walk = (struct garbage_walk){ 0 };
	return ERR_OK;
}

/* ---- what never arrived whole ---- */

enum err pending_abandon(struct write *write, uint64_t blob_id)
{
	struct key key;
	key_be64(&key, blob_id);
	enum err err = db_del(write, DB_PENDING, key_slice(&key));
	if (err == ERR_NOT_FOUND)
		return ERR_OK; /* it arrived, or never began */
	return err == ERR_OK ? garbage_add(write, GARBAGE_BLOB, blob_id, write->now_unix) : err;
}

static enum err sweep_run(struct write *write, struct job *job)
{
	enum err err = ERR_OK;
	struct row row;
	struct key key = { .len = 0 };
	row_open(&row, write_read(write), DB_PENDING);
	key_be64(&key, 0);
	bool more = row_seek(&row, key_slice(&key));
	size_t swept = 0;
	while (more && err == ERR_OK) {
		struct pending_row pending;
		bool stays = pending_decode(row.value, &pending) &&
			     pending.owner == PENDING_ADMIN &&
			     pending.started_unix + ADMIN_PENDING_SECONDS > write->now_unix;
		if (!stays && row.key.len == 8) {
			uint64_t blob_id = get_be64(row.key.ptr);
			err = row_delete(&row);
			if (err == ERR_OK)
				err = garbage_add(write, GARBAGE_BLOB, blob_id, write->now_unix);
			swept++;
		}
		more = row_next(&row);
	}
	row_close(&row);
	if (swept > 0)
		log_info(NULL, EVENT("unfinished-messages-swept"), NUM("count", swept));
	return err;
}

enum err pending_sweep(struct store *store)
{
	struct job job = { .run = sweep_run };
	return store_write_now(store, &job);
}
