/* storage/verify_bodies.c - every stored message from end to end: checksums, and digests against
 * bodies.
 *
 * A body does not say who refers to it. So what is found wrong is kept until there are some, and
 * then all entries are walked once to find the messages. Runs in the admin's process. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/heap.h"
#include "storage/dictionary_priv.h"
#include "storage/verify_priv.h"

enum { FINDINGS_MAX = 512, STEP_OCTETS = 1 << 20 };

struct finding {
	uint64_t blob_id;
	uint64_t octets; /* of the chunks that are good */
	uint32_t chunks, damaged, first_damaged;
	bool has_digest, is_referred, is_set_right;
};
struct findings {
	struct finding list[FINDINGS_MAX]; /* in ascending id */
	size_t count;
};

/* ---- what can be set right without moving the message ---- */

static enum err put_digest(struct write *write, struct fix *fix)
{
	struct key key;
	key_garbage(&key, GARBAGE_BLOB, fix->place.blob_id);
	bool on_its_way_out = db_has(write_read(write), DB_GARBAGE, key_slice(&key));
	key_piece(&key, fix->place.blob_id, 0, 0);
	/* An empty message has a digest and no chunk. */
	if (!db_has(write_read(write), DB_BLOB, key_slice(&key)) && on_its_way_out)
		return ERR_OK;
	key_be64(&key, fix->place.blob_id);
	return db_put(write, DB_DIGEST, key_slice(&key), fix->value, PUT_ANY);
}

/* Rows that belong to no chunk: behind the last, or pieces without a beginning. */
static enum err delete_strays(struct write *write, struct fix *fix)
{
	uint64_t blob_id = fix->place.blob_id, size;
	enum err err = blob_size(write_read(write), blob_id, &size);
	if (err != ERR_OK)
		return err == ERR_GONE ? ERR_OK : err;
	uint64_t chunks = (size + BLOB_CHUNK_OCTETS - 1) / BLOB_CHUNK_OCTETS;
	uint64_t chunk = UINT64_MAX; /* that the walk is in */
	uint32_t next_piece = 0;
	struct row row;
	struct key key;
	key_piece(&key, blob_id, 0, 0);
	row_open(&row, write_read(write), DB_BLOB);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && more && row.key.len == 12 && get_be64(row.key.ptr) == blob_id) {
		uint32_t at = get_be32(row.key.ptr + 8);
		if ((at & 0xff) == 0) {
			chunk = at >> 8;
			next_piece = 0;
		}
		if (chunk == at >> 8 && next_piece == (at & 0xff) && chunk < chunks)
			next_piece++;
		else
			err = row_delete(&row);
		more = row_next(&row);
	}
	row_close(&row);
	return err;
}

static enum err blob_to_garbage(struct write *write, struct fix *fix)
{
	struct key key;
	uint8_t value[9] = { RECORD_VERSION };
	key_garbage(&key, GARBAGE_BLOB, fix->place.blob_id);
	if (db_has(write_read(write), DB_GARBAGE, key_slice(&key)))
		return ERR_OK;
	put_be64(value + 1, (uint64_t)write->now_unix);
	return db_put(write, DB_GARBAGE, key_slice(&key), slice_of(value, sizeof(value)), PUT_ANY);
}

/* Told once, however many refer to it. */
static void tell_digest(struct verify *v, const struct inspection *inspection)
{
	struct verify_place place = { .blob_id = inspection->blob_id };
	struct fix fix = { .run = put_digest, .value = buffer_slice(&inspection->rebuilt) };
	verify_tell(v, WRONG_DIGEST, &place, &fix, "its digest %s",
		    !inspection->has_digest	 ? "is missing"
		    : inspection->digest_is_good ? "says something else than the message"
						 : "is damaged");
}

/* ---- who refers to what is damaged ---- */

static int compare_ids(const void *key, const void *item)
{
	uint64_t id = *(const uint64_t *)key, other = ((const struct finding *)item)->blob_id;
	return (id > other) - (id < other);
}

