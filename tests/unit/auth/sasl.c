/* tests/unit/auth/sasl.c - PLAIN and LOGIN: what is taken and what is not. */
#include "tests/unit/unit.h"

#include "auth/sasl.h"
#include "base/base64.h"

static struct arena arena;

static enum sasl_step plain(struct slice response, struct sasl *sasl)
{
	struct slice challenge;
	sasl_begin(sasl, SASL_PLAIN);
	return sasl_answer(sasl, response, &arena, &challenge);
}

static void names_mechanisms(void **state)
{
	assert_int_equal(sasl_mechanism_of(SLICE("PLAIN")), SASL_PLAIN);
	assert_int_equal(sasl_mechanism_of(SLICE("login")), SASL_LOGIN);
	assert_int_equal(sasl_mechanism_of(SLICE("PLAINX")), SASL_NONE);
	assert_int_equal(sasl_mechanism_of(SLICE("")), SASL_NONE);
}

static void plain_takes_three_parts(void **state)
{
	struct sasl sasl;
	assert_int_equal(plain(SLICE("\0tim\0tanstaaftanstaaf"), &sasl), SASL_COMPLETE);
	assert_slice(sasl.authorize_as, "");
	assert_slice(sasl.login, "tim");
	assert_slice(sasl.password, "tanstaaftanstaaf");
	assert_int_equal(plain(SLICE("Ursel\0Kurt\0xipj3plmq"), &sasl), SASL_COMPLETE);
	assert_slice(sasl.authorize_as, "Ursel");
	assert_slice(sasl.login, "Kurt");
	assert_slice(sasl.password, "xipj3plmq");
	arena_wipe(&arena);
}

static void plain_refuses_what_breaks_the_grammar(void **state)
{
	static const struct slice rows[] = {
		{ (const uint8_t *)"", 0 },
		{ (const uint8_t *)"\0", 1 },
		{ (const uint8_t *)"\0\0", 2 },
		{ (const uint8_t *)"\0tim", 4 },
		{ (const uint8_t *)"\0tim\0", 5 },
		{ (const uint8_t *)"\0\0secret", 8 },
		{ (const uint8_t *)"tim\0secret", 10 },
		{ (const uint8_t *)"\0tim\0a\0b", 8 },
		{ (const uint8_t *)"\0tim\0a\0", 7 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sasl sasl;
		if (plain(rows[i], &sasl) != SASL_MALFORMED)
			fail_msg("row %zu was taken", i);
		assert_int_equal(sasl.mechanism, SASL_NONE);
		assert_int_equal(sasl.login.len, 0);
	}
	arena_wipe(&arena);
}

/* 255 octets each must be accepted (RFC 4616 section 2). */
static void plain_has_limits(void **state)
{
	static const struct {
		size_t authorize_as, login, password;
		enum sasl_step step;
	} rows[] = {
		{ 255, 255, 255, SASL_COMPLETE },  { 255, 255, 1024, SASL_COMPLETE },
		{ 256, 255, 255, SASL_MALFORMED }, { 0, 256, 255, SASL_MALFORMED },
		{ 0, 255, 1025, SASL_MALFORMED },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buffer text = { 0 };
		struct sasl sasl;
		memset(buffer_reserve(&text, rows[i].authorize_as), 'a', rows[i].authorize_as);
		text.len += rows[i].authorize_as;
		buffer_add_byte(&text, '\0');
		memset(buffer_reserve(&text, rows[i].login), 'l', rows[i].login);
		text.len += rows[i].login;
		buffer_add_byte(&text, '\0');
		memset(buffer_reserve(&text, rows[i].password), 'p', rows[i].password);
		text.len += rows[i].password;
		if (plain(buffer_slice(&text), &sasl) != rows[i].step)
			fail_msg("row %zu went wrong", i);
		buffer_free(&text);
	}
	arena_wipe(&arena);
}

static void login_asks_twice(void **state)
{
	struct sasl sasl;
	struct slice challenge;
	sasl_begin(&sasl, SASL_LOGIN);
	assert_slice(sasl_first_challenge(&sasl), "Username:");
	assert_int_equal(sasl_answer(&sasl, SLICE("alice"), &arena, &challenge), SASL_CHALLENGE);
	assert_slice(challenge, "Password:");
	assert_int_equal(sasl_answer(&sasl, SLICE("secret"), &arena, &challenge), SASL_COMPLETE);
	assert_slice(sasl.login, "alice");
	assert_slice(sasl.password, "secret");
	/* It is over: one more answer is none. */
	assert_int_equal(sasl_answer(&sasl, SLICE("again"), &arena, &challenge), SASL_MALFORMED);
	sasl_begin(&sasl, SASL_LOGIN);
	assert_int_equal(sasl_answer(&sasl, SLICE(""), &arena, &challenge), SASL_MALFORMED);
	assert_int_equal(sasl_answer(&sasl, SLICE("x"), &arena, &challenge), SASL_MALFORMED);
	arena_wipe(&arena);
}

static void base64_is_strict(void **state)
{
	struct sasl sasl;
	struct slice challenge;
	sasl_begin(&sasl, SASL_PLAIN);
	assert_int_equal(sasl_answer_base64(&sasl, SLICE("AHRpbQB0YW5zdGFhZnRhbnN0YWFm"), &arena,
					    &challenge),
			 SASL_COMPLETE);
	assert_slice(sasl.login, "tim");
	static const char *const rows[] = { "*", "=", "", "AHRp bQB0YQ==", "AHRpbQB0YQ", "====" };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		sasl_begin(&sasl, SASL_PLAIN);
		if (sasl_answer_base64(&sasl, slice_cstr(rows[i]), &arena, &challenge) !=
		    SASL_MALFORMED)
			fail_msg("\"%s\" was taken", rows[i]);
	}
	arena_wipe(&arena);
}

static void a_huge_answer_is_refused_undecoded(void **state)
{
	static uint8_t text[64 * 1024];
	struct sasl sasl;
	struct slice challenge;
	memset(text, 'A', sizeof(text));
	sasl_begin(&sasl, SASL_LOGIN);
	assert_int_equal(
		sasl_answer_base64(&sasl, slice_of(text, sizeof(text)), &arena, &challenge),
		SASL_MALFORMED);
	assert_null(arena.newest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_mechanisms),
		cmocka_unit_test(plain_takes_three_parts),
		cmocka_unit_test(plain_refuses_what_breaks_the_grammar),
		cmocka_unit_test(plain_has_limits),
		cmocka_unit_test(login_asks_twice),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(a_huge_answer_is_refused_undecoded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
