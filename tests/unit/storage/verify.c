/* tests/unit/storage/verify.c - every kind of damage, made by writing raw records: it is found,
 * told with its place, repaired, and gone afterwards. */
#include "tests/unit/storage/bed.h"

#include "storage/acl_priv.h"
#include "storage/blob_priv.h"
#include "storage/expunged.h"
#include "storage/garbage_priv.h"
#include "storage/verify.h"

/* ---- what a check tells ---- */

struct told {
	unsigned count;
	enum verify_kind kinds[64];
	enum verify_outcome outcomes[64];
	uint32_t uids[64];
	char places[64][128]; /* login and mailbox */
	unsigned changed;
	void (*between)(void *user); /* called once at each phase */
	void *user;
};

static void on_phase(void *user, enum verify_phase phase, uint64_t total)
{
	struct told *told = user;
	if (told->between)
		told->between(told->user);
}

static void on_problem(void *user, const struct verify_problem *problem)
{
	struct told *told = user;
	assert_true(problem->what && problem->advice);
	if (told->count < 64) {
		told->kinds[told->count] = problem->kind;
		told->outcomes[told->count] = problem->outcome;
		told->uids[told->count] = problem->uid;
		snprintf(told->places[told->count], sizeof(told->places[0]), "%.*s %.*s",
			 SLICE_ARG(problem->login), SLICE_ARG(problem->mailbox));
	}
	told->count++;
}

static void on_changed(void *user, uint32_t account_id)
{
	((struct told *)user)->changed++;
}

static struct verify_counts check(struct bed *bed, bool repair, struct told *told)
{
	struct verify_counts counts;
	struct verify_watcher watcher = {
		.phase = on_phase, .problem = on_problem, .changed = on_changed, .user = told
	};
	told->count = 0;
	assert_int_equal(verify_run(bed->store, repair, &watcher, &counts), ERR_OK);
	assert_int_equal(counts.problems, told->count);
	return counts;
}

static void assert_clean(struct bed *bed)
{
	struct told told = { 0 };
	check(bed, false, &told);
	if (told.count > 0)
		fail_msg("%u problems, the first: %s", told.count, verify_kind_word(told.kinds[0]));
}

static bool tells(const struct told *told, enum verify_kind kind)
{
	for (unsigned i = 0; i < told->count && i < 64; i++)
		if (told->kinds[i] == kind)
			return true;
	return false;
}

/* ---- a store with something in it ---- */

static void bed_fill(struct bed *bed)
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

static enum err copy_run(struct write *write, void *arg)
{
	struct bed *bed = arg;
	struct ranges uids = { 0 }, from = { 0 }, to = { 0 };
	ranges_add(&uids, 1, 3);
	enum err err = message_copy(write, bed->inbox_id, &uids, bed_mailbox(bed, "Archive"), false,
				    &from, &to);
	ranges_free(&uids);
	ranges_free(&from);
	ranges_free(&to);
	return err;
}

static void bed_live(struct bed *bed)
{
	bed_fill(bed);
	assert_int_equal(bed_write(bed, copy_run, bed), ERR_OK);
	assert_int_equal(bed_expunge(bed, 6, 6), ERR_OK);
}

static struct message_entry entry_of(struct bed *bed, const char *mailbox, uint32_t uid)
{
	struct message_entry entry;
	struct read *read = read_begin(bed->store);
	assert_int_equal(message_get(read, bed_mailbox(bed, mailbox), uid, &entry), ERR_OK);
	read_end(&read);
	return entry;
}

static struct mailbox mailbox_of(struct bed *bed, const char *name)
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

static enum err raw_run(struct write *write, void *arg)
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

static void raw_write(struct bed *bed, struct raw *raw)
{
	assert_int_equal(bed_write(bed, raw_run, raw), ERR_OK);
	buffer_free(&raw->value);
}

static void put_mailbox(struct bed *bed, const struct mailbox *mailbox)
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

static void put_entry(struct bed *bed, uint64_t mailbox_id, const struct message_entry *entry)
{
	struct raw raw = { .db = DB_MAILBOX };
	uint8_t *at = buffer_reserve(&raw.value, ENTRY_OCTETS);
	entry_encode(entry, at);
	raw.value.len = ENTRY_OCTETS;
	key_entry(&raw.key, mailbox_id, entry->uid);
	raw_write(bed, &raw);
}

