/* storage/queue_record.c - entries of the queue as rows: keys and records. Runs in the back, and in
 * the admin's process. */
#include "storage/queue_priv.h"

enum { QUEUE_FLAG_HELD = 1, QUEUE_FLAG_WARNED = 2, QUEUE_FLAG_FORWARDED = 4, QUEUE_FLAGS = 7 };

void key_queue_entry(struct key *key, uint64_t queue_id)
{
	key->len = 0;
	key->octets[key->len++] = QUEUE_ROW_ENTRY;
	put_be64(key->octets + key->len, queue_id);
	key->len += 8;
}

static uint8_t rank_of(int8_t priority)
{
	return (uint8_t)(PRIORITY_MAX - priority);
}

bool key_queue_due(struct key *key, const struct queue_entry *entry)
{
	key->len = 0;
	if (entry->destination.len == 0 || entry->destination.len > DOMAIN_MAX_OCTETS)
		return false;
	key->octets[key->len++] = QUEUE_ROW_DUE;
	memcpy(key->octets + key->len, entry->destination.ptr, entry->destination.len);
	key->len += entry->destination.len;
	key->octets[key->len++] = 0;
	key->octets[key->len++] = rank_of(entry->envelope.priority);
	put_be64(key->octets + key->len, (uint64_t)entry->next_unix_ms);
	put_be64(key->octets + key->len + 8, entry->queue_id);
	key->len += 16;
	return true;
}

bool key_take_queue_due(struct slice key, struct slice *destination_out,
			struct queue_place *place_out)
{
	enum { BEHIND_OCTETS = 1 + 1 + 8 + 8 };
	if (key.len < 1 + 1 + BEHIND_OCTETS || key.ptr[0] != QUEUE_ROW_DUE)
		return false;
	*destination_out = slice_sub(key, 1, key.len - 1 - BEHIND_OCTETS);
	const uint8_t *behind = destination_out->ptr + destination_out->len;
	if (behind[0] != 0 || memchr(destination_out->ptr, 0, destination_out->len))
		return false;
	*place_out = (struct queue_place){
		.rank = behind[1],
		.next_unix_ms = (int64_t)get_be64(behind + 2),
		.queue_id = get_be64(behind + 10),
	};
	return true;
}

void queue_entry_encode(const struct queue_entry *entry, struct buffer *out)
{
	struct envelope envelope = entry->envelope;
	struct buffer encoded = { 0 };
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_byte(out, (uint8_t)((entry->is_held ? QUEUE_FLAG_HELD : 0) |
				       (entry->was_warned ? QUEUE_FLAG_WARNED : 0) |
				       (entry->forwarder.len > 0 ? QUEUE_FLAG_FORWARDED : 0)));
	buffer_add_be64(out, entry->blob_id);
	buffer_add_be64(out, entry->size_octets);
	buffer_add_be32(out, entry->account_id);
	buffer_add_be64(out, (uint64_t)entry->arrived_unix);
	buffer_add_be64(out, (uint64_t)entry->next_unix_ms);
	buffer_add_be32(out, entry->attempts_made);
	buffer_add_block(out, entry->destination);
	buffer_add_be16(out, (uint16_t)entry->attempt_count);
	for (size_t i = 0; i < entry->attempt_count; i++) {
		buffer_add_be64(out, (uint64_t)entry->attempts[i].at_unix);
		buffer_add_block(out, entry->attempts[i].remote);
		buffer_add_block(out, entry->attempts[i].words);
	}
	envelope.recipient_count = (uint32_t)entry->recipient_count;
	envelope_encode(&envelope, &encoded);
	for (size_t i = 0; i < entry->recipient_count; i++)
		envelope_encode_recipient(&entry->recipients[i], &encoded);
	buffer_add_block(out, buffer_slice(&encoded));
	buffer_free(&encoded);
	if (entry->forwarder.len > 0)
		buffer_add_block(out, entry->forwarder);
}

static bool take_attempts(struct cursor *c, struct arena *arena, struct queue_entry *entry)
{
	uint16_t count;
	if (!take_be16(c, &count) || count > QUEUE_ATTEMPTS_MAX)
		return false;
	entry->attempts = arena_alloc_array(arena, count, sizeof(*entry->attempts));
	entry->attempt_count = count;
	for (size_t i = 0; i < count; i++)
		if (!take_unix(c, &entry->attempts[i].at_unix) ||
		    !take_block(c, &entry->attempts[i].remote) ||
		    !take_block(c, &entry->attempts[i].words))
			return false;
	return true;
}

static bool take_envelope(struct cursor *c, struct arena *arena, struct queue_entry *entry)
{
	struct slice encoded;
	if (!take_block(c, &encoded) || !envelope_decode(encoded, &entry->envelope) ||
	    entry->envelope.recipient_count > QUEUE_RECIPIENTS_MAX)
		return false;
	struct slice rest = entry->envelope.recipients;
	entry->recipient_count = entry->envelope.recipient_count;
	entry->recipients =
		arena_alloc_array(arena, entry->recipient_count, sizeof(*entry->recipients));
	for (size_t i = 0; i < entry->recipient_count; i++)
		if (!envelope_next_recipient(&rest, &entry->recipients[i]))
			return false;
	return true;
}

bool queue_entry_decode(struct slice record, uint64_t queue_id, struct arena *arena,
			struct queue_entry *entry_out)
{
	struct cursor c = cursor_of(record);
	uint8_t version, flags;
	struct queue_entry *entry = entry_out;
	*entry = (struct queue_entry){ .queue_id = queue_id };
	if (!take_u8(&c, &version) || version != RECORD_VERSION || !take_u8(&c, &flags) ||
	    flags > QUEUE_FLAGS || !take_be64(&c, &entry->blob_id) ||
	    !take_be64(&c, &entry->size_octets) || !take_be32(&c, &entry->account_id) ||
	    !take_unix(&c, &entry->arrived_unix) || !take_unix(&c, &entry->next_unix_ms) ||
	    !take_be32(&c, &entry->attempts_made) || !take_block(&c, &entry->destination) ||
	    !take_attempts(&c, arena, entry) || !take_envelope(&c, arena, entry))
		return false;
	if ((flags & QUEUE_FLAG_FORWARDED) &&
	    (!take_block(&c, &entry->forwarder) || entry->forwarder.len == 0))
		return false;
	entry->is_held = flags & QUEUE_FLAG_HELD;
	entry->was_warned = flags & QUEUE_FLAG_WARNED;
	return at_end(&c);
}

bool queue_secret_decode(struct slice record, uint8_t secret_out[QUEUE_SECRET_OCTETS])
{
	if (record.len != 1 + QUEUE_SECRET_OCTETS || record.ptr[0] != RECORD_VERSION)
		return false;
	memcpy(secret_out, record.ptr + 1, QUEUE_SECRET_OCTETS);
	return true;
}
