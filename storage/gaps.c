/* storage/gaps.c - which UIDs of a mailbox hold no message any more, so that what it holds is
 * known without a walk over its entries: a SELECT of 100,000 messages reads some pages of gaps
 * instead of two thousand of entries.
 *
 * A row says it for a block of UIDs, as runs where they are few, else as a bitmap; the last run
 * of a row may go on over the blocks that follow, so that UIDs which an import has jumped over
 * cost one row. Rows only ever gain UIDs, which are never used again. They are derived: where they
 * do not add up to the mailbox's count, nothing is said and the entries are asked instead.
 * Runs in the back, and in the admin's process. */
#include "storage/message_priv.h"

enum {
	BLOCK_UIDS = 8192,
	BLOCK_OCTETS = BLOCK_UIDS / 8,
	RUNS_MAX = BLOCK_OCTETS / RUN_OCTETS, /* more take more room than the bitmap */
};

static uint32_t block_last(uint32_t block)
{
	return block * BLOCK_UIDS + (BLOCK_UIDS - 1);
}

/* ---- records ---- */

static void bitmap_decode(struct cursor *c, uint32_t block, struct ranges *gone)
{
	uint64_t word;
	for (uint32_t uid = block * BLOCK_UIDS; take_be64(c, &word); uid += 64)
		for (unsigned bit = 0; bit < 64 && word >> bit != 0;) {
			bit += (unsigned)__builtin_ctzll(word >> bit);
			uint64_t ones = ~(word >> bit);
			unsigned len = ones == 0 ? 64 : (unsigned)__builtin_ctzll(ones);
			ranges_add(gone, uid + bit, uid + bit + len - 1);
			bit += len;
		}
}

/* False: damaged; some of it may have been added. */
static bool gaps_decode(struct slice record, uint32_t block, struct ranges *gone)
{
	struct cursor c = cursor_of(record);
	uint8_t form;
	uint32_t first, last;
	if (!take_byte(&c, RECORD_VERSION) || !take_u8(&c, &form))
		return false;
	if (form == GAPS_BITMAP && cursor_left(&c) == BLOCK_OCTETS) {
		bitmap_decode(&c, block, gone);
		return true;
	}
	while (form == GAPS_RUNS && !at_end(&c)) {
		if (!take_be32(&c, &first) || !take_be32(&c, &last) || first > last)
			return false;
		ranges_add(gone, first, last);
	}
	return form == GAPS_RUNS;
}

static void runs_encode(const struct ranges *gone, struct buffer *out)
{
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_byte(out, GAPS_RUNS);
	for (uint32_t i = 0; i < gone->count; i++) {
		buffer_add_be32(out, gone->runs[i].first);
		buffer_add_be32(out, gone->runs[i].last);
	}
}

/* All of `gone` is in the block. */
static void bitmap_encode(const struct ranges *gone, uint32_t block, struct buffer *out)
{
	uint64_t words[BLOCK_UIDS / 64] = { 0 };
	for (uint32_t i = 0; i < gone->count; i++)
		for (uint32_t uid = gone->runs[i].first; uid <= gone->runs[i].last; uid++) {
			uint32_t at = uid - block * BLOCK_UIDS;
			words[at / 64] |= (uint64_t)1 << at % 64;
		}
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_byte(out, GAPS_BITMAP);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		buffer_add_be64(out, words[i]);
}

/* ---- writing ---- */

/* Adds `gone` to the block's row and empties it; `gone` begins in the block and may go on behind
 * it in its last run. What has no place in the row is left: it begins in the next block. */
static enum err block_flush(struct write *write, uint64_t mailbox_id, uint32_t block,
			    struct ranges *gone)
{
	struct key key;
	struct slice record;
	struct buffer value = { 0 };
	struct ranges rest = { 0 };
	key_gaps(&key, mailbox_id, block);
	enum err err = db_get(write_read(write), DB_MAILBOX, key_slice(&key), &record);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	/* A damaged row is written anew: the count will tell that something is missing. */
	if (err == ERR_OK && !gaps_decode(record, block, gone))
		log_error(NULL, EVENT("store-damaged"), WORD("where", "gaps"),
			  HEX("mailbox", mailbox_id));
	if (gone->count <= RUNS_MAX) {
		runs_encode(gone, &value);
	} else {
		uint32_t last = ranges_last(gone);
		if (last > block_last(block)) {
			ranges_add(&rest, block_last(block) + 1, last);
			ranges_remove(gone, block_last(block) + 1, last);
		}
		bitmap_encode(gone, block, &value);
	}
	err = db_put(write, DB_MAILBOX, key_slice(&key), buffer_slice(&value), PUT_ANY);
	buffer_free(&value);
	ranges_free(gone);
	*gone = rest;
	return err;
}