static void put_number(struct bed *bed, enum database db, uint64_t id, uint64_t number)
{
	struct raw raw = { .db = db };
	number_encode(number, &raw.value);
	key_be64(&raw.key, id);
	raw_write(bed, &raw);
}

static void put_account(struct bed *bed, uint64_t used, uint32_t mailboxes)
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

/* ---- the kinds of damage ---- */

/* An octet of its only frame, or, where there is base64, of the text's. */
static void flip_chunk(struct bed *bed, const char *mailbox, uint32_t uid, uint32_t chunk)
{
	struct raw raw = { .db = DB_BLOB, .how = RAW_FLIP, .at = 40 };
	key_piece(&raw.key, entry_of(bed, mailbox, uid).blob_id, chunk, 0);
	raw_write(bed, &raw);
}
static void damage_body(struct bed *bed)
{
	flip_chunk(bed, "INBOX", 4, 0);
}
static void damage_long_body(struct bed *bed)
{
	flip_chunk(bed, "INBOX", 3, 2); /* it is in Archive as well */
}
static void lose_chunk(struct bed *bed)
{
	struct raw raw = { .db = DB_BLOB, .how = RAW_DELETE };
	key_piece(&raw.key, entry_of(bed, "INBOX", 3).blob_id, 1, 0);
	raw_write(bed, &raw);
}
static void lose_last_chunk(struct bed *bed)
{
	struct raw raw = { .db = DB_BLOB, .how = RAW_DELETE };
	key_piece(&raw.key, entry_of(bed, "INBOX", 5).blob_id, 0, 0);
	raw_write(bed, &raw);
}
static void damage_digest(struct bed *bed)
{
	struct raw raw = { .db = DB_DIGEST, .how = RAW_FLIP, .at = 40 };
	key_be64(&raw.key, entry_of(bed, "INBOX", 2).blob_id);
	raw_write(bed, &raw);
}
static void lose_digest(struct bed *bed)
{
	struct raw raw = { .db = DB_DIGEST, .how = RAW_DELETE };
	key_be64(&raw.key, entry_of(bed, "INBOX", 2).blob_id);
	raw_write(bed, &raw);
}
static void swap_digest(struct bed *bed)
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
static void add_stray_chunk(struct bed *bed)
{
	struct raw raw = { .db = DB_BLOB };
	buffer_add_cstr(&raw.value, "what is this");
	key_piece(&raw.key, entry_of(bed, "INBOX", 1).blob_id, 7, 0);
	raw_write(bed, &raw);
}
static void add_stray_blob(struct bed *bed)
{
	struct raw raw = { .db = DB_BLOB };
	buffer_add_cstr(&raw.value, "what is this");
	key_piece(&raw.key, 5000, 0, 0);
	raw_write(bed, &raw);
}
static void lose_body(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.blob_id = 4000;
	put_entry(bed, bed->inbox_id, &entry);
}
static void wrong_size(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.size_octets += 5;
	put_entry(bed, bed->inbox_id, &entry);
}
static void wrong_flags(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.flags |= 64;
	put_entry(bed, bed->inbox_id, &entry);
}
static void damage_entry(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_FLIP, .at = 0 };
	key_entry(&raw.key, bed->inbox_id, 4);
	raw_write(bed, &raw);
}
static void cut_entry(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX };
	buffer_add_cstr(&raw.value, "\001short");
	key_entry(&raw.key, bed->inbox_id, 40);
	raw_write(bed, &raw);
}
static void future_modseq(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.modseq += 1000;
	put_entry(bed, bed->inbox_id, &entry);
}
static void unlogged_change(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.modseq -= 1;
	put_entry(bed, bed->inbox_id, &entry);
}
static void nameless_keyword(struct bed *bed)
{
	struct message_entry entry = entry_of(bed, "INBOX", 2);
	entry.keywords |= 1 << 5;
	put_entry(bed, bed->inbox_id, &entry);
}
static void wrong_counts(struct bed *bed)
{
	struct mailbox mailbox = mailbox_of(bed, "Archive");
	mailbox.unseen += 1;
	put_mailbox(bed, &mailbox);
}
static void low_uidnext(struct bed *bed)
{
	struct mailbox mailbox = mailbox_of(bed, "Archive");
	mailbox.uidnext = mailbox.recent_from_uid = 2;
	put_mailbox(bed, &mailbox);
}
static void damage_log(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_FLIP, .at = 2 };
	key_change(&raw.key, bed->inbox_id, entry_of(bed, "INBOX", 4).modseq);
	raw_write(bed, &raw);
}
static void lose_log_row(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_DELETE };
	key_change(&raw.key, bed->inbox_id, entry_of(bed, "INBOX", 4).modseq);
	raw_write(bed, &raw);
}
static void put_gap(struct bed *bed, uint8_t form, uint32_t uid)
{
	struct raw raw = { .db = DB_MAILBOX };
	buffer_add_byte(&raw.value, RECORD_VERSION);
	buffer_add_byte(&raw.value, form);
	buffer_add_be32(&raw.value, uid);
	buffer_add_be32(&raw.value, uid);
	key_gaps(&raw.key, bed->inbox_id, 0);
	raw_write(bed, &raw);
}
static void false_gap(struct bed *bed)
{
	put_gap(bed, GAPS_RUNS, 2);
}
static void future_gap(struct bed *bed)
{
	put_gap(bed, GAPS_RUNS, 6000);
}
static void damage_gaps(struct bed *bed)
{
	put_gap(bed, 7, 6);
}
static void wrong_usage(struct bed *bed)
{
	put_account(bed, 77, 0);
}
static void wrong_name_count(struct bed *bed)
{
	put_account(bed, 0, 3);
}
static void high_reference(struct bed *bed)
{
	put_number(bed, DB_REFERENCE, entry_of(bed, "INBOX", 1).blob_id, 9);
}
static void lost_reference(struct bed *bed)
{
	struct raw raw = { .db = DB_REFERENCE, .how = RAW_DELETE };
	key_be64(&raw.key, entry_of(bed, "INBOX", 1).blob_id);
	raw_write(bed, &raw);
}
static void stray_reference(struct bed *bed)
{
	put_number(bed, DB_REFERENCE, 3000, 4);
}
static void damaged_reference(struct bed *bed)
{
	struct raw raw = { .db = DB_REFERENCE, .how = RAW_FLIP, .at = 0 };
	key_be64(&raw.key, entry_of(bed, "INBOX", 1).blob_id);
	raw_write(bed, &raw);
}
static void referred_garbage(struct bed *bed)
{
	struct raw raw = { .db = DB_GARBAGE };
	number_encode((uint64_t)INT64_MAX, &raw.value);
	key_garbage(&raw.key, GARBAGE_BLOB, entry_of(bed, "INBOX", 4).blob_id);
	raw_write(bed, &raw);
}
static void bad_garbage_row(struct bed *bed)
{
	struct raw raw = { .db = DB_GARBAGE };
	buffer_add_cstr(&raw.value, "x");
	key_garbage(&raw.key, 7, 1);
	raw_write(bed, &raw);
}
static void living_garbage(struct bed *bed)
{
	struct raw raw = { .db = DB_GARBAGE };
	number_encode((uint64_t)INT64_MAX, &raw.value);
	key_garbage(&raw.key, GARBAGE_MAILBOX, bed->inbox_id);
	raw_write(bed, &raw);
}
static void orphan(struct bed *bed)
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
static void wrong_pending(struct bed *bed)
{
	struct raw raw = { .db = DB_PENDING };
	struct pending_row pending = { .owner = PENDING_ADMIN, .started_unix = 1, .chunks = 1 };
	pending_encode(&pending, &raw.value);
	key_be64(&raw.key, entry_of(bed, "INBOX", 4).blob_id);
	raw_write(bed, &raw);
}
static void lose_name(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX_NAME, .how = RAW_DELETE };
	key_mailbox_name(&raw.key, bed->account_id, SLICE("Archive"));
	raw_write(bed, &raw);
}
static void damage_name(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX_NAME, .how = RAW_FLIP, .at = 0 };
	key_mailbox_name(&raw.key, bed->account_id, SLICE("Archive"));
	raw_write(bed, &raw);
}
static void put_name(struct bed *bed, const char *name, uint64_t mailbox_id, bool subscribed)
{
	struct raw raw = { .db = DB_MAILBOX_NAME };
	struct name_row row = { .mailbox_id = mailbox_id, .subscribed = subscribed };
	name_encode(&row, &raw.value);
	key_mailbox_name(&raw.key, bed->account_id, slice_cstr(name));
	raw_write(bed, &raw);
}
static void dangling_name(struct bed *bed)
{
	put_name(bed, "Nowhere", 900, true);
}
static void second_name(struct bed *bed)
{
	put_name(bed, "Twice", bed->inbox_id, false);
}
static void wrong_special_use(struct bed *bed)
{
	put_name(bed, "Archive", bed_mailbox(bed, "Archive"), true);
}
/* A value of one octet behind the version; `version` as it should be, or not. */
static void put_annotation(struct bed *bed, uint32_t account_id, uint64_t mailbox_id,
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
static void annotate_no_mailbox(struct bed *bed)
{
	put_annotation(bed, bed->account_id, 3000, RECORD_VERSION);
}
static void annotate_no_account(struct bed *bed)
{
	put_annotation(bed, 3000, 0, RECORD_VERSION);
}
static void damage_annotation(struct bed *bed)
{
	put_annotation(bed, bed->account_id, bed->inbox_id, 77);
}
/* A row of a list of rights, or of its index; of accounts and mailboxes that may not be there. */
static void put_rights(struct bed *bed, uint64_t mailbox_id, uint32_t account_id, uint16_t rights)
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
static void put_rights_index(struct bed *bed, uint64_t mailbox_id, uint32_t owner_id)
{
	struct raw raw = { .db = DB_ACL };
	buffer_add_byte(&raw.value, RECORD_VERSION);
	key_acl_shared(&raw.key, ACL_ANYONE, owner_id, mailbox_id);
	raw_write(bed, &raw);
}
static void grant_outside_index(struct bed *bed)
{
	put_rights(bed, bed->inbox_id, ACL_ANYONE, RIGHT_READ);
}
static void grant_to_no_account(struct bed *bed)
{
	put_rights(bed, bed->inbox_id, 3000, RIGHT_READ);
}
static void grant_on_no_mailbox(struct bed *bed)
{
	put_rights(bed, 3000, ACL_ANYONE, RIGHT_READ);
}
static void grant_to_owner(struct bed *bed)
{
	put_rights(bed, bed->inbox_id, bed->account_id, RIGHT_READ);
}
static void damage_rights(struct bed *bed)
{
	put_rights(bed, bed->inbox_id, ACL_ANYONE, 0x8000);
}
static void damage_remote(struct bed *bed)
{
	struct raw raw = { .db = DB_REMOTE };
	buffer_add_byte(&raw.value, RECORD_VERSION);
	raw.key.octets[0] = REMOTE_LEVEL;
	raw.key.octets[1] = 'a';
	raw.key.len = 2;
	raw_write(bed, &raw);
}
static void index_what_is_not_shared(struct bed *bed)
{
	put_rights_index(bed, bed->inbox_id, bed->account_id);
}
static void lose_mailbox_record(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_DELETE };
	key_mailbox_row(&raw.key, bed->inbox_id, ROW_RECORD);
	raw_write(bed, &raw);
}
static void damage_mailbox_record(struct bed *bed)
{
	struct raw raw = { .db = DB_MAILBOX, .how = RAW_FLIP, .at = 0 };
	key_mailbox_row(&raw.key, bed->inbox_id, ROW_RECORD);
	raw_write(bed, &raw);
}
static void lose_inbox(struct bed *bed)
{
	put_name(bed, "INBOX", 0, true);
	struct mailbox mailbox = mailbox_of(bed, "Drafts");
	mailbox.mailbox_id = bed->inbox_id;
	mailbox.name = SLICE("Once an inbox");
	put_mailbox(bed, &mailbox);
}
static void lose_address(struct bed *bed)
{
	struct raw raw = { .db = DB_ADDRESS, .how = RAW_DELETE };
	key_address(&raw.key, SLICE("alice"), SLICE("example.org"));
	raw_write(bed, &raw);
}
static void stray_address(struct bed *bed)
{
	struct raw raw = { .db = DB_ADDRESS };
	buffer_add_byte(&raw.value, RECORD_VERSION);
	buffer_add_be32(&raw.value, 55);
	buffer_add_be32(&raw.value, 0);
	key_address(&raw.key, SLICE("nobody"), SLICE("example.org"));
	raw_write(bed, &raw);
}
static void damage_alias(struct bed *bed)
{
	struct raw raw = { .db = DB_ADDRESS };
	buffer_add_cstr(&raw.value, "\002what");
	key_address(&raw.key, SLICE("team"), SLICE("example.org"));
	raw_write(bed, &raw);
}
static void lose_domain(struct bed *bed)
{
	struct raw raw = { .db = DB_DOMAIN, .how = RAW_DELETE, .key.len = 11 };
	memcpy(raw.key.octets, "example.org", 11);
	raw_write(bed, &raw);
}
static void damage_domain(struct bed *bed)
{
	struct raw raw = { .db = DB_DOMAIN, .how = RAW_FLIP, .key.len = 11 };
	memcpy(raw.key.octets, "example.org", 11);
	raw_write(bed, &raw);
}
static void damage_account(struct bed *bed)
{
	struct raw raw = { .db = DB_ACCOUNT, .how = RAW_FLIP, .at = 0 };
	key_be32(&raw.key, bed->account_id);
	raw_write(bed, &raw);
}
static void lose_account(struct bed *bed)
{
	struct raw raw = { .db = DB_ACCOUNT, .how = RAW_DELETE };
	key_be32(&raw.key, bed->account_id);
	raw_write(bed, &raw);
}
static enum err lower_run(struct write *write, void *arg)
{
	write_touch(write);
	write->head.next_blob_id = 2;
	write->head.last_uidvalidity = 1;
	return ERR_OK;
}
static void low_head(struct bed *bed)
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

