/* tests/unit/base/checksum.c - XXH64 by its known values, in one go and in pieces. */
#include "tests/unit/unit.h"

#include "base/checksum.h"

static void known_values(void **state)
{
	assert_int_equal(checksum_of(SLICE("")), 0xEF46DB3751D8E999);
	assert_int_equal(checksum_of(SLICE_NONE), 0xEF46DB3751D8E999);
	assert_int_equal(checksum_of(SLICE("a")), 0xD24EC4F1A98C6E5B);
	assert_int_equal(checksum_of(SLICE("abc")), 0x44BC2CF5AD770999);
	assert_int_equal(checksum_of(SLICE("Nobody inspects the spammish repetition")),
			 0xFBCEA83C8A378BF1);
}

static void pieces_make_no_difference(void **state)
{
	uint8_t octets[200];
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(i * 7 + 3);
	for (size_t len = 0; len <= sizeof(octets); len++) {
		uint64_t whole = checksum_of(slice_of(octets, len));
		for (size_t piece = 1; piece < 70; piece++) {
			struct checksum sum;
			checksum_begin(&sum);
			for (size_t at = 0; at < len; at += piece)
				checksum_add(&sum, slice_sub(slice_of(octets, len), at, piece));
			assert_int_equal(checksum_value(&sum), whole);
		}
	}
}

static void each_bit_counts(void **state)
{
	uint8_t octets[77] = { 0 };
	uint64_t zero = checksum_of(slice_of(octets, sizeof(octets)));
	for (size_t bit = 0; bit < sizeof(octets) * 8; bit++) {
		octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(checksum_of(slice_of(octets, sizeof(octets))), zero);
		octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values),
		cmocka_unit_test(pieces_make_no_difference),
		cmocka_unit_test(each_bit_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
