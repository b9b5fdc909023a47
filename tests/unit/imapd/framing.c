/* tests/unit/imapd/framing.c - commands out of octets: lines, literals, and what is refused. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "imapd/framing_priv.h"

enum { LIMIT = 100 };

/* What a caller like the session does: takes literals of up to 20 octets, refuses others. */
static void frame_all(struct slice input, size_t step, struct buffer *said)
{
	struct framing f = { 0 };
	for (size_t at = 0; at < input.len; at += step) {
		struct cursor in = cursor_of(slice_sub(input, at, step));
		enum framed framed;
		while ((framed = framing_next(&f, &in, LIMIT)) != FRAMED_NOTHING) {
			struct slice tag = framing_tag(&f);
			switch (framed) {
			case FRAMED_COMMAND:
				buffer_add_format(said, "<%.*s>", SLICE_ARG(framing_command(&f)));
				break;
			case FRAMED_LITERAL:
				if (f.literal.size_octets <= 20 &&
				    framing_literal_fits(&f, LIMIT)) {
					if (f.literal.client_waits)
						buffer_add_cstr(said, "+");
					framing_accept(&f);
				} else if (framing_refuse(&f)) {
					buffer_add_format(said, "<no %.*s>", SLICE_ARG(tag));
				}
				break;
			case FRAMED_REFUSED:
				buffer_add_format(said, "<refused %.*s %d>", SLICE_ARG(tag), f.why);
				break;
			case FRAMED_NOTHING: break;
			}
			assert_true(f.text.len <= LIMIT + 300);
		}
		assert_true(at_end(&in));
	}
	framing_reset(&f);
}

static void frames_as(const char *input, const char *want)
{
	for (size_t step = 1; step < 40 || step == 1200; step = step == 39 ? 1200 : step + 1) {
		struct buffer said = { 0 };
		frame_all(slice_cstr(input), step, &said);
		assert_slice(buffer_slice(&said), want);
		buffer_free(&said);
	}
}

static void takes_lines(void **state)
{
	frames_as("a NOOP\r\nb NOOP\r\n", "<a NOOP><b NOOP>");
	frames_as("\r\n", "<>");
	frames_as("a NO", "");
}

static void takes_literals(void **state)
{
	frames_as("a LOGIN {3}\r\nbob {6+}\r\nsecret\r\nb NOOP\r\n",
		  "+<a LOGIN {3}\r\nbob {6+}\r\nsecret><b NOOP>");
	frames_as("a X {0}\r\n\r\n", "+<a X {0}\r\n>");
	/* A literal may hold anything, even what looks like a command. */
	frames_as("a X {10+}\r\nb NOOP\r\n{5}\r\n", "<a X {10+}\r\nb NOOP\r\n{5}>");
	frames_as("a X \"{5}\"\r\n", "<a X \"{5}\">");
	frames_as("a X {5} \r\n", "<a X {5} >");
	frames_as("a X {99999999999999999999}\r\n", "<a X {99999999999999999999}>");
}

static void refuses_and_goes_on(void **state)
{
	frames_as("a X {21}\r\nb NOOP\r\n", "<no a><b NOOP>");
	frames_as("a X {21+}\r\nb NOOP\r\nc NOOP\r\nxxxxx\r\nd NOOP\r\n", "<refused a 3><d NOOP>");
	frames_as("a X {21+}\r\n123456789012345678901 {4+}\r\n\r\n\r\n z\r\nb NOOP\r\n",
		  "<refused a 3><b NOOP>");
	/* A synchronizing literal in a refused command is not sent. */
	frames_as("a X {21+}\r\n123456789012345678901 {9}\r\nb NOOP\r\n", "<refused a 3><b NOOP>");
	frames_as("a NOOP\nb NOOP\r\n", "<refused a 2><b NOOP>");
}

static void refuses_long_lines(void **state)
{
	char line[1000], input[1100];
	memset(line, 'x', sizeof(line));
	snprintf(input, sizeof(input), "tag %.900s\r\nb NOOP\r\n", line);
	frames_as(input, "<refused tag 1><b NOOP>");
	snprintf(input, sizeof(input), "tag %.900s {3+}\r\nabc\r\nb NOOP\r\n", line);
	frames_as(input, "<refused tag 1><b NOOP>");
	snprintf(input, sizeof(input), "%.900s\r\nb NOOP\r\n", line);
	frames_as(input, "<refused * 1><b NOOP>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_lines),
		cmocka_unit_test(takes_literals),
		cmocka_unit_test(refuses_and_goes_on),
		cmocka_unit_test(refuses_long_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