static void finds_tells_and_repairs(void **state)
{
	log_set_level(LOG_NOTHING);
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		struct bed bed;
		struct told told = { 0 };
		bed_live(&bed);
		assert_clean(&bed);
		damages[i].make(&bed);

		check(&bed, false, &told);
		if (!tells(&told, damages[i].kind))
			fail_msg("%s: not found; %u others", damages[i].name, told.count);
		for (unsigned j = 0; j < told.count; j++) {
			assert_int_equal(told.outcomes[j], VERIFY_FOUND);
			if (told.kinds[j] != damages[i].kind)
				continue;
			if (told.uids[j] != damages[i].uid)
				fail_msg("%s: UID %u", damages[i].name, told.uids[j]);
			if (damages[i].place && strcmp(told.places[j], damages[i].place) != 0)
				fail_msg("%s: told of \"%s\"", damages[i].name, told.places[j]);
			break;
		}
		/* Only looking changes nothing. */
		unsigned before = told.count;
		check(&bed, false, &told);
		assert_int_equal(told.count, before);

		struct verify_counts counts = check(&bed, true, &told);
		if (counts.repaired != counts.problems)
			fail_msg("%s: %u problems, %u repaired", damages[i].name,
				 (unsigned)counts.problems, (unsigned)counts.repaired);
		check(&bed, false, &told);
		if (told.count > 0)
			fail_msg("%s: after the repair %s", damages[i].name,
				 verify_kind_word(told.kinds[0]));
		bed_end(&bed);
	}
}

