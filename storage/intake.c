/* storage/intake.c - a message on its way in: cut into chunks, compressed and read for its
 * structure in one pass, on the caller's thread.
 *
 * Up to HELD_MAX chunks are kept and written with the job that files the message, so a usual
 * message is one transaction. Of a longer one each chunk goes to the writer as it fills, and at
 * most SLOTS of them wait there: what a message takes in memory does not grow with it. The more
 * of them wait, the fewer syncs a message takes, so beyond SLOTS_OWN they are lent, out of a
 * number that all messages on their way share. Until it
 * is complete such a blob has a row in `pending`, which says how many chunks it has: that row,
 * and not what this structure believes, decides whether a chunk fits.
 * Runs in the back, and in the admin's process. */
#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"
#include "mail/digest.h"
#include "mail/structure_text.h"
#include "storage/blob_priv.h"
#include "storage/chunk_priv.h"
#include "storage/digest_record_priv.h"
#include "storage/garbage_priv.h"

enum {
	HELD_MAX = 3,
	SLOTS_OWN = HELD_MAX + 1, /* what the first overflow takes */
	SLOTS = 16,
	SLOTS_LENT_MAX = 64,
	CHUNKS_MAX = (1 << 24) - 1
};

/* A chunk that waits for the writer. */
struct slot {
	struct job job;
	struct intake *intake;
	struct buffer record;
	uint32_t chunk;
	bool is_out;
};

struct intake {
	struct store *store;
	struct loop *loop; /* may be NULL where no writer runs: then nothing waits */
	void (*room)(void *user);
	void *user;
	struct arena arena; /* of the structure */
	struct mime_parser *parser;
	uint8_t *message_id; /* from the end on; NULL: none */
	size_t message_id_octets;
	struct buffer raw; /* the chunk that fills */
	struct buffer held[HELD_MAX + 1], digest;
	size_t held_count;
	uint32_t streamed; /* chunks handed to the writer */
	uint64_t size_octets;
	struct slot slots[1 + SLOTS]; /* the first is the first chunk's alone */
	unsigned slots_out;
	enum err err; /* of a chunk on the way */
	bool refused, abandoned;
	bool has_no_number; /* the first chunk failed: what blob_id says is void */
	uint64_t blob_id;   /* the writer's: 0 until the first chunk is written */
};

/* ---- chunks on their way ---- */

static enum pending_owner pending_owner(const struct write *write)
{
	return write->store->mode == STORE_SERVE ? PENDING_SERVER : PENDING_ADMIN;
}

static enum err pending_put(struct write *write, uint64_t blob_id,
			    const struct pending_row *pending)
{
	struct key key;
	struct buffer record = { 0 };
	pending_encode(pending, &record);
	key_be64(&key, blob_id);
	enum err err = db_put(write, DB_PENDING, key_slice(&key), buffer_slice(&record), PUT_ANY);
	buffer_free(&record);
	return err;
}

/* Whether the first chunk's commit failed. Then the number it drew may be given to another
 * message, whose chunks are not to be touched. Its slot is used once, so the loop does not write
 * there while the writer looks. */
static bool first_chunk_failed(const struct intake *intake)
{
	return intake->slots[0].job.outcome != ERR_OK;
}

static enum err chunk_run(struct write *write, struct job *job)
{
	struct slot *slot = CONTAINER_OF(job, struct slot, job);
	struct intake *intake = slot->intake;
	struct pending_row pending = {
		.owner = pending_owner(write),
		.started_unix = write->now_unix,
	};
	struct key key;
	struct slice row;
	enum err err;
	if (slot->chunk == 0)
		intake->blob_id = 0; /* a second run starts from nothing */
	else if (intake->blob_id == 0 || first_chunk_failed(intake))
		return ERR_CANCELLED;
	if ((err = write_may_grow(write)) != ERR_OK)
		return err;
	if (slot->chunk == 0) {
		intake->blob_id = blob_new_id(write);
	} else {
		/* One before it may have failed. */
		key_be64(&key, intake->blob_id);
		err = db_get(write_read(write), DB_PENDING, key_slice(&key), &row);
		if (err == ERR_NOT_FOUND || (err == ERR_OK && (!pending_decode(row, &pending) ||
							       pending.chunks != slot->chunk)))
			return ERR_CANCELLED;
		if (err != ERR_OK)
			return err;
	}
	pending.chunks = slot->chunk + 1;
	err = pending_put(write, intake->blob_id, &pending);
	if (err == ERR_OK)
		err = blob_put_chunk(write, intake->blob_id, slot->chunk,
				     buffer_slice(&slot->record));
	return err;
}

