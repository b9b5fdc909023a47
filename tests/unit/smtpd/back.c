/* tests/unit/smtpd/back.c - the back's half against a front that lies: what it is told counts
 * only with a token, and a front that breaks the rules is shown the door. */
#include "tests/unit/smtpd/back_bed.h"

#include <errno.h>

#include "auth/token.h"
#include "base/log.h"
#include "runtime/messages.h"
#include "smtpd/smtpd.h"
#include "tests/unit/test_clock.h"

static struct config *config;
static struct token_table *tokens;
static struct smtpd_back *smtpd;

/* What the back has said last, and how much credit it gave. */
static unsigned said_count;
static uint16_t said_type;
static uint32_t said_conversation;
static struct buffer said;
static uint64_t credit_octets;

static _Thread_local bool store_fails; /* for this thread */

int __real_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value);
int __wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value);
int __wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	return store_fails ? EIO : __real_mdb_get(txn, dbi, key, value);
}

bool channel_send(struct channel *channel, uint16_t type, uint32_t conversation,
		  struct slice payload, int fd)
{
	uint32_t octets;
	assert_int_equal(fd, -1);
	if (type == MESSAGE_CREDIT) {
		assert_true(credit_decode(payload, &octets));
		credit_octets += octets;
		return true;
	}
	said_count++;
	said_type = type;
	said_conversation = conversation;
	buffer_clear(&said);
	buffer_add(&said, payload);
	return true;
}

static enum err add_others(struct write *write, void *arg)
{
	static const struct slice targets[] = { { (const uint8_t *)"alice@example.org", 17 } };
	uint32_t account_id;
	enum err err = account_add(write, SLICE("bob"), SLICE("example.org"), SLICE("$argon2id$x"),
				   &account_id);
	return err == ERR_OK ? alias_set(write, SLICE("sales"), SLICE("example.org"), targets, 1)
			     : err;
}

static int begin(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	assert_int_equal(bed_write(&bed, add_others, NULL), ERR_OK);
	back_begin(config);
	tokens = token_table_new(16);
	smtpd = smtpd_back_new(&back, NULL, tokens);
	said_count = 0;
	credit_octets = 0;
	return 0;
}

static int end(void **state)
{
	smtpd_back_free(&smtpd);
	token_table_free(&tokens);
	back_end();
	buffer_free(&said);
	return 0;
}

static struct token sign_in(enum mail_protocol protocol)
{
	struct token_owner owner = { .account_id = bed.account_id, .protocol = protocol };
	struct token token;
	snprintf(owner.login, sizeof(owner.login), "alice@example.org");
	token_issue(tokens, &owner, &token);
	return token;
}

static const struct token nobody;

static enum recipient_verdict ask(struct token token, const char *from, const char *to)
{
	struct recipient_message message = { token, slice_cstr(from), slice_cstr(to) };
	struct buffer payload = { 0 };
	enum recipient_verdict verdict;
	unsigned before = said_count;

	recipient_encode(&message, &payload);
	assert_true(smtpd_back_message(smtpd, MESSAGE_RECIPIENT, 7, buffer_slice(&payload)));
	buffer_free(&payload);
	assert_int_equal(said_count, before + 1);
	assert_int_equal(said_type, MESSAGE_RECIPIENT_VERDICT);
	assert_int_equal(said_conversation, 7);
	assert_true(recipient_verdict_decode(buffer_slice(&said), &verdict));
	return verdict;
}

static uint8_t notify; /* of recipients */

static bool open_transaction(uint32_t conversation, struct token token, const char *from,
			     const char *to)
{
	struct transaction_message message = {
		.client.peer.family = 4,
		.client.conn_id = 1,
		.token = token,
		.envelope = { .reverse_path = slice_cstr(from), .recipient_count = 1 },
	};
	const struct envelope_recipient recipient = { .forward_path = slice_cstr(to),
						      .notify = notify };
	struct buffer payload = { 0 };
	transaction_encode(&message, &payload);
	envelope_encode_recipient(&recipient, &payload);
	bool good = smtpd_back_message(smtpd, MESSAGE_TRANSACTION, conversation,
				       buffer_slice(&payload));
	buffer_free(&payload);
	return good;
}

