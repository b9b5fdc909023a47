/* storage/lost.c - puts a damaged message aside: in its place comes, in the mailbox lost+found of
 * the account, a message with a note, with what can be read of the body, and with the damaged
 * octets themselves (RFC 2046 sections 5.1.3 and 5.2.1).
 *
 * Nothing is lost by it that was still there. The note's parts are fed as the body is read, a
 * chunk at a time. Runs in the admin's process. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/random.h"
#include "storage/blob_priv.h"
#include "storage/chunk_priv.h"
#include "storage/message_priv.h"
#include "storage/verify_priv.h"

enum {
	CHUNKS_AT_ONCE = 16,	 /* in one read */
	KEPT_DAMAGED_MAX = 1024, /* damaged pieces that are kept as they are */
	BASE64_LINE_OCTETS = 57,
};

struct lost {
	struct store *store;
	struct lost_place place;
	uint32_t account_id;
	struct arena arena;
	struct slice mailbox; /* its name */
	struct slice record;  /* of the entry, as it is stored */
	struct message_entry entry;
	bool is_readable; /* the entry */
	bool has_digest;  /* an unreadable entry's body is there */
	bool is_whole;	  /* read once more, nothing is wrong */
	uint64_t octets;  /* of the body that could be read */
	struct slice login;
	struct intake *intake;
	char boundary[40];
};

/* ---- what is there ---- */

static enum database place_key(const struct lost_place *place, struct key *key)
{
	if (place->from != LOST_FROM_EXPUNGED) {
		key_entry(key, place->mailbox_id, place->uid);
		return DB_MAILBOX;
	}
	key_expunged(key, place->account_id, place->expunged_unix, place->mailbox_id, place->uid);
	return DB_EXPUNGED;
}

/* The mailbox as it is, or as it was. */
static enum err lost_find_mailbox(struct lost *lost, struct read *read)
{
	struct mailbox_record record;
	struct expunged_mailbox gone;
	struct key key;
	struct slice value;
	lost->account_id = lost->place.account_id;
	enum err err = mailbox_load(read, lost->place.mailbox_id, &lost->arena, &record);
	if (err == ERR_OK) {
		lost->account_id = record.mailbox.account_id;
		lost->mailbox = record.mailbox.name;
	}
	if (lost->place.from == LOST_FROM_MAILBOX)
		return err;
	key_expunged_mailbox(&key, lost->account_id, lost->place.mailbox_id);
	if (err != ERR_OK && db_get(read, DB_EXPUNGED, key_slice(&key), &value) == ERR_OK &&
	    expunged_mailbox_decode(value, &gone))
		lost->mailbox = arena_copy(&lost->arena, gone.name);
	return ERR_OK;
}

static enum err lost_find(struct lost *lost)
{
	struct read *read = read_begin(lost->store);
	struct key key;
	struct slice value;
	struct account_row account = { 0 };
	struct slice digest;
	uint64_t size;
	enum err err = lost_find_mailbox(lost, read);
	enum database db = place_key(&lost->place, &key);
	if (err == ERR_OK)
		err = db_get(read, db, key_slice(&key), &value);
	if (err == ERR_OK) {
		if (account_load(read, lost->account_id, &lost->arena, &account) == ERR_OK)
			lost->login = account.account.login;
		lost->record = arena_copy(&lost->arena, value);
		lost->is_readable = entry_decode(value, lost->place.uid, &lost->entry);
		lost->is_whole =
			lost->is_readable &&
			blob_size(read, lost->entry.blob_id, &size) == ERR_OK &&
			size == lost->entry.size_octets &&
			blob_digest(read, lost->entry.blob_id, &lost->arena, &digest) == ERR_OK;
		/* The number of a body of just this size is believed. */
		if (!lost->is_readable && value.len == ENTRY_OCTETS) {
			lost->entry.blob_id = get_be64(value.ptr + 2);
			lost->entry.internal_unix = get_signed_be40(value.ptr + 18);
			lost->entry.size_octets = get_be40(value.ptr + 28);
			lost->has_digest = blob_size(read, lost->entry.blob_id, &size) == ERR_OK &&
					   size == lost->entry.size_octets;
		}
	}
	read_end(&read);
	return err;
}

