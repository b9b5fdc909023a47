/* storage/queue.c - mail that leaves, as rows: an entry by its number, and beside it a row in the
 * order in which its destination's entries are to be tried. Who looks for work reads those rows only
 * as far as there is something due.
 * Runs in the back, and in the admin's process. */
#include "storage/queue_priv.h"

#include <stdlib.h>

#include "base/random.h"
#include "mail/address.h"
#include "storage/blob_priv.h"

/* ---- reading ---- */

static enum err damaged(uint64_t queue_id)
{
	log_error(NULL, EVENT("store-damaged"), WORD("where", "queue"), HEX("entry", queue_id));
	return ERR_DAMAGED;
}

enum err queue_get(struct read *read, uint64_t queue_id, struct arena *arena,
		   struct queue_entry *entry_out)
{
	struct key key;
	struct slice value;
	key_queue_entry(&key, queue_id);
	enum err err = db_get(read, DB_QUEUE, key_slice(&key), &value);
	if (err == ERR_OK &&
	    !queue_entry_decode(arena_copy(arena, value), queue_id, arena, entry_out))
		err = damaged(queue_id);
	return err;
}

bool queue_next(struct read *read, uint64_t *queue_id, struct arena *arena,
		struct queue_entry *entry_out)
{
	struct row row;
	struct key key;
	bool found = false;
	if (*queue_id == UINT64_MAX)
		return false;
	row_open(&row, read, DB_QUEUE);
	key_queue_entry(&key, *queue_id + 1);
	bool more = row_seek(&row, key_slice(&key));
	for (; more && !found; more = !found && row_next(&row)) {
		if (row.key.len != 9 || row.key.ptr[0] != QUEUE_ROW_ENTRY)
			break;
		*queue_id = get_be64(row.key.ptr + 1);
		found = queue_entry_decode(arena_copy(arena, row.value), *queue_id, arena,
					   entry_out);
		if (!found)
			(void)damaged(*queue_id);
	}
	row_close(&row);
	return found;
}

bool queue_next_destination(struct read *read, struct slice after, struct arena *arena,
			    struct slice *destination_out)
{
	struct row row;
	struct key key = { .len = 1 };
	struct queue_place place;
	struct slice destination;
	key.octets[0] = QUEUE_ROW_DUE;
	if (after.len > DOMAIN_MAX_OCTETS)
		return false;
	if (after.len > 0) {
		memcpy(key.octets + 1, after.ptr, after.len);
		key.len += after.len;
		key.octets[key.len++] = 1; /* behind all that have the NUL there */
	}
	row_open(&row, read, DB_QUEUE);
	bool found = row_seek(&row, key_slice(&key));
	while (found && !key_take_queue_due(row.key, &destination, &place))
		found = row.key.ptr[0] == QUEUE_ROW_DUE && row_next(&row);
	if (found)
		*destination_out = arena_copy(arena, destination);
	row_close(&row);
	return found;
}

bool queue_next_due(struct read *read, struct slice destination, struct queue_place *place)
{
	struct row row;
	struct key key;
	struct slice found_destination;
	struct queue_entry at = {
		.destination = destination,
		.envelope.priority = (int8_t)(PRIORITY_MAX - place->rank),
		.next_unix_ms = place->next_unix_ms,
		.queue_id = place->queue_id == UINT64_MAX ? UINT64_MAX : place->queue_id + 1,
	};
	if (!key_queue_due(&key, &at))
		return false;
	row_open(&row, read, DB_QUEUE);
	bool found = row_seek(&row, key_slice(&key)) &&
		     key_take_queue_due(row.key, &found_destination, place) &&
		     slice_eq(found_destination, destination);
	row_close(&row);
	return found;
}

void queue_place_skip_rank(struct queue_place *place)
{
	place->rank++;
	place->next_unix_ms = 0;
	place->queue_id = 0;
}

/* ---- writing ---- */

