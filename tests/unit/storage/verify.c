/* tests/unit/storage/verify.c - every kind of damage is found, told with its place, repaired, and gone
 * afterwards. */
#include "tests/unit/storage/damage.h"

#include "storage/annotation.h"
#include "storage/expunged.h"

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

/* ---- every kind of damage ---- */

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

static enum err annotate_run(struct write *write, void *arg)
{
	struct bed *bed = arg;
	enum err err = annotation_set(write, bed->account_id, bed->inbox_id,
				      SLICE("/private/comment"), SLICE("a"));
	return err == ERR_OK ? annotation_set(write, bed->account_id, 0, SLICE("/private/comment"),
					      SLICE("b"))
			     : err;
}

/* One raises a mailbox's HIGHESTMODSEQ above that of every change in it. */
static void annotations_are_no_damage(void **state)
{
	struct bed bed;
	bed_live(&bed);
	uint64_t before = mailbox_of(&bed, "INBOX").highest_modseq;
	assert_int_equal(bed_write(&bed, annotate_run, &bed), ERR_OK);
	assert_true(mailbox_of(&bed, "INBOX").highest_modseq > before);
	assert_clean(&bed);
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
		cmocka_unit_test(annotations_are_no_damage),
		cmocka_unit_test(many_damaged_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