enum err gaps_add(struct write *write, uint64_t mailbox_id, const struct ranges *uids)
{
	enum err err = ERR_OK;
	struct ranges gone = { 0 }; /* of `block` */
	uint32_t block = 0;
	for (uint32_t i = 0; i < uids->count && err == ERR_OK; i++) {
		struct range run = uids->runs[i];
		while (err == ERR_OK && gone.count > 0 && run.first > block_last(block))
			err = block_flush(write, mailbox_id, block++, &gone);
		if (gone.count == 0)
			block = run.first / BLOCK_UIDS;
		ranges_add(&gone, run.first, run.last);
	}
	while (err == ERR_OK && gone.count > 0)
		err = block_flush(write, mailbox_id, block++, &gone);
	ranges_free(&gone);
	return err;
}

enum err gaps_add_run(struct write *write, uint64_t mailbox_id, uint32_t first, uint32_t last)
{
	struct range run = { first, last };
	struct ranges uids = { .runs = &run, .count = 1 };
	return gaps_add(write, mailbox_id, &uids);
}

enum err gaps_rebuild(struct write *write, uint64_t mailbox_id, uint32_t uidnext)
{
	struct ranges gone = { 0 };
	struct key key;
	struct row row;
	struct slice block;
	enum err err = ERR_OK;
	uint32_t next = 1;
	row_open(&row, write_read(write), DB_MAILBOX);
	for (bool more = entry_seek(&row, mailbox_id, 0); more;
	     more = entry_next(&row, mailbox_id)) {
		uint32_t uid = entry_uid(&row);
		if (uid > next)
			ranges_add(&gone, next, uid - 1);
		next = uid < UINT32_MAX ? uid + 1 : uid;
	}
	if (next < uidnext)
		ranges_add(&gone, next, uidnext - 1);
	key_gaps(&key, mailbox_id, 0);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && more && key_is_row(row.key, mailbox_id, ROW_GAPS, &block)) {
		err = row_delete(&row);
		more = row_next(&row);
	}
	row_close(&row);
	if (err == ERR_OK)
		err = write_read(write)->failure;
	if (err == ERR_OK)
		err = gaps_add(write, mailbox_id, &gone);
	ranges_free(&gone);
	return err;
}

/* ---- reading ---- */

bool gaps_gone(struct read *read, uint64_t mailbox_id, struct ranges *gone_out)
{
	struct key key;
	struct row row;
	struct slice block;
	bool is_good = true;
	row_open(&row, read, DB_MAILBOX);
	key_gaps(&key, mailbox_id, 0);
	for (bool more = row_seek(&row, key_slice(&key));
	     more && is_good && key_is_row(row.key, mailbox_id, ROW_GAPS, &block);
	     more = row_next(&row))
		is_good = gaps_decode(row.value, get_be32(block.ptr), gone_out);
	row_close(&row);
	return is_good;
}

bool gaps_uids(struct read *read, uint64_t mailbox_id, struct ranges *uids_out)
{
	struct arena arena = { 0 };
	struct mailbox_record *record = arena_alloc(&arena, sizeof(*record));
	struct ranges gone = { 0 };
	bool is_good = mailbox_load(read, mailbox_id, &arena, record) == ERR_OK;
	uint32_t messages = record->mailbox.messages, end = record->mailbox.uidnext;
	arena_fini(&arena);
	if (!is_good)
		return false;
	is_good = gaps_gone(read, mailbox_id, &gone);
	uint32_t next = 1; /* no UID is 0 (RFC 9051 section 2.3.1.1) */
	for (uint32_t i = 0; i < gone.count && is_good; i++) {
		is_good = gone.runs[i].first >= next && gone.runs[i].last < end;
		if (is_good && gone.runs[i].first > next)
			ranges_add(uids_out, next, gone.runs[i].first - 1);
		next = gone.runs[i].last + 1;
	}
	if (is_good && next < end)
		ranges_add(uids_out, next, end - 1);
	ranges_free(&gone);
	is_good = is_good && ranges_total(uids_out) == messages;
	if (!is_good)
		ranges_clear(uids_out);
	return is_good;
}
