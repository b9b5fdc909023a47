/* tests/unit/pop3d/stuffing.c - a message as a multi-line response, however it is cut. */
#include "tests/unit/unit.h"

#include "pop3d/stuffing_priv.h"

static void check(const char *message, uint64_t lines, const char *want)
{
	struct slice octets = slice_cstr(message);
	for (size_t piece = 1; piece <= octets.len + 1; piece++) {
		struct stuffing stuffing;
		struct buffer out = { 0 };
		stuffing_begin(&stuffing, lines);
		for (size_t at = 0; at < octets.len; at += piece)
			if (!stuffing_add(&stuffing, slice_sub(octets, at, piece), &out))
				break;
		stuffing_end(&stuffing, &out);
		if (!slice_eq(buffer_slice(&out), slice_cstr(want)))
			fail_msg("in pieces of %zu: \"%.*s\", want \"%s\"", piece,
				 SLICE_ARG(buffer_slice(&out)), want);
		buffer_free(&out);
	}
}

static void whole_messages(void **state)
{
	check("A: b\r\n\r\ntext\r\n", UINT64_MAX, "A: b\r\n\r\ntext\r\n.\r\n");
	check("A: b\r\n\r\n.\r\n..\r\n.x\r\nx.\r\n", UINT64_MAX,
	      "A: b\r\n\r\n..\r\n...\r\n..x\r\nx.\r\n.\r\n");
	check(".starts with a dot\r\n", UINT64_MAX, "..starts with a dot\r\n.\r\n");
	check("", UINT64_MAX, ".\r\n");
}

static void a_last_line_without_an_end_gets_one(void **state)
{
	check("A: b\r\n\r\ntext", UINT64_MAX, "A: b\r\n\r\ntext\r\n.\r\n");
	check("A: b\r\n\r\n.", UINT64_MAX, "A: b\r\n\r\n..\r\n.\r\n");
	check("A: b", UINT64_MAX, "A: b\r\n.\r\n");
	check("A: b\r\n\r\ntext\r", UINT64_MAX, "A: b\r\n\r\ntext\r\r\n.\r\n");
}

/* A client that ends lines at LF must not read the rest of the message as our next reply. */
static void dots_behind_a_lone_line_feed(void **state)
{
	check("A: b\r\n\r\nx\n.\r\n+OK\r\n", UINT64_MAX, "A: b\r\n\r\nx\n..\r\n+OK\r\n.\r\n");
}

static void top_ends_where_its_lines_do(void **state)
{
	static const char message[] = "A: b\r\n c\r\n\r\n.one\r\n\r\nthree\r\nfour";
	check(message, 0, "A: b\r\n c\r\n\r\n.\r\n");
	check(message, 1, "A: b\r\n c\r\n\r\n..one\r\n.\r\n");
	check(message, 2, "A: b\r\n c\r\n\r\n..one\r\n\r\n.\r\n");
	check(message, 3, "A: b\r\n c\r\n\r\n..one\r\n\r\nthree\r\n.\r\n");
	check(message, 4, "A: b\r\n c\r\n\r\n..one\r\n\r\nthree\r\nfour\r\n.\r\n");
	check(message, 400, "A: b\r\n c\r\n\r\n..one\r\n\r\nthree\r\nfour\r\n.\r\n");
}

static void top_of_odd_messages(void **state)
{
	/* No body at all; no header at all; a CR is no empty line. */
	check("A: b\r\nC: d\r\n", 0, "A: b\r\nC: d\r\n.\r\n");
	check("\r\nbody\r\n", 0, "\r\n.\r\n");
	check("\r\nbody\r\n", 1, "\r\nbody\r\n.\r\n");
	check("A: b\r\n\r\r\nC: d\r\n\r\nbody\r\n", 0, "A: b\r\n\r\r\nC: d\r\n\r\n.\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_messages),
		cmocka_unit_test(a_last_line_without_an_end_gets_one),
		cmocka_unit_test(dots_behind_a_lone_line_feed),
		cmocka_unit_test(top_ends_where_its_lines_do),
		cmocka_unit_test(top_of_odd_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
