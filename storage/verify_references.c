/* storage/verify_references.c - how many messages refer to each body, against what is recorded;
 * bodies that nobody refers to; what is on the list for removal.
 *
 * Entries are in the order of mailboxes and bodies in that of their arrival, so all entries are
 * walked once for each window of body numbers, with a counter for each number: four million of
 * them, whatever the size of the store. What does not fit is counted again in one read.
 * Runs in the admin's process. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/heap.h"
#include "storage/garbage_priv.h"
#include "storage/verify_priv.h"

enum {
	WINDOW = 1 << 22,
	SUSPECT = 1u << 31, /* in a counter */
	ORPHAN_DAYS = 30,
	ORPHAN_DELAY_SECONDS = ORPHAN_DAYS * 24 * 3600,
};

struct window {
	struct verify *v;
	uint64_t first, end; /* body numbers */
	uint32_t *counts;
	uint64_t suspects;
};

/* ---- counting ---- */

static void count_row(struct window *w, struct slice key, struct slice value, enum database db)
{
	uint64_t blob_id;
	if (row_blob(key, value, db, &blob_id) && blob_id >= w->first && blob_id < w->end)
		w->counts[blob_id - w->first]++;
}

/* Where entries are that refer to bodies. */
static const enum database referring[] = { DB_MAILBOX, DB_EXPUNGED, DB_QUEUE };

static void count_sliced(struct window *w, bool is_first)
{
	for (size_t i = 0; i < ARRAY_LEN(referring); i++) {
		struct verify_walk walk;
		verify_walk_begin(&walk, w->v, referring[i]);
		while (verify_walk_next(&walk, VERIFY_ROW_COST)) {
			count_row(w, walk.row.key, walk.row.value, referring[i]);
			if (is_first)
				verify_advance(w->v, 1);
		}
		verify_walk_end(&walk);
	}
	verify_pause(w->v);
}

static void count_at_once(struct window *w, struct read *read)
{
	for (size_t i = 0; i < ARRAY_LEN(referring); i++) {
		struct row row;
		struct key key = { .octets = { 0 }, .len = 1 };
		row_open(&row, read, referring[i]);
		for (bool more = row_seek(&row, key_slice(&key)); more; more = row_next(&row))
			count_row(w, row.key, row.value, referring[i]);
		row_close(&row);
	}
}

/* ---- comparing ---- */

struct body_state {
	bool exists, is_garbage, row_is_damaged, has_row;
	uint64_t recorded;
};

static void state_get(struct read *read, uint64_t blob_id, struct body_state *state)
{
	struct key key;
	struct slice value;
	*state = (struct body_state){ .recorded = 1 };
	key_be64(&key, blob_id);
	state->exists = db_has(read, DB_DIGEST, key_slice(&key));
	if (db_get(read, DB_REFERENCE, key_slice(&key), &value) == ERR_OK) {
		state->has_row = true;
		state->row_is_damaged = !number_decode(value, &state->recorded);
	}
	key_garbage(&key, GARBAGE_BLOB, blob_id);
	state->is_garbage = db_has(read, DB_GARBAGE, key_slice(&key));
}

static bool state_is_right(const struct body_state *state, uint32_t count)
{
	if (state->row_is_damaged || (state->has_row && state->recorded < 2))
		return false;
	if (!state->exists)
		return !state->has_row;
	if (state->is_garbage)
		return count == 0 && !state->has_row;
	return state->recorded == count;
}

static void suspect(struct window *w, struct read *read, uint64_t blob_id)
{
	struct body_state state;
	uint32_t *count = &w->counts[blob_id - w->first];
	state_get(read, blob_id, &state);
	if (!(*count & SUSPECT) && !state_is_right(&state, *count)) {
		*count |= SUSPECT;
		w->suspects++;
	}
}

/* Every number of the window that a record mentions. */
static void compare_sliced(struct window *w)
{
	static const enum database dbs[] = { DB_DIGEST, DB_REFERENCE };
	for (size_t i = 0; i < ARRAY_LEN(dbs); i++) {
		struct verify_walk walk;
		struct key key;
		key_be64(&key, w->first);
		verify_walk_begin_at(&walk, w->v, dbs[i], &key);
		while (verify_walk_next(&walk, 2 * VERIFY_ROW_COST)) {
			uint64_t blob_id = walk.row.key.len == 8 ? get_be64(walk.row.key.ptr) : 0;
			if (blob_id >= w->end)
				break;
			if (blob_id >= w->first)
				suspect(w, walk.row.read, blob_id);
			if (dbs[i] == DB_DIGEST)
				verify_advance(w->v, 1);
		}
		verify_walk_end(&walk);
	}
	verify_pause(w->v);
}

/* ---- telling and mending ---- */

