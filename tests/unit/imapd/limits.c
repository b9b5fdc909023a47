/* tests/unit/imapd/limits.c - what is as large as it may be, and larger: an account's mailboxes, the parts
 * of a message and how deep they lie, searches that go on. */
#include "tests/unit/imapd/news.h"

#include "storage/mailbox.h"
#include "tests/fuzz/imap_strict.h"

/* ---- mailboxes ---- */

static enum err run_fill(struct write *write, struct job *job)
{
	uint64_t mailbox_id;
	char name[20];
	enum err err = ERR_OK;
	for (unsigned i = 0; err == ERR_OK; i++) {
		snprintf(name, sizeof(name), "m-%05u", i);
		err = mailbox_create(write, world.account_id, slice_cstr(name), USE_NONE,
				     &mailbox_id);
	}
	return err == ERR_LIMIT ? ERR_OK : err;
}

static void an_account_is_full_of_mailboxes(void **state)
{
	struct session *session = signed_in();
	struct job job = { .run = run_fill };
	assert_int_equal(store_write_now(world.back.store, &job), ERR_OK);
	struct read *read = read_begin(world.back.store);
	assert_int_equal(mailbox_names_count(read, world.account_id), ACCOUNT_MAILBOXES_MAX);
	read_end(&read);
	run(session, "a CREATE more", "a NO [LIMIT] ");
	run(session, "b CREATE m-00000/below/it", "b NO [LIMIT] ");
	run(session, "c SUBSCRIBE nowhere", "c NO [LIMIT] ");
	run(session, "d SUBSCRIBE m-00000", "d OK");
	run(session, "e RENAME m-00001 moved", "e OK");
	run(session, "e RENAME m-00000 moved-too", "e NO [LIMIT] "); /* its subscription stays */
	run(session, "f RENAME m-00002 new/parent", "f NO [LIMIT] ");
	run(session, "g RENAME INBOX kept", "g NO [LIMIT] ");
	run(session, "h APPEND INBOX {3+}\r\na\r\n", "h OK");
	run(session, "i DELETE m-00003", "i OK");
	run(session, "j CREATE more", "j OK");
	core_sign_out(&world, session);
}

/* ---- parts ---- */

static void append(struct session *session, struct slice message)
{
	struct buffer line = { 0 }, said = { 0 };
	buffer_add_format(&line, "p APPEND INBOX {%zu+}\r\n", message.len);
	buffer_add(&line, message);
	buffer_add_cstr(&line, "\r\n");
	assert_true(core_feed(&world, session, buffer_slice(&line), &said));
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("p OK")) < said.len);
	buffer_free(&line);
	buffer_free(&said);
}

static void expect_structure(struct session *session, const char *item)
{
	struct buffer said = { 0 };
	char line[60];
	snprintf(line, sizeof(line), "s FETCH * %s", item);
	run_in_turns(session, line, &said);
	struct slice text = buffer_slice(&said);
	size_t start = slice_find(text, 0, slice_cstr(item)) + strlen(item) + 1;
	size_t end = slice_find(text, 0, SLICE(")\r\ns OK"));
	assert_true(end < text.len);
	assert_true(strict_body_is_right(slice_sub(text, start, end - start), false,
					 strcmp(item, "BODYSTRUCTURE") == 0));
	buffer_free(&said);
}

