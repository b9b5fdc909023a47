/* tests/unit/admin/imap_word.c - words are taken out of lines, however many there are. */
#include "tests/unit/unit.h"

#include "admin/imap_word.h"

static void words_are_unquoted(void **state)
{
	enum { WORDS = 20000 };
	struct arena arena = { 0 };
	struct buffer line = { 0 };
	struct slice word;
	for (int i = 0; i < WORDS; i++)
		buffer_add_cstr(&line, "\"a\\\"b\" ");
	struct cursor c = cursor_of(buffer_slice(&line));
	for (int i = 0; i < WORDS; i++) {
		assert_true(imap_take_word(&c, &arena, &word));
		assert_slice(word, "a\"b");
	}
	c = cursor_of(SLICE("\"open"));
	assert_false(imap_take_word(&c, &arena, &word));
	c = cursor_of(SLICE("\"open\\"));
	assert_false(imap_take_word(&c, &arena, &word));
	arena_fini(&arena);
	buffer_free(&line);
}

static void what_is_quoted_is_taken_again(void **state)
{
	struct arena arena = { 0 };
	struct buffer line = { 0 };
	struct slice word;
	imap_add_string(&line, SLICE("a \"b\" \\c"));
	assert_slice(buffer_slice(&line), "\"a \\\"b\\\" \\\\c\"");
	struct cursor c = cursor_of(buffer_slice(&line));
	assert_true(imap_take_word(&c, &arena, &word));
	assert_slice(word, "a \"b\" \\c");
	assert_true(at_end(&c));
	arena_fini(&arena);
	buffer_free(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_unquoted),
		cmocka_unit_test(what_is_quoted_is_taken_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