/* ---- what a repair leaves ---- */

static void read_message(struct bed *bed, const char *mailbox, uint32_t uid, struct buffer *out)
{
	struct message_entry entry = entry_of(bed, mailbox, uid);
	buffer_clear(out);
	struct read *read = read_begin(bed->store);
	assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, out), ERR_OK);
	read_end(&read);
	assert_int_equal(out->len, entry.size_octets);
}

static void assert_holds(const struct buffer *text, struct slice part)
{
	if (slice_find(buffer_slice(text), 0, part) == text->len)
		fail_msg("\"%.40s\" is missing", (const char *)part.ptr);
}

static void keeps_what_can_be_read(void **state)
{
	struct bed bed;
	struct told told = { 0 };
	struct buffer text = { 0 }, original = { 0 };
	bed_live(&bed);
	bed_text(&original, 3, 300000);
	flip_chunk(&bed, "INBOX", 3, 2);
	struct verify_counts counts = check(&bed, true, &told);
	assert_int_equal(counts.problems, 2); /* in INBOX and in Archive */
	assert_true(told.changed >= 2);

	struct mailbox lost = mailbox_of(&bed, LOST_AND_FOUND);
	assert_int_equal(lost.messages, 2);
	assert_int_equal(mailbox_of(&bed, "INBOX").messages, 4);
	assert_int_equal(mailbox_of(&bed, "Archive").messages, 2);
	read_message(&bed, LOST_AND_FOUND, 1, &text);
	assert_holds(&text, SLICE("UID 3 in the mailbox \"INBOX\""));
	assert_holds(&text, slice_sub(buffer_slice(&original), 0, 2 * BLOB_CHUNK_OCTETS));
	assert_holds(&text, SLICE("[Here 65536 octets are missing, from 131072 on.]"));
	assert_holds(&text, slice_sub(buffer_slice(&original), (size_t)3 * BLOB_CHUNK_OCTETS,
				      original.len));
	assert_holds(&text, SLICE("filename=\"damaged-3\""));
	assert_int_equal(entry_of(&bed, LOST_AND_FOUND, 1).internal_unix, 1000003);
	read_message(&bed, LOST_AND_FOUND, 2, &text);
	assert_holds(&text, SLICE("UID 3 in the mailbox \"Archive\""));
	assert_clean(&bed);
	buffer_free(&text);
	buffer_free(&original);
	bed_end(&bed);
}

