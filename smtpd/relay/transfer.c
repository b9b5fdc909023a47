/* smtpd/relay/transfer.c - one entry on its way to the front: the message about it, its content as
 * far as there is room, and the outcome. Runs in the back.
 *
 * What the front says of the outcome is checked for its form. A front that is somebody else's can
 * say that mail was delivered that was not; it cannot have anything sent, nor to anybody, but what
 * is in the queue. */
#include "smtpd/relay/runner_priv.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/header.h"
#include "mda/srs.h"
#include "storage/blob.h"
#include "storage/remote.h"

/* Our own Return-Path stands on top of what is stored; it is not for others to see (RFC 5321 section
 * 4.4). */
static size_t return_path_octets(struct slice start)
{
	if (!slice_starts_nocase(start, SLICE("return-path:")))
		return 0;
	size_t end = slice_find_byte(start, 0, '\n');
	return end < start.len ? end + 1 : 0;
}

/* "TLS-Required: No" (RFC 8689 section 3). */
static bool wants_tls_optional(struct slice start)
{
	struct header_field field;
	return header_find(slice_sub(start, 0, header_end(start)), SLICE("TLS-Required"), &field) &&
	       slice_eq_nocase(slice_trim(field.value), SLICE("no"));
}

void transfer_unreadable(struct transfer *transfer, enum err err)
{
	/* The disk may be well again by the next attempt. */
	if (err_is_store_failure(err)) {
		transfer_settle_all(transfer, DELIVERY_LATER, "4.3.0",
				    SLICE("the message cannot be read just now on this server"));
		return;
	}
	log_error(NULL, HEX("msg", transfer->entry.blob_id), EVENT("queued-message-damaged"),
		  NUM("entry", transfer->entry.queue_id));
	transfer_settle_all(transfer, DELIVERY_REFUSED, "5.3.0",
			    SLICE("the message can no longer be read on this server"));
}

static void send_octets(struct transfer *transfer, struct slice octets)
{
	transfer->window_octets -= octets.len;
	channel_send(transfer->channel, MESSAGE_DELIVERY_CONTENT, transfer->number, octets, -1);
}

static enum err send_converted(struct transfer *transfer)
{
	struct buffer *converted = &transfer->converted;
	while (transfer->window_octets > 0) {
		enum err err = converted->len == 0 ? transfer_convert(transfer) : ERR_OK;
		if (err != ERR_OK)
			return err;
		size_t len = converted->len;
		if (len > DELIVERY_FRAME_OCTETS)
			len = DELIVERY_FRAME_OCTETS;
		if (len > transfer->window_octets)
			len = (size_t)transfer->window_octets;
		if (len == 0)
			break;
		send_octets(transfer, slice_sub(buffer_slice(converted), 0, len));
		buffer_drop_front(converted, len);
	}
	return ERR_OK;
}

static enum err send_stored(struct transfer *transfer)
{
	struct buffer octets = { 0 };
	enum err err = ERR_OK;
	while (err == ERR_OK && transfer->window_octets > 0 &&
	       transfer->blob_at < transfer->blob_end) {
		uint64_t len = transfer->blob_end - transfer->blob_at;
		/* Up to the end of a chunk, so that each is decompressed once. */
		uint64_t to_chunk = BLOB_CHUNK_OCTETS - transfer->blob_at % BLOB_CHUNK_OCTETS;
		if (len > to_chunk)
			len = to_chunk;
		if (len > transfer->window_octets)
			break;
		buffer_clear(&octets);
		struct read *read = read_begin(transfer->runner->back->store);
		err = blob_read(read, transfer->entry.blob_id, transfer->blob_at, len, &octets);
		read_end(&read);
		if (err == ERR_OK && octets.len != len)
			err = ERR_DAMAGED;
		if (err != ERR_OK)
			break;
		transfer->blob_at += len;
		send_octets(transfer, buffer_slice(&octets));
	}
	buffer_free(&octets);
	return err;
}

/* As much content as the window takes. Where it cannot be read, the transfer has its end. */
static void send_content(struct transfer *transfer)
{
	enum err err = ERR_OK;
	if (!transfer->conversion)
		err = transfer->look.outcome.plan ? send_converted(transfer)
						  : send_stored(transfer);
	if (err != ERR_OK)
		transfer_unreadable(transfer, err);
}

void transfer_send_anew(struct transfer *transfer)
{
	transfer->blob_at = transfer->blob_start;
	transfer->window_octets = DELIVERY_WINDOW_OCTETS;
	send_content(transfer);
}

/* As the other side is to see it: a path of ours for a stranger's mail that we pass on. Made anew for
 * each attempt, since such a path has its day in it. */
static struct slice reverse_path(struct transfer *transfer)
{
	struct queue_entry *entry = &transfer->entry;
	uint8_t secret[QUEUE_SECRET_OCTETS];
	struct slice path = SLICE_NONE;
	if (entry->forwarder.len > 0) {
		struct read *read = read_begin(transfer->runner->back->store);
		if (queue_secret(read, secret))
			path = srs_forward(secret, entry->envelope.reverse_path, entry->forwarder,
					   clock_unix(), &transfer->arena);
		read_end(&read);
	}
	return path.len > 0 ? path : entry->envelope.reverse_path;
}

