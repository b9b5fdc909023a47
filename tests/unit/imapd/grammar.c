/* tests/unit/imapd/grammar.c - the formal syntax, word by word, and its way back. */
#include "tests/unit/unit.h"

#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"

static struct arena arena;

static struct cursor on(const char *text)
{
	return cursor_of(slice_cstr(text));
}

static void astring_is(const char *text, const char *want, const char *rest)
{
	struct cursor c = on(text), before = c;
	struct slice got;
	bool taken = take_astring(&c, &arena, &got);
	assert_int_equal(taken, want != NULL);
	if (taken)
		assert_slice(got, want);
	else
		assert_ptr_equal(c.at, before.at);
	assert_slice(cursor_rest(&c), rest);
}

static void takes_strings(void **state)
{
	astring_is("INBOX rest", "INBOX", " rest");
	astring_is("a]b", "a]b", "");
	astring_is("\"\"", "", "");
	astring_is("\"a b\"c", "a b", "c");
	astring_is("\"a\\\"b\\\\\" x", "a\"b\\", " x");
	astring_is("\"a\\b\"", NULL, "\"a\\b\"");
	astring_is("\"open", NULL, "\"open");
	astring_is("\"a\rb\"", NULL, "\"a\rb\"");
	astring_is("{3}\r\na\"bc", "a\"b", "c");
	astring_is("{3+}\r\nabc", "abc", "");
	astring_is("{0}\r\n", "", "");
	astring_is("{4}\r\nabc", NULL, "{4}\r\nabc");
	astring_is("{18446744073709551616}\r\nabc", NULL, "{18446744073709551616}\r\nabc");
	astring_is("", NULL, "");
	astring_is("(", NULL, "(");
	arena_fini(&arena);
}

static void tells_nil_from_empty(void **state)
{
	struct cursor c = on("nil");
	struct slice got;
	assert_true(take_nstring(&c, &arena, &got));
	assert_null(got.ptr);
	c = on("\"\"");
	assert_true(take_nstring(&c, &arena, &got));
	assert_non_null(got.ptr);
	c = on("NILS");
	assert_false(take_nstring(&c, &arena, &got));
	arena_fini(&arena);
}

static void keywords_end_at_delimiters(void **state)
{
	struct cursor c = on("BODY.PEEK[]");
	assert_false(take_keyword(&c, "BODY"));
	assert_true(take_keyword(&c, "body.peek"));
	c = on("BODY[");
	assert_true(take_keyword(&c, "BODY"));
	c = on("BODYSTRUCTURE");
	assert_false(take_keyword(&c, "BODY"));
	c = on("FLAGS)");
	assert_true(take_keyword(&c, "FLAGS"));
}

static void name_is(const char *wire, bool utf8, const char *want)
{
	struct slice got;
	bool good = mailbox_name_from_wire(slice_cstr(wire), &arena, utf8, &got);
	assert_int_equal(good, want != NULL);
	if (good)
		assert_slice(got, want);
	arena_fini(&arena);
}

static void reads_mailbox_names(void **state)
{
	name_is("inbox", false, "INBOX");
	name_is("iNbOx/Sub", false, "INBOX/Sub");
	name_is("inboxes", false, "inboxes");
	name_is("Entw&APw-rfe", false, "Entw\xc3\xbcrfe");
	name_is("A&-B", false, "A&B");
	name_is("A&B", false, NULL);
	name_is("A&B", true, "A&B");
	name_is("Entw\xc3\xbcrfe", true, "Entw\xc3\xbcrfe");
	name_is("\xff", true, NULL);
}

static void set_is(const char *text, uint32_t star, const char *want)
{
	struct cursor c = on(text);
	struct sequence_set set;
	struct ranges numbers = { 0 };
	struct buffer out = { 0 };
	bool taken = take_sequence_set(&c, &arena, &set) && at_end(&c);
	assert_int_equal(taken, want != NULL);
	if (taken) {
		sequence_set_numbers(&set, star, &numbers);
		respond_ranges(&out, &numbers);
		assert_slice(buffer_slice(&out), want);
	}
	buffer_free(&out);
	ranges_free(&numbers);
	arena_fini(&arena);
}

static void reads_sequence_sets(void **state)
{
	set_is("1", 9, "1");
	set_is("2,4:7,9,12:*", 15, "2,4:7,9,12:15");
	set_is("*:4,5:7", 10, "4:10");
	set_is("9,7,5,3,1,2", 10, "1:3,5,7,9");
	set_is("3291:*", 12, "12:3291");
	set_is("*", 0, "");
	set_is("4:2", 9, "2:4");
	set_is("4294967295,1", 9, "1,4294967295");
	set_is("4294967296", 9, NULL);
	set_is("0", 9, NULL);
	set_is("1,", 9, NULL);
	set_is(",1", 9, NULL);
	set_is("1:", 9, NULL);
	set_is("1::2", 9, NULL);
	set_is("1:2:3", 9, NULL);
	set_is("", 9, NULL);
	struct cursor c = on("$");
	struct sequence_set set;
	assert_true(take_sequence_set(&c, &arena, &set) && at_end(&c));
	assert_true(set.has_saved_result && set.count == 0);
	c = on("1,3:*,$");
	assert_true(take_sequence_set(&c, &arena, &set) && at_end(&c));
	assert_true(set.has_saved_result && set.count == 2);
	set_is("$,1", 9, NULL);
	set_is("1,$,$", 9, NULL);
	set_is("1,$:3", 9, NULL);
	set_is("$$", 9, NULL);
}

