/* tests/unit/mail/fold.c - text made comparable. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/text.h"

static const struct {
	const char *utf8, *folded;
} cases[] = {
	{ "", "" },
	{ "Hello World 123", "hello world 123" },
	{ "STRASSE stra\xc3\x9f"
	  "e",
	  "strasse strasse" },
	{ "\xc3\x84"
	  "rger",
	  "a\xcc\x88rger" }, /* decomposed */
	{ "A\xcc\x88rger", "a\xcc\x88rger" },
	{ "\xea\xb0\x81", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8" }, /* Hangul */
	{ "\xf0\x9d\x90\x80", "a" },				    /* mathematical bold A */
	{ "\xef\xac\x81nd", "find" },				    /* ligature */
	{ "\xce\xa3\xcf\x82", "\xcf\x83\xcf\x83" },		    /* both sigmas */
	{ "\xef\xbc\xa1", "a" },				    /* full width */
	{ "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8" },		    /* Deseret */
	{ "a\xff\x41", "a\xef\xbf\xbd"
		       "a" },
};

static void folds(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buffer folded = { 0 };
		text_fold(slice_cstr(cases[i].utf8), &folded);
		if (!slice_eq(buffer_slice(&folded), slice_cstr(cases[i].folded)))
			fail_msg("%s: got \"%.*s\"", cases[i].utf8,
				 SLICE_ARG(buffer_slice(&folded)));
		buffer_free(&folded);
	}
}

/* What i;unicode-casemap orders by: the title case, decomposed; sharp s stays. RFC 5051 */
static void maps_case(void **state)
{
	struct buffer mapped = { 0 };
	text_casemap(SLICE("stra\xc3\x9f"
			   "e_\xc3\xa4\xc7\x84\xef\xac\x81\xff"),
		     &mapped);
	assert_true(slice_eq(buffer_slice(&mapped), SLICE("STRA\xc3\x9f"
							  "E_A\xcc\x88"
							  "Dz\xcc\x8c"
							  "fi\xef\xbf\xbd")));
	buffer_free(&mapped);
}

/* Several octets are folded at once: each comes out as by itself, wherever it stands. */
static void every_ascii_octet_in_every_place(void **state)
{
	for (size_t before = 0; before < 17; before++) {
		struct buffer text = { 0 }, folded = { 0 }, mapped = { 0 };
		for (size_t i = 0; i < before; i++)
			buffer_add_byte(&text, '.');
		for (unsigned octet = 0; octet < 128; octet++)
			buffer_add_byte(&text, (uint8_t)octet);
		text_fold(buffer_slice(&text), &folded);
		text_casemap(buffer_slice(&text), &mapped);
		assert_int_equal(folded.len, text.len);
		assert_int_equal(mapped.len, text.len);
		for (size_t i = 0; i < text.len; i++) {
			assert_int_equal(folded.data[i], ascii_lower(text.data[i]));
			assert_int_equal(mapped.data[i], ascii_upper(text.data[i]));
		}
		buffer_free(&text);
		buffer_free(&folded);
		buffer_free(&mapped);
	}
}

/* However it is cut between two characters, the pieces make the whole. */
static void pieces_make_the_whole(void **state)
{
	struct buffer text = { 0 }, whole = { 0 }, pieces = { 0 };
	for (unsigned i = 0; i < 300; i++)
		buffer_add_cstr(&text, i % 3 ? "\xcc\x81" : "\xce\xb1");
	text_fold(buffer_slice(&text), &whole);
	for (size_t cut = 0; cut <= text.len; cut += 2) {
		buffer_clear(&pieces);
		text_fold(slice_sub(buffer_slice(&text), 0, cut), &pieces);
		text_fold(slice_sub(buffer_slice(&text), cut, text.len), &pieces);
		assert_true(slice_eq(buffer_slice(&pieces), buffer_slice(&whole)));
	}
	buffer_free(&text);
	buffer_free(&whole);
	buffer_free(&pieces);
}

static size_t encode(uint32_t c, uint8_t out[4])
{
	if (c < 0x80)
		return out[0] = (uint8_t)c, 1;
	size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = len; i-- > 1; c >>= 6)
		out[i] = (uint8_t)(0x80 | (c & 0x3f));
	out[0] = (uint8_t)(0xff00u >> len | c);
	return len;
}

/* Each character that grows, so often that segments fill up with its longest form. */
static void every_character_fits(void **state)
{
	for (uint32_t c = 1; c < 0x110000; c++) {
		uint8_t text[400], one[4];
		if (c >= 0xd800 && c < 0xe000)
			continue;
		size_t len = encode(c, one);
		struct buffer folded = { 0 };
		text_fold(slice_of(one, len), &folded);
		size_t folded_len = folded.len;
		buffer_clear(&folded);
		for (size_t i = 0; folded_len > len && i < 100; i++)
			memcpy(text + i * len, one, len);
		if (folded_len > len)
			text_fold(slice_of(text, len * 100), &folded);
		if (!text_is_utf8(buffer_slice(&folded)))
			fail_msg("U+%04X", c);
		buffer_free(&folded);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folds),
		cmocka_unit_test(maps_case),
		cmocka_unit_test(every_ascii_octet_in_every_place),
		cmocka_unit_test(pieces_make_the_whole),
		cmocka_unit_test(every_character_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
