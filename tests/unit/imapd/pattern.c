/* tests/unit/imapd/pattern.c - LIST patterns, held against a matcher that simply tries all. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "imapd/list_priv.h"

static bool tries_all(struct slice pattern, struct slice name)
{
	if (pattern.len == 0)
		return name.len == 0;
	struct slice rest = slice_sub(pattern, 1, pattern.len);
	if (pattern.ptr[0] != '*' && pattern.ptr[0] != '%')
		return name.len > 0 && name.ptr[0] == pattern.ptr[0] &&
		       tries_all(rest, slice_sub(name, 1, name.len));
	for (size_t i = 0;; i++) {
		if (tries_all(rest, slice_sub(name, i, name.len)))
			return true;
		if (i == name.len || (pattern.ptr[0] == '%' && name.ptr[i] == '/'))
			return false;
	}
}

static void agrees_with_trying_all(void **state)
{
	static const char letters[] = "ab/*%";
	srandom(11);
	for (unsigned round = 0; round < 30000; round++) {
		uint8_t pattern[8], name[8], simple[8];
		size_t pattern_len = (size_t)random() % 8, name_len = (size_t)random() % 8;
		for (size_t i = 0; i < pattern_len; i++)
			pattern[i] = (uint8_t)letters[random() % 5];
		for (size_t i = 0; i < name_len; i++)
			name[i] = (uint8_t)letters[random() % 3];
		struct slice p = slice_of(pattern, pattern_len), n = slice_of(name, name_len);
		memcpy(simple, pattern, sizeof(simple));
		struct slice s = slice_of(simple, list_pattern_simplify(simple, pattern_len));
		bool want = tries_all(p, n);
		if (list_pattern_matches(p, n) != want || list_pattern_matches(s, n) != want)
			fail_msg("%.*s on %.*s", SLICE_ARG(p), SLICE_ARG(n));
	}
}

static void knows_inbox_in_any_case(void **state)
{
	assert_true(list_pattern_matches(SLICE("inbox"), SLICE("INBOX")));
	assert_true(list_pattern_matches(SLICE("InB%"), SLICE("INBOX")));
	assert_true(list_pattern_matches(SLICE("inbox/%"), SLICE("INBOX/a")));
	assert_false(list_pattern_matches(SLICE("inbox/A"), SLICE("INBOX/a")));
	assert_false(list_pattern_matches(SLICE("sent"), SLICE("Sent")));
}

static void takes_no_time_for_many_stars(void **state)
{
	char pattern[PATTERN_MAX_OCTETS], name[MAILBOX_NAME_MAX_OCTETS];
	memset(name, 'a', sizeof(name));
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[780] = 'b';
	assert_false(list_pattern_matches(slice_of(pattern, 781), slice_of(name, sizeof(name))));
	assert_true(list_pattern_matches(slice_of(pattern, 780), slice_of(name, sizeof(name))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_trying_all),
		cmocka_unit_test(knows_inbox_in_any_case),
		cmocka_unit_test(takes_no_time_for_many_stars),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