static void intake_destroy(struct intake *intake);
static void chunks_cut(struct intake *intake);

static void slot_home(struct slot *slot)
{
	struct intake *intake = slot->intake;
	slot->is_out = false;
	if (intake->slots_out-- > SLOTS_OWN)
		atomic_fetch_sub(&intake->store->slots_lent, 1);
	buffer_free(&slot->record);
	if (slot->job.outcome != ERR_OK && intake->err == ERR_OK)
		intake->err = slot->job.outcome;
	if (slot->job.outcome != ERR_OK && slot->chunk == 0)
		intake->has_no_number = true;
}

static void chunk_done(struct job *job)
{
	struct slot *slot = CONTAINER_OF(job, struct slot, job);
	struct intake *intake = slot->intake;
	slot_home(slot);
	if (intake->abandoned) {
		if (intake->slots_out == 0)
			intake_destroy(intake);
		return;
	}
	chunks_cut(intake);
	if (intake->refused && intake->raw.len < BLOB_CHUNK_OCTETS) {
		intake->refused = false;
		intake->room(intake->user);
	}
}

static void chunk_send(struct intake *intake, struct buffer *record)
{
	struct slot *slot = intake->streamed == 0 ? intake->slots : intake->slots + 1;
	while (slot->is_out)
		slot++;
	*slot = (struct slot){ .intake = intake, .record = *record, .chunk = intake->streamed };
	*record = (struct buffer){ 0 };
	slot->is_out = true;
	slot->job = (struct job){ .run = chunk_run, .done = chunk_done, .loop = intake->loop };
	intake->streamed++;
	if (intake->slots_out++ >= SLOTS_OWN)
		atomic_fetch_add(&intake->store->slots_lent, 1);
	if (intake->store->writer) {
		store_submit(intake->store, &slot->job);
	} else {
		slot->job.outcome = store_write_now(intake->store, &slot->job);
		slot_home(slot);
	}
}

/* Takes `raw` as the next chunk: held while there are few, else on its way. */
static void chunk_add(struct intake *intake, struct slice raw)
{
	if (intake->streamed == CHUNKS_MAX && intake->err == ERR_OK)
		intake->err = ERR_LIMIT;
	if (intake->err != ERR_OK)
		return;
	struct buffer record = { 0 };
	chunk_compress(intake->store, raw, &record);
	/* What a compressor might have needed at most is much more than what it took. */
	record.data = heap_resize(record.data, record.len);
	record.cap = record.len;
	if (intake->streamed == 0 && intake->held_count < HELD_MAX) {
		intake->held[intake->held_count++] = record;
		return;
	}
	for (size_t i = 0; i < intake->held_count; i++)
		chunk_send(intake, &intake->held[i]);
	intake->held_count = 0;
	chunk_send(intake, &record);
}

/* Whether a chunk more finds its place: at the first overflow the held ones need one each. */
static bool has_place(const struct intake *intake)
{
	return intake->slots_out < SLOTS_OWN ||
	       (intake->slots_out < SLOTS &&
		atomic_load(&intake->store->slots_lent) < SLOTS_LENT_MAX);
}

static void chunks_cut(struct intake *intake)
{
	while (intake->raw.len >= BLOB_CHUNK_OCTETS && has_place(intake)) {
		chunk_add(intake, slice_of(intake->raw.data, BLOB_CHUNK_OCTETS));
		buffer_drop_front(&intake->raw, BLOB_CHUNK_OCTETS);
	}
}

/* ---- the owner's side ---- */

