/* tests/unit/storage/annotation.c - what clients note about mailboxes, within its limits. */
#include "tests/unit/storage/bed.h"

#include "storage/annotation_priv.h"
#include "storage/layout_priv.h"

struct set {
	uint32_t account_id;
	uint64_t mailbox_id;
	struct slice name, value;
};

static enum err set(struct write *write, void *arg)
{
	const struct set *s = arg;
	return annotation_set(write, s->account_id, s->mailbox_id, s->name, s->value);
}

static enum err set_note(struct bed *bed, uint64_t mailbox_id, unsigned number, struct slice value)
{
	char name[64];
	snprintf(name, sizeof(name), "/private/%u", number);
	struct set s = { bed->account_id, mailbox_id, slice_cstr(name), value };
	return bed_write(bed, set, &s);
}

static size_t count_notes(struct bed *bed, uint64_t mailbox_id)
{
	size_t count = 0;
	struct annotation annotation;
	struct slice after = SLICE_NONE;
	struct read *read = read_begin(bed->store);
	for (; annotation_next(read, bed->account_id, mailbox_id, after, &annotation); count++)
		after = annotation.name;
	read_end(&read);
	return count;
}

static void are_limited_in_number(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	for (unsigned i = 0; i < ANNOTATIONS_MAX; i++)
		assert_int_equal(set_note(&bed, bed.inbox_id, i, SLICE("x")), ERR_OK);
	assert_int_equal(set_note(&bed, bed.inbox_id, 100, SLICE("x")), ERR_LIMIT);
	assert_int_equal(set_note(&bed, bed.inbox_id, 7, SLICE("another")), ERR_OK);
	assert_int_equal(set_note(&bed, bed.inbox_id, 8, SLICE_NONE), ERR_OK);
	assert_int_equal(set_note(&bed, bed.inbox_id, 100, SLICE("x")), ERR_OK);
	assert_int_equal(count_notes(&bed, bed.inbox_id), ANNOTATIONS_MAX);
	assert_int_equal(set_note(&bed, 0, 1, SLICE("the account's own")), ERR_OK);
	assert_int_equal(count_notes(&bed, 0), 1);
	bed_end(&bed);
}

static void are_limited_in_size(void **state)
{
	static uint8_t text[ANNOTATION_VALUE_MAX_OCTETS + 1];
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	uint64_t drafts = bed_mailbox(&bed, "Drafts");
	assert_int_equal(set_note(&bed, drafts, 1, slice_of(text, sizeof(text))), ERR_BAD_INPUT);
	struct slice largest = slice_of(text, sizeof(text) - 1);
	unsigned fit = 0;
	while (fit < ANNOTATIONS_MAX && set_note(&bed, drafts, fit, largest) == ERR_OK)
		fit++;
	assert_int_equal(fit, ANNOTATIONS_MAX);
	for (fit = 0; set_note(&bed, bed.inbox_id, fit, largest) == ERR_OK;)
		fit++;
	assert_true(fit > 20 && fit < 30); /* ANNOTATIONS_MAX_OCTETS of the account in all */
	assert_int_equal(set_note(&bed, 0, 1, largest), ERR_LIMIT);
	bed_end(&bed);
}

/* What a batch knows of an account's annotations, without counting again, is what is there. */
static enum err set_several(struct write *write, void *arg)
{
	const struct bed *bed = arg;
	struct account_slot *slot;
	static const struct {
		const char *name;
		struct slice value;
	} steps[] = {
		{ "/private/a", SLICE("one") },	   { "/private/b", SLICE("two") },
		{ "/private/a", SLICE("longer") }, { "/private/b", SLICE_NONE },
		{ "/private/none", SLICE_NONE },   { "/private/c", SLICE("") },
	};
	assert_int_equal(account_slot_get(write, bed->account_id, &slot), ERR_OK);
	assert_false(slot->knows_annotations);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		assert_int_equal(annotation_set(write, bed->account_id, bed->inbox_id,
						slice_cstr(steps[i].name), steps[i].value),
				 ERR_OK);
		assert_true(slot->knows_annotations);
	}
	uint64_t known = slot->annotation_octets;
	slot->knows_annotations = false; /* so that they are counted */
	assert_int_equal(annotation_set(write, bed->account_id, bed->inbox_id, SLICE("/private/a"),
					SLICE("longer")),
			 ERR_OK);
	assert_int_equal(slot->annotation_octets, known);
	assert_int_equal(annotations_remove(write, bed->account_id, bed->inbox_id), ERR_OK);
	assert_int_equal(
		annotation_set(write, bed->account_id, 0, SLICE("/private/own"), SLICE("x")),
		ERR_OK);
	assert_true(slot->annotation_octets > 0 && slot->annotation_octets < known);
	return ERR_OK;
}

static void are_counted_once_a_batch(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, set_several, &bed), ERR_OK);
	assert_int_equal(count_notes(&bed, 0), 1);
	bed_end(&bed);
}

static void go_with_their_account(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(set_note(&bed, bed.inbox_id, 1, SLICE("x")), ERR_OK);
	assert_int_equal(set_note(&bed, 0, 1, SLICE("x")), ERR_OK);
	assert_int_equal(set_note(&bed, 4711, 1, SLICE("x")), ERR_GONE);
	assert_int_equal(bed_write(&bed, bed_remove_account, &bed.account_id), ERR_OK);
	assert_int_equal(count_notes(&bed, bed.inbox_id), 0);
	assert_int_equal(count_notes(&bed, 0), 0);
	assert_int_equal(set_note(&bed, 0, 1, SLICE("x")), ERR_GONE);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(are_limited_in_number),
		cmocka_unit_test(are_limited_in_size),
		cmocka_unit_test(go_with_their_account),
		cmocka_unit_test(are_counted_once_a_batch),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