/* ---- the message that takes its place ---- */

static void feed(struct lost *lost, struct slice octets)
{
	/* Without a writer's thread nothing waits. */
	(void)intake_feed(lost->intake, octets);
}

static void feed_format(struct lost *lost, const char *format, ...) PRINTF_LIKE(2, 3);
static void feed_format(struct lost *lost, const char *format, ...)
{
	struct buffer text = { 0 };
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	buffer_add_cstr(&text, line);
	feed(lost, buffer_slice(&text));
	buffer_free(&text);
}

static void feed_base64(struct lost *lost, struct slice octets)
{
	struct buffer text = { 0 };
	for (size_t at = 0; at < octets.len; at += BASE64_LINE_OCTETS) {
		base64_encode(slice_sub(octets, at, BASE64_LINE_OCTETS), &text);
		buffer_add_cstr(&text, "\r\n");
	}
	feed(lost, buffer_slice(&text));
	buffer_free(&text);
}

static void feed_note(struct lost *lost)
{
	char date[64];
	struct tm tm;
	time_t now = (time_t)clock_unix();
	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	size_t at = slice_find_byte(lost->login, 0, '@');
	struct slice domain = slice_sub(lost->login, at, lost->login.len);
	feed_format(lost,
		    "From: Mail server <postmaster%.*s>\r\n"
		    "To: <%.*s>\r\n"
		    "Date: %s\r\n"
		    "Subject: A damaged message was put aside\r\n"
		    "MIME-Version: 1.0\r\n"
		    "Content-Type: multipart/mixed; boundary=\"%s\"\r\n"
		    "\r\n"
		    "--%s\r\n"
		    "Content-Type: text/plain; charset=utf-8\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n"
		    "\r\n",
		    SLICE_ARG(domain), SLICE_ARG(lost->login), date, lost->boundary,
		    lost->boundary);
	feed_format(lost,
		    "The message with UID %" PRIu32 " in the mailbox \"%.*s\" was found to be\r\n"
		    "damaged on the disk of the mail server, and was moved here.\r\n"
		    "\r\n",
		    lost->place.uid, SLICE_ARG(lost->mailbox));
}

/* A chunk as it is stored, where it cannot be read. */
struct damaged_chunk {
	uint32_t chunk;
	struct slice record; /* in lost->arena */
};
struct damaged_chunks {
	struct damaged_chunk list[KEPT_DAMAGED_MAX];
	size_t count;
	uint64_t missing;
};

/* Octets `from` to `to` are not there. */
static void feed_hole(struct lost *lost, uint64_t from, uint64_t to)
{
	if (from < to)
		feed_format(lost,
			    "\r\n[Here %" PRIu64 " octets are missing, from %" PRIu64 " on.]\r\n",
			    to - from, from);
}

/* Gives what can be read of a chunk: of one whose base64 alone is damaged, the text before it. False:
 * not all of it. */
static bool feed_chunk(struct lost *lost, struct read *read, struct slice record)
{
	enum { TEXT = 1 };
	buffer_clear(&read->plain);
	bool is_whole = chunk_decompress(read, record, CHUNK_WHOLE, &read->plain);
	if (!is_whole && !chunk_decompress(read, record, TEXT, &read->plain))
		return false;
	feed(lost, buffer_slice(&read->plain));
	lost->octets += read->plain.len;
	return is_whole;
}