static void send_delivery(struct transfer *transfer)
{
	const struct queue_entry *entry = &transfer->entry;
	struct buffer payload = { 0 }, recipients = { 0 };
	struct delivery_message message = {
		.queue_id = entry->queue_id,
		.message_id = entry->blob_id,
		.destination = entry->destination,
		.size_octets = transfer->blob_end - transfer->blob_start,
		.form = transfer->form,
		.is_probe = hop_is_unknown(&transfer->hop->pace),
		.envelope = entry->envelope,
	};
	struct read *read = read_begin(transfer->runner->back->store);
	struct remote_policy policy = { 0 };
	if (remote_policy_find(read, entry->destination, &transfer->arena, &policy))
		message.policy = (struct policy_message){
			.id = policy.id,
			.text = policy.text,
			.fetched_unix = policy.fetched_unix,
			.expires_unix = policy.expires_unix,
		};
	message.known_level = relay_known_level(transfer->runner->back, read, entry->destination,
						&message.known_by);
	read_end(&read);
	message.tls_optional = transfer->tls_optional && !entry->envelope.requires_tls;
	for (size_t i = 0; i < entry->recipient_count; i++)
		envelope_encode_recipient(&entry->recipients[i], &recipients);
	message.envelope.recipient_count = (uint32_t)entry->recipient_count;
	message.envelope.recipients = buffer_slice(&recipients);
	message.envelope.reverse_path = reverse_path(transfer);
	delivery_encode(&message, &payload);
	latest_add(transfer->runner->given, entry->destination);
	channel_send(transfer->channel, MESSAGE_DELIVER, transfer->number, buffer_slice(&payload),
		     -1);
	buffer_free(&payload);
	buffer_free(&recipients);
}

void transfer_begin(struct transfer *transfer, struct channel *channel)
{
	struct buffer start = { 0 };
	struct read *read = read_begin(transfer->runner->back->store);
	uint64_t size;
	enum { LOOK_AT_OCTETS = 16 * 1024 };
	enum err err = blob_size(read, transfer->entry.blob_id, &size);
	if (err == ERR_OK)
		err = blob_read(read, transfer->entry.blob_id, 0, LOOK_AT_OCTETS, &start);
	read_end(&read);
	transfer->blob_start = return_path_octets(buffer_slice(&start));
	transfer->form = transfer_stored_form(transfer);
	transfer->tls_optional = wants_tls_optional(buffer_slice(&start));
	buffer_free(&start);
	if (err == ERR_OK && transfer->blob_start >= size)
		err = ERR_DAMAGED;
	if (err != ERR_OK) {
		transfer_unreadable(transfer, err);
		return;
	}
	transfer->blob_end = size;
	transfer->channel = channel;
	send_delivery(transfer);
	transfer_send_anew(transfer);
}

bool transfer_credit(struct transfer *transfer, struct slice payload)
{
	uint32_t octets;
	if (!credit_decode(payload, &octets) ||
	    octets > DELIVERY_WINDOW_OCTETS - transfer->window_octets)
		return false;
	transfer->window_octets += octets;
	send_content(transfer);
	return true;
}

void transfer_lost(struct transfer *transfer)
{
	transfer->channel = NULL;
	if (transfer->runner->is_stopped)
		runner_end_transfer(transfer);
	else
		transfer_settle_all(transfer, DELIVERY_LATER, "4.3.0",
				    SLICE("the sending process ended in the middle of it"));
}

/* What it says of the place, for all mail that goes there. */
static void note_hop(struct transfer *transfer, const struct delivered_message *message,
		     struct slice words)
{
	struct relay_runner *runner = transfer->runner;
	struct hop *hop = transfer->hop;
	int64_t now_ms = clock_unix_ms();
	if (!message->is_down) {
		hop_note_success(&hop->pace);
		return;
	}
	hop_note_failure(&hop->pace, now_ms,
			 (int64_t)runner->back->config->retry_seconds[0] * 1000);
	buffer_clear(&hop->trouble);
	buffer_add(&hop->trouble, words);
	if (hop_is_down(&hop->pace, now_ms))
		log_info(NULL, EVENT("destination-down"), TEXT("hop", hop->key),
			 TEXT("why", words));
}

bool transfer_answered(struct transfer *transfer, struct slice payload)
{
	if (payload.len > 0)
		return false;
	if (transfer->hop)
		hop_answered(transfer->runner, transfer->hop);
	runner_dispatch(transfer->runner);
	return true;
}

bool transfer_outcome(struct transfer *transfer, struct slice payload)
{
	struct delivered_message message;
	struct delivered_recipient recipient;
	if (!delivered_decode(payload, &message) ||
	    message.recipient_count != transfer->entry.recipient_count)
		return false;
	struct settled *settled =
		arena_alloc_array(&transfer->arena, message.recipient_count, sizeof(*settled));
	struct slice rest = message.recipients;
	for (uint32_t i = 0; i < message.recipient_count; i++) {
		(void)delivered_next_recipient(&rest, &recipient);
		settled[i] = (struct settled){
			.verdict = recipient.verdict,
			.code = recipient.code,
			.status = arena_copy(&transfer->arena, recipient.status),
			.words = arena_copy(&transfer->arena, recipient.words),
			.is_reply = recipient.code != 0,
		};
	}
	const struct settlement settlement = {
		.recipients = settled,
		.remote = arena_copy(&transfer->arena, message.remote),
		.passed_dsn = message.passed_dsn,
		.passed_deliver_by = message.passed_deliver_by,
		.is_final = message.is_final,
		.is_uncertain = message.is_uncertain,
	};
	transfer->channel = NULL;
	if (transfer->hop) {
		note_hop(transfer, &message, settled[0].words);
		hop_leave(transfer);
	}
	transfer_settle(transfer, &settlement);
	runner_dispatch(transfer->runner);
	return true;
}