/* Where the octets of an attachment are damaged, the text before it in the same chunk is not. */
static void keeps_the_text_before_damaged_base64(void **state)
{
	struct bed bed;
	struct told told = { 0 };
	struct buffer text = { 0 }, original = { 0 };
	char hole[80];
	bed_live(&bed);
	bed_text(&original, 3, 300000);
	size_t header = slice_find(buffer_slice(&original), 0, SLICE("\r\n\r\n")) + 4;
	struct raw raw = { .db = DB_BLOB, .how = RAW_FLIP, .at = 4000 };
	key_piece(&raw.key, entry_of(&bed, "INBOX", 3).blob_id, 0, 0);
	raw_write(&bed, &raw);
	struct verify_counts counts = check(&bed, true, &told);
	assert_int_equal(counts.problems, 2);
	read_message(&bed, LOST_AND_FOUND, 1, &text);
	assert_holds(&text, slice_sub(buffer_slice(&original), 0, header));
	snprintf(hole, sizeof(hole), "[Here %zu octets are missing, from %zu on.]",
		 BLOB_CHUNK_OCTETS - header, header);
	assert_holds(&text, slice_cstr(hole));
	assert_holds(&text, slice_sub(buffer_slice(&original), BLOB_CHUNK_OCTETS, original.len));
	assert_holds(&text, SLICE("filename=\"damaged-1\""));
	assert_clean(&bed);
	buffer_free(&text);
	buffer_free(&original);
	bed_end(&bed);
}