/* The body's good chunks, with a line in place of what is damaged. */
static void feed_body(struct lost *lost, struct damaged_chunks *damaged)
{
	uint64_t blob_id = lost->entry.blob_id;
	uint32_t next = 0;
	bool is_over = false;
	while (!is_over) {
		struct read *read = read_begin(lost->store);
		struct row row;
		struct key key;
		key_piece(&key, blob_id, next, 0);
		row_open(&row, read, DB_BLOB);
		bool more = row_seek(&row, key_slice(&key));
		for (unsigned i = 0; i < CHUNKS_AT_ONCE && !is_over; i++) {
			is_over = !more || row.key.len != 12 || get_be64(row.key.ptr) != blob_id;
			if (is_over)
				break;
			uint32_t chunk = get_be32(row.key.ptr + 8) >> 8;
			uint64_t start = (uint64_t)chunk * BLOB_CHUNK_OCTETS;
			feed_hole(lost, (uint64_t)next * BLOB_CHUNK_OCTETS, start);
			damaged->missing += chunk - next;
			struct slice record = chunk_collect(&row, blob_id, chunk, &more);
			if (!feed_chunk(lost, read, record)) {
				feed_hole(lost, start + read->plain.len, start + BLOB_CHUNK_OCTETS);
				if (damaged->count < KEPT_DAMAGED_MAX)
					damaged->list[damaged->count++] = (struct damaged_chunk){
						chunk, arena_copy(&lost->arena, record)
					};
			}
			next = chunk + 1;
		}
		row_close(&row);
		is_over = is_over || read->failure != ERR_OK;
		read_end(&read);
	}
	feed_hole(lost, (uint64_t)next * BLOB_CHUNK_OCTETS, lost->entry.size_octets);
	lost->is_whole = lost->is_whole && damaged->count == 0 && damaged->missing == 0 &&
			 lost->octets == lost->entry.size_octets;
}

static void feed_octets_part(struct lost *lost, const char *name, struct slice octets)
{
	feed_format(lost,
		    "\r\n--%s\r\n"
		    "Content-Type: application/octet-stream\r\n"
		    "Content-Disposition: attachment; filename=\"%s\"\r\n"
		    "Content-Transfer-Encoding: base64\r\n"
		    "\r\n",
		    lost->boundary, name);
	feed_base64(lost, octets);
}

static void feed_message(struct lost *lost)
{
	struct damaged_chunks *damaged = arena_alloc(&lost->arena, sizeof(*damaged));
	snprintf(lost->boundary, sizeof(lost->boundary), "bode-%016" PRIx64 "%016" PRIx64,
		 random_u64(), random_u64());
	feed_note(lost);
	if (lost->is_readable) {
		feed_format(lost,
			    "What can be read of it is attached, and so are the octets that\r\n"
			    "are damaged, as they were found. A backup may have it whole.\r\n"
			    "\r\n--%s\r\n"
			    "Content-Type: message/rfc822\r\n"
			    "Content-Transfer-Encoding: 8bit\r\n"
			    "Content-Disposition: attachment; filename=\"message.eml\"\r\n"
			    "\r\n",
			    lost->boundary);
		feed_body(lost, damaged);
	} else {
		feed_format(lost,
			    "Only its entry is left, which is attached and cannot be read.\r\n"
			    "A backup may have the message.\r\n");
		feed_octets_part(lost, "entry", lost->record);
	}
	for (size_t i = 0; i < damaged->count; i++) {
		char name[32];
		snprintf(name, sizeof(name), "damaged-%" PRIu32, damaged->list[i].chunk + 1);
		feed_octets_part(lost, name, damaged->list[i].record);
	}
	feed_format(lost, "\r\n--%s--\r\n", lost->boundary);
}

/* ---- taking its place ---- */

struct lost_job {
	struct job job;
	struct lost *lost;
};

/* Quota is no reason to leave a damaged message where it is: it had its place already. */
static enum err append_beyond_quota(struct write *write, struct lost *lost, uint64_t mailbox_id,
				    const struct message_entry *entry)
{
	struct account_slot *account;
	uint32_t uid;
	enum err err = account_slot_get(write, lost->account_id, &account);
	if (err != ERR_OK)
		return err;
	struct account before = account->row.account;
	account->row.account.quota_octets = account->row.account.quota_messages = 0;
	err = message_append(write, mailbox_id, entry, NULL, 0, &uid);
	account->row.account.quota_octets = before.quota_octets;
	account->row.account.quota_messages = before.quota_messages;
	return err;
}

