/* tests/unit/mail/mbox.c - messages of an mbox: where they begin and end, quoting, marks. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "mail/maildir.h"
#include "mail/mbox.h"

#define FROM "From bob@example.org Sat Jan  3 01:05:34 2015\n"

static int64_t read_at(void *user, uint64_t offset, uint8_t *into, size_t len)
{
	struct slice part = slice_sub(*(struct slice *)user, offset, len);
	if (part.len)
		memcpy(into, part.ptr, part.len);
	return (int64_t)part.len;
}

static bool give(void *user, struct slice octets)
{
	buffer_add(user, octets);
	return true;
}

/* All contents, each with "|" behind it. */
static void contents(struct slice file, enum mbox_quoting quoting, struct buffer *out)
{
	struct mbox_reader *reader = mbox_reader_new(read_at, &file, quoting);
	struct mbox_message message;
	enum mbox_result result;
	uint64_t at = 0;
	buffer_clear(out);
	while ((result = mbox_next(reader, &at, &message)) != MBOX_END) {
		if (result == MBOX_MESSAGE)
			assert_true(mbox_content(reader, &message, give, out));
		else
			buffer_add_cstr(out, "?");
		buffer_add_byte(out, '|');
	}
	mbox_reader_free(&reader);
}

static void dialects(void **state)
{
	static const struct {
		const char *file;
		enum mbox_quoting quoting;
		const char *want;
	} rows[] = {
		{ "", MBOX_QUOTING_AUTO, "" },
		{ "\n\n", MBOX_QUOTING_AUTO, "" },
		{ "noise\n", MBOX_QUOTING_AUTO, "?|" },
		{ "noise\n\n" FROM "A: b\n\nx\n", MBOX_QUOTING_AUTO, "?|A: b\n\nx\n|" },
		{ FROM "A: b\n\nx\n\n" FROM "C: d\n\ny\n\n", MBOX_QUOTING_AUTO,
		  "A: b\n\nx\n|C: d\n\ny\n|" },
		{ FROM "A: b\n\nx\n" FROM "C: d\n\ny", MBOX_QUOTING_AUTO,
		  "A: b\n\nx\n|C: d\n\ny|" },
		{ FROM "A: b\n\nFrom me\n\nFrom you\n", MBOX_QUOTING_AUTO,
		  "A: b\n\nFrom me\n\nFrom you\n|" },
		{ FROM "A: b\n\n>From\n>From x\n>>From y\n", MBOX_QUOTING_AUTO,
		  "A: b\n\n>From\nFrom x\n>From y\n|" },
		{ FROM "A: b\n\n>From x\n>>From y\n", MBOX_QUOTING_O,
		  "A: b\n\nFrom x\n>>From y\n|" },
		{ FROM "A: b\n\n>From x\n", MBOX_QUOTING_NONE, "A: b\n\n>From x\n|" },
		{ FROM "Content-Length: 8\n\n>From x\n\n" FROM "C: d\n", MBOX_QUOTING_AUTO,
		  "Content-Length: 8\n\nFrom x\n|C: d\n|" },
		{ FROM "Content-Length: 55\n\n>From x\n\n" FROM "\n" FROM "C: d\n",
		  MBOX_QUOTING_AUTO, "Content-Length: 55\n\n>From x\n\n" FROM "|C: d\n|" },
		{ FROM "Content-Length: 99999\n\nx\n\n" FROM "C: d\n", MBOX_QUOTING_AUTO,
		  "Content-Length: 99999\n\nx\n|C: d\n|" },
		{ FROM "Content-Length: 9223372036854775807\n\nx\n", MBOX_QUOTING_AUTO,
		  "Content-Length: 9223372036854775807\n\nx\n|" },
		{ "From me\nA: b\n\nx\n", MBOX_QUOTING_AUTO, "A: b\n\nx\n|" },
		{ "From x Sat Jan  3 01:05:34 2015\r\nA: b\r\n\r\nx\r\n\r\n" FROM "C: d\n",
		  MBOX_QUOTING_AUTO, "A: b\r\n\r\nx\r\n|C: d\n|" },
		{ FROM "\n" FROM "A: b\n", MBOX_QUOTING_AUTO, "\n|A: b\n|" },
	};
	struct buffer out = { 0 };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		contents(slice_cstr(rows[i].file), rows[i].quoting, &out);
		if (!slice_eq(buffer_slice(&out), slice_cstr(rows[i].want)))
			fail_msg("row %zu: %.*s", i, SLICE_ARG(buffer_slice(&out)));
	}
	buffer_free(&out);
}

