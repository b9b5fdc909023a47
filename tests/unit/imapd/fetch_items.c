/* tests/unit/imapd/fetch_items.c - the grammar behind FETCH and its sequence set. */
#include "tests/unit/unit.h"

#include "base/buffer.h"
#include "imapd/fetch_items_priv.h"
#include "imapd/section_range_priv.h"

/* The items as "UID FLAGS BODY[1]<0.5>", with "!" where \Seen is set. */
static void describe(const struct fetch_items *items, struct buffer *out)
{
	for (size_t i = 0; i < items->count; i++) {
		const struct fetch_item *item = &items->items[i];
		if (i > 0)
			buffer_add_byte(out, ' ');
		buffer_add_cstr(out, item->name);
		if (item->names_section)
			section_render(out, &item->section, false);
		if (item->is_partial)
			buffer_add_format(out, "<%llu.%llu>",
					  (unsigned long long)item->partial.offset,
					  (unsigned long long)item->partial.count);
	}
	if (items->sets_seen)
		buffer_add_byte(out, '!');
}

static void check(const char *text, bool uid, const char *want)
{
	struct arena arena = { 0 };
	struct buffer out = { 0 };
	struct cursor c = cursor_of(slice_cstr(text));
	struct fetch_items items;
	bool taken = take_fetch_items(&c, &arena, uid, &items);
	if (!want) {
		if (taken)
			fail_msg("\"%s\" was taken", text);
		assert_int_equal(cursor_left(&c), strlen(text));
	} else {
		if (!taken)
			fail_msg("\"%s\" was not taken", text);
		describe(&items, &out);
		assert_slice(buffer_slice(&out), want);
	}
	buffer_free(&out);
	arena_fini(&arena);
}

static void macros(void **state)
{
	check("ALL", false, "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE");
	check("fast", false, "FLAGS INTERNALDATE RFC822.SIZE");
	check("Full", true, "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY");
	check("(ALL)", false, NULL); /* only by itself */
	check("(FLAGS FAST)", false, NULL);
	check("ALL FLAGS", false, NULL);
}

static void items(void **state)
{
	check("FLAGS", false, "FLAGS");
	check("(FLAGS)", false, "FLAGS");
	check("(flags uid Internaldate RFC822.SIZE)", false, "FLAGS UID INTERNALDATE RFC822.SIZE");
	check("BODY", false, "BODY");
	check("BODYSTRUCTURE", false, "BODYSTRUCTURE");
	check("(UID FLAGS FLAGS UID)", true, "UID FLAGS");
	check("(BODY BODY[] BODYSTRUCTURE)", false, "BODY BODY[] BODYSTRUCTURE!");
	check("BODY.PEEK[]", false, "BODY[]");
	check("BODY[TEXT]<0.2048>", false, "BODY[TEXT]<0.2048>!");
	check("RFC822", false, "RFC822!");
	check("RFC822.HEADER", false, "RFC822.HEADER");
	check("RFC822.TEXT", false, "RFC822.TEXT!");
	check("(BINARY[1.2]<5.6> BINARY.PEEK[] BINARY.SIZE[3])", false,
	      "BINARY[1.2]<5.6> BINARY[] BINARY.SIZE[3]!");
	check("BODY.PEEK[HEADER.FIELDS (\"From\" {2+}\r\nTo)]", false,
	      "BODY[HEADER.FIELDS (From To)]");
}

static void what_is_wrong(void **state)
{
	static const char *const wrong[] = {
		"",
		"()",
		"( FLAGS)",
		"(FLAGS )",
		"(FLAGS  UID)",
		"(FLAGS",
		"FLAGS UID",
		"FLAGS ",
		"NOTHING",
		"FLAGSX",
		"BODY.PEEK",
		"BODY[",
		"BODY[0]",
		"BODY[1.0]",
		"BODY[1.]",
		"BODY[.1]",
		"BODY[4294967296]",
		"BODY[MIME]",
		"BODY[1.HEADER.FIELDS]",
		"BODY[HEADER.FIELDS ()]",
		"BODY[HEADER.FIELDS (a ]",
		"BODY[HEADERS]",
		"BODY[]<0>",
		"BODY[]<0.0>",
		"BODY[]<1.2",
		"BODY[]<-1.2>",
		"BODY[]<9223372036854775808.1>",
		"BODYSTRUCTURE[1]",
		"BINARY[HEADER]",
		"BINARY[1.MIME]",
		"BINARY",
		"BINARY.SIZE[1]<0.1>",
		"RFC822[]",
		"RFC822.PEEK",
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		check(wrong[i], false, NULL);
}

static void what_must_be_read(void **state)
{
	struct arena arena = { 0 };
	struct fetch_items found;
	struct cursor c = cursor_of(SLICE("(UID FLAGS BODY.PEEK[])"));
	assert_true(take_fetch_items(&c, &arena, false, &found));
	assert_false(found.needs_structure || found.needs_envelope);
	assert_int_equal(found.body_count, 1);
	c = cursor_of(SLICE("(ENVELOPE)"));
	assert_true(take_fetch_items(&c, &arena, false, &found));
	assert_true(found.needs_envelope && !found.needs_structure && found.body_count == 0);
	c = cursor_of(SLICE("(RFC822.HEADER BINARY.SIZE[1])"));
	assert_true(take_fetch_items(&c, &arena, false, &found));
	assert_true(found.needs_structure && found.body_count == 2 && !found.sets_seen);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(macros),
		cmocka_unit_test(items),
		cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(what_must_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
