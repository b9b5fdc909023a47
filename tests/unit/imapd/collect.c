/* tests/unit/imapd/collect.c - what SORT and THREAD keep of messages whose sender was lavish. */
#include "tests/unit/imapd/message.h"

#include "imapd/collect_priv.h"
#include "tests/octets_source.h"

static const struct sort_criteria by_subject = { .items = { { SORT_SUBJECT, false } }, .count = 1 };

static enum err add(struct collection *collection, uint32_t uid, const char *text)
{
	struct message m = message_of(text);
	struct octets_source octets =
		octets_source_of(buffer_slice(&m.octets), buffer_slice(&m.record));
	struct message_entry entry = { .uid = uid, .size_octets = m.octets.len };
	struct cursor c = cursor_of(SLICE("ALL"));
	struct search_program program = { 0 };
	struct matcher matcher;
	bool yes = false;
	assert_int_equal(take_search_program(&c, CHARSET_NAMED, NULL, &m.arena, &program),
			 SEARCH_PARSED);
	matcher_init(&matcher, &program);
	assert_int_equal(matcher_match(&matcher, &entry, &octets.source, &yes), ERR_OK);
	enum err err = collect(collection, &matcher, &entry);
	matcher_fini(&matcher);
	search_program_fini(&program);
	message_fini(&m);
	return err;
}

static enum err add_long(struct collection *collection, uint32_t uid, const char *field, size_t len,
			 const char *end)
{
	struct buffer text = { 0 };
	buffer_add_cstr(&text, field);
	for (size_t i = 0; i < len; i++)
		buffer_add_byte(&text, 'x');
	buffer_add_cstr(&text, end);
	buffer_add_cstr(&text, "\n\n");
	buffer_add_byte(&text, '\0');
	enum err err = add(collection, uid, (const char *)text.data);
	buffer_free(&text);
	return err;
}

enum { LONG = 200 * 1000, KEPT_MAX = 1000 };

static void long_subjects_are_cut(void **state)
{
	struct collection_limit limit = { .max_octets = COLLECTION_MAX_OCTETS };
	struct collection c = { .criteria = &by_subject, .limit = &limit };
	assert_int_equal(add_long(&c, 1, "Subject: ", LONG, ""), ERR_OK);
	assert_true(limit.kept_octets > 0 && limit.kept_octets < KEPT_MAX);
	assert_true(c.items[0].values[0].text.len <= COLLECTED_TEXT_MAX_OCTETS);
	assert_int_equal(add(&c, 2, "Subject: first\n\n"), ERR_OK);
	collection_sort(&c);
	assert_int_equal(c.items[0].uid, 2);
	collection_fini(&c);
	assert_int_equal(limit.kept_octets, 0);
}

/* Those that only begin alike are still different subjects, and different Message-IDs. */
static void long_values_stay_apart(void **state)
{
	struct buffer out = { 0 };
	struct collection_limit limit = { .max_octets = COLLECTION_MAX_OCTETS };
	struct collection subjects = { .criteria = &by_subject,
				       .limit = &limit,
				       .algorithm = THREAD_ORDEREDSUBJECT };
	assert_int_equal(add_long(&subjects, 1, "Subject: ", LONG, "one"), ERR_OK);
	assert_int_equal(add_long(&subjects, 2, "Subject: ", LONG, "two"), ERR_OK);
	assert_int_equal(add_long(&subjects, 3, "Subject: ", LONG, "one"), ERR_OK);
	collection_thread(&subjects, &out);
	assert_slice(buffer_slice(&out), "(1 3)(2)");
	buffer_clear(&out);
	collection_fini(&subjects);

	struct collection ids = { .criteria = &by_subject,
				  .algorithm = THREAD_REFERENCES,
				  .limit = &limit };
	assert_int_equal(add_long(&ids, 1, "Message-ID: <", LONG, "1@x>"), ERR_OK);
	assert_int_equal(add_long(&ids, 2, "Message-ID: <", LONG, "2@x>"), ERR_OK);
	assert_int_equal(add_long(&ids, 3, "In-Reply-To: <", 60 * 1000, "3@x>"), ERR_OK);
	assert_int_equal(add_long(&ids, 4, "References: <", LONG / 4, "4@x>"), ERR_OK);
	assert_int_equal(add_long(&ids, 5, "Message-ID: <", LONG / 4, "4@x>"), ERR_OK);
	assert_true(limit.kept_octets < 5 * KEPT_MAX);
	collection_thread(&ids, &out);
	assert_slice(buffer_slice(&out), "(1)(2)(3)(5 4)");
	buffer_free(&out);
	collection_fini(&ids);
}

static void a_collection_has_a_limit(void **state)
{
	struct collection_limit limit = { .max_octets = COLLECTION_MAX_OCTETS,
					  .kept_octets = COLLECTION_MAX_OCTETS };
	struct collection c = { .criteria = &by_subject, .limit = &limit };
	assert_int_equal(add(&c, 1, "Subject: the last\n\n"), ERR_OK);
	assert_int_equal(add(&c, 2, "Subject: one too many\n\n"), ERR_LIMIT);
	assert_int_equal(c.count, 1);
	collection_fini(&c);
}

/* However unevenly they find: one may keep all of it, and leaves nothing for the other then. */
static void what_has_one_limit_is_counted_together(void **state)
{
	enum { ITEMS = 20 };
	struct collection_limit limit = { .max_octets = UINT64_MAX };
	struct collection one = { .criteria = &by_subject, .limit = &limit };
	struct collection other = one;
	uint32_t uid = 1;
	assert_int_equal(add(&one, uid++, "Subject: some\n\n"), ERR_OK);
	limit.max_octets = ITEMS * limit.kept_octets; /* one more may pass it */
	while (uid <= ITEMS)
		assert_int_equal(add(&one, uid++, "Subject: some\n\n"), ERR_OK);
	assert_int_equal(add(&other, uid++, "Subject: more\n\n"), ERR_OK);
	assert_int_equal(add(&one, uid++, "Subject: some\n\n"), ERR_LIMIT);
	assert_int_equal(add(&other, uid++, "Subject: more\n\n"), ERR_LIMIT);
	assert_int_equal(one.count, ITEMS);
	assert_int_equal(other.count, 1);
	assert_int_equal(one.kept_octets + other.kept_octets, limit.kept_octets);
	/* Joined they are still so many. */
	collection_join(&one, &other);
	assert_int_equal(one.count, ITEMS + 1);
	assert_int_equal(add(&one, uid++, "Subject: some\n\n"), ERR_LIMIT);
	collection_fini(&one);
	assert_int_equal(limit.kept_octets, other.kept_octets);
	assert_int_equal(add(&other, uid, "Subject: more\n\n"), ERR_OK);
	collection_fini(&other);
	assert_int_equal(limit.kept_octets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_subjects_are_cut),
		cmocka_unit_test(long_values_stay_apart),
		cmocka_unit_test(a_collection_has_a_limit),
		cmocka_unit_test(what_has_one_limit_is_counted_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