/* An entry that cannot be read, whose body is there: all of the message is found again. */
static void finds_the_body_of_a_damaged_entry(void **state)
{
	struct bed bed;
	struct told told = { 0 };
	struct buffer text = { 0 }, original = { 0 };
	bed_live(&bed);
	bed_text(&original, 4, 540);
	damage_entry(&bed);
	check(&bed, true, &told);
	read_message(&bed, LOST_AND_FOUND, 1, &text);
	assert_int_equal(text.len, original.len);
	assert_memory_equal(text.data, original.data, text.len);
	assert_clean(&bed);
	buffer_free(&text);
	buffer_free(&original);
	bed_end(&bed);
}

static void keeps_messages_of_a_lost_mailbox(void **state)
{
	struct bed bed;
	struct told told = { 0 };
	struct buffer text = { 0 };
	bed_live(&bed);
	struct mailbox before = mailbox_of(&bed, "INBOX");
	lose_mailbox_record(&bed);
	check(&bed, true, &told);
	struct mailbox after = mailbox_of(&bed, "INBOX");
	assert_int_equal(after.messages, before.messages);
	assert_true(after.uidvalidity > before.uidvalidity);
	assert_int_equal(after.uidnext, 6); /* UID 6 was expunged, and nothing says so any more */
	read_message(&bed, "INBOX", 5, &text);
	buffer_free(&text);
	bed_end(&bed);
}

