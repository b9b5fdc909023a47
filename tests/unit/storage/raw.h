/* tests/unit/storage/raw.h - a store with something in it, and its records as they lie there, which
 * may be written over, whatever the room would say to that. */
#pragma once

#include "tests/unit/storage/bed.h"

/* ---- a store with something in it ---- */

static inline void bed_fill(struct bed *bed)
{
	struct buffer text = { 0 };
	static const struct slice keywords[] = { { (const uint8_t *)"$Work", 5 } };
	bed_begin(bed, STORE_ADMIN);
	for (unsigned i = 1; i <= 6; i++) {
		bed_text(&text, i, i == 3 ? 300000 : 500 + i * 10);
		struct bed_append append = { .mailbox_id = bed->inbox_id,
					     .text = buffer_slice(&text),
					     .entry = { .internal_unix = 1000000 + i,
							.flags = i % 2 ? FLAG_SEEN : 0 },
					     .keywords = keywords,
					     .keyword_count = i == 4 };
		assert_int_equal(bed_append(bed, &append), ERR_OK);
	}
	buffer_free(&text);
}

static inline enum err copy_run(struct write *write, void *arg)
{
	return bed_copy(write, arg, "Archive", false);
}

static inline void bed_live(struct bed *bed)
{
	bed_fill(bed);
	assert_int_equal(bed_write(bed, copy_run, bed), ERR_OK);
	assert_int_equal(bed_expunge(bed, 6, 6), ERR_OK);
}

static inline struct message_entry entry_of(struct bed *bed, const char *mailbox, uint32_t uid)
{
	struct message_entry entry;
	struct read *read = read_begin(bed->store);
	assert_int_equal(message_get(read, bed_mailbox(bed, mailbox), uid, &entry), ERR_OK);
	read_end(&read);
	return entry;
}

static inline struct mailbox mailbox_of(struct bed *bed, const char *name)
{
	struct mailbox mailbox;
	struct read *read = read_begin(bed->store);
	assert_int_equal(
		mailbox_find(read, bed->account_id, slice_cstr(name), &bed->arena, &mailbox),
		ERR_OK);
	read_end(&read);
	return mailbox;
}

/* ---- raw records ---- */

struct raw {
	enum database db;
	struct key key;
	struct buffer value;
	enum { RAW_PUT, RAW_DELETE, RAW_FLIP } how;
	size_t at; /* RAW_FLIP: which octet */
};

static inline enum err raw_run(struct write *write, void *arg)
{
	struct raw *raw = arg;
	struct slice value;
	if (raw->how == RAW_PUT)
		return db_put(write, raw->db, key_slice(&raw->key), buffer_slice(&raw->value),
			      PUT_ANY);
	if (raw->how == RAW_DELETE)
		return db_del(write, raw->db, key_slice(&raw->key));
	enum err err = db_get(write_read(write), raw->db, key_slice(&raw->key), &value);
	if (err != ERR_OK)
		return err;
	struct slice copy = arena_copy(&write->arena, value);
	((uint8_t *)(uintptr_t)copy.ptr)[raw->at % copy.len] ^= 0x40;
	return db_put(write, raw->db, key_slice(&raw->key), copy, PUT_ANY);
}

static inline void raw_write(struct bed *bed, struct raw *raw)
{
	assert_int_equal(bed_write(bed, raw_run, raw), ERR_OK);
	buffer_free(&raw->value);
}

static inline void put_mailbox(struct bed *bed, const struct mailbox *mailbox)
{
	struct raw raw = { .db = DB_MAILBOX };
	struct mailbox_record record;
	struct read *read = read_begin(bed->store);
	assert_int_equal(mailbox_load(read, mailbox->mailbox_id, &bed->arena, &record), ERR_OK);
	read_end(&read);
	record.mailbox = *mailbox;
	mailbox_encode(&record, &raw.value);
	key_mailbox_row(&raw.key, mailbox->mailbox_id, ROW_RECORD);
	raw_write(bed, &raw);
}

static inline void put_entry(struct bed *bed, uint64_t mailbox_id,
			     const struct message_entry *entry)
{
	struct raw raw = { .db = DB_MAILBOX };
	uint8_t *at = buffer_reserve(&raw.value, ENTRY_OCTETS);
	entry_encode(entry, at);
	raw.value.len = ENTRY_OCTETS;
	key_entry(&raw.key, mailbox_id, entry->uid);
	raw_write(bed, &raw);
}

static inline void put_number(struct bed *bed, enum database db, uint64_t id, uint64_t number)
{
	struct raw raw = { .db = db };
	number_encode(number, &raw.value);
	key_be64(&raw.key, id);
	raw_write(bed, &raw);
}

static inline void put_account(struct bed *bed, uint64_t used, uint32_t mailboxes)
{
	struct raw raw = { .db = DB_ACCOUNT };
	struct account_row row;
	struct read *read = read_begin(bed->store);
	assert_int_equal(account_load(read, bed->account_id, &bed->arena, &row), ERR_OK);
	read_end(&read);
	row.account.used_octets += used;
	row.mailboxes += mailboxes;
	account_encode(&row, &raw.value);
	key_be32(&raw.key, bed->account_id);
	raw_write(bed, &raw);
}
