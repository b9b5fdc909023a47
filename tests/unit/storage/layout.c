/* tests/unit/storage/layout.c - records and keys: what goes in comes out, in the right order;
 * damaged ones are refused. */
#include "tests/unit/storage/bed.h"

static void keeps_entries(void **state)
{
	static const struct message_entry entries[] = {
		{ .uid = 1 },
		{ .uid = UINT32_MAX,
		  .blob_id = UINT64_MAX,
		  .modseq = UINT64_MAX,
		  .internal_unix = 253402300799,
		  .saved_unix = 1,
		  .size_octets = 0xffffffffff,
		  .keywords = UINT64_MAX,
		  .flags = 31 },
		{ .uid = 7, .internal_unix = -62135596800, .saved_unix = -1, .flags = FLAG_SEEN },
	};
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		uint8_t value[ENTRY_OCTETS];
		struct message_entry got;
		const struct message_entry *want = &entries[i];
		entry_encode(want, value);
		assert_true(entry_decode(slice_of(value, sizeof(value)), want->uid, &got));
		assert_int_equal(got.uid, want->uid);
		assert_int_equal(got.blob_id, want->blob_id);
		assert_int_equal(got.modseq, want->modseq);
		assert_int_equal(got.internal_unix, want->internal_unix);
		assert_int_equal(got.saved_unix, want->saved_unix);
		assert_int_equal(got.size_octets, want->size_octets);
		assert_int_equal(got.keywords, want->keywords);
		assert_int_equal(got.flags, want->flags);
		assert_false(entry_decode(slice_of(value, sizeof(value) - 1), 1, &got));
		value[0]++;
		assert_false(entry_decode(slice_of(value, sizeof(value)), 1, &got));
	}
}

static void bounds_small_numbers(void **state)
{
	uint8_t octets[5];
	put_signed_be40(octets, INT64_MAX);
	assert_int_equal(get_signed_be40(octets), ((int64_t)1 << 39) - 1);
	put_signed_be40(octets, INT64_MIN);
	assert_int_equal(get_signed_be40(octets), -((int64_t)1 << 39) + 1);
	put_be40(octets, UINT64_MAX);
	assert_int_equal(get_be40(octets), 0xffffffffff);
}

/* Each record cut at each place, and with each octet changed: refused or taken, never read
 * past its end (the sanitizers watch). */
static void assert_bounded(struct slice record, bool (*decode)(struct slice record))
{
	assert_true(decode(record));
	for (size_t len = 0; len < record.len; len++) {
		uint8_t *copy = malloc(len ? len : 1);
		memcpy(copy, record.ptr, len);
		assert_false(decode(slice_of(copy, len)));
		free(copy);
	}
	for (size_t i = 0; i < record.len; i++) {
		uint8_t *copy = malloc(record.len);
		memcpy(copy, record.ptr, record.len);
		copy[i] ^= 0xff;
		bool taken = decode(slice_of(copy, record.len));
		assert_false(i == 0 && taken); /* another version */
		free(copy);
	}
}

static bool decode_head(struct slice record)
{
	struct head head;
	return head_decode(record, &head);
}
static bool decode_account(struct slice record)
{
	struct account_row row;
	return account_decode(record, 1, &row);
}
static bool decode_mailbox(struct slice record)
{
	struct mailbox_record row;
	return mailbox_decode(record, 1, &row);
}
static bool decode_name(struct slice record)
{
	struct name_row row;
	return name_decode(record, &row);
}
static bool decode_pending(struct slice record)
{
	struct pending_row row;
	return pending_decode(record, &row);
}
static bool decode_garbage(struct slice record)
{
	struct garbage_row row;
	return garbage_decode(record, &row);
}

static void refuses_damaged_records(void **state)
{
	struct buffer record = { 0 };
	head_encode(&(struct head){ .next_blob_id = 5 }, &record);
	assert_bounded(buffer_slice(&record), decode_head);
	buffer_clear(&record);
	account_encode(&(struct account_row){ .account = { .login = SLICE("a@b"),
							   .password_hash = SLICE("$x") } },
		       &record);
	assert_bounded(buffer_slice(&record), decode_account);
	buffer_clear(&record);
	account_encode(&(struct account_row){ .account = { .login = SLICE("a@b"), .flags = 3 } },
		       &record);
	assert_bounded(buffer_slice(&record), decode_account);
	struct account_row flagged;
	assert_true(account_decode(buffer_slice(&record), 1, &flagged));
	assert_int_equal(flagged.account.flags, 3);
	buffer_clear(&record);
	struct mailbox_record mailbox = { .mailbox = { .name = SLICE("INBOX"),
						       .keyword_count = 3,
						       .keywords = { SLICE("a"), SLICE_NONE,
								     SLICE("c") } } };
	mailbox_encode(&mailbox, &record);
	assert_bounded(buffer_slice(&record), decode_mailbox);
	struct mailbox_record got;
	assert_true(mailbox_decode(buffer_slice(&record), 7, &got));
	assert_slice(got.mailbox.keywords[0], "a");
	assert_null(got.mailbox.keywords[1].ptr);
	assert_slice(got.mailbox.keywords[2], "c");
	buffer_clear(&record);
	name_encode(&(struct name_row){ .mailbox_id = 3 }, &record);
	assert_bounded(buffer_slice(&record), decode_name);
	buffer_clear(&record);
	pending_encode(&(struct pending_row){ .owner = PENDING_SERVER }, &record);
	assert_bounded(buffer_slice(&record), decode_pending);
	buffer_clear(&record);
	uint8_t garbage[GARBAGE_OCTETS];
	garbage_encode(&(struct garbage_row){ .not_before_unix = 3 }, garbage);
	assert_bounded(slice_of(garbage, sizeof(garbage)), decode_garbage);
	buffer_free(&record);
}