struct intake *intake_new(struct store *store, struct loop *loop, void (*room)(void *user),
			  void *user)
{
	struct intake *intake = heap_alloc(sizeof(*intake));
	intake->store = store;
	intake->loop = loop;
	intake->room = room;
	intake->user = user;
	intake->parser = mime_parser_new(&intake->arena);
	return intake;
}

bool intake_feed(struct intake *intake, struct slice octets)
{
	assert(intake->parser);
	mime_parser_feed(intake->parser, octets);
	intake->size_octets += octets.len;
	while (octets.len > 0) {
		size_t len = octets.len;
		if (intake->raw.len < BLOB_CHUNK_OCTETS &&
		    len > BLOB_CHUNK_OCTETS - intake->raw.len && has_place(intake))
			len = BLOB_CHUNK_OCTETS - intake->raw.len;
		if (intake->raw.len == 0 && len == BLOB_CHUNK_OCTETS && has_place(intake))
			chunk_add(intake, slice_sub(octets, 0, len));
		else
			buffer_add(&intake->raw, slice_sub(octets, 0, len));
		chunks_cut(intake);
		octets = slice_sub(octets, len, octets.len - len);
	}
	/* Who was refused stays so until room() tells him, though another message may have given
	 * back what was lent meanwhile. */
	if (intake->raw.len >= BLOB_CHUNK_OCTETS)
		intake->refused = true;
	return !intake->refused;
}

uint64_t intake_size_octets(const struct intake *intake)
{
	return intake->size_octets;
}

enum err intake_finish(struct intake *intake)
{
	assert(intake->parser && intake->raw.len < BLOB_CHUNK_OCTETS);
	struct mime_part *root = mime_parser_finish(&intake->parser);
	struct buffer digest = { 0 }, text = { 0 };
	if (root->envelope->message_id.ptr) {
		struct slice id =
			slice_sub(root->envelope->message_id, 0, INTAKE_MESSAGE_ID_MAX_OCTETS);
		intake->message_id = heap_copy(id.ptr, id.len);
		intake->message_id_octets = id.len;
	}
	digest_encode(root, &digest);
	structure_text_encode(root, &text);
	digest_compress(intake->store, buffer_slice(&digest), buffer_slice(&text),
			intake->size_octets, &intake->digest);
	buffer_free(&digest);
	buffer_free(&text);
	arena_fini(&intake->arena);
	if (intake->raw.len > 0)
		chunk_compress(intake->store, buffer_slice(&intake->raw),
			       &intake->held[intake->held_count++]);
	buffer_free(&intake->raw);
	return intake->err;
}

struct slice intake_message_id(const struct intake *intake)
{
	return slice_of(intake->message_id, intake->message_id_octets);
}

/* Why the chunks are not all there. Their jobs ran before this one, and their outcomes are
 * final; nothing uses the slots again. */
static enum err chunk_failure(const struct intake *intake)
{
	for (size_t i = 0; i < ARRAY_LEN(intake->slots); i++)
		if (intake->slots[i].intake && intake->slots[i].job.outcome != ERR_OK &&
		    intake->slots[i].job.outcome != ERR_CANCELLED)
			return intake->slots[i].job.outcome;
	return ERR_DISK;
}

/* The row of what has been streamed; its chunks must all have come. */
static enum err pending_find(struct write *write, const struct intake *intake,
			     struct pending_row *pending_out)
{
	struct key key;
	struct slice row;
	if (first_chunk_failed(intake))
		return chunk_failure(intake);
	key_be64(&key, intake->blob_id);
	enum err err = db_get(write_read(write), DB_PENDING, key_slice(&key), &row);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && (!pending_decode(row, pending_out) ||
						       pending_out->chunks != intake->streamed)))
		return chunk_failure(intake);
	return err;
}

static enum err held_put(struct write *write, const struct intake *intake, uint64_t blob_id)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < intake->held_count && err == ERR_OK; i++)
		err = blob_put_chunk(write, blob_id, intake->streamed + (uint32_t)i,
				     buffer_slice(&intake->held[i]));
	return err;
}

