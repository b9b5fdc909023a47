/* tests/unit/auth/token.c - tokens are found while they are known, and the oldest gives way. */
#include "tests/unit/unit.h"

#include "auth/password.h"
#include "auth/token.h"

static struct token issue(struct token_table *table, uint32_t account_id)
{
	struct token_owner owner = { .account_id = account_id,
				     .protocol = PROTOCOL_IMAP,
				     .login = "alice@example.org" };
	struct token token;
	token_issue(table, &owner, &token);
	return token;
}

static void finds_the_owner_until_forgotten(void **state)
{
	struct token_table *table = token_table_new(100);
	struct token_owner owner;
	struct token alice = issue(table, 1), bob = issue(table, 2), nobody = { { 0 } };
	assert_memory_not_equal(&alice, &bob, sizeof(alice));
	assert_true(token_find(table, &alice, &owner));
	assert_int_equal(owner.account_id, 1);
	assert_int_equal(owner.protocol, PROTOCOL_IMAP);
	assert_string_equal(owner.login, "alice@example.org");
	assert_true(token_find(table, &bob, &owner));
	assert_int_equal(owner.account_id, 2);
	assert_false(token_find(table, &nobody, &owner));
	token_forget(table, &alice);
	token_forget(table, &alice);
	assert_false(token_find(table, &alice, &owner));
	assert_true(token_find(table, &bob, &owner));
	alice.octets[0] ^= 1;
	assert_false(token_find(table, &alice, &owner));
	token_table_free(&table);
	assert_null(table);
}

static void the_oldest_gives_way(void **state)
{
	enum { MAX = 32, ISSUED = 1000 };
	struct token_table *table = token_table_new(MAX);
	static struct token tokens[ISSUED];
	struct token_owner owner;
	for (uint32_t i = 0; i < ISSUED; i++)
		tokens[i] = issue(table, i);
	for (uint32_t i = 0; i < ISSUED; i++) {
		bool known = token_find(table, &tokens[i], &owner);
		assert_int_equal(known, i >= ISSUED - MAX);
		if (known)
			assert_int_equal(owner.account_id, i);
	}
	/* What was forgotten makes room: nobody else has to go. */
	token_forget(table, &tokens[ISSUED - 1]);
	token_forget(table, &tokens[ISSUED - MAX]);
	struct token more = issue(table, 7), yet_more = issue(table, 8);
	assert_true(token_find(table, &tokens[ISSUED - MAX + 1], &owner));
	assert_true(token_find(table, &more, &owner));
	assert_true(token_find(table, &yet_more, &owner));
	token_table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_owner_until_forgotten),
		cmocka_unit_test(the_oldest_gives_way),
	};
	password_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