static void flags_are(const char *text, int want_flags, size_t want_keywords)
{
	struct cursor c = on(text);
	struct flag_list list;
	bool taken = take_flags(&c, &arena, &list) && at_end(&c);
	assert_int_equal(taken, want_flags >= 0);
	if (taken) {
		assert_int_equal(list.flags, want_flags);
		assert_int_equal(list.keyword_count, want_keywords);
	}
	arena_fini(&arena);
}

static void reads_flags(void **state)
{
	flags_are("()", 0, 0);
	flags_are("(\\Seen \\deleted)", 1 | 8, 0);
	flags_are("\\Seen $Junk Work", 1, 2);
	flags_are("(\\Recent)", -1, 0);
	flags_are("(\\Seen )", -1, 0);
	flags_are("(\\Seen", -1, 0);
	flags_are("", -1, 0);
	flags_are("(a(b)", -1, 0);
}

static void section_is(const char *text, int want_text, size_t want_parts, size_t want_fields)
{
	struct cursor c = on(text), before = c;
	struct section section;
	bool taken = take_section(&c, &arena, &section);
	assert_int_equal(taken, want_text >= 0);
	if (taken) {
		assert_int_equal(section.text, want_text);
		assert_int_equal(section.part_count, want_parts);
		assert_int_equal(section.field_count, want_fields);
	} else {
		assert_ptr_equal(c.at, before.at);
	}
	arena_fini(&arena);
}

static void reads_sections(void **state)
{
	section_is("[]", SECTION_WHOLE, 0, 0);
	section_is("[1.2.3]", SECTION_WHOLE, 3, 0);
	section_is("[HEADER]", SECTION_HEADER, 0, 0);
	section_is("[1.HEADER]", SECTION_HEADER, 1, 0);
	section_is("[4.1.MIME]", SECTION_MIME, 2, 0);
	section_is("[TEXT]", SECTION_TEXT, 0, 0);
	section_is("[header.fields (To \"From\")]", SECTION_HEADER_FIELDS, 0, 2);
	section_is("[2.HEADER.FIELDS.NOT (To)]", SECTION_HEADER_FIELDS_NOT, 1, 1);
	section_is("[MIME]", -1, 0, 0);
	section_is("[1.]", -1, 0, 0);
	section_is("[0]", -1, 0, 0);
	section_is("[1.0]", -1, 0, 0);
	section_is("[HEADER.FIELDS ()]", -1, 0, 0);
	section_is("[HEADER.FIELDS (a b]", -1, 0, 0);
	section_is("[HEADER", -1, 0, 0);
	section_is("[1..2]", -1, 0, 0);
	struct cursor c = on("<0.1>");
	struct partial partial;
	assert_true(take_partial(&c, &partial));
	c = on("<0.0>");
	assert_false(take_partial(&c, &partial));
}

static void string_is(struct slice text, bool utf8, const char *want)
{
	struct buffer out = { 0 };
	respond_string(&out, text, utf8);
	assert_slice(buffer_slice(&out), want);
	buffer_free(&out);
}

static void writes_strings(void **state)
{
	string_is(SLICE("a \"b\" \\"), false, "\"a \\\"b\\\" \\\\\"");
	string_is(SLICE("a\r\nb"), false, "{4}\r\na\r\nb");
	string_is(SLICE("\xc3\xbc"), false, "{2}\r\n\xc3\xbc");
	string_is(SLICE("\xc3\xbc"), true, "\"\xc3\xbc\"");
	string_is(SLICE("\xff"), true, "{1}\r\n\xff");
	string_is(SLICE("a\0b"), true,
		  "{3}\r\na\x80"
		  "b");
	string_is(SLICE(""), false, "\"\"");
}

static void mailbox_is(const char *name, bool utf8, const char *want)
{
	struct buffer out = { 0 };
	respond_mailbox(&out, slice_cstr(name), utf8);
	assert_slice(buffer_slice(&out), want);
	buffer_free(&out);
}

static void writes_mailbox_names(void **state)
{
	mailbox_is("INBOX", false, "INBOX");
	mailbox_is("Two words", false, "\"Two words\"");
	mailbox_is("Entw\xc3\xbcrfe", false, "Entw&APw-rfe");
	mailbox_is("Entw\xc3\xbcrfe", true, "\"Entw\xc3\xbcrfe\"");
	mailbox_is("nil", false, "\"nil\"");
	mailbox_is("a*", true, "\"a*\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_strings),
		cmocka_unit_test(tells_nil_from_empty),
		cmocka_unit_test(keywords_end_at_delimiters),
		cmocka_unit_test(reads_mailbox_names),
		cmocka_unit_test(reads_sequence_sets),
		cmocka_unit_test(reads_flags),
		cmocka_unit_test(reads_sections),
		cmocka_unit_test(writes_strings),
		cmocka_unit_test(writes_mailbox_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