/* A row of the change log; those of older stores say only that something changed. */
static void tells_which_flags_changed(void **state)
{
	struct range runs[2] = { { 3, 5 }, { 9, 9 } };
	struct ranges uids = { .runs = runs, .count = 2 };
	struct change got, flags = { .kind = CHANGE_FLAGS, .flags = 5, .keywords = 1ULL << 40 };
	struct buffer record = { 0 };
	change_encode(&flags, &uids, &record);
	assert_true(change_decode(buffer_slice(&record), &got));
	assert_int_equal(got.flags, 5);
	assert_int_equal(got.keywords, 1ULL << 40);
	assert_int_equal(got.runs.len, 2 * RUN_OCTETS);
	assert_int_equal(get_be32(got.runs.ptr + RUN_OCTETS), 9);
	for (size_t len = 0; len < record.len; len++)
		if (len != 11 && len != 11 + RUN_OCTETS)
			assert_false(change_decode(slice_sub(buffer_slice(&record), 0, len), &got));
	record.data[1] = CHANGE_TOUCHED; /* the same octets are no runs then */
	assert_false(change_decode(buffer_slice(&record), &got));
	record.data[1] = 4;
	assert_false(change_decode(buffer_slice(&record), &got));
	buffer_clear(&record);
	change_encode(&(struct change){ .kind = CHANGE_VANISHED }, &uids, &record);
	assert_true(change_decode(buffer_slice(&record), &got));
	assert_int_equal(got.kind, CHANGE_VANISHED);
	assert_int_equal(got.runs.len, 2 * RUN_OCTETS);
	buffer_free(&record);
}

static void orders_keys(void **state)
{
	struct key keys[8];
	key_mailbox_row(&keys[0], 1, ROW_RECORD);
	key_change(&keys[1], 1, 255);
	key_change(&keys[2], 1, 256);
	key_entry(&keys[3], 1, 1);
	key_entry(&keys[4], 1, 256);
	key_mailbox_row(&keys[5], 256, ROW_RECORD);
	key_piece(&keys[6], 257, 1, 255);
	key_piece(&keys[7], 257, 2, 0);
	for (size_t i = 0; i + 1 < ARRAY_LEN(keys); i++)
		assert_true(slice_compare(key_slice(&keys[i]), key_slice(&keys[i + 1])) < 0);
	struct slice rest;
	assert_true(key_is_row(key_slice(&keys[4]), 1, ROW_ENTRY, &rest));
	assert_int_equal(get_be32(rest.ptr), 256);
	assert_false(key_is_row(key_slice(&keys[4]), 2, ROW_ENTRY, &rest));
	assert_false(key_is_row(key_slice(&keys[4]), 1, ROW_CHANGE, &rest));
	assert_false(key_is_row(SLICE("short"), 1, ROW_CHANGE, &rest));
	char name[MAILBOX_NAME_MAX_OCTETS + 1] = { 0 };
	assert_true(key_mailbox_name(&keys[0], 1, slice_of(name, MAILBOX_NAME_MAX_OCTETS)));
	assert_false(key_mailbox_name(&keys[0], 1, slice_of(name, sizeof(name))));
	assert_true(key_address(&keys[0], slice_of(name, LOCAL_MAX_OCTETS), SLICE("d")));
	assert_false(key_address(&keys[0], slice_of(name, LOCAL_MAX_OCTETS + 1), SLICE("d")));
	assert_false(key_address(&keys[0], SLICE("l"), slice_of(name, 256)));
}

static void reads_keys_of_what_was_expunged(void **state)
{
	struct key key;
	struct expunged_key got;
	uint32_t account_id;
	uint64_t mailbox_id;
	key_expunged(&key, 1, 2, 3, 4);
	assert_true(key_take_expunged(key_slice(&key), &got));
	assert_int_equal(got.account_id, 1);
	assert_int_equal(got.expunged_unix, 2);
	assert_int_equal(got.mailbox_id, 3);
	assert_int_equal(got.uid, 4);
	assert_false(key_take_expunged_mailbox(key_slice(&key), &account_id, &mailbox_id));
	assert_false(key_take_expunged(slice_sub(key_slice(&key), 0, key.len - 1), &got));
	key.octets[key.len++] = 0;
	assert_false(key_take_expunged(key_slice(&key), &got));
	key_expunged_mailbox(&key, 5, 6);
	assert_true(key_take_expunged_mailbox(key_slice(&key), &account_id, &mailbox_id));
	assert_int_equal(account_id, 5);
	assert_int_equal(mailbox_id, 6);
	assert_false(key_take_expunged(key_slice(&key), &got));
	key.octets[key.len++] = 0;
	assert_false(key_take_expunged_mailbox(key_slice(&key), &account_id, &mailbox_id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_entries),
		cmocka_unit_test(bounds_small_numbers),
		cmocka_unit_test(refuses_damaged_records),
		cmocka_unit_test(tells_which_flags_changed),
		cmocka_unit_test(orders_keys),
		cmocka_unit_test(reads_keys_of_what_was_expunged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
