/* tests/unit/storage/source.c - what an import brings along: UIDs, UIDVALIDITY, and the names by
 * which it knows its messages again. */
#include "tests/unit/storage/bed.h"

struct op {
	uint64_t mailbox_id;
	uint32_t number;
	struct source_name name;
	struct source_record record;
	struct intake *intake;
};

static enum err adopt_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return mailbox_adopt_uidvalidity(write, op->mailbox_id, op->number);
}
static enum err raise_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return mailbox_raise_uidnext(write, op->mailbox_id, op->number);
}
static enum err add_run(struct write *write, void *arg)
{
	struct op *op = arg;
	return source_add(write, op->mailbox_id, &op->name, &op->record);
}
static enum err append_as_run(struct write *write, void *arg)
{
	struct op *op = arg;
	struct message_entry entry = { .size_octets = intake_size_octets(op->intake) };
	struct slice keyword = SLICE("one");
	enum err err = intake_commit(write, op->intake, &entry.blob_id);
	return err == ERR_OK
		       ? message_append_as(write, op->mailbox_id, op->number, &entry, &keyword, 1)
		       : err;
}

static enum err append_as(struct bed *bed, uint32_t uid)
{
	struct op op = { .mailbox_id = bed->inbox_id, .number = uid };
	return bed_take_in(bed, SLICE("Subject: x\r\n\r\nx\r\n"), &op.intake, append_as_run, &op);
}
static enum err adopt(struct bed *bed, uint32_t uidvalidity)
{
	return bed_write(bed, adopt_run,
			 &(struct op){ .mailbox_id = bed->inbox_id, .number = uidvalidity });
}
static enum err raise_to(struct bed *bed, uint32_t uidnext)
{
	return bed_write(bed, raise_run,
			 &(struct op){ .mailbox_id = bed->inbox_id, .number = uidnext });
}

static struct mailbox inbox(struct bed *bed)
{
	struct mailbox mailbox;
	struct read *read = read_begin(bed->store);
	assert_int_equal(mailbox_get(read, bed->inbox_id, &bed->arena, &mailbox), ERR_OK);
	read_end(&read);
	return mailbox;
}

static void uids_are_kept(void **state)
{
	struct bed bed;
	struct ranges uids = { 0 };
	bed_begin(&bed, STORE_ADMIN);
	assert_int_equal(append_as(&bed, 7), ERR_OK);
	assert_int_equal(append_as(&bed, 7), ERR_EXISTS);
	assert_int_equal(append_as(&bed, 3), ERR_EXISTS);
	assert_int_equal(append_as(&bed, 1000), ERR_OK);
	assert_int_equal(append_as(&bed, (uint32_t)MESSAGE_GIVEN_UID_MAX + 1), ERR_LIMIT);
	assert_int_equal(inbox(&bed).uidnext, 1001);
	struct bed_append next = { .mailbox_id = bed.inbox_id, .text = SLICE("A: b\r\n\r\n") };
	assert_int_equal(bed_append(&bed, &next), ERR_OK);
	assert_int_equal(next.uid, 1001);
	struct read *read = read_begin(bed.store);
	message_uids(read, bed.inbox_id, 1, &uids);
	read_end(&read);
	assert_int_equal(ranges_total(&uids), 3);
	assert_true(ranges_contains(&uids, 7) && ranges_contains(&uids, 1000));
	assert_int_equal(inbox(&bed).messages, 3);

	assert_int_equal(raise_to(&bed, 500), ERR_OK);
	assert_int_equal(inbox(&bed).uidnext, 1002);
	assert_int_equal(raise_to(&bed, 2000), ERR_OK);
	assert_int_equal(inbox(&bed).uidnext, 2000);
	assert_int_equal(raise_to(&bed, UINT32_MAX), ERR_LIMIT);
	ranges_free(&uids);
	bed_end(&bed);
}

static void uidvalidity_is_adopted_only_before_the_first_uid(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_ADMIN);
	assert_int_equal(adopt(&bed, 0), ERR_LIMIT);
	assert_int_equal(adopt(&bed, UINT32_MAX), ERR_LIMIT);
	assert_int_equal(adopt(&bed, 1234567890), ERR_OK);
	assert_int_equal(inbox(&bed).uidvalidity, 1234567890);
	assert_int_equal(append_as(&bed, 5), ERR_OK);
	assert_int_equal(adopt(&bed, 1234567890), ERR_OK);
	assert_int_equal(adopt(&bed, 1234567891), ERR_EXISTS);
	assert_int_equal(inbox(&bed).uidvalidity, 1234567890);
	struct op gone = { .mailbox_id = 999999, .number = 5 };
	assert_int_equal(bed_write(&bed, adopt_run, &gone), ERR_GONE);
	assert_int_equal(bed_write(&bed, raise_run, &gone), ERR_GONE);
	bed_end(&bed);
}

static void names_are_known_again(void **state)
{
	struct bed bed;
	struct source_record record;
	struct ranges uids = { 0 };
	bed_begin(&bed, STORE_ADMIN);
	struct source_name name = { "no such message" };
	struct read *read = read_begin(bed.store);
	assert_int_equal(source_find(read, bed.inbox_id, &name, &record), ERR_NOT_FOUND);
	read_end(&read);
	for (uint32_t uid = 100; uid > 0; uid--) {
		struct op op = {
			.mailbox_id = bed.inbox_id,
			.record = { .uid = uid, .form = uid % 2 ? SOURCE_LF : SOURCE_CRLF },
		};
		put_be32(op.name.octets, uid * 2654435761u);
		assert_int_equal(bed_write(&bed, add_run, &op), ERR_OK);
	}
	read = read_begin(bed.store);
	put_be32(memset(name.octets, 0, sizeof(name.octets)), 44 * 2654435761u);
	assert_int_equal(source_find(read, bed.inbox_id, &name, &record), ERR_OK);
	assert_int_equal(record.uid, 44);
	assert_int_equal(record.form, SOURCE_CRLF);
	source_uids(read, bed.inbox_id, SOURCE_CRLF, &uids);
	assert_int_equal(ranges_total(&uids), 50);
	assert_true(ranges_contains(&uids, 100) && !ranges_contains(&uids, 99));
	ranges_clear(&uids);
	source_uids(read, bed.inbox_id, SOURCE_MIXED, &uids);
	assert_int_equal(uids.count, 0);
	read_end(&read);
	ranges_free(&uids);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uids_are_kept),
		cmocka_unit_test(uidvalidity_is_adopted_only_before_the_first_uid),
		cmocka_unit_test(names_are_known_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
