/* tests/unit/imapd/search_needle.c - what is found without folding is what is found after it. */
#include "tests/unit/imapd/message.h"

#include "imapd/search_text_priv.h"
#include "mail/text.h"
#include "tests/dice.h"

static uint32_t seed;

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
		struct slice piece = slice_cstr(pieces[dice_roll(&seed, ARRAY_LEN(pieces))]);
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
	if (dice_roll(&seed, 4) == 0 || text.len == 0) {
		add_random(made, dice_roll(&seed, 8), false);
		return buffer_slice(made);
	}
	return slice_sub(text, dice_roll(&seed, (uint32_t)text.len), dice_roll(&seed, 24));
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
		enum comparator comparator = (enum comparator)dice_roll(&seed, COMPARATORS);
		buffer_clear(&text);
		buffer_clear(&folded);
		add_random(&text, dice_roll(&seed, 120), true);
		struct slice needle = random_needle(buffer_slice(&text), &made);
		comparator_fold(comparator, needle, &folded);
		struct needle prepared = needle_of(buffer_slice(&folded), comparator);
		/* In memory of its own size, so that reading beyond its end is seen. */
		struct buffer exact = { 0 };
		buffer_add(&exact, buffer_slice(&text));
		bool want = folded_holds(comparator, buffer_slice(&text), buffer_slice(&folded));
		uint64_t spent = 0;
		if (needle_is_in_ascii(&prepared, buffer_slice(&exact), &spent) != want)
			fail_on(comparator == COMPARATOR_OCTET ? "as it stands" : "folded",
				buffer_slice(&text), needle);
		found += want;
		not_found += !want;
		buffer_free(&exact);
	}
	assert_true(found > 1000 && not_found > 1000);
	buffer_free(&text);
	buffer_free(&made);
	buffer_free(&folded);
}

static void fill(struct buffer *text, char letter, size_t len)
{
	if (len > 0)
		memset(buffer_reserve(text, len), letter, len);
	text->len += len;
}

/* What one look costs, whatever text and string are made for. */
enum { COST_MAX = 6 /* times the text */ };

static void check_cost(struct slice text, struct slice folded, bool want)
{
	for (unsigned comparator = 0; comparator < COMPARATORS; comparator++) {
		struct needle needle = needle_of(folded, (enum comparator)comparator);
		uint64_t spent = 0;
		assert_int_equal(needle_is_in_ascii(&needle, text, &spent), want);
		assert_true(spent > 0 && spent <= COST_MAX * (text.len + folded.len));
	}
}

/* At each place the text agrees with the string for long. */
static void texts_made_to_be_a_burden(void **state)
{
	static const struct {
		size_t before, after; /* of the octet that is not there */
	} strings[] = { { 32000, 0 }, { 0, 32000 }, { 16000, 16000 }, { 500, 0 },
			{ 0, 500 },   { 20, 20 },   { 64000, 0 } };
	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		struct buffer text = { 0 }, string = { 0 };
		fill(&string, 'z', strings[i].before);
		fill(&string, 'e', 1);
		fill(&string, 'z', strings[i].after);
		fill(&text, 'z', 1000 * 1000);
		check_cost(buffer_slice(&text), buffer_slice(&string), false);
		buffer_add(&text, buffer_slice(&string));
		check_cost(buffer_slice(&text), buffer_slice(&string), true);
		buffer_free(&text);
		buffer_free(&string);
	}
}

/* As large as a header may be, and asked for as a field. */
static void a_field_made_to_be_a_burden(void **state)
{
	struct buffer value = { 0 }, string = { 0 };
	struct search_program program = { 0 };
	struct matcher matcher;
	matcher_init(&matcher, &program);
	fill(&value, 'z', CONTENT_HEADER_MAX_OCTETS);
	fill(&string, 'z', 32000);
	fill(&string, 'e', 1);
	struct needle needle = needle_of(buffer_slice(&string), program.comparator);
	assert_false(text_field_contains(&matcher, buffer_slice(&value), &needle));
	assert_true(matcher.spent > 0 && matcher.spent < COST_MAX * value.len);
	matcher_fini(&matcher);
	buffer_free(&value);
	buffer_free(&string);
}