/* Out of its mailbox, and not among what was expunged: it has another place already. */
static enum err entry_remove(struct write *write, struct lost *lost)
{
	struct mailbox_slot *slot;
	struct account_slot *account;
	struct key key;
	struct range run = { lost->place.uid, lost->place.uid };
	struct ranges uids = { .runs = &run, .count = 1 };
	enum err err = message_slots(write, lost->place.mailbox_id, &slot, &account);
	key_entry(&key, lost->place.mailbox_id, lost->place.uid);
	if (err == ERR_OK)
		err = db_del(write, DB_MAILBOX, key_slice(&key));
	if (err == ERR_OK && lost->is_readable) {
		mailbox_count(&slot->record.mailbox, &lost->entry, -1);
		account->row.account.used_messages--;
		account->row.account.used_octets -= lost->entry.size_octets;
		err = blob_release(write, lost->entry.blob_id);
	}
	if (err == ERR_OK)
		err = gaps_add(write, lost->place.mailbox_id, &uids);
	if (err == ERR_OK)
		err = change_add(write, slot, account_next_modseq(write, account),
				 &(struct change){ .kind = CHANGE_VANISHED }, &uids);
	return err;
}

/* Its old place, when it has another. */
static enum err place_leave(struct write *write, struct lost *lost)
{
	struct key key;
	if (lost->place.from == LOST_FROM_MAILBOX)
		return entry_remove(write, lost);
	enum database db = place_key(&lost->place, &key);
	enum err err = db_del(write, db, key_slice(&key));
	return err == ERR_OK && lost->is_readable ? blob_release(write, lost->entry.blob_id) : err;
}

static enum err lost_and_found(struct write *write, struct lost *lost, uint64_t *mailbox_id_out)
{
	struct mailbox mailbox = { 0 };
	enum err err = mailbox_find(write_read(write), lost->account_id, SLICE(LOST_AND_FOUND),
				    &write->arena, &mailbox);
	*mailbox_id_out = mailbox.mailbox_id;
	if (err != ERR_NOT_FOUND)
		return err;
	err = mailbox_create(write, lost->account_id, SLICE(LOST_AND_FOUND), USE_NONE,
			     mailbox_id_out);
	return err == ERR_OK
		       ? mailbox_subscribe(write, lost->account_id, SLICE(LOST_AND_FOUND), true)
		       : err;
}

static enum err lost_run(struct write *write, struct job *job)
{
	struct lost *lost = CONTAINER_OF(job, struct lost_job, job)->lost;
	struct message_entry entry;
	struct key key;
	struct slice value;
	uint64_t mailbox_id;
	/* It may have gone meanwhile. */
	enum database db = place_key(&lost->place, &key);
	enum err err = db_get(write_read(write), db, key_slice(&key), &value);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	/* Its flags may be others by now, and the counts with them. */
	if (lost->is_readable && !entry_decode(value, lost->place.uid, &lost->entry))
		return ERR_DAMAGED;
	if ((err = write_may_grow(write)) == ERR_OK)
		err = lost_and_found(write, lost, &mailbox_id);
	entry = (struct message_entry){
		.internal_unix = lost->entry.internal_unix,
		.size_octets = lost->entry.size_octets,
		.flags = lost->is_readable ? lost->entry.flags & (uint8_t)~FLAG_DELETED : 0,
	};
	if (err == ERR_OK && lost->has_digest) {
		entry.blob_id = lost->entry.blob_id;
	} else if (err == ERR_OK) {
		entry.size_octets = intake_size_octets(lost->intake);
		err = intake_commit(write, lost->intake, &entry.blob_id);
	}
	if (err == ERR_OK)
		err = append_beyond_quota(write, lost, mailbox_id, &entry);
	return err == ERR_OK ? place_leave(write, lost) : err;
}

enum err lost_put_aside(struct store *store, const struct lost_place *place,
			uint32_t *account_id_out)
{
	struct lost lost = { .store = store, .place = *place };
	struct lost_job job = { .job.run = lost_run, .lost = &lost };
	enum err err = lost_find(&lost);
	if (err == ERR_NOT_FOUND) { /* expunged meanwhile */
		arena_fini(&lost.arena);
		return ERR_OK;
	}
	if (err == ERR_OK && !lost.has_digest) {
		lost.intake = intake_new(store, NULL, NULL, NULL);
		feed_message(&lost);
		err = intake_finish(lost.intake);
	}
	/* What could not be read a moment ago can be read now: a device's whim. */
	if (err == ERR_OK && !lost.is_whole)
		err = store_write_now(store, &job.job);
	intake_free(&lost.intake);
	*account_id_out = lost.account_id;
	arena_fini(&lost.arena);
	return err;
}
