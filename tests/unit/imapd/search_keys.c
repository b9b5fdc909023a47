/* tests/unit/imapd/search_keys.c - the grammar of SEARCH: trees, and what is refused. */
#include "tests/unit/unit.h"

#include "base/buffer.h"
#include "imapd/search_keys_priv.h"
#include "storage/message.h"

static void describe(const struct search_key *key, struct buffer *out)
{
	static const char *const names[] = {
		[SEARCH_ALL] = "all",		[SEARCH_UIDS] = "uids",
		[SEARCH_FLAG] = "flag",		[SEARCH_KEYWORD] = "keyword",
		[SEARCH_LARGER] = "larger",	[SEARCH_SMALLER] = "smaller",
		[SEARCH_DATE] = "date",		[SEARCH_SENT] = "sent",
		[SEARCH_ENVELOPE] = "envelope", [SEARCH_HEADER] = "header",
		[SEARCH_BODY] = "body",		[SEARCH_TEXT] = "text",
		[SEARCH_AND] = "and",		[SEARCH_OR] = "or",
		[SEARCH_NOT] = "not",
	};
	buffer_add_cstr(out, names[key->kind]);
	if (key->kind == SEARCH_FLAG)
		buffer_add_format(out, "=%u", (unsigned)key->flag);
	if (key->kind == SEARCH_BODY || key->kind == SEARCH_TEXT || key->kind == SEARCH_ENVELOPE) {
		buffer_add_byte(out, '=');
		buffer_add(out, key->text.needle.folded);
	}
	if (!key->first_child)
		return;
	buffer_add_byte(out, '(');
	for (const struct search_key *child = key->first_child; child; child = child->next) {
		describe(child, out);
		if (child->next)
			buffer_add_byte(out, ' ');
	}
	buffer_add_byte(out, ')');
}

static enum search_parsed parse(const char *text, struct arena *arena,
				struct search_program *program)
{
	struct cursor c = cursor_of(slice_cstr(text));
	return take_search_program(&c, CHARSET_NAMED, NULL, arena, program);
}

static void check(const char *text, const char *want)
{
	struct arena arena = { 0 };
	struct buffer out = { 0 };
	struct search_program program = { 0 };
	if (parse(text, &arena, &program) != SEARCH_PARSED)
		fail_msg("\"%s\" was not taken", text);
	describe(program.root, &out);
	assert_slice(buffer_slice(&out), want);
	buffer_free(&out);
	arena_fini(&arena);
}

static void refuse(const char *text, enum search_parsed want)
{
	struct arena arena = { 0 };
	struct search_program program = { 0 };
	enum search_parsed got = parse(text, &arena, &program);
	if (got != want)
		fail_msg("\"%s\": %d, want %d", text, got, want);
	arena_fini(&arena);
}

static void trees(void **state)
{
	check("ALL", "and(all)");
	check("1:5,9", "and(uids)");
	check("$", "and(uids)");
	check("UID 1:*", "and(uids)");
	check("UNSEEN SEEN", "and(not(flag=1) flag=1)");
	check("NOT NOT DRAFT", "and(not(not(flag=16)))");
	check("OR SEEN (DELETED FLAGGED)", "and(or(flag=1 and(flag=8 flag=4)))");
	check("((SEEN))", "and(and(and(flag=1)))");
	check("NEW", "and(and(uids not(flag=1)))");
	check("OLD RECENT", "and(not(uids) uids)");
	check("KEYWORD $Junk UNKEYWORD x", "and(keyword not(keyword))");
	check("LARGER 5 SMALLER 9223372036854775807", "and(larger smaller)");
	check("SINCE 1-Feb-1994 SENTON \"01-Feb-1994\"", "and(date sent)");
	check("header \"X\" y HEADER Subject z", "and(header header)");
}

static void cheap_keys_come_first(void **state)
{
	check("TEXT b FROM c BODY a SEEN", "and(flag=1 envelope=c text=b body=a)");
	check("OR BODY a SEEN", "and(or(flag=1 body=a))");
	check("(TEXT b SEEN) FLAGGED", "and(flag=4 and(flag=1 text=b))");
}

static void strings_are_folded(void **state)
{
	check("BODY HeLLo", "and(body=hello)");
	check("BODY {5}\r\na\r\nB!", "and(body=a\r\nb!)");
	check("CHARSET UTF-8 BODY \"\xc3\x84\"", "and(body=a\xcc\x88)");
	check("CHARSET \"us-ascii\" BODY x", "and(body=x)");
	check("CHARSET iso-8859-1 BODY {1}\r\n\xc4", "and(body=a\xcc\x88)");
	check("BODY \"\"", "and(body=)");
}

static void what_is_wrong(void **state)
{
	static const char *const wrong[] = {
		"",
		" ",
		"ALL ",
		"CHARSET iso-8859-1 BODY \"\xc4\"", /* quoted is UTF-8: RFC 6855 section 3 */
		" ALL",
		"ALL  SEEN",
		"()",
		"(ALL",
		"ALL)",
		"NOT",
		"OR SEEN",
		"OR SEEN ",
		"FROM",
		"FROM ",
		"SEENX",
		"LARGER x",
		"LARGER -1",
		"LARGER 9223372036854775808",
		"SINCE 32-Jan-1994",
		"SINCE 1994",
		"SENTON \"1-Jan-1994",
		"UID",
		"UID x",
		"0",
		"1:",
		"HEADER x",
		"CHARSET UTF-8",
		"KEYWORD \\Seen",
		"BODY \"\xff\"",
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		refuse(wrong[i], SEARCH_MALFORMED);
	refuse("CHARSET x-unheard-of ALL", SEARCH_NO_CHARSET);
}

static void limits(void **state)
{
	struct buffer text = { 0 };
	for (unsigned i = 0; i < SEARCH_DEPTH_MAX; i++)
		buffer_add_cstr(&text, "NOT ");
	buffer_add(&text, slice_of("SEEN", 5));
	refuse((const char *)text.data + 4, SEARCH_PARSED);
	refuse((const char *)text.data, SEARCH_TOO_COMPLEX);
	buffer_clear(&text);
	for (unsigned i = 0; i < 100000; i++)
		buffer_add_byte(&text, '(');
	buffer_add_byte(&text, '\0');
	refuse((const char *)text.data, SEARCH_TOO_COMPLEX);
	buffer_clear(&text);
	for (unsigned i = 0; i < SEARCH_STRINGS_MAX; i++)
		buffer_add_cstr(&text, "TEXT x ");
	text.data[text.len - 1] = '\0';
	refuse((const char *)text.data, SEARCH_PARSED);
	text.data[text.len - 1] = ' ';
	buffer_add(&text, slice_of("BODY y", 7));
	refuse((const char *)text.data, SEARCH_TOO_COMPLEX);
	buffer_clear(&text);
	for (unsigned i = 0; i <= SEARCH_KEYS_MAX; i++)
		buffer_add_cstr(&text, "SEEN ");
	text.data[text.len - 1] = '\0';
	refuse((const char *)text.data, SEARCH_TOO_COMPLEX);
	buffer_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trees),
		cmocka_unit_test(cheap_keys_come_first),
		cmocka_unit_test(strings_are_folded),
		cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