enum err intake_commit(struct write *write, struct intake *intake, uint64_t *blob_id_out)
{
	struct key key;
	struct pending_row pending;
	uint64_t blob_id = intake->blob_id;
	assert(intake->digest.len > 0);
	enum err err = write_may_grow(write);
	if (err != ERR_OK)
		return err;
	if (intake->streamed == 0) {
		blob_id = blob_new_id(write);
	} else {
		err = pending_find(write, intake, &pending);
		key_be64(&key, blob_id);
		if (err == ERR_OK)
			err = db_del(write, DB_PENDING, key_slice(&key));
	}
	if (err == ERR_OK)
		err = held_put(write, intake, blob_id);
	if (err == ERR_OK)
		err = blob_put_digest(write, blob_id, buffer_slice(&intake->digest));
	if (err == ERR_OK) {
		blob_add_fresh(write, blob_id);
		*blob_id_out = blob_id;
	}
	return err;
}

/* ---- many that wait for one job ---- */

size_t intake_held_octets(const struct intake *intake)
{
	size_t octets = intake->digest.len;
	for (size_t i = 0; i < intake->held_count; i++)
		octets += intake->held[i].len;
	return octets;
}

enum err intake_park(struct write *write, struct intake *intake)
{
	struct pending_row pending = { .owner = pending_owner(write),
				       .started_unix = write->now_unix };
	assert(intake->digest.len > 0);
	if (intake->held_count == 0)
		return ERR_OK;
	enum err err = write_may_grow(write);
	if (err != ERR_OK)
		return err;
	if (intake->streamed > 0)
		err = pending_find(write, intake, &pending);
	else
		intake->blob_id = blob_new_id(write);
	pending.chunks = intake->streamed + (uint32_t)intake->held_count;
	if (err == ERR_OK)
		err = pending_put(write, intake->blob_id, &pending);
	return err == ERR_OK ? held_put(write, intake, intake->blob_id) : err;
}

void intake_parked(struct intake *intake, enum err outcome)
{
	if (outcome != ERR_OK) {
		if (intake->streamed == 0)
			intake->blob_id = 0; /* the number may be another's by now */
		return;
	}
	for (size_t i = 0; i < intake->held_count; i++)
		buffer_free(&intake->held[i]);
	intake->streamed += (uint32_t)intake->held_count;
	intake->held_count = 0;
}

/* ---- the end ---- */

struct discard {
	struct job job;
	uint64_t blob_id;
};

static enum err discard_run(struct write *write, struct job *job)
{
	return pending_abandon(write, CONTAINER_OF(job, struct discard, job)->blob_id);
}

static void discard_done(struct job *job)
{
	free(CONTAINER_OF(job, struct discard, job));
}

/* Chunks that were written and never filed become garbage. If that fails, the sweep at the
 * next start finds them. */
static void discard(struct store *store, struct loop *loop, uint64_t blob_id)
{
	struct key key;
	struct read *read = read_begin(store);
	key_be64(&key, blob_id);
	bool is_pending = db_has(read, DB_PENDING, key_slice(&key));
	read_end(&read);
	if (!is_pending)
		return;
	struct discard *task = heap_alloc(sizeof(*task));
	task->job = (struct job){ .run = discard_run, .done = discard_done, .loop = loop };
	task->blob_id = blob_id;
	if (store->writer) {
		store_submit(store, &task->job);
	} else {
		enum err err = store_write_now(store, &task->job);
		if (err != ERR_OK)
			log_warning(NULL, EVENT("unfinished-message-left"), HEX("msg", blob_id));
		free(task);
	}
}

static void intake_destroy(struct intake *intake)
{
	if (intake->blob_id != 0 && !intake->has_no_number)
		discard(intake->store, intake->loop, intake->blob_id);
	mime_parser_free(&intake->parser);
	free(intake->message_id);
	arena_fini(&intake->arena);
	buffer_free(&intake->raw);
	for (size_t i = 0; i < ARRAY_LEN(intake->held); i++)
		buffer_free(&intake->held[i]);
	buffer_free(&intake->digest);
	free(intake);
}

void intake_free(struct intake **intake_at)
{
	struct intake *intake = *intake_at;
	if (!intake)
		return;
	*intake_at = NULL;
	intake->abandoned = true;
	/* Chunks that are out come home first. */
	if (intake->slots_out == 0)
		intake_destroy(intake);
}
