/* tests/unit/mail/header.c - fields of good and of broken headers. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/header.h"

static void takes_fields_in_order(void **state)
{
	struct slice header =
		SLICE("From: a@b\r\nSubject: one\r\n\ttwo\r\nX-Tab \t: c\r\nEmpty:\r\n"
		      "Bare: lf\nLast: x\r\n\r\nBody: no\r\n");
	static const char *want[][3] = {
		{ "From", " a@b\r\n", "From: a@b\r\n" },
		{ "Subject", " one\r\n\ttwo\r\n", "Subject: one\r\n\ttwo\r\n" },
		{ "X-Tab", " c\r\n", "X-Tab \t: c\r\n" },
		{ "Empty", "\r\n", "Empty:\r\n" },
		{ "Bare", " lf\n", "Bare: lf\n" },
		{ "Last", " x\r\n", "Last: x\r\n" },
	};
	struct cursor c = cursor_of(header);
	struct header_field field;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(take_header_field(&c, &field));
		assert_slice(field.name, want[i][0]);
		assert_slice(field.value, want[i][1]);
		assert_slice(field.whole, want[i][2]);
	}
	assert_false(take_header_field(&c, &field));
	assert_slice(cursor_rest(&c), "\r\nBody: no\r\n");
	assert_int_equal(header_end(header), header.len - 10);
	assert_true(header_find(header, SLICE("SUBJECT"), &field));
	assert_false(header_find(header, SLICE("Body"), &field));
}

/* RFC 7103 sections 7.2 and 7.3. */
static void lines_that_are_no_fields(void **state)
{
	struct arena arena = { 0 };
	struct header_field field;
	struct slice reminder = SLICE("From a@b Mon Feb  3 10:11:12 2025\r\nSubject: reminder\r\n"
				      "about the game\r\nDate: x\r\n \r\n y\r\n\r\nbody");
	assert_true(header_find(reminder, SLICE("subject"), &field));
	assert_slice(header_unfold(field.value, &arena), "reminder about the game");
	assert_true(header_find(reminder, SLICE("date"), &field));
	assert_slice(header_unfold(field.value, &arena), "x  y");
	assert_int_equal(header_end(reminder), reminder.len - 4);

	/* No empty line: what can be no header is the body. */
	struct slice no_end = SLICE("Subject: a\r\nHello there\r\n more\r\n");
	assert_true(header_find(no_end, SLICE("subject"), &field));
	assert_slice(field.whole, "Subject: a\r\n");
	assert_int_equal(header_end(no_end), 12);
	assert_int_equal(header_end(SLICE("no header at all\r\n")), 0);
	assert_int_equal(header_end(SLICE("  no header at all\r\n")), 0);
	assert_int_equal(header_end(SLICE("A: b\r\n c\r\n")), 10);
	assert_int_equal(header_end(SLICE("A: b")), 4);
	assert_int_equal(header_end(SLICE("\r\nA: b\r\n")), 2);
	assert_int_equal(header_end(SLICE("\nA: b\r\n")), 1);
	assert_int_equal(header_end(SLICE_NONE), 0);
	assert_false(header_find(SLICE_NONE, SLICE("a"), &field));
	assert_false(header_find(SLICE(": x\r\n a: y\r\nX Y: z\r\n"), SLICE("a"), &field));
	arena_fini(&arena);
}

static void unfolds(void **state)
{
	struct arena arena = { 0 };
	static const char *cases[][2] = {
		{ " a b \r\n", "a b" }, { "", "" },
		{ " \r\n \r\n", "" },	{ "a\r\n b\r\n\tc", "a b\tc" },
		{ "a\n b", "a b" },	{ "a\rb\nc\r\r\n d", "a b c  d" },
		{ "a\r\nb", "a b" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct slice got = header_unfold(slice_cstr(cases[i][0]), &arena);
		assert_slice(got, cases[i][1]);
		assert_non_null(got.ptr);
	}
	struct slice with_nul = SLICE("a\0b");
	assert_slice(header_unfold(with_nul, &arena), "a b");
	struct slice plain = SLICE(" unchanged\r\n");
	assert_ptr_equal(header_unfold(plain, &arena).ptr, plain.ptr + 1);
	assert_non_null(header_unfold(SLICE_NONE, &arena).ptr);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_fields_in_order),
		cmocka_unit_test(lines_that_are_no_fields),
		cmocka_unit_test(unfolds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
