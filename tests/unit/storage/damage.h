/* tests/unit/storage/damage.h - every kind of damage of a store that is looked for, each made by
 * writing raw records, and what is told of it. */
#pragma once

#include "tests/unit/storage/raw.h"

#include "storage/acl_priv.h"
#include "storage/blob_priv.h"
#include "storage/garbage_priv.h"
#include "storage/verify.h"

/* An octet of its only frame, or, where there is base64, of the text's. */
static inline void flip_chunk(struct bed *bed, const char *mailbox, uint32_t uid, uint32_t chunk)
{
	struct raw raw = { .db = DB_BLOB, .how = RAW_FLIP, .at = 40 };
	key_piece(&raw.key, entry_of(bed, mailbox, uid).blob_id, chunk, 0);
	raw_write(bed, &raw);
}
static inline void damage_body(struct bed *bed)
{
	flip_chunk(bed, "INBOX", 4, 0);
}
static inline void damage_long_body(struct bed *bed)
{
	flip_chunk(bed, "INBOX", 3, 2); /* it is in Archive as well */
}
static inline void lose_chunk(struct bed *bed)
{
	struct raw raw = { .db = DB_BLOB, .how = RAW_DELETE };
	key_piece(&raw.key, entry_of(bed, "INBOX", 3).blob_id, 1, 0);
	raw_write(bed, &raw);
}
static inline void lose_last_chunk(struct bed *bed)
{
	struct raw raw = { .db = DB_BLOB, .how = RAW_DELETE };
	key_piece(&raw.key, entry_of(bed, "INBOX", 5).blob_id, 0, 0);
	raw_write(bed, &raw);
}
static inline void damage_digest(struct bed *bed)
{
	struct raw raw = { .db = DB_DIGEST, .how = RAW_FLIP, .at = 40 };
	key_be64(&raw.key, entry_of(bed, "INBOX", 2).blob_id);
	raw_write(bed, &raw);
}
static inline void lose_digest(struct bed *bed)
{
	struct raw raw = { .db = DB_DIGEST, .how = RAW_DELETE };
	key_be64(&raw.key, entry_of(bed, "INBOX", 2).blob_id);
	raw_write(bed, &raw);
}
static inline void swap_digest(struct bed *bed)
{
	/* Another message's, of the same length: only the body shows it. */
	struct raw raw = { .db = DB_DIGEST };
	struct key key;
	struct slice value;
	uint8_t size[5];
	struct read *read = read_begin(bed->store);
	key_be64(&raw.key, entry_of(bed, "INBOX", 1).blob_id);
	key_be64(&key, entry_of(bed, "INBOX", 4).blob_id);
	assert_int_equal(db_get(read, DB_DIGEST, key_slice(&key), &value), ERR_OK);
	buffer_add(&raw.value, value);
	put_be40(size, entry_of(bed, "INBOX", 1).size_octets);
	memcpy(raw.value.data + 7, size, 5);
	read_end(&read);
	raw_write(bed, &raw);
}
static inline void add_stray_chunk(struct bed *bed)
{
	struct raw raw = { .db = DB_BLOB };
	buffer_add_cstr(&raw.value, "what is this");
	key_piece(&raw.key, entry_of(bed, "INBOX", 1).blob_id, 7, 0);
	raw_write(bed, &raw);
}
static inline void add_stray_blob(struct bed *bed)
{
	struct raw raw = { .db = DB_BLOB };
	buffer_add_cstr(&raw.value, "what is this");
	key_piece(&raw.key, 5000, 0, 0);
	raw_write(bed, &raw);
}
static inline void lose_body(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.blob_id = 4000;
	put_entry(bed, bed->inbox_id, &entry);
}
static inline void wrong_size(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.size_octets += 5;
	put_entry(bed, bed->inbox_id, &entry);
}
static inline void wrong_flags(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.flags |= 64;
	put_entry(bed, bed->inbox_id, &entry);
}
static inline void damage_entry(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_FLIP, .at = 0 };
	key_entry(&raw.key, bed->inbox_id, 4);
	raw_write(bed, &raw);
}
static inline void cut_entry(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX };
	buffer_add_cstr(&raw.value, "\001short");
	key_entry(&raw.key, bed->inbox_id, 40);
	raw_write(bed, &raw);
}
static inline void future_modseq(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.modseq += 1000;
	put_entry(bed, bed->inbox_id, &entry);
}
static inline void unlogged_change(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.modseq -= 1;
	put_entry(bed, bed->inbox_id, &entry);
}
static inline void nameless_keyword(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.keywords |= 1 << 5;
	put_entry(bed, bed->inbox_id, &entry);
}
static inline void wrong_counts(struct bed *bed)
{
	struct mailbox mailbox = mailbox_of(bed, "Archive");
	mailbox.unseen += 1;
	put_mailbox(bed, &mailbox);
}
static inline void low_uidnext(struct bed *bed)
{
	struct mailbox mailbox = mailbox_of(bed, "Archive");
	mailbox.uidnext = mailbox.recent_from_uid = 2;
	put_mailbox(bed, &mailbox);
}
static inline void damage_log(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_FLIP, .at = 2 };
	key_change(&raw.key, bed->inbox_id, entry_of(bed, "INBOX", 4).modseq);
	raw_write(bed, &raw);
}
static inline void lose_log_row(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_DELETE };
	key_change(&raw.key, bed->inbox_id, entry_of(bed, "INBOX", 4).modseq);
	raw_write(bed, &raw);
}
static inline void put_gap(struct bed *bed, uint8_t form, uint32_t uid)
{
	struct raw raw = { .db = DB_MAILBOX };
	buffer_add_byte(&raw.value, RECORD_VERSION);
	buffer_add_byte(&raw.value, form);
	buffer_add_be32(&raw.value, uid);
	buffer_add_be32(&raw.value, uid);
	key_gaps(&raw.key, bed->inbox_id, 0);
	raw_write(bed, &raw);
}
static inline void false_gap(struct bed *bed)
{
	put_gap(bed, GAPS_RUNS, 2);
}
static inline void future_gap(struct bed *bed)
{
	put_gap(bed, GAPS_RUNS, 6000);
}
static inline void damage_gaps(struct bed *bed)
{
	put_gap(bed, 7, 6);
}
static inline void wrong_usage(struct bed *bed)
{
	put_account(bed, 77, 0);
}
static inline void wrong_name_count(struct bed *bed)
{
	put_account(bed, 0, 3);
}
static inline void high_reference(struct bed *bed)
{
	put_number(bed, DB_REFERENCE, entry_of(bed, "INBOX", 1).blob_id, 9);
}
static inline void lost_reference(struct bed *bed)
{
	struct raw raw = { .db = DB_REFERENCE, .how = RAW_DELETE };
	key_be64(&raw.key, entry_of(bed, "INBOX", 1).blob_id);
	raw_write(bed, &raw);
}
static inline void stray_reference(struct bed *bed)
{
	put_number(bed, DB_REFERENCE, 3000, 4);
}
static inline void damaged_reference(struct bed *bed)
{
	struct raw raw = { .db = DB_REFERENCE, .how = RAW_FLIP, .at = 0 };
	key_be64(&raw.key, entry_of(bed, "INBOX", 1).blob_id);
	raw_write(bed, &raw);
}
static inline void referred_garbage(struct bed *bed)
{
	struct raw raw = { .db = DB_GARBAGE };
	number_encode((uint64_t)INT64_MAX, &raw.value);
	key_garbage(&raw.key, GARBAGE_BLOB, entry_of(bed, "INBOX", 4).blob_id);
	raw_write(bed, &raw);
}
static inline void bad_garbage_row(struct bed *bed)
{
	struct raw raw = { .db = DB_GARBAGE };
	buffer_add_cstr(&raw.value, "x");
	key_garbage(&raw.key, 7, 1);
	raw_write(bed, &raw);
}
static inline void living_garbage(struct bed *bed)
{
	struct raw raw = { .db = DB_GARBAGE };
	number_encode((uint64_t)INT64_MAX, &raw.value);
	key_garbage(&raw.key, GARBAGE_MAILBOX, bed->inbox_id);
	raw_write(bed, &raw);
}
static inline void orphan(struct bed *bed)
{
	struct raw raw = { .db = DB_GARBAGE, .how = RAW_DELETE };
	struct read *read = read_begin(bed->store);
	struct row row;
	row_open(&row, read, DB_GARBAGE);
	assert_true(row_seek(&row, SLICE("\0"))); /* what was expunged */
	raw.key.len = row.key.len;
	memcpy(raw.key.octets, row.key.ptr, row.key.len);
	row_close(&row);
	read_end(&read);
	raw_write(bed, &raw);
}
static inline void wrong_pending(struct bed *bed)
{
	struct raw raw = { .db = DB_PENDING };
	struct pending_row pending = { .owner = PENDING_ADMIN, .started_unix = 1, .chunks = 1 };
	pending_encode(&pending, &raw.value);
	key_be64(&raw.key, entry_of(bed, "INBOX", 4).blob_id);
	raw_write(bed, &raw);
}
static inline void lose_name(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX_NAME, .how = RAW_DELETE };
	key_mailbox_name(&raw.key, bed->account_id, SLICE("Archive"));
	raw_write(bed, &raw);
}
static inline void damage_name(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX_NAME, .how = RAW_FLIP, .at = 0 };
	key_mailbox_name(&raw.key, bed->account_id, SLICE("Archive"));
	raw_write(bed, &raw);
}
static inline void put_name(struct bed *bed, const char *name, uint64_t mailbox_id, bool subscribed)
{
	struct raw raw = { .db = DB_MAILBOX_NAME };
	struct name_row row = { .mailbox_id = mailbox_id, .subscribed = subscribed };
	name_encode(&row, &raw.value);
	key_mailbox_name(&raw.key, bed->account_id, slice_cstr(name));
	raw_write(bed, &raw);
}
static inline void dangling_name(struct bed *bed)
{
	put_name(bed, "Nowhere", 900, true);
}
static inline void second_name(struct bed *bed)
{
	put_name(bed, "Twice", bed->inbox_id, false);
}
static inline void wrong_special_use(struct bed *bed)
{
	put_name(bed, "Archive", bed_mailbox(bed, "Archive"), true);
}
/* A value of one octet behind the version; `version` as it should be, or not. */
static inline void put_annotation(struct bed *bed, uint32_t account_id, uint64_t mailbox_id,
				  uint8_t version)
{
	struct raw raw = { .db = DB_ANNOTATION };
	buffer_add_byte(&raw.value, version);
	buffer_add_byte(&raw.value, 'x');
	key_be32(&raw.key, account_id);
	put_be64(raw.key.octets + 4, mailbox_id);
	memcpy(raw.key.octets + 12, "/shared/x", 9);
	raw.key.len = 21;
	raw_write(bed, &raw);
}
static inline void annotate_no_mailbox(struct bed *bed)
{
	put_annotation(bed, bed->account_id, 3000, RECORD_VERSION);
}
static inline void annotate_no_account(struct bed *bed)
{
	put_annotation(bed, 3000, 0, RECORD_VERSION);
}
static inline void damage_annotation(struct bed *bed)
{
	put_annotation(bed, bed->account_id, bed->inbox_id, 77);
}
/* A row of a list of rights, or of its index; of accounts and mailboxes that may not be there. */
static inline void put_rights(struct bed *bed, uint64_t mailbox_id, uint32_t account_id,
			      uint16_t rights)
{
	struct raw raw = { .db = DB_ACL };
	buffer_add_byte(&raw.value, RECORD_VERSION);
	buffer_add_be16(&raw.value, rights);
	raw.key.octets[0] = ACL_ROW_ENTRY;
	put_be64(raw.key.octets + 1, mailbox_id);
	raw.key.octets[9] = 0;
	put_be32(raw.key.octets + 10, account_id);
	raw.key.len = 14;
	raw_write(bed, &raw);
}
static inline void put_rights_index(struct bed *bed, uint64_t mailbox_id, uint32_t owner_id)
{
	struct raw raw = { .db = DB_ACL };
	buffer_add_byte(&raw.value, RECORD_VERSION);
	key_acl_shared(&raw.key, ACL_ANYONE, owner_id, mailbox_id);
	raw_write(bed, &raw);
}
static inline void grant_outside_index(struct bed *bed)
{
	put_rights(bed, bed->inbox_id, ACL_ANYONE, RIGHT_READ);
}
static inline void grant_to_no_account(struct bed *bed)
{
	put_rights(bed, bed->inbox_id, 3000, RIGHT_READ);
}
static inline void grant_on_no_mailbox(struct bed *bed)
{
	put_rights(bed, 3000, ACL_ANYONE, RIGHT_READ);
}
static inline void grant_to_owner(struct bed *bed)
{
	put_rights(bed, bed->inbox_id, bed->account_id, RIGHT_READ);
}
static inline void damage_rights(struct bed *bed)
{
	put_rights(bed, bed->inbox_id, ACL_ANYONE, 0x8000);
}
static inline void damage_remote(struct bed *bed)
{
	struct raw raw = { .db = DB_REMOTE };
	buffer_add_byte(&raw.value, RECORD_VERSION);
	raw.key.octets[0] = REMOTE_LEVEL;
	raw.key.octets[1] = 'a';
	raw.key.len = 2;
	raw_write(bed, &raw);
}
static inline void index_what_is_not_shared(struct bed *bed)
{
	put_rights_index(bed, bed->inbox_id, bed->account_id);
}
static inline void lose_mailbox_record(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_DELETE };
	key_mailbox_row(&raw.key, bed->inbox_id, ROW_RECORD);
	raw_write(bed, &raw);
}
static inline void damage_mailbox_record(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_FLIP, .at = 0 };
	key_mailbox_row(&raw.key, bed->inbox_id, ROW_RECORD);
	raw_write(bed, &raw);
}
static inline void lose_inbox(struct bed *bed)
{
	put_name(bed, "INBOX", 0, true);
	struct mailbox mailbox = mailbox_of(bed, "Drafts");
	mailbox.mailbox_id = bed->inbox_id;
	mailbox.name = SLICE("Once an inbox");
	put_mailbox(bed, &mailbox);
}
static inline void lose_address(struct bed *bed)
{
	struct raw raw = { .db = DB_ADDRESS, .how = RAW_DELETE };
	key_address(&raw.key, SLICE("alice"), SLICE("example.org"));
	raw_write(bed, &raw);
}
static inline void stray_address(struct bed *bed)
{
	struct raw raw = { .db = DB_ADDRESS };
	buffer_add_byte(&raw.value, RECORD_VERSION);
	buffer_add_be32(&raw.value, 55);
	buffer_add_be32(&raw.value, 0);
	key_address(&raw.key, SLICE("nobody"), SLICE("example.org"));
	raw_write(bed, &raw);
}
static inline void damage_alias(struct bed *bed)
{
	struct raw raw = { .db = DB_ADDRESS };
	buffer_add_cstr(&raw.value, "\002what");
	key_address(&raw.key, SLICE("team"), SLICE("example.org"));
	raw_write(bed, &raw);
}
static inline void lose_domain(struct bed *bed)
{
	struct raw raw = { .db = DB_DOMAIN, .how = RAW_DELETE, .key.len = 11 };
	memcpy(raw.key.octets, "example.org", 11);
	raw_write(bed, &raw);
}
static inline void damage_domain(struct bed *bed)
{
	struct raw raw = { .db = DB_DOMAIN, .how = RAW_FLIP, .key.len = 11 };
	memcpy(raw.key.octets, "example.org", 11);
	raw_write(bed, &raw);
}
static inline void damage_account(struct bed *bed)
{
	struct raw raw = { .db = DB_ACCOUNT, .how = RAW_FLIP, .at = 0 };
	key_be32(&raw.key, bed->account_id);
	raw_write(bed, &raw);
}
static inline void lose_account(struct bed *bed)
{
	struct raw raw = { .db = DB_ACCOUNT, .how = RAW_DELETE };
	key_be32(&raw.key, bed->account_id);
	raw_write(bed, &raw);
}
static inline enum err lower_run(struct write *write, void *arg)
{
	write_touch(write);
	write->head.next_blob_id = 2;
	write->head.last_uidvalidity = 1;
	return ERR_OK;
}
static inline void low_head(struct bed *bed)
{
	assert_int_equal(bed_write(bed, lower_run, NULL), ERR_OK);
}