/* All of the body is there, as long as the message is said to be: only the digest is wrong. */
static void tell_lost_digest(struct verify *v, struct finding *finding)
{
	struct inspection inspection;
	inspect_begin(&inspection, finding->blob_id);
	while (v->err == ERR_OK && !inspect_step(&inspection, verify_read(v), STEP_OCTETS))
		verify_pause(v);
	finding->is_set_right = true;
	if (v->err == ERR_OK && inspection.rebuilt.len > 0)
		tell_digest(v, &inspection);
	inspect_end(&inspection);
}

static void tell_message(struct verify *v, const struct finding *finding,
			 const struct lost_place *lost)
{
	struct verify_place place = { .account_id = lost->account_id,
				      .mailbox_id = lost->mailbox_id,
				      .uid = lost->uid,
				      .blob_id = finding->blob_id };
	const char *what = lost->from == LOST_FROM_MAILBOX ? "the message" : "the expunged message";
	enum err err = ERR_OK;
	if (v->repair)
		err = lost_put_aside(v->store, lost, &place.account_id);
	uint32_t chunks = finding->chunks + finding->damaged;
	if (finding->damaged > 0)
		verify_tell_done(v, DAMAGED_BODY, &place, err,
				 "%" PRIu32 " of %" PRIu32
				 " pieces of 64 KiB of %s are damaged, the first is "
				 "number %" PRIu32,
				 finding->damaged, chunks, what, finding->first_damaged + 1);
	else
		verify_tell_done(v, DAMAGED_BODY, &place, err,
				 "%s cannot be read: nothing says how long it is", what);
}

/* Nothing is changed: who sent it is told when it cannot be sent. */
static void tell_queued(struct verify *v, struct finding *finding)
{
	struct verify_place place = { .blob_id = finding->blob_id };
	finding->is_set_right = true; /* told once, however many entries have it */
	verify_tell(v, DAMAGED_BODY, &place, NULL, "a message that waits to be sent is damaged");
}

static void tell_unreferred(struct verify *v, const struct finding *finding)
{
	struct verify_place place = { .blob_id = finding->blob_id };
	struct fix fix = { .run = blob_to_garbage };
	if (!finding->has_digest)
		verify_tell(v, STRAY_CHUNKS, &place, &fix,
			    "parts of a message that nobody refers to");
	/* With one it is an orphan, or waits for its removal: the references tell. */
}

/* Which message a row is the entry of, and of whose mailbox. False: none, or it goes as garbage. */
static bool row_place(struct verify_walk *walk, struct lost_place *place,
		      struct message_entry *entry)
{
	struct slice key = walk->row.key, rest;
	struct mailbox_record record;
	struct arena arena = { 0 };
	*place = (struct lost_place){ 0 };
	if (walk->db == DB_QUEUE) {
		*entry = (struct message_entry){ 0 };
		return queue_row_body(key, walk->row.value, &entry->blob_id, &entry->size_octets);
	}
	if (walk->db == DB_EXPUNGED) {
		struct expunged_key expunged;
		if (!key_take_expunged(key, &expunged))
			return false;
		*place = (struct lost_place){ .from = LOST_FROM_EXPUNGED,
					      .account_id = expunged.account_id,
					      .mailbox_id = expunged.mailbox_id,
					      .uid = expunged.uid,
					      .expunged_unix = expunged.expunged_unix };
		return entry_decode(walk->row.value, place->uid, entry);
	}
	place->mailbox_id = key.len >= 9 ? get_be64(key.ptr) : 0;
	if (key.len < 9 || !key_is_row(key, place->mailbox_id, ROW_ENTRY, &rest))
		return false;
	place->uid = get_be32(rest.ptr);
	if (!entry_decode(walk->row.value, place->uid, entry))
		return false;
	enum err err = mailbox_load(walk->row.read, place->mailbox_id, &arena, &record);
	arena_fini(&arena);
	if (err == ERR_NOT_FOUND)
		place->from = LOST_FROM_DELETED;
	return err != ERR_NOT_FOUND ||
	       deleted_mailbox_find(walk->row.read, place->mailbox_id, &place->account_id);
}