/* The entry as it is to be, and its row of when. */
static enum err rows_put(struct write *write, const struct queue_entry *entry)
{
	static const uint8_t version = RECORD_VERSION;
	struct buffer record = { 0 };
	struct key key;
	key_queue_entry(&key, entry->queue_id);
	queue_entry_encode(entry, &record);
	enum err err = db_put(write, DB_QUEUE, key_slice(&key), buffer_slice(&record), PUT_ANY);
	buffer_free(&record);
	if (err == ERR_OK && key_queue_due(&key, entry))
		err = db_put(write, DB_QUEUE, key_slice(&key), slice_of(&version, 1), PUT_ANY);
	queue_note(write, entry->destination);
	return err;
}

/* The row of when. One that was held by an older Bode has none. */
static enum err due_del(struct write *write, const struct queue_entry *entry)
{
	struct key key;
	if (!key_queue_due(&key, entry))
		return ERR_OK;
	enum err err = db_del(write, DB_QUEUE, key_slice(&key));
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err queue_put(struct write *write, const struct queue_entry *entry)
{
	struct queue_entry old;
	enum err err = queue_get(write_read(write), entry->queue_id, &write->arena, &old);
	if (err == ERR_OK)
		err = due_del(write, &old);
	return err == ERR_OK ? rows_put(write, entry) : err;
}

enum err queue_remove(struct write *write, uint64_t queue_id)
{
	struct queue_entry old;
	struct key key;
	enum err err = queue_get(write_read(write), queue_id, &write->arena, &old);
	if (err != ERR_OK)
		return err;
	key_queue_entry(&key, queue_id);
	err = due_del(write, &old);
	if (err == ERR_OK)
		err = db_del(write, DB_QUEUE, key_slice(&key));
	if (err == ERR_OK)
		err = blob_release(write, old.blob_id);
	queue_note(write, old.destination);
	return err;
}

/* A recipient on its way into an entry. */
struct placed {
	struct slice destination;
	const struct envelope_recipient *recipient;
};

static int compare_placed(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;
	int by_destination = slice_compare(x->destination, y->destination);
	if (by_destination != 0)
		return by_destination;
	return x->recipient < y->recipient ? -1 : x->recipient > y->recipient;
}

static bool destination_of(struct slice forward_path, struct arena *arena,
			   struct slice *destination_out)
{
	size_t at = forward_path.len;
	while (at > 0 && forward_path.ptr[at - 1] != '@')
		at--;
	struct slice domain = slice_sub(forward_path, at, forward_path.len - at);
	if (at <= 1 || domain.len == 0 || domain.len > DOMAIN_MAX_OCTETS)
		return false;
	if (domain.ptr[0] != '[')
		return domain_normalise(domain, arena, destination_out);
	*destination_out = local_normalise(domain, arena); /* a literal */
	return memchr(domain.ptr, 0, domain.len) == NULL;
}

static enum err next_queue_id(struct write *write, uint64_t count, uint64_t *first_out)
{
	static const uint8_t row = QUEUE_ROW_NEXT;
	struct buffer record = { 0 };
	struct slice value;
	*first_out = 1;
	enum err err = db_get(write_read(write), DB_QUEUE, slice_of(&row, 1), &value);
	if (err == ERR_OK && !number_decode(value, first_out))
		err = damaged(0);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	number_encode(*first_out + count, &record);
	err = db_put(write, DB_QUEUE, slice_of(&row, 1), buffer_slice(&record), PUT_ANY);
	buffer_free(&record);
	return err;
}

bool queue_secret(struct read *read, uint8_t secret_out[QUEUE_SECRET_OCTETS])
{
	static const uint8_t row = QUEUE_ROW_SECRET;
	struct slice value;
	return db_get(read, DB_QUEUE, slice_of(&row, 1), &value) == ERR_OK &&
	       queue_secret_decode(value, secret_out);
}

static enum err secret_make(struct write *write)
{
	static const uint8_t row = QUEUE_ROW_SECRET;
	uint8_t record[1 + QUEUE_SECRET_OCTETS] = { RECORD_VERSION };
	if (queue_secret(write_read(write), record + 1))
		return ERR_OK;
	random_octets(record + 1, QUEUE_SECRET_OCTETS);
	return db_put(write, DB_QUEUE, slice_of(&row, 1), slice_of(record, sizeof(record)),
		      PUT_ANY);
}

/* Whoever reads an entry doubts its envelope, and one that he cannot read would never be sent and never
 * be reported. */
static bool can_be_read(const struct queue_entry *message)
{
	struct envelope envelope = message->envelope;
	struct buffer encoded = { 0 };
	envelope.recipient_count = (uint32_t)message->recipient_count;
	envelope_encode(&envelope, &encoded);
	for (size_t i = 0; i < message->recipient_count; i++)
		envelope_encode_recipient(&message->recipients[i], &encoded);
	bool good = envelope_decode(buffer_slice(&encoded), &envelope);
	buffer_free(&encoded);
	return good;
}

/* How many of the recipients from `at` on go into one entry. */
static size_t run_length(const struct placed *placed, size_t count, size_t at)
{
	size_t len = 1;
	while (at + len < count && len < QUEUE_RECIPIENTS_MAX &&
	       slice_eq(placed[at + len].destination, placed[at].destination))
		len++;
	return len;
}

enum err queue_add(struct write *write, const struct queue_entry *message)
{
	struct arena arena = { 0 };
	bool is_here = slice_eq(message->destination, SLICE(QUEUE_HERE));
	size_t count = message->recipient_count, runs = 0;
	uint64_t queue_id = 0;
	struct placed *placed = arena_alloc_array(&arena, count, sizeof(*placed));
	struct envelope_recipient *recipients =
		arena_alloc_array(&arena, QUEUE_RECIPIENTS_MAX, sizeof(*recipients));
	enum err err =
		can_be_read(message) ? blob_may_reference(write, message->blob_id) : ERR_BAD_INPUT;
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		placed[i].recipient = &message->recipients[i];
		placed[i].destination = SLICE(QUEUE_HERE);
		if (!is_here && !destination_of(message->recipients[i].forward_path, &arena,
						&placed[i].destination))
			err = ERR_BAD_INPUT;
	}
	if (err == ERR_OK) {
		qsort(placed, count, sizeof(*placed), compare_placed);
		for (size_t at = 0; at < count; at += run_length(placed, count, at))
			runs++;
		err = next_queue_id(write, runs, &queue_id);
	}
	if (err == ERR_OK && message->forwarder.len > 0)
		err = secret_make(write);
	for (size_t at = 0; err == ERR_OK && at < count;) {
		struct queue_entry entry = *message;
		size_t len = run_length(placed, count, at);
		for (size_t i = 0; i < len; i++)
			recipients[i] = *placed[at + i].recipient;
		entry.queue_id = queue_id++;
		entry.destination = placed[at].destination;
		entry.recipients = recipients;
		entry.recipient_count = len;
		entry.attempts_made = 0;
		entry.attempt_count = 0;
		err = blob_reference(write, entry.blob_id);
		if (err == ERR_OK)
			err = rows_put(write, &entry);
		at += len;
	}
	arena_fini(&arena);
	return err;
}

void queue_note_attempt(struct queue_entry *entry, struct arena *arena, int64_t at_unix,
			struct slice remote, struct slice words)
{
	struct queue_attempt *attempts =
		arena_alloc_array(arena, QUEUE_ATTEMPTS_MAX, sizeof(*attempts));
	size_t kept = entry->attempt_count;
	size_t skip = kept == QUEUE_ATTEMPTS_MAX ? 1 : 0;
	for (size_t i = skip; i < kept; i++)
		attempts[i - skip] = entry->attempts[i];
	kept -= skip;
	attempts[kept++] = (struct queue_attempt){
		.at_unix = at_unix,
		.remote = arena_copy(arena, slice_sub(remote, 0, QUEUE_WORDS_MAX_OCTETS)),
		.words = arena_copy(arena, slice_sub(words, 0, QUEUE_WORDS_MAX_OCTETS)),
	};
	entry->attempts = attempts;
	entry->attempt_count = kept;
	entry->attempts_made++;
}