static enum err quota_run(struct write *write, void *arg)
{
	return account_set_quota(write, ((struct bed *)arg)->account_id, 1000, 3);
}

static void quota_does_not_stop_a_repair(void **state)
{
	struct bed bed;
	struct told told = { 0 };
	bed_live(&bed);
	assert_int_equal(bed_write(&bed, quota_run, &bed), ERR_OK);
	damage_body(&bed);
	struct verify_counts counts = check(&bed, true, &told);
	assert_int_equal(counts.repaired, 1);
	assert_clean(&bed);
	struct account account;
	struct read *read = read_begin(bed.store);
	assert_int_equal(account_get(read, bed.account_id, &bed.arena, &account), ERR_OK);
	read_end(&read);
	assert_int_equal(account.quota_octets, 1000);
	assert_int_equal(account.quota_messages, 3);
	bed_end(&bed);
}

static void an_ownerless_mailbox_is_left(void **state)
{
	struct bed bed;
	struct told told = { 0 };
	bed_live(&bed);
	struct mailbox mailbox = mailbox_of(&bed, "Archive");
	lose_name(&bed);
	mailbox.account_id = 77;
	put_mailbox(&bed, &mailbox);
	struct verify_counts counts = check(&bed, true, &told);
	assert_true(tells(&told, WRONG_OWNER));
	assert_true(counts.repaired < counts.problems);
	check(&bed, false, &told);
	assert_true(tells(&told, WRONG_OWNER));
	bed_end(&bed);
}

/* ---- what was expunged ---- */

static enum err delete_run(struct write *write, void *arg)
{
	return mailbox_delete(write, ((struct bed *)arg)->account_id, SLICE("Archive"));
}

/* UID 6 is expunged, Archive with copies of 1 to 3 deleted; both are kept. */
static void bed_expunged(struct bed *bed)
{
	bed_fill(bed);
	store_set_undelete_seconds(bed->store, 86400);
	assert_int_equal(bed_write(bed, copy_run, bed), ERR_OK);
	assert_int_equal(bed_expunge(bed, 6, 6), ERR_OK);
	assert_int_equal(bed_write(bed, delete_run, bed), ERR_OK);
	assert_clean(bed);
}

static void what_was_expunged_is_checked_as_well(void **state)
{
	struct bed bed;
	struct told told = { 0 };
	bed_fill(&bed);
	store_set_undelete_seconds(bed.store, 86400);
	struct raw raw = { .db = DB_BLOB, .how = RAW_FLIP, .at = 100 };
	key_piece(&raw.key, entry_of(&bed, "INBOX", 6).blob_id, 0, 0);
	assert_int_equal(bed_expunge(&bed, 6, 6), ERR_OK);
	raw_write(&bed, &raw);
	check(&bed, false, &told);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.kinds[0], DAMAGED_BODY);
	assert_int_equal(told.uids[0], 6);
	check(&bed, true, &told);
	assert_int_equal(mailbox_of(&bed, LOST_AND_FOUND).messages, 1);
	assert_clean(&bed);
	bed_end(&bed);
}

static void a_deleted_mailbox_is_checked_as_well(void **state)
{
	struct bed bed;
	struct told told = { 0 };
	bed_expunged(&bed);
	flip_chunk(&bed, "INBOX", 3, 2);
	check(&bed, false, &told);
	assert_int_equal(told.count, 2);
	struct verify_counts counts = check(&bed, true, &told);
	assert_int_equal(counts.repaired, 2);
	assert_int_equal(mailbox_of(&bed, LOST_AND_FOUND).messages, 2);
	assert_clean(&bed);
	bed_end(&bed);
}

static void damaged_rows_of_the_expunged(void **state)
{
	for (unsigned kind = EXPUNGED_MAILBOX; kind <= EXPUNGED_MESSAGE; kind++) {
		struct bed bed;
		struct told told = { 0 };
		struct raw raw = { .db = DB_EXPUNGED, .how = RAW_FLIP, .at = 0 };
		struct row row;
		bed_expunged(&bed);
		struct read *read = read_begin(bed.store);
		row_open(&row, read, DB_EXPUNGED);
		bool more = row_seek(&row, SLICE("\0"));
		while (more && row.key.ptr[4] != kind)
			more = row_next(&row);
		assert_true(more);
		raw.key.len = row.key.len;
		memcpy(raw.key.octets, row.key.ptr, row.key.len);
		row_close(&row);
		read_end(&read);
		raw_write(&bed, &raw);
		check(&bed, false, &told);
		assert_true(tells(&told, WRONG_EXPUNGED));
		struct verify_counts counts = check(&bed, true, &told);
		assert_int_equal(counts.repaired, counts.problems);
		assert_clean(&bed);
		bed_end(&bed);
	}
}

