/* tests/unit/auth/scram_client.c - the client's side of SCRAM-SHA-256 against the standard's example, and
 * against servers that want too much. */
#include "tests/unit/unit.h"

#include "auth/scram_client.h"

/* The exchange of RFC 7677 section 3. */
static void scram_as_in_the_rfc(void **state)
{
	struct buffer out = { 0 };
	struct scram_client *scram =
		scram_client_new(SLICE("user"), SLICE("pencil"), SLICE("rOprNGfwEbeRWgbNEkqO"));
	scram_client_first(scram, &out);
	assert_true(slice_eq(buffer_slice(&out), SLICE("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")));
	buffer_clear(&out);
	assert_int_equal(
		scram_client_answer(scram,
				    SLICE("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
					  "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
				    &out),
		ERR_OK);
	assert_true(slice_eq(buffer_slice(&out),
			     SLICE("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				   "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")));
	assert_int_equal(
		scram_client_verify(scram, SLICE("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")),
		ERR_OK);
	assert_int_equal(
		scram_client_verify(scram, SLICE("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")),
		ERR_DENIED);
	/* Somebody else's nonce, too much work. */
	assert_int_equal(scram_client_answer(scram, SLICE("r=other,s=W22Z,i=4096"), &out),
			 ERR_BAD_INPUT);
	assert_int_equal(
		scram_client_answer(scram, SLICE("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=9999999"), &out),
		ERR_LIMIT);
	scram_client_free(&scram);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scram_as_in_the_rfc),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