static bool content(uint32_t conversation, size_t octets)
{
	struct buffer payload = { 0 };
	memset(buffer_reserve(&payload, octets + 1), 'x', octets);
	payload.len = octets;
	bool good =
		smtpd_back_message(smtpd, MESSAGE_CONTENT, conversation, buffer_slice(&payload));
	buffer_free(&payload);
	return good;
}

static bool commit(uint32_t conversation)
{
	return smtpd_back_message(smtpd, MESSAGE_COMMIT, conversation, SLICE_NONE);
}

static enum err said_outcome(uint32_t conversation)
{
	struct filed_message filed;
	for (unsigned i = 0; i < 100 && said_count == 0; i++)
		loop_run_once(back.loop, 100);
	assert_int_equal(said_count, 1);
	assert_int_equal(said_type, MESSAGE_FILED);
	assert_int_equal(said_conversation, conversation);
	assert_true(filed_decode(buffer_slice(&said), &filed));
	said_count = 0;
	return filed.outcome;
}

static void strangers_reach_only_what_is_here(void **state)
{
	assert_int_equal(ask(nobody, "x@y.example", "alice@example.org"), RECIPIENT_OK);
	assert_int_equal(ask(nobody, "", "Sales@Example.org"), RECIPIENT_OK);
	assert_int_equal(ask(nobody, "", "nobody@example.org"), RECIPIENT_UNKNOWN);
	assert_int_equal(ask(nobody, "", "x@y.example"), RECIPIENT_RELAY_DENIED);
	assert_int_equal(ask(nobody, "", "postmaster"), RECIPIENT_OK);
	assert_int_equal(ask(nobody, "", "no address"), RECIPIENT_UNKNOWN);
}

static void a_token_must_be_one_of_ours(void **state)
{
	struct token token = sign_in(PROTOCOL_SMTP);
	assert_int_equal(ask(token, "alice@example.org", "x@y.example"), RECIPIENT_OK_NEW);
	token.octets[3] ^= 1;
	assert_int_equal(ask(token, "alice@example.org", "bob@example.org"), RECIPIENT_TEMPORARY);
	token = sign_in(PROTOCOL_IMAP);
	assert_int_equal(ask(token, "alice@example.org", "bob@example.org"), RECIPIENT_TEMPORARY);
	assert_true(open_transaction(1, token, "alice@example.org", "bob@example.org"));
	assert_int_equal(said_count, 4);
	said_count = 1;
	assert_int_equal(said_outcome(1), ERR_DENIED);
}

static void nobody_sends_as_somebody_else(void **state)
{
	struct token token = sign_in(PROTOCOL_SMTP);
	assert_int_equal(ask(token, "bob@example.org", "bob@example.org"), RECIPIENT_SENDER_DENIED);
	assert_int_equal(ask(token, "BOB@EXAMPLE.ORG", "x@y.example"), RECIPIENT_SENDER_DENIED);
	assert_int_equal(ask(token, "nobody@example.org", "bob@example.org"),
			 RECIPIENT_SENDER_DENIED);
	assert_int_equal(ask(token, "sales@example.org", "bob@example.org"), RECIPIENT_OK_NEW);
	assert_int_equal(ask(token, "", "bob@example.org"), RECIPIENT_OK_NEW);
	said_count = 0;
	/* Not even where the front has not asked. */
	assert_true(open_transaction(1, token, "bob@example.org", "alice@example.org"));
	assert_int_equal(said_outcome(1), ERR_DENIED);
}