static void many_parts(void **state)
{
	/* As many as are told apart, the one around them among them; one more; many more. */
	static const unsigned counts[] = { 9999, 10000, 15000 };
	struct session *session = signed_in_and_said("s SELECT INBOX\r\n");
	for (size_t n = 0; n < ARRAY_LEN(counts); n++) {
		struct buffer message = { 0 };
		buffer_add_cstr(&message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
		for (unsigned i = 1; i <= counts[n]; i++)
			buffer_add_format(&message, "--b\r\n\r\nthis is %u\r\n", i);
		buffer_add_cstr(&message, "--b--\r\n");
		append(session, buffer_slice(&message));
		expect_structure(session, "BODYSTRUCTURE");
		expect_structure(session, "BODY");
		run(session, "a FETCH * BODY.PEEK[1]", "BODY[1] {9}\r\nthis is 1)");
		run(session, "b FETCH * BODY.PEEK[9998]", "BODY[9998] {12}\r\nthis is 9998)");
		run(session, "c FETCH * BODY.PEEK[20000]", "BODY[20000] NIL)");
		run(session, "d FETCH * BODY.PEEK[4294967295.MIME]<5.5>", " NIL)");
		char all[60];
		snprintf(all, sizeof(all), "BODY[] {%zu}", message.len);
		run(session, "e FETCH * BODY.PEEK[]", all);
		run(session, "f SEARCH TEXT \"this is 9998\"", " ");
		buffer_free(&message);
	}
	core_sign_out(&world, session);
}

static void deep_parts(void **state)
{
	enum { LEVELS = 3000, MULTIPART = 0, MESSAGE = 1 };
	struct session *session = signed_in_and_said("s SELECT INBOX\r\n");
	for (unsigned kind = MULTIPART; kind <= MESSAGE; kind++) {
		struct buffer message = { 0 };
		for (unsigned i = 0; i < LEVELS; i++)
			if (kind == MULTIPART)
				buffer_add_format(&message,
						  "Content-Type: multipart/mixed; boundary=b%u\r\n"
						  "\r\n--b%u\r\n",
						  i, i);
			else
				buffer_add_cstr(&message, "Content-Type: message/rfc822\r\n\r\n");
		buffer_add_cstr(&message, "\r\nat the bottom\r\n");
		append(session, buffer_slice(&message));
		expect_structure(session, "BODYSTRUCTURE");
		expect_structure(session, "BODY");
		struct buffer line = { 0 };
		buffer_add_cstr(&line, "a FETCH * BODY.PEEK[1");
		for (unsigned i = 1; i < LEVELS; i++)
			buffer_add_cstr(&line, ".1");
		buffer_add_cstr(&line, "]");
		buffer_add_byte(&line, '\0');
		/* Deeper than what is taken apart there is nothing. */
		run(session, (const char *)line.data, " NIL)");
		run(session, "b FETCH * (ENVELOPE BODY.PEEK[1] BODY.PEEK[1.MIME])", "b OK");
		run(session, "c SEARCH TEXT bottom", "c OK");
		buffer_free(&line);
		buffer_free(&message);
	}
	core_sign_out(&world, session);
}

/* ---- searches that go on ---- */

static void searches_that_go_on(void **state)
{
	enum { MOST = 16 };
	char line[80];
	struct session *session = signed_in_and_said("s SELECT INBOX\r\n");
	for (unsigned i = 0; i < MOST; i++) {
		snprintf(line, sizeof(line), "u%u SEARCH RETURN (UPDATE COUNT) SEEN", i);
		struct buffer said = { 0 };
		run_in_turns(session, line, &said);
		assert_true(slice_find(buffer_slice(&said), 0, SLICE("NOUPDATE")) == said.len);
		buffer_free(&said);
	}
	/* One more is answered, and not kept up to date (RFC 5267 section 4.3.5). */
	run(session, "x SEARCH RETURN (UPDATE COUNT) SEEN", "* NO [NOUPDATE \"x\"] ");
	run(session, "y SEARCH RETURN (UPDATE COUNT) SEEN", "* ESEARCH (TAG \"y\") COUNT ");
	for (unsigned i = 0; i < MOST; i++) {
		snprintf(line, sizeof(line), "z CANCELUPDATE \"u%u\"", i);
		run(session, line, "z OK");
	}
	run(session, "w SEARCH RETURN (UPDATE COUNT) SEEN", "* ESEARCH (TAG \"w\") COUNT ");
	core_sign_out(&world, session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_parts),
		cmocka_unit_test(deep_parts),
		cmocka_unit_test(searches_that_go_on),
		cmocka_unit_test(an_account_is_full_of_mailboxes),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
