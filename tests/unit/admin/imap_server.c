/* tests/unit/admin/imap_server.c - URLs of IMAP servers: what each says, and what is none. */
#include "tests/unit/unit.h"

#include "admin/imap_server.h"

static void says_whose_mail_is_where(void **state)
{
	static const struct {
		const char *url;
		struct imap_server want;
	} cases[] = {
		{ "imaps://alice@mail.example.org/", { "mail.example.org", "alice", 993, true } },
		{ "imap://alice@mail.example.org", { "mail.example.org", "alice", 143, false } },
		{ "imap://alice@localhost:1143/", { "localhost", "alice", 1143, false } },
		{ "imaps://a@example.org@host/", { "host", "a@example.org", 993, true } },
		{ "imaps://a%40example.org@host/", { "host", "a@example.org", 993, true } },
		{ "imaps://%4a%4A%3@host/", { "host", "JJ%3", 993, true } },
		{ "imaps://a%00%1b%@host/", { "host", "a%00%1b%", 993, true } },
		{ "imaps://a@[2001:db8::1]/", { "2001:db8::1", "a", 993, true } },
		{ "imaps://a@[::1]:1993", { "::1", "a", 1993, true } },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena = { 0 };
		struct imap_server server;
		assert_true(imap_server_is_url(cases[i].url));
		assert_true(imap_server_parse(cases[i].url, &arena, &server));
		assert_string_equal(server.host, cases[i].want.host);
		assert_string_equal(server.user, cases[i].want.user);
		assert_int_equal(server.port, cases[i].want.port);
		assert_int_equal(server.tls_at_once, cases[i].want.tls_at_once);
		arena_fini(&arena);
	}
}

static void is_none(void **state)
{
	static const char *const urls[] = {
		"imap://",	     "imaps://host/",	      "imaps://@host/",
		"imaps://a@/",	     "imaps://a@host/b",      "imaps://a@host:0/",
		"imaps://a@host:x/", "imaps://a@host:65536/", "imaps://a@[::1",
		"imaps://a@[]/",     "imaps://a@[::1]993/",
	};
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct arena arena = { 0 };
		struct imap_server server;
		assert_true(imap_server_is_url(urls[i]));
		if (imap_server_parse(urls[i], &arena, &server))
			fail_msg("%s is one", urls[i]);
		arena_fini(&arena);
	}
	assert_false(imap_server_is_url("/home/alice/Maildir"));
	assert_false(imap_server_is_url("pop3://alice@host/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_whose_mail_is_where),
		cmocka_unit_test(is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
