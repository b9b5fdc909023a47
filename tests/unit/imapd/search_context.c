/* tests/unit/imapd/search_context.c - what searches that go on hold, and how much they do and say at
 * a time. RFC 5267 section 4.3. */
#include "tests/unit/unit.h"

#include "tests/unit/imapd/core.h"

#include "imapd/search_context_priv.h"

static struct core_world world;

/* A session that believes in messages with every second UID. */
static struct imap_session *selected(uint32_t messages)
{
	struct buffer said = { 0 };
	struct session *session = core_sign_in(&world, 1);
	struct imap_session *s = CONTAINER_OF(session, struct imap_session, session);
	assert_true(core_feed(&world, session, SLICE_NONE, &said));
	assert_true(core_feed(&world, session, SLICE("s SELECT INBOX\r\n"), &said));
	for (uint32_t i = 0; i < messages; i++)
		ranges_add(&s->view->uids, 2 * i + 1, 2 * i + 1);
	buffer_free(&said);
	return s;
}

/* "a UID SEARCH ... UID 1:* UID 1:* ..." */
static void search(struct imap_session *s, const char *command, unsigned keys, const char *want)
{
	struct buffer text = { 0 }, said = { 0 };
	buffer_add_cstr(&text, command);
	for (unsigned i = 0; i < keys; i++)
		buffer_add_cstr(&text, " UID 1:*");
	buffer_add_cstr(&text, "\r\n");
	assert_true(core_feed(&world, &s->session, buffer_slice(&text), &said));
	assert_slice(buffer_slice(&said), want);
	buffer_free(&text);
	buffer_free(&said);
}

static void sets_of_messages_have_a_limit(void **state)
{
	struct imap_session *s = selected(60 * 1000);
	search(s, "a UID SEARCH", 30,
	       "a NO [LIMIT] too many search keys, or nested too deeply\r\n");
	search(s, "b UID SEARCH RETURN (UPDATE COUNT)", 10,
	       "* ESEARCH (TAG \"b\") UID COUNT 0\r\nb OK SEARCH completed\r\n");
	search(s, "c UID SEARCH RETURN (UPDATE COUNT)", 10,
	       "* NO [NOUPDATE \"c\"] Not this one\r\n"
	       "* ESEARCH (TAG \"c\") UID COUNT 0\r\nc OK SEARCH completed\r\n");
	assert_true(search_contexts_runs(s->view) < SEARCH_RUNS_MAX);
	core_sign_out(&world, &s->session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_of_messages_have_a_limit),
	};
	core_world_start(&world);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	core_world_stop(&world);
	return failed;
}
