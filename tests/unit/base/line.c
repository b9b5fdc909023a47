/* tests/unit/base/line.c - what is a line, what is not, and that cuts make no difference. */
#include "tests/unit/unit.h"

#include "base/buffer.h"
#include "base/line.h"

/* Reads `text` in pieces of `piece` octets; results as letters: T and the line, L, B. */
static struct buffer read_in_pieces(struct slice text, size_t piece, size_t max_octets)
{
	struct line_reader reader = { 0 };
	struct buffer waiting = { 0 }, story = { 0 };
	for (size_t at = 0; at < text.len; at += piece) {
		buffer_add(&waiting, slice_sub(text, at, piece));
		struct cursor in = cursor_of(buffer_slice(&waiting));
		enum line_result result;
		struct slice line;
		while ((result = line_take(&reader, &in, max_octets, &line)) != LINE_PARTIAL) {
			buffer_add_byte(&story, " TLB"[result]);
			if (result == LINE_TAKEN)
				buffer_add(&story, line);
			buffer_add_byte(&story, '|');
		}
		assert_true(cursor_left(&in) <= max_octets + 1);
		buffer_drop_front(&waiting, (size_t)(in.at - waiting.data));
	}
	buffer_free(&waiting);
	return story;
}

static void lines_are_the_same_however_they_come(void **state)
{
	static const struct {
		const char *text, *story;
	} rows[] = {
		{ "one\r\ntwo\r\n\r\nrest", "Tone|Ttwo|T|" },
		{ "12345678\r\n123456789\r\nx\r\n", "T12345678|L|Tx|" },
		{ "much longer than that\r\nx\r\n", "L|Tx|" },
		{ "a\nb\r\nc\r\n", "B|Tc|" },
		{ "a\rb\r\nc\r\n", "B|Tc|" },
		{ "\nb\r\nc\r\n", "B|Tc|" },
		{ "a\r\r\nc\r\n", "B|Tc|" },
		{ "12345678\r\r\n\r\n", "L|T|" },
		{ "123456789012345\r\rx\r\ny\r\n", "L|Ty|" },
		{ "123456789012345\n\r\ny\r\n", "L|Ty|" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t piece = 1; piece <= 30; piece++) {
			struct buffer story = read_in_pieces(slice_cstr(rows[i].text), piece, 8);
			assert_slice(buffer_slice(&story), rows[i].story);
			buffer_free(&story);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_the_same_however_they_come),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
