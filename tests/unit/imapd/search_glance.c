/* tests/unit/imapd/search_glance.c - when a look at the digest in place, which may be damaged, is enough. */
#include "tests/unit/imapd/message.h"

#include "imapd/search_match_priv.h"
#include "tests/octets_source.h"

static const char plain[] = "Subject: one line\nFrom: Anna <anna@example.org>\n"
			    "Message-ID: <a@b>\n\nbody\n";
static const char encoded[] = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
			      "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>\n\n";
static const char twice[] = "Subject: one\nSubject: two\nMessage-ID: <a@b>\n\n";

static bool matches(const char *keys, const char *text, const char *in_place, unsigned *digests_out)
{
	struct message m = message_of(text), other = message_of(in_place);
	struct cursor c = cursor_of(slice_cstr(keys));
	struct message_entry entry = { .uid = 7, .flags = FLAG_SEEN };
	struct search_program program = { 0 };
	struct matcher matcher;
	bool yes = false;
	assert_int_equal(take_search_program(&c, CHARSET_NAMED, NULL, &m.arena, &program),
			 SEARCH_PARSED);
	struct octets_source octets =
		octets_source_of(buffer_slice(&m.octets), buffer_slice(&m.record));
	octets.in_place = buffer_slice(&other.record);
	matcher_init(&matcher, &program);
	assert_int_equal(matcher_match(&matcher, &entry, &octets.source, &yes), ERR_OK);
	matcher_fini(&matcher);
	search_program_fini(&program);
	message_fini(&m);
	message_fini(&other);
	*digests_out = octets.digests;
	return yes;
}

static void what_cannot_match_is_passed_over(void **state)
{
	static const struct {
		const char *keys, *text;
		bool want, reads_digest;
	} cases[] = {
		{ "SUBJECT two", plain, false, false },
		{ "SUBJECT ONE", plain, true, true },
		{ "SEEN SUBJECT two", plain, false, false },
		{ "(SEEN (SUBJECT two))", plain, false, false },
		{ "UNSEEN SUBJECT one", plain, false, false },
		{ "FROM joerg", plain, false, false },
		{ "FROM \"anna <anna@e\"", plain, true, true },
		{ "CC \"\"", plain, false, false },
		{ "HEADER Message-ID <x@y>", plain, false, false },
		{ "HEADER References \"\"", plain, false, false },
		/* One that is damaged is not what the key does not match, so it has to be told apart. */
		{ "NOT SUBJECT two", plain, true, true },
		{ "OR SUBJECT two FROM joerg", plain, false, true },
		{ "NOT (SUBJECT two SEEN)", plain, true, true },
		/* What has to be decoded. */
		{ "SUBJECT one", encoded, false, true },
		{ "SUBJECT \"gr\xc3\xbcsse\"", encoded, true, true },
		{ "FROM anna", encoded, false, true },
		{ "TO anna", encoded, false, false },
		/* What may stand in the header alone. */
		{ "HEADER Subject three", twice, false, true },
		{ "HEADER Subject two", twice, true, true },
		{ "HEADER Message-ID x", twice, false, false },
		{ "SUBJECT two", twice, false, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned digests;
		if (matches(cases[i].keys, cases[i].text, cases[i].text, &digests) !=
			    cases[i].want ||
		    (digests > 0) != cases[i].reads_digest)
			fail_msg("%s, digests %u", cases[i].keys, digests);
	}
}

/* What stands in place is never what is found. */
static void no_match_is_told_by_a_glance(void **state)
{
	unsigned digests;
	assert_false(matches("SUBJECT one", encoded, plain, &digests));
	assert_int_equal(digests, 1);
	assert_false(matches("FROM anna", twice, plain, &digests));
	assert_int_equal(digests, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_match_is_passed_over),
		cmocka_unit_test(no_match_is_told_by_a_glance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