/* Messages and lines larger than the window, whatever lies on its edge. */
static void windows(void **state)
{
	struct buffer file = { 0 }, want = { 0 }, out = { 0 };
	for (unsigned i = 0; i < 12; i++) {
		size_t filler = i == 3 ? 700000 : 262144 - 60 + i * 7;
		buffer_add_cstr(&file, FROM "A: b\n\n");
		buffer_add_cstr(&want, "A: b\n\n");
		for (size_t k = 0; k < filler; k++) {
			uint8_t c = i % 2 && k % 50 == 49 ? '\n' : 'x';
			buffer_add_byte(&file, c);
			buffer_add_byte(&want, c);
		}
		buffer_add_cstr(&file, "\n>From x\n>>>From y\n>x\n\n");
		buffer_add_cstr(&want, "\nFrom x\n>>From y\n>x\n|");
	}
	contents(buffer_slice(&file), MBOX_QUOTING_AUTO, &out);
	assert_true(slice_eq(buffer_slice(&out), buffer_slice(&want)));
	buffer_free(&file);
	buffer_free(&want);
	buffer_free(&out);
}

static void from_lines(void **state)
{
	static const struct {
		const char *line;
		int64_t date;
	} rows[] = {
		{ "From bob@example.org Sat Jan  3 01:05:34 2015", 1420247134 },
		{ "From a b c Sat Jan  3 01:05:34 2015", 1420247134 },
		{ "From - Sat Jan 03 01:05:34 2015", 1420247134 },
		{ "From x Sat Jan  3 02:05:34 2015 +0100", 1420247134 },
		{ "From x Sat Jan  3 02:05:34 +0100 2015", 1420247134 },
		{ "From x Sat Jan  3 01:05:34 GMT 2015", 1420247134 },
		{ "From x Sat Jan  3 01:05 2015", 1420247100 },
		{ "From x Sat Jan  3 01:05:34 2015 remote from host", 1420247134 },
	};
	static const char *const bad[] = { "From",
					   "From me",
					   "from x Sat Jan  3 01:05:34 2015",
					   "From x Sat Jan 33 01:05:34 2015",
					   "From x Sat",
					   "From x Sat Foo  3 01:05:34 2015" };
	int64_t date;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(mbox_from_line_parse(slice_cstr(rows[i].line), &date));
		assert_int_equal(date, rows[i].date);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(mbox_from_line_parse(slice_cstr(bad[i]), &date));
	struct buffer line = { 0 };
	mbox_from_line_format(SLICE("a b@c"), 1420247134, &line);
	assert_slice(buffer_slice(&line), "From a_b@c Sat Jan  3 01:05:34 2015\n");
	buffer_clear(&line);
	mbox_from_line_format(SLICE(""), 0, &line);
	assert_slice(buffer_slice(&line), "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n");
	buffer_free(&line);
}

static void marks(void **state)
{
	struct mbox_marks marks = { 0 };
	assert_true(mbox_marks_note(&marks, SLICE("Status"), SLICE(" RO\r\n")));
	assert_true(mbox_marks_note(&marks, SLICE("x-status"), SLICE(" AF")));
	assert_true(
		mbox_marks_note(&marks, SLICE("X-Keywords"), SLICE(" one  two (bad) \r\n three")));
	assert_true(mbox_marks_note(&marks, SLICE("X-UID"), SLICE(" 7")));
	assert_true(mbox_marks_note(&marks, SLICE("Content-Length"), SLICE(" 7")));
	assert_false(mbox_marks_note(&marks, SLICE("Subject"), SLICE(" RO")));
	assert_int_equal(marks.flags, MAILDIR_SEEN | MAILDIR_ANSWERED | MAILDIR_FLAGGED);
	assert_slice(buffer_slice(&marks.keywords), "one two three ");
	assert_false(marks.is_internal);
	buffer_clear(&marks.keywords);
	marks.flags = 0;
	assert_true(mbox_marks_note(&marks, SLICE("X-Mozilla-Status"), SLICE(" 1009")));
	assert_int_equal(marks.flags, MAILDIR_SEEN | MAILDIR_DELETED);
	assert_slice(buffer_slice(&marks.keywords), "$Forwarded ");
	buffer_free(&marks.keywords);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialects),
		cmocka_unit_test(windows),
		cmocka_unit_test(from_lines),
		cmocka_unit_test(marks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
