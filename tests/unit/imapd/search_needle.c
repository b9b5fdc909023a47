/* tests/unit/imapd/search_needle.c - what is found without folding is what is found after it. */
#include "tests/unit/imapd/message.h"

#include "imapd/search_text_priv.h"
#include "mail/text.h"

static uint32_t seed;

static uint32_t roll(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

/* Few letters, so that much is found and much nearly; what folds, what decodes, what is cut off. */
static const char *const pieces[] = {
	"a",
	"b",
	"A",
	"B",
	"ab",
	"Ab",
	"aB",
	"K",
	"k",
	"1",
	" ",
	"  ",
	".",
	":",
	"@",
	"[",
	"{",
	"\t",
	"\r\n ",
	"\r",
	"\n",
	"=",
	"?",
	"=?",
	"=?us-ascii?q?ab=41_b?=",
	"=?utf-8?b?w4RCYQ==?=",
	"\xc3\x84",
	"\xc3\xa4",
	"\xe2\x84\xaa",
	"\xef\xac\x81",
	"\xc3\x9f",
	"ss",
	"fi",
	"\xff",
	"\xc3",
	"a\xcc\x88",
	"\x7f",
	"abababab",
	"bbbbbbbbbbbbbbbb",
};

/* `ascii` leaves out what is beyond it. */
static void add_random(struct buffer *text, size_t len, bool ascii)
{
	while (text->len < len) {
		struct slice piece = slice_cstr(pieces[roll(ARRAY_LEN(pieces))]);
		if (!ascii || text_is_ascii(piece))
			buffer_add(text, piece);
	}
}

static bool folded_holds(enum comparator comparator, struct slice utf8, struct slice folded_needle)
{
	struct buffer folded = { 0 };
	comparator_fold(comparator, utf8, &folded);
	bool yes = folded_needle.len == 0 ||
		   slice_find(buffer_slice(&folded), 0, folded_needle) < folded.len;
	buffer_free(&folded);
	return yes;
}

/* A string, mostly a part of the text. */
static struct slice random_needle(struct slice text, struct buffer *made)
{
	buffer_clear(made);
	if (roll(4) == 0 || text.len == 0) {
		add_random(made, roll(8), false);
		return buffer_slice(made);
	}
	return slice_sub(text, roll((uint32_t)text.len), roll(24));
}

static void fail_on(const char *what, struct slice text, struct slice needle)
{
	fail_msg("seed %u, %s: \"%.*s\" in \"%.*s\"", seed, what, SLICE_ARG(needle),
		 SLICE_ARG(text));
}

static void ascii_in_place(void **state)
{
	struct buffer text = { 0 }, made = { 0 }, folded = { 0 };
	unsigned found = 0, not_found = 0;
	for (unsigned round = 0; round < 20000; round++) {
		enum comparator comparator = (enum comparator)roll(COMPARATORS);
		buffer_clear(&text);
		buffer_clear(&folded);
		add_random(&text, roll(120), true);
		struct slice needle = random_needle(buffer_slice(&text), &made);
		comparator_fold(comparator, needle, &folded);
		struct needle prepared = needle_of(buffer_slice(&folded), comparator);
		/* In memory of its own size, so that reading beyond its end is seen. */
		struct buffer exact = { 0 };
		buffer_add(&exact, buffer_slice(&text));
		bool want = folded_holds(comparator, buffer_slice(&text), buffer_slice(&folded));
		if (needle_is_in_ascii(&prepared, buffer_slice(&exact)) != want)
			fail_on(comparator_name(comparator), buffer_slice(&text), needle);
		found += want;
		not_found += !want;
		buffer_free(&exact);
	}
	assert_true(found > 1000 && not_found > 1000);
	buffer_free(&text);
	buffer_free(&made);
	buffer_free(&folded);
}

static void header_values(void **state)
{
	struct buffer text = { 0 }, made = { 0 }, folded = { 0 }, utf8 = { 0 };
	struct search_program program = { 0 };
	unsigned plain = 0, found = 0;
	for (unsigned round = 0; round < 20000; round++) {
		struct matcher matcher;
		program.comparator = (enum comparator)roll(COMPARATORS);
		matcher_init(&matcher, &program);
		buffer_clear(&text);
		buffer_clear(&folded);
		buffer_clear(&utf8);
		add_random(&text, roll(60), roll(2));
		struct slice value = buffer_slice(&text);
		text_decode_header(value, &utf8);
		/* Also of what it is decoded to. */
		struct slice needle = random_needle(roll(2) ? value : buffer_slice(&utf8), &made);
		comparator_fold(program.comparator, needle, &folded);
		struct needle prepared = needle_of(buffer_slice(&folded), program.comparator);
		bool want = folded_holds(program.comparator, buffer_slice(&utf8),
					 buffer_slice(&folded));
		if (text_field_contains(&matcher, value, &prepared) != want)
			fail_on("field", value, needle);
		if (text_header_is_plain(value)) {
			plain++;
			if (!slice_eq(slice_trim(value), buffer_slice(&utf8)))
				fail_on("plain", value, buffer_slice(&utf8));
		}
		found += want;
		matcher_fini(&matcher);
	}
	assert_true(plain > 500 && found > 1000);
	buffer_free(&text);
	buffer_free(&made);
	buffer_free(&folded);
	buffer_free(&utf8);
}

/* What needle_word() promises: without encoded words, decoding brings no word that is not there. */
static void words_of_headers(void **state)
{
	struct buffer text = { 0 }, made = { 0 }, folded = { 0 }, utf8 = { 0 };
	unsigned spared = 0;
	for (unsigned round = 0; round < 20000; round++) {
		enum comparator comparator = (enum comparator)roll(COMPARATORS);
		buffer_clear(&text);
		buffer_clear(&folded);
		buffer_clear(&utf8);
		add_random(&text, roll(60), true);
		struct slice value = buffer_slice(&text);
		if (slice_find(value, 0, SLICE("=?")) < value.len)
			continue;
		text_decode_header(value, &utf8);
		struct slice needle = random_needle(roll(2) ? value : buffer_slice(&utf8), &made);
		comparator_fold(comparator, needle, &folded);
		struct needle word = needle_of(needle_word(buffer_slice(&folded)), comparator);
		bool may = needle_is_in_ascii(&word, value);
		spared += !may;
		if (!may && folded_holds(comparator, buffer_slice(&utf8), buffer_slice(&folded)))
			fail_on("word", value, needle);
	}
	assert_true(spared > 500);
	buffer_free(&text);
	buffer_free(&made);
	buffer_free(&folded);
	buffer_free(&utf8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ascii_in_place),
		cmocka_unit_test(header_values),
		cmocka_unit_test(words_of_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