static void look_for_messages(struct verify *v, struct findings *findings, enum database db)
{
	struct verify_walk walk;
	struct lost_place place;
	struct message_entry entry;
	uint64_t blob_id;
	verify_walk_begin(&walk, v, db);
	while (verify_walk_next(&walk, VERIFY_ROW_COST)) {
		/* Few rows are of interest, so these are looked at closely. */
		if (!row_blob(walk.row.key, walk.row.value, db, &blob_id))
			continue;
		struct finding *finding = bsearch(&blob_id, findings->list, findings->count,
						  sizeof(*findings->list), compare_ids);
		if (!finding)
			continue;
		finding->is_referred = true;
		bool is_message = row_place(&walk, &place, &entry);
		verify_walk_pause(&walk);
		if (!is_message || finding->is_set_right)
			continue;
		if (finding->damaged == 0 && finding->octets == entry.size_octets)
			tell_lost_digest(v, finding);
		else if (db == DB_QUEUE)
			tell_queued(v, finding);
		else
			tell_message(v, finding, &place);
	}
	verify_walk_end(&walk);
}

static void findings_resolve(struct verify *v, struct findings *findings)
{
	if (findings->count == 0)
		return;
	look_for_messages(v, findings, DB_MAILBOX);
	look_for_messages(v, findings, DB_EXPUNGED);
	look_for_messages(v, findings, DB_QUEUE);
	for (size_t i = 0; i < findings->count && v->err == ERR_OK; i++)
		if (!findings->list[i].is_referred)
			tell_unreferred(v, &findings->list[i]);
	findings->count = 0;
}

/* ---- the walk ---- */

static void note(struct verify *v, struct findings *findings, const struct inspection *inspection)
{
	struct verify_place place = { .blob_id = inspection->blob_id };
	struct fix fix = { .run = delete_strays };
	if (inspection_is_good(inspection))
		return;
	if (inspection->damaged > 0 || !inspection->digest_is_good) {
		findings->list[findings->count++] = (struct finding){
			.blob_id = inspection->blob_id,
			.octets = inspection->octets,
			.chunks = inspection->chunks,
			.damaged = inspection->damaged,
			.first_damaged = inspection->first_damaged,
			.has_digest = inspection->has_digest,
		};
		return;
	}
	if (inspection->strays > 0)
		verify_tell(v, STRAY_CHUNKS, &place, &fix,
			    "%" PRIu32 " rows belong to no part of the message",
			    inspection->strays);
	if (inspection->digest_differs)
		tell_digest(v, inspection);
}

/* All of one, in as many slices as it takes. */
static void body_check(struct verify *v, struct findings *findings, uint64_t blob_id)
{
	struct inspection inspection;
	inspect_begin(&inspection, blob_id);
	uint64_t before = 0;
	uint16_t lost = NO_DICTIONARY;
	while (v->err == ERR_OK && !inspect_step(&inspection, verify_read(v), STEP_OCTETS)) {
		verify_advance(v, inspection.stored_octets - before);
		before = inspection.stored_octets;
		lost = v->read->lost_dictionary ? v->read->lost_dictionary : lost;
		verify_pause(v);
	}
	lost = v->read && v->read->lost_dictionary ? v->read->lost_dictionary : lost;
	if (lost != NO_DICTIONARY)
		verify_lost_dictionary(v, lost);
	verify_advance(v, inspection.stored_octets - before);
	v->spent += inspection.stored_octets - before;
	if (v->read && v->read->failure != ERR_OK)
		verify_pause(v);
	if (v->err == ERR_OK && !inspection.is_gone) {
		v->counts->bodies++;
		v->counts->body_octets += inspection.octets;
		note(v, findings, &inspection);
	}
	inspect_end(&inspection);
}

void verify_bodies(struct verify *v)
{
	struct findings *findings = heap_alloc(sizeof(*findings));
	static const enum database dbs[] = { DB_DIGEST, DB_BLOB };
	uint64_t blob_id = 0;
	verify_dictionaries(v);
	while (v->err == ERR_OK && verify_next_id(v, dbs, ARRAY_LEN(dbs), blob_id, &blob_id)) {
		body_check(v, findings, blob_id);
		if (findings->count == FINDINGS_MAX)
			findings_resolve(v, findings);
		if (verify_spend(v, VERIFY_ROW_COST))
			verify_pause(v);
		if (blob_id++ == UINT64_MAX)
			break;
	}
	if (v->err == ERR_OK)
		findings_resolve(v, findings);
	free(findings);
}
