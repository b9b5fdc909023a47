/* tests/unit/smtpd/content.c - the end of the data, dots and line ends, over all cuts, held
 * against a plain reading of RFC 5321 section 4.5.2. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "smtpd/content_priv.h"

struct outcome {
	bool has_ended, has_bare;
	size_t taken; /* octets of the input */
};

/* The rules one by one over the whole input, slowly. */
static struct outcome read_plainly(struct slice in, struct buffer *message)
{
	struct outcome outcome = { .taken = in.len };
	bool line_start = true;
	size_t at = 0;

	while (at < in.len) {
		struct slice rest = slice_sub(in, at, in.len);
		bool is_crlf = rest.len >= 2 && rest.ptr[0] == '\r' && rest.ptr[1] == '\n';
		if (line_start && rest.len >= 3 && memcmp(rest.ptr, ".\r\n", 3) == 0) {
			outcome.has_ended = true;
			outcome.taken = at + 3;
			return outcome;
		}
		if (line_start && rest.ptr[0] == '.') {
			line_start = false;
			at++;
			continue;
		}
		line_start = is_crlf;
		if (is_crlf) {
			buffer_add(message, SLICE("\r\n"));
			at += 2;
			continue;
		}
		if (rest.ptr[0] == '\n' || (rest.ptr[0] == '\r' && rest.len > 1))
			outcome.has_bare = true;
		buffer_add_byte(message, rest.ptr[0]);
		at++;
	}
	return outcome;
}

/* In pieces that end where `cuts` says; several cuts may fall together. */
static struct outcome read_in_pieces(struct slice in, const size_t *cuts, size_t cut_count,
				     struct buffer *message, struct smtp_content *content)
{
	struct outcome outcome = { .has_ended = false };
	size_t from = 0;

	for (size_t i = 0; i <= cut_count && !outcome.has_ended; i++) {
		size_t to = i < cut_count ? cuts[i] : in.len;
		struct cursor piece = cursor_of(slice_sub(in, from, to - from));
		enum content_event event;
		struct slice run;
		while ((event = smtp_content_next(content, &piece, &run)) == CONTENT_RUN) {
			assert_true(run.len > 0);
			buffer_add(message, run);
		}
		outcome.has_ended = event == CONTENT_END;
		if (!outcome.has_ended)
			assert_true(at_end(&piece));
		outcome.taken = (size_t)(piece.at - in.ptr);
		from = to;
	}
	outcome.has_bare = content->has_bare;
	return outcome;
}

static void check(struct slice in, const size_t *cuts, size_t cut_count)
{
	struct buffer want = { 0 }, got = { 0 };
	struct smtp_content content = { 0 };
	struct outcome plain = read_plainly(in, &want);
	struct outcome pieces = read_in_pieces(in, cuts, cut_count, &got, &content);

	assert_int_equal(pieces.has_ended, plain.has_ended);
	assert_int_equal(pieces.has_bare, plain.has_bare);
	if (plain.has_ended) {
		assert_int_equal(pieces.taken, plain.taken);
		if (!plain.has_bare) {
			assert_true(slice_eq(buffer_slice(&got), buffer_slice(&want)));
			assert_int_equal(content.size_octets, want.len);
		}
	}
	/* What has been passed on is never more than what was there. */
	assert_true(got.len <= want.len);
	assert_true(slice_eq(buffer_slice(&got), slice_sub(buffer_slice(&want), 0, got.len)));
	buffer_free(&want);
	buffer_free(&got);
}

static const char *const inputs[] = {
	".\r\n",
	"a\r\n.\r\nNOOP\r\n",
	"..\r\n.\r\n",
	"...\r\n.x\r\n..x\r\n.\r\n",
	"a\r\n\r\n.\r\n",
	"a\n.\n.\r\n\r\n.\r\nx",
	"a\r\n.\n\r\n.\r\n",
	"a\r.\r\r\n.\r\n",
	"a\r\n.\rb\r\n.\r\n",
	"a\r\r\n.\r\n",
	"\r\r\n.\r\n",
	"\n\r\n.\r\n",
	"a\r\n.\r\r\n.\r\n",
	"a\r\n.\r.\r\n.\r\n",
	"a\n\r\n.\r\n",
	"\r\n\r\n\r\n..\r\n.\r\n.\r\n",
	"no end at all\r\n.",
	"no end at all\r\n.\r",
};

static void agrees_over_all_cuts(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
		struct slice in = slice_cstr(inputs[i]);
		size_t cuts[64];
		assert_true(in.len < ARRAY_LEN(cuts));
		for (size_t a = 0; a <= in.len; a++)
			for (cuts[0] = a, cuts[1] = a; cuts[1] <= in.len; cuts[1]++)
				check(in, cuts, 2);
		for (size_t at = 0; at < in.len; at++)
			cuts[at] = at;
		check(in, cuts, in.len);
	}
}

/* Every string of the octets that matter, up to a length, in pieces of one. */
static void agrees_on_all_short_inputs(void **state)
{
	static const char alphabet[] = "\r\n.a";
	const struct slice end = SLICE("\r\n.\r\n");
	enum { LEN_MAX = 7 };
	for (unsigned number = 0; number < 1u << (2 * LEN_MAX); number++) {
		uint8_t octets[LEN_MAX + 5];
		size_t cuts[sizeof(octets)];
		for (size_t i = 0; i < LEN_MAX; i++)
			octets[i] = (uint8_t)alphabet[number >> (2 * i) & 3];
		memcpy(octets + LEN_MAX, end.ptr, end.len);
		for (size_t i = 0; i < sizeof(octets); i++)
			cuts[i] = i;
		check(slice_of(octets, sizeof(octets)), cuts, sizeof(octets));
		check(slice_of(octets, sizeof(octets)), cuts + number % LEN_MAX, 1);
	}
}

static unsigned hops_of(const char *text, size_t piece)
{
	struct smtp_content content = { 0 };
	struct slice in = slice_cstr(text), run;
	for (size_t at = 0; at < in.len; at += piece) {
		struct cursor c = cursor_of(slice_sub(in, at, piece));
		while (smtp_content_next(&content, &c, &run) == CONTENT_RUN)
			;
	}
	return content.hops;
}

static void counts_received_fields_of_the_header(void **state)
{
	static const char text[] = "Received: a\r\nRECEIVED:b\r\n\tReceived: folded\r\n"
				   "Received-SPF: x\r\nReceive\r\nX: Received: y\r\nreceived:\r\n"
				   "\r\nReceived: in the body\r\n.\r\n";
	for (size_t piece = 1; piece < sizeof(text); piece++)
		assert_int_equal(hops_of(text, piece), 3);
	assert_int_equal(hops_of("\r\nReceived: x\r\n.\r\n", 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_over_all_cuts),
		cmocka_unit_test(agrees_on_all_short_inputs),
		cmocka_unit_test(counts_received_fields_of_the_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