/* One body's record as its messages say, counted in this very write. */
static enum err fix_reference(struct write *write, struct fix *fix)
{
	uint32_t count = 0;
	uint64_t blob_id = fix->place.blob_id;
	struct window one = { .first = blob_id, .end = blob_id + 1, .counts = &count };
	struct body_state state;
	struct key key, garbage_key;
	enum err err = ERR_OK;
	count_at_once(&one, write_read(write));
	state_get(write_read(write), blob_id, &state);
	key_be64(&key, blob_id);
	key_garbage(&garbage_key, GARBAGE_BLOB, blob_id);
	if (state.has_row && (count < 2 || !state.exists))
		err = db_del(write, DB_REFERENCE, key_slice(&key));
	if (err != ERR_OK || !state.exists)
		return err;
	if (count >= 2 && (!state.has_row || state.row_is_damaged || state.recorded != count)) {
		uint8_t value[9] = { RECORD_VERSION };
		put_be64(value + 1, count);
		err = db_put(write, DB_REFERENCE, key_slice(&key), slice_of(value, sizeof(value)),
			     PUT_ANY);
	}
	if (err == ERR_OK && count > 0 && state.is_garbage)
		err = db_del(write, DB_GARBAGE, key_slice(&garbage_key));
	if (err == ERR_OK && count == 0 && !state.is_garbage)
		err = garbage_add(write, GARBAGE_BLOB, blob_id,
				  write->now_unix + ORPHAN_DELAY_SECONDS);
	return err;
}

static void tell_body(struct verify *v, uint64_t blob_id, const struct body_state *state,
		      uint32_t count)
{
	struct verify_place place = { .blob_id = blob_id };
	struct fix fix = { .run = fix_reference };
	if (state->exists && state->is_garbage && count > 0)
		verify_tell(v, WRONG_GARBAGE, &place, &fix,
			    "the message is to be removed, and %" PRIu32 " mailboxes have it",
			    count);
	else if (state->exists && !state->is_garbage && count == 0)
		verify_tell(v, ORPHAN, &place, &fix, "a message that is in no mailbox");
	else if (state->row_is_damaged)
		verify_tell(v, WRONG_REFERENCES, &place, &fix,
			    "how many mailboxes have the message cannot be read; it is %" PRIu32,
			    count);
	else
		verify_tell(v, WRONG_REFERENCES, &place, &fix,
			    "%" PRIu64 " mailboxes are recorded to have the message, and %" PRIu32
			    " have it",
			    state->recorded, count);
}

/* Those that did not fit, with everything as it is at one moment. */
static void confirm(struct window *w)
{
	struct verify *v = w->v;
	uint64_t at = w->first;
	while (at < w->end && v->err == ERR_OK) {
		/* All suspects of one read; telling ends it, so a few at a time. */
		enum { FEW = 256 };
		struct {
			uint64_t blob_id;
			struct body_state state;
			uint32_t count;
		} wrong[FEW];
		size_t count = 0;
		struct read *read = verify_read(v);
		for (uint64_t i = 0; i < w->end - w->first; i++)
			w->counts[i] &= SUSPECT;
		count_at_once(w, read);
		for (; at < w->end && count < FEW; at++) {
			uint32_t counted = w->counts[at - w->first];
			if (!(counted & SUSPECT))
				continue;
			wrong[count].blob_id = at;
			wrong[count].count = counted & ~(uint32_t)SUSPECT;
			state_get(read, at, &wrong[count].state);
			if (!state_is_right(&wrong[count].state, wrong[count].count))
				count++;
		}
		verify_pause(v);
		for (size_t i = 0; i < count && v->err == ERR_OK; i++)
			tell_body(v, wrong[i].blob_id, &wrong[i].state, wrong[i].count);
	}
}

/* ---- lists of what goes and of what comes ---- */

static const char *garbage_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	struct garbage_row garbage;
	return row->key.len == 9 && row->key.ptr[0] >= GARBAGE_MAILBOX &&
			       row->key.ptr[0] <= GARBAGE_EXPUNGED &&
			       garbage_decode(row->value, &garbage)
		       ? NULL
		       : "a row of the list of what is to be removed cannot be read";
}

/* A message on its way in has no digest yet, and no mailbox. */
static const char *pending_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	struct pending_row pending;
	fix->place.blob_id = row->key.len == 8 ? get_be64(row->key.ptr) : 0;
	bool is_good = row->key.len == 8 && pending_decode(row->value, &pending) &&
		       (pending.owner == PENDING_SERVER || pending.owner == PENDING_ADMIN) &&
		       !db_has(row->read, DB_DIGEST, row->key);
	return is_good ? NULL : "a message that is there is recorded as not there yet";
}

void verify_references(struct verify *v)
{
	struct window w = { .v = v };
	static const enum database dbs[] = { DB_DIGEST, DB_REFERENCE };
	bool is_first = true;
	w.counts = heap_alloc_array(WINDOW, sizeof(*w.counts));
	while (verify_next_id(v, dbs, ARRAY_LEN(dbs), w.end, &w.first)) {
		verify_pause(v);
		w.end = w.first > UINT64_MAX - WINDOW ? UINT64_MAX : w.first + WINDOW;
		w.suspects = 0;
		memset(w.counts, 0, WINDOW * sizeof(*w.counts));
		count_sliced(&w, is_first);
		compare_sliced(&w);
		if (w.suspects > 0 && v->err == ERR_OK)
			confirm(&w);
		is_first = false;
	}
	free(w.counts);
	verify_rows(v, DB_GARBAGE, VERIFY_ROW_COST, WRONG_GARBAGE, garbage_wrong);
	verify_rows(v, DB_PENDING, VERIFY_ROW_COST, WRONG_PENDING, pending_wrong);
}