static void files_what_is_committed(void **state)
{
	assert_true(open_transaction(1, nobody, "", "alice@example.org"));
	assert_true(open_transaction(257, nobody, "", "alice@example.org"));
	assert_true(open_transaction(513, nobody, "", "alice@example.org"));
	assert_true(content(1, 100));
	assert_true(content(257, 100));
	assert_true(content(513, 100));
	assert_true(smtpd_back_message(smtpd, MESSAGE_ABANDON, 257, SLICE_NONE));
	assert_true(commit(513));
	assert_int_equal(said_outcome(513), ERR_OK);
	assert_int_equal(messages(), 1);
	/* The answer crosses what was sent before: silence, not an error. */
	assert_true(content(513, 100));
	assert_true(commit(513));
	assert_true(smtpd_back_message(smtpd, MESSAGE_ABANDON, 513, SLICE_NONE));
	assert_int_equal(said_count, 0);
	assert_true(commit(1));
	assert_int_equal(said_outcome(1), ERR_OK);
	assert_int_equal(messages(), 2);
	assert_int_equal(credit_octets, 0);
}

static void recipients_are_looked_up_again(void **state)
{
	assert_true(open_transaction(1, nobody, "", "nobody@example.org"));
	assert_int_equal(said_outcome(1), ERR_NOT_FOUND);
	assert_true(open_transaction(1, nobody, "", "x@y.example"));
	assert_int_equal(said_outcome(1), ERR_NOT_FOUND);
}

static bool open_with(struct token token, const struct envelope *envelope, unsigned recipients)
{
	struct transaction_message message = {
		.client.peer.family = 4,
		.client.conn_id = 1,
		.token = token,
		.envelope = *envelope,
	};
	const struct envelope_recipient recipient = { .forward_path = SLICE("alice@example.org") };
	struct buffer payload = { 0 };
	message.envelope.recipient_count = recipients;
	transaction_encode(&message, &payload);
	for (unsigned i = 0; i < recipients; i++)
		envelope_encode_recipient(&recipient, &payload);
	bool good = smtpd_back_message(smtpd, MESSAGE_TRANSACTION, 1, buffer_slice(&payload));
	buffer_free(&payload);
	return good;
}

/* What the session refuses itself, and a front that is somebody else's would not. */
static void limits_hold_without_the_front(void **state)
{
	static const struct envelope held = { .hold_until_unix = 4000000000 },
				     urgent = { .priority = 3 },
				     timely = { .deliver_by = DELIVER_BY_NOTIFY,
						.deliver_by_unix = 4000000000 },
				     plain = { .hold_until_unix = 0 };
	assert_true(open_with(nobody, &held, 1));
	assert_int_equal(said_outcome(1), ERR_DENIED);
	assert_true(open_with(nobody, &urgent, 1));
	assert_int_equal(said_outcome(1), ERR_DENIED);
	assert_true(open_with(nobody, &timely, 1));
	assert_int_equal(said_outcome(1), ERR_DENIED);
	assert_true(open_with(nobody, &plain, config->recipients + 1));
	assert_int_equal(said_outcome(1), ERR_LIMIT);
	assert_true(open_with(nobody, &plain, config->recipients));
	assert_int_equal(said_count, 0);
}

static void the_window_is_counted(void **state)
{
	uint64_t sent = 0;
	assert_true(open_transaction(1, nobody, "", "alice@example.org"));
	/* As fast as the credit allows, all is well. */
	for (unsigned i = 0; i < 10; i++) {
		while (sent + 60000 > credit_octets + CONTENT_WINDOW_OCTETS)
			loop_run_once(back.loop, 100);
		assert_true(content(1, 60000));
		sent += 60000;
	}
	/* Faster than that is against the rules: without a turn of the loop no chunk that was
	 * written comes home, and once all places are taken there is no more credit. */
	unsigned taken = 0;
	while (taken < 40 && content(1, 60000))
		taken++;
	assert_in_range(taken, 1, 30);
}