/* ---- change between two slices ---- */

static enum err move_run(struct write *write, void *arg)
{
	struct bed *bed = arg;
	struct ranges uids = { 0 }, from = { 0 }, to = { 0 };
	uint64_t inbox_id = bed->inbox_id, archive_id = bed_mailbox(bed, "Archive");
	ranges_add(&uids, 1, UINT32_MAX);
	enum err err = message_copy(write, archive_id, &uids, inbox_id, true, &from, &to);
	if (err == ERR_OK)
		err = message_copy(write, inbox_id, &to, archive_id, false, &from, &uids);
	ranges_free(&uids);
	ranges_free(&from);
	ranges_free(&to);
	return err;
}

static void move_about(void *user)
{
	struct bed *bed = user;
	struct buffer text = { 0 };
	assert_int_equal(bed_write(bed, move_run, bed), ERR_OK);
	assert_int_equal(bed_expunge(bed, 6, 6), ERR_OK);
	bed_text(&text, 99, 200000);
	struct bed_append append = { .mailbox_id = bed->inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(bed, &append), ERR_OK);
	buffer_free(&text);
}

static void change_is_no_damage(void **state)
{
	struct bed bed;
	struct told told = { .between = move_about, .user = &bed };
	bed_live(&bed);
	for (unsigned i = 0; i < 5; i++) {
		struct verify_counts counts = check(&bed, false, &told);
		assert_int_equal(counts.problems, 0);
		assert_true(counts.messages > 5 && counts.accounts == 1 && counts.mailboxes == 6);
	}
	bed_end(&bed);
}

/* More than fits one slice, one list or one write. */
static void many_damaged_messages(void **state)
{
	enum { MANY = 700 };
	struct bed bed;
	struct told told = { 0 };
	bed_begin(&bed, STORE_ADMIN);
	for (unsigned i = 0; i < MANY; i++) {
		struct bed_append append = { .mailbox_id = bed.inbox_id,
					     .text = SLICE("Subject: x\r\n\r\ny\r\n") };
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
	}
	for (uint32_t uid = 1; uid <= MANY; uid++) {
		struct message_entry entry = entry_of(&bed, "INBOX", uid);
		if (uid % 2) {
			struct raw raw = { .db = DB_BLOB, .how = RAW_FLIP, .at = 15 };
			key_piece(&raw.key, entry.blob_id, 0, 0);
			raw_write(&bed, &raw);
		} else {
			entry.blob_id += 100000;
			put_entry(&bed, bed.inbox_id, &entry);
		}
	}
	struct verify_counts counts = check(&bed, true, &told);
	assert_int_equal(counts.problems, counts.repaired);
	assert_clean(&bed);
	assert_int_equal(mailbox_of(&bed, LOST_AND_FOUND).messages, MANY);
	assert_int_equal(mailbox_of(&bed, "INBOX").messages, 0);
	bed_end(&bed);
}

int main(void)
{
	log_set_level(LOG_NOTHING);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_tells_and_repairs),
		cmocka_unit_test(keeps_what_can_be_read),
		cmocka_unit_test(keeps_the_text_before_damaged_base64),
		cmocka_unit_test(finds_the_body_of_a_damaged_entry),
		cmocka_unit_test(keeps_messages_of_a_lost_mailbox),
		cmocka_unit_test(quota_does_not_stop_a_repair),
		cmocka_unit_test(an_ownerless_mailbox_is_left),
		cmocka_unit_test(what_was_expunged_is_checked_as_well),
		cmocka_unit_test(a_deleted_mailbox_is_checked_as_well),
		cmocka_unit_test(damaged_rows_of_the_expunged),
		cmocka_unit_test(change_is_no_damage),
		cmocka_unit_test(many_damaged_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
