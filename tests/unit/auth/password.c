/* tests/unit/auth/password.c - hashing, checking, and what is remembered of a check. */
#include "tests/unit/unit.h"

#include "auth/password.h"
#include "base/clock.h"

static void hashes_and_verifies(void **state)
{
	struct buffer hash = { 0 }, again = { 0 };
	assert_int_equal(password_hash(SLICE("correct horse"), &hash), ERR_OK);
	assert_int_equal(password_hash(SLICE("correct horse"), &again), ERR_OK);
	assert_false(slice_eq(buffer_slice(&hash), buffer_slice(&again)));
	assert_int_equal(password_verify(buffer_slice(&hash), SLICE("correct horse")), ERR_OK);
	assert_int_equal(password_verify(buffer_slice(&hash), SLICE("correct horsf")), ERR_DENIED);
	assert_int_equal(password_verify(buffer_slice(&hash), SLICE("correct hors")), ERR_DENIED);
	assert_int_equal(password_verify(buffer_slice(&hash), SLICE("")), ERR_DENIED);
	buffer_free(&hash);
	buffer_free(&again);
}

static void octets_of_any_charset_are_a_password(void **state)
{
	struct buffer hash = { 0 };
	assert_int_equal(password_hash(SLICE("gr\xfc\xdf"), &hash), ERR_OK);
	assert_int_equal(password_verify(buffer_slice(&hash), SLICE("gr\xfc\xdf")), ERR_OK);
	assert_int_equal(password_verify(buffer_slice(&hash), SLICE("gr\xc3\xbc\xc3\x9f")),
			 ERR_DENIED);
	buffer_free(&hash);
}

static void refuses_what_is_no_password(void **state)
{
	static uint8_t long_text[PASSWORD_MAX_OCTETS + 1];
	struct buffer hash = { 0 };
	memset(long_text, 'x', sizeof(long_text));
	assert_int_equal(password_hash(SLICE(""), &hash), ERR_BAD_INPUT);
	assert_int_equal(password_hash(SLICE("nul\0inside"), &hash), ERR_BAD_INPUT);
	assert_int_equal(password_hash(slice_of(long_text, sizeof(long_text)), &hash),
			 ERR_BAD_INPUT);
	assert_int_equal(hash.len, 0);
	assert_int_equal(password_hash(slice_of(long_text, PASSWORD_MAX_OCTETS), &hash), ERR_OK);
	/* The octet too many is not cut off in silence. */
	assert_int_equal(
		password_verify(buffer_slice(&hash), slice_of(long_text, sizeof(long_text))),
		ERR_DENIED);
	buffer_free(&hash);
}

/* "?" stands in where no password can be checked: it must not sign anybody in. */
static void no_stand_in_signs_in(void **state)
{
	struct buffer hash = { 0 };
	assert_int_equal(password_hash(SLICE("?"), &hash), ERR_OK);
	assert_int_equal(password_verify(buffer_slice(&hash), SLICE("")), ERR_DENIED);
	assert_int_equal(password_verify(buffer_slice(&hash), SLICE("?")), ERR_OK);
	buffer_free(&hash);
}

static void damaged_hashes_are_denied(void **state)
{
	static uint8_t long_text[4096];
	memset(long_text, '$', sizeof(long_text));
	assert_int_equal(password_verify(SLICE(""), SLICE("x")), ERR_DENIED);
	assert_int_equal(password_verify(SLICE("plaintext"), SLICE("plaintext")), ERR_DENIED);
	assert_int_equal(password_verify(SLICE("$argon2id$v=19$m=19456,t=2,p=1$$"), SLICE("x")),
			 ERR_DENIED);
	assert_int_equal(password_verify(slice_of(long_text, sizeof(long_text)), SLICE("x")),
			 ERR_DENIED);
}

/* What an unknown login is checked against costs what a known one costs. */
static void parameters_are_the_documented_ones(void **state)
{
	struct buffer hash = { 0 };
	assert_int_equal(password_hash(SLICE("x"), &hash), ERR_OK);
	assert_slice(slice_sub(buffer_slice(&hash), 0, 31), "$argon2id$v=19$m=19456,t=2,p=1$");
	assert_true(hash.len < 128);
	buffer_free(&hash);
}

static const struct slice login = { (const uint8_t *)"alice@example.org", 17 };

static void cache_remembers_for_a_while(void **state)
{
	clock_set_fake_unix_ms(1000000);
	struct verified_cache *cache = verified_cache_new(64, 5000);
	assert_false(verified_cache_contains(cache, login, SLICE("H"), SLICE("secret")));
	verified_cache_add(cache, login, SLICE("H"), SLICE("secret"));
	assert_true(verified_cache_contains(cache, login, SLICE("H"), SLICE("secret")));
	/* Another password, another hash (a changed password), another login: unknown. */
	assert_false(verified_cache_contains(cache, login, SLICE("H"), SLICE("secre")));
	assert_false(verified_cache_contains(cache, login, SLICE("I"), SLICE("secret")));
	assert_false(verified_cache_contains(cache, SLICE("bob"), SLICE("H"), SLICE("secret")));
	/* The parts do not run into one another. */
	assert_false(verified_cache_contains(cache, login, SLICE("Hs"), SLICE("ecret")));
	clock_set_fake_unix_ms(1004999);
	assert_true(verified_cache_contains(cache, login, SLICE("H"), SLICE("secret")));
	clock_set_fake_unix_ms(1005000);
	assert_false(verified_cache_contains(cache, login, SLICE("H"), SLICE("secret")));
	verified_cache_free(&cache);
	assert_null(cache);
	clock_set_fake_unix_ms(-1);
}

static void cache_never_knows_an_account_without_hash(void **state)
{
	struct verified_cache *cache = verified_cache_new(64, 5000);
	verified_cache_add(cache, login, SLICE(""), SLICE("secret"));
	assert_false(verified_cache_contains(cache, login, SLICE(""), SLICE("secret")));
	verified_cache_free(&cache);
}

static void cache_is_bounded_and_keeps_the_newest(void **state)
{
	clock_set_fake_unix_ms(1000000);
	struct verified_cache *cache = verified_cache_new(8, 3600 * 1000);
	unsigned known = 0;
	for (unsigned i = 0; i < 1000; i++) {
		clock_set_fake_unix_ms(1000000 + i);
		verified_cache_add(cache, slice_of(&i, sizeof(i)), SLICE("H"), SLICE("p"));
	}
	for (unsigned i = 0; i < 1000; i++)
		known += verified_cache_contains(cache, slice_of(&i, sizeof(i)), SLICE("H"),
						 SLICE("p"));
	assert_int_equal(known, 8);
	for (unsigned i = 992; i < 1000; i++)
		assert_true(verified_cache_contains(cache, slice_of(&i, sizeof(i)), SLICE("H"),
						    SLICE("p")));
	verified_cache_free(&cache);
	clock_set_fake_unix_ms(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_and_verifies),
		cmocka_unit_test(octets_of_any_charset_are_a_password),
		cmocka_unit_test(refuses_what_is_no_password),
		cmocka_unit_test(no_stand_in_signs_in),
		cmocka_unit_test(damaged_hashes_are_denied),
		cmocka_unit_test(parameters_are_the_documented_ones),
		cmocka_unit_test(cache_remembers_for_a_while),
		cmocka_unit_test(cache_never_knows_an_account_without_hash),
		cmocka_unit_test(cache_is_bounded_and_keeps_the_newest),
	};
	password_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