static void broken_rules_end_the_channel(void **state)
{
	assert_false(smtpd_back_message(smtpd, MESSAGE_TRANSACTION, 1, SLICE("junk")));
	assert_false(smtpd_back_message(smtpd, MESSAGE_RECIPIENT, 1, SLICE("junk")));
	assert_false(smtpd_back_message(smtpd, MESSAGE_FILED, 1, SLICE_NONE));
	assert_true(open_transaction(1, nobody, "", "alice@example.org"));
	assert_false(open_transaction(1, nobody, "", "alice@example.org"));
	assert_false(content(1, CONTENT_FRAME_OCTETS + 1));
	assert_true(commit(1));
	assert_false(commit(1));
	assert_false(content(1, 1));
}

static void transactions_and_sizes_have_an_end(void **state)
{
	uint32_t conversation = 1;
	for (; conversation <= config->connections; conversation++)
		assert_true(open_transaction(conversation, nobody, "", "alice@example.org"));
	assert_int_equal(said_count, 0);
	assert_true(open_transaction(conversation, nobody, "", "alice@example.org"));
	assert_int_equal(said_outcome(conversation), ERR_BUSY);
	uint64_t sent = 0;
	while (said_count == 0) {
		while (sent + 60000 > credit_octets + CONTENT_WINDOW_OCTETS)
			loop_run_once(back.loop, 100);
		assert_true(content(1, 60000));
		sent += 60000;
		assert_true(sent < 2 * config->message_size_octets);
	}
	assert_int_equal(said_outcome(1), ERR_LIMIT);
	/* One is free again. */
	assert_true(open_transaction(conversation, nobody, "", "alice@example.org"));
	assert_int_equal(said_count, 0);
}

/* The front dies while the writer has the message: nobody to tell, nothing to trip over. */
static void freed_during_a_commit(void **state)
{
	assert_true(open_transaction(1, nobody, "", "alice@example.org"));
	assert_true(content(1, 10));
	assert_true(commit(1));
	smtpd_back_free(&smtpd);
	jobs_home(back.store, back.loop);
	assert_int_equal(messages(), 1);
	assert_int_equal(said_count, 0);
}

/* The report is the sender's before he hears of his message, or the store has failed for minutes, however
 * often that was. */
static void who_wants_to_hear_of_it_does(void **state)
{
	enum { SECOND_MS = 1000, FOR_A_MOMENT = 3, FOR_LONG = 30, SLOW_SECONDS = 50 };
	static const struct {
		unsigned fails, seconds_each, reports;
	} cases[] = {
		{ 0, 0, 1 }, { FOR_A_MOMENT, 5, 1 }, { FOR_LONG, 5, 0 }, { 4, SLOW_SECONDS, 0 }
	};
	notify = DSN_SUCCESS;
	log_set_level(LOG_NOTHING);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t before = messages();
		assert_true(open_transaction(1, nobody, "alice@example.org", "bob@example.org"));
		assert_true(content(1, 100));
		assert_true(commit(1));
		store_fails = cases[i].fails > 0;
		for (unsigned turn = 0; turn < cases[i].fails && said_count == 0; turn++) {
			/* With the first of them it is filed. */
			for (unsigned j = 0; j < 10; j++)
				loop_run_once(back.loop, 20);
			test_clock_advance((int64_t)cases[i].seconds_each * SECOND_MS);
		}
		store_fails = false;
		assert_int_equal(said_outcome(1), ERR_OK);
		assert_int_equal(messages(), before + cases[i].reports);
	}
	notify = DSN_UNSAID;
	log_set_level(LOG_ERROR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(strangers_reach_only_what_is_here),
		TEST(a_token_must_be_one_of_ours),
		TEST(nobody_sends_as_somebody_else),
		TEST(files_what_is_committed),
		TEST(who_wants_to_hear_of_it_does),
		TEST(recipients_are_looked_up_again),
		TEST(limits_hold_without_the_front),
		TEST(the_window_is_counted),
		TEST(broken_rules_end_the_channel),
		TEST(transactions_and_sizes_have_an_end),
		TEST(freed_during_a_commit),
	};
	log_set_level(LOG_ERROR);
	config = config_with("[limits]\nconnections = 300\nconnections_per_address = 100\n"
			     "message_size = 4 MiB\n");
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	config_free(config);
	return status;
}