static const struct {
	const char *name;
	void (*make)(struct bed *bed);
	enum verify_kind kind;
	uint32_t uid; /* 0: none is told */
	const char *place;
} damages[] = {
	{ "body", damage_body, DAMAGED_BODY, 4, "alice@example.org INBOX" },
	{ "long body", damage_long_body, DAMAGED_BODY, 3, "alice@example.org INBOX" },
	{ "lost chunk", lose_chunk, DAMAGED_BODY, 3, "alice@example.org INBOX" },
	{ "lost last chunk", lose_last_chunk, DAMAGED_BODY, 5, "alice@example.org INBOX" },
	{ "damaged digest", damage_digest, WRONG_DIGEST, 0, NULL },
	{ "lost digest", lose_digest, WRONG_DIGEST, 0, NULL },
	{ "another's digest", swap_digest, WRONG_DIGEST, 0, NULL },
	{ "stray chunk", add_stray_chunk, STRAY_CHUNKS, 0, NULL },
	{ "stray blob", add_stray_blob, STRAY_CHUNKS, 0, NULL },
	{ "lost body", lose_body, LOST_BODY, 2, "alice@example.org INBOX" },
	{ "wrong size", wrong_size, WRONG_SIZE, 2, "alice@example.org INBOX" },
	{ "wrong flags", wrong_flags, WRONG_SIZE, 2, "alice@example.org INBOX" },
	{ "damaged entry", damage_entry, WRONG_ENTRY, 4, "alice@example.org INBOX" },
	{ "cut entry", cut_entry, WRONG_ENTRY, 40, "alice@example.org INBOX" },
	{ "future modseq", future_modseq, WRONG_NUMBERS, 0, "alice@example.org INBOX" },
	{ "unlogged change", unlogged_change, WRONG_LOG, 0, "alice@example.org INBOX" },
	{ "nameless keyword", nameless_keyword, WRONG_KEYWORDS, 0, "alice@example.org INBOX" },
	{ "wrong counts", wrong_counts, WRONG_COUNTS, 0, "alice@example.org Archive" },
	{ "low UIDNEXT", low_uidnext, WRONG_NUMBERS, 0, "alice@example.org Archive" },
	{ "damaged log", damage_log, WRONG_LOG, 0, "alice@example.org INBOX" },
	{ "lost log row", lose_log_row, WRONG_LOG, 0, "alice@example.org INBOX" },
	{ "false gap", false_gap, WRONG_GAPS, 0, "alice@example.org INBOX" },
	{ "future gap", future_gap, WRONG_GAPS, 0, "alice@example.org INBOX" },
	{ "damaged gaps", damage_gaps, WRONG_GAPS, 0, "alice@example.org INBOX" },
	{ "wrong usage", wrong_usage, WRONG_USAGE, 0, "alice@example.org " },
	{ "wrong name count", wrong_name_count, WRONG_USAGE, 0, "alice@example.org " },
	{ "high reference", high_reference, WRONG_REFERENCES, 0, NULL },
	{ "lost reference", lost_reference, WRONG_REFERENCES, 0, NULL },
	{ "stray reference", stray_reference, WRONG_REFERENCES, 0, NULL },
	{ "damaged reference", damaged_reference, WRONG_REFERENCES, 0, NULL },
	{ "referred garbage", referred_garbage, WRONG_GARBAGE, 0, NULL },
	{ "bad garbage row", bad_garbage_row, WRONG_GARBAGE, 0, NULL },
	{ "living garbage", living_garbage, WRONG_GARBAGE, 0, "alice@example.org INBOX" },
	{ "orphan", orphan, ORPHAN, 0, NULL },
	{ "wrong pending", wrong_pending, WRONG_PENDING, 0, NULL },
	{ "lost name", lose_name, WRONG_NAME, 0, "alice@example.org Archive" },
	{ "damaged name", damage_name, WRONG_NAME, 0, "alice@example.org Archive" },
	{ "dangling name", dangling_name, WRONG_NAME, 0, "alice@example.org Nowhere" },
	{ "second name", second_name, WRONG_NAME, 0, "alice@example.org Twice" },
	{ "special use", wrong_special_use, WRONG_NAME, 0, "alice@example.org Archive" },
	{ "annotation of no mailbox", annotate_no_mailbox, WRONG_ANNOTATION, 0, NULL },
	{ "annotation of no account", annotate_no_account, WRONG_ANNOTATION, 0, NULL },
	{ "damaged annotation", damage_annotation, WRONG_ANNOTATION, 0, NULL },
	{ "rights outside the index", grant_outside_index, WRONG_ACL, 0, NULL },
	{ "rights of no account", grant_to_no_account, WRONG_ACL, 0, NULL },
	{ "rights on no mailbox", grant_on_no_mailbox, WRONG_ACL, 0, NULL },
	{ "rights of the owner", grant_to_owner, WRONG_ACL, 0, NULL },
	{ "damaged rights", damage_rights, WRONG_ACL, 0, NULL },
	{ "a damaged row of a domain elsewhere", damage_remote, WRONG_REMOTE, 0, NULL },
	{ "index of rights", index_what_is_not_shared, WRONG_ACL, 0, NULL },
	{ "lost mailbox", lose_mailbox_record, WRONG_MAILBOX, 0, "alice@example.org INBOX" },
	{ "damaged mailbox", damage_mailbox_record, WRONG_MAILBOX, 0, "alice@example.org INBOX" },
	{ "lost inbox", lose_inbox, WRONG_INBOX, 0, "alice@example.org " },
	{ "lost address", lose_address, WRONG_ADDRESS, 0, "alice@example.org " },
	{ "stray address", stray_address, WRONG_ADDRESS, 0, NULL },
	{ "damaged alias", damage_alias, WRONG_ADDRESS, 0, NULL },
	{ "lost domain", lose_domain, WRONG_DOMAIN, 0, NULL },
	{ "damaged domain", damage_domain, WRONG_DOMAIN, 0, NULL },
	{ "damaged account", damage_account, WRONG_ACCOUNT, 0, NULL },
	{ "lost account", lose_account, WRONG_ACCOUNT, 0, "alice@example.org " },
	{ "low head", low_head, WRONG_HEAD, 0, NULL },
};