/* Of two letters, so that much is compared in vain and the way changes at any place. */
static void strings_that_are_nearly_there(void **state)
{
	struct buffer text = { 0 }, string = { 0 }, folded = { 0 };
	unsigned found = 0, folded_ones = 0;
	for (unsigned round = 0; round < 20000; round++) {
		enum comparator comparator = (enum comparator)dice_roll(&seed, COMPARATORS);
		unsigned rare = 2 + dice_roll(&seed, 100);
		buffer_clear(&text);
		buffer_clear(&string);
		buffer_clear(&folded);
		for (uint32_t left = dice_roll(&seed, 600); left > 0; left--)
			buffer_add_byte(&text,
					"zZq"[dice_roll(&seed, rare) ? dice_roll(&seed, 2) : 2]);
		for (uint32_t left = 1 + dice_roll(&seed, 40); left > 0; left--)
			buffer_add_byte(&string, "zq"[dice_roll(&seed, 20) == 0]);
		comparator_fold(comparator, buffer_slice(&string), &folded);
		struct needle needle = needle_of(buffer_slice(&folded), comparator);
		bool want = folded_holds(comparator, buffer_slice(&text), buffer_slice(&folded));
		uint64_t spent = 0;
		if (needle_is_in_ascii(&needle, buffer_slice(&text), &spent) != want)
			fail_on("nearly", buffer_slice(&text), buffer_slice(&string));
		found += want;
		folded_ones += spent > text.len + text.len / NEEDLE_OCTETS_FOR_ONE;
	}
	assert_true(found > 1000 && folded_ones > 1000);
	buffer_free(&text);
	buffer_free(&string);
	buffer_free(&folded);
}

static void header_values(void **state)
{
	struct buffer text = { 0 }, made = { 0 }, folded = { 0 }, utf8 = { 0 };
	struct search_program program = { 0 };
	unsigned plain = 0, found = 0;
	for (unsigned round = 0; round < 20000; round++) {
		struct matcher matcher;
		program.comparator = (enum comparator)dice_roll(&seed, COMPARATORS);
		matcher_init(&matcher, &program);
		buffer_clear(&text);
		buffer_clear(&folded);
		buffer_clear(&utf8);
		add_random(&text, dice_roll(&seed, 60), dice_roll(&seed, 2));
		struct slice value = buffer_slice(&text);
		text_decode_header(value, &utf8);
		/* Also of what it is decoded to. */
		struct slice needle =
			random_needle(dice_roll(&seed, 2) ? value : buffer_slice(&utf8), &made);
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
		enum comparator comparator = (enum comparator)dice_roll(&seed, COMPARATORS);
		buffer_clear(&text);
		buffer_clear(&folded);
		buffer_clear(&utf8);
		add_random(&text, dice_roll(&seed, 60), true);
		struct slice value = buffer_slice(&text);
		if (slice_find(value, 0, SLICE("=?")) < value.len)
			continue;
		text_decode_header(value, &utf8);
		struct slice needle =
			random_needle(dice_roll(&seed, 2) ? value : buffer_slice(&utf8), &made);
		comparator_fold(comparator, needle, &folded);
		struct needle word = needle_of(needle_word(buffer_slice(&folded)), comparator);
		uint64_t cost = 0;
		bool may = needle_is_in_ascii(&word, value, &cost);
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
		cmocka_unit_test(texts_made_to_be_a_burden),
		cmocka_unit_test(a_field_made_to_be_a_burden),
		cmocka_unit_test(strings_that_are_nearly_there),
		cmocka_unit_test(header_values),
		cmocka_unit_test(words_of_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
