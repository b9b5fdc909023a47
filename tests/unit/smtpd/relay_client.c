/* tests/unit/smtpd/relay_client.c - the sending client's core against what servers say. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/clock.h"
#include "smtpd/relay/client_priv.h"

static struct client client;
static struct log log_;
static struct buffer envelope_;

static struct delivery_message message_for(const char *const *recipients, size_t count,
					   const struct envelope *more)
{
	struct delivery_message message = { .destination = SLICE("far.example"),
					    .size_octets = 12,
					    .envelope = *more };
	buffer_clear(&envelope_);
	for (size_t i = 0; i < count; i++)
		envelope_encode_recipient(
			&(struct envelope_recipient){ .forward_path = slice_cstr(recipients[i]),
						      .orcpt = SLICE("rfc822;o@x.example"),
						      .notify = DSN_SUCCESS | DSN_DELAY },
			&envelope_);
	message.envelope.reverse_path = SLICE("alice@example.org");
	message.envelope.recipient_count = (uint32_t)count;
	message.envelope.recipients = buffer_slice(&envelope_);
	return message;
}

static enum client_wish hear(const char *text)
{
	struct cursor in = cursor_of(slice_cstr(text));
	return client_feed(&client, &in);
}

static void said(const char *text)
{
	buffer_add_byte(&client.out, 0);
	assert_string_equal(client.out.data, text);
	buffer_clear(&client.out);
}

static void begin(const char *features, bool is_lmtp)
{
	const struct client_options options = { .hostname = "me.example",
						.is_lmtp = is_lmtp,
						.tls = CLIENT_TLS_MAY };
	client_init(&client, &options, &log_);
	assert_int_equal(hear("220 hello\r\n"), CLIENT_WANTS_INPUT);
	said(is_lmtp ? "LHLO me.example\r\n" : "EHLO me.example\r\n");
	assert_int_equal(hear(features), CLIENT_IS_READY);
}

static const char *const two[] = { "bob@far.example", "carl@far.example" };

static void pipelines_and_tells_each_recipient(void **state)
{
	begin("250-x\r\n250-PIPELINING\r\n250-DSN\r\n250 SIZE 1000\r\n", false);
	struct delivery_message m = message_for(
		two, 2, &(struct envelope){ .returns = DSN_RETURN_HEADERS, .envid = SLICE("e1") });
	assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_INPUT);
	said("MAIL FROM:<alice@example.org> SIZE=12 RET=HDRS ENVID=e1\r\n"
	     "RCPT TO:<bob@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o@x.example\r\n"
	     "RCPT TO:<carl@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o@x.example\r\n"
	     "DATA\r\n");
	assert_int_equal(hear("250 ok\r\n250 ok\r\n552 5.5.3 too many\r\n354 go\r\n"),
			 CLIENT_WANTS_CONTENT);
	assert_int_equal(client_content(&client, SLICE("a\r\n.b\r")), CLIENT_WANTS_CONTENT);
	assert_int_equal(client_content(&client, SLICE("\n..c")), CLIENT_WANTS_CONTENT);
	assert_int_equal(client_content(&client, SLICE("de")), CLIENT_WANTS_INPUT);
	said("a\r\n..b\r\n...cde\r\n.\r\n");
	assert_int_equal(hear("250 2.0.0 kept\r\n"), CLIENT_HAS_RESULT);
	assert_int_equal(client.results[0].verdict, DELIVERY_TAKEN);
	/* Too many is not for ever (RFC 5321 section 4.5.3.1.10). */
	assert_int_equal(client.results[1].verdict, DELIVERY_LATER);
	assert_int_equal(client_next(&client), CLIENT_IS_READY);
	client_fini(&client);
}

/* A server that takes a bare LF or CR for the end of a line finds no end of the data, and no commands. */
static void a_line_ends_in_full(void **state)
{
	static const struct {
		const char *content, *said;
	} cases[] = {
		{ "hello\n.\r\nQUIT", "hello\r\n..\r\nQUIT\r\n.\r\n" },
		{ "hello\r.\r\nQUIT", "hello\r\n..\r\nQUIT\r\n.\r\n" },
		{ "hello\r\n.\nQUIT", "hello\r\n..\r\nQUIT\r\n.\r\n" },
		{ "hello\r\n.\rQUIT", "hello\r\n..\r\nQUIT\r\n.\r\n" },
		{ "\n\r\r\n\n.\r", "\r\n\r\n\r\n\r\n..\r\n.\r\n" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct slice content = slice_cstr(cases[i].content);
		for (size_t step = 1; step <= content.len; step += content.len - 1) {
			struct delivery_message m =
				message_for(two, 1, &(struct envelope){ .deliver_by = 0 });
			m.size_octets = content.len;
			begin("250-x\r\n250 PIPELINING\r\n", false);
			assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_INPUT);
			assert_int_equal(hear("250 a\r\n250 b\r\n354 c\r\n"), CLIENT_WANTS_CONTENT);
			buffer_clear(&client.out);
			for (size_t at = 0; at < content.len; at += step)
				client_content(&client, slice_sub(content, at, step));
			said(cases[i].said);
			client_fini(&client);
		}
	}
}

/* Only what is whole makes the server's time begin anew; and a connection that is kept is no place to
 * say half of something. */
static void half_replies_win_no_time(void **state)
{
	begin("250 x\r\n", false);
	struct delivery_message m = message_for(two, 1, &(struct envelope){ 0 });
	assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_INPUT);
	uint64_t steps = client.steps;
	assert_int_equal(hear("250-o"), CLIENT_WANTS_INPUT);
	assert_int_equal(client.steps, steps);
	assert_int_equal(hear("250-a\r\n250-b\r\n"), CLIENT_WANTS_INPUT);
	assert_int_equal(client.steps, steps);
	assert_int_equal(hear("250 c\r\n"), CLIENT_WANTS_INPUT);
	assert_int_equal(client.steps, steps + 1);
	client_fini(&client);

	begin("250 x\r\n", false);
	assert_int_equal(hear("4"), CLIENT_IS_OVER);
	client_fini(&client);
}

/* One reply too many would be the answer to what is said next, and at last the one to the content of
 * another message. */
static void replies_too_many_answer_nothing(void **state)
{
	static const char *const ends[] = { "250 d\r\n250 e\r\n", "250 d\r\n2" };
	struct delivery_message m = message_for(two, 1, &(struct envelope){ 0 });
	m.size_octets = 2;
	/* With the last one, whole or not: the result counts, and the connection is at its end. */
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		begin("250-x\r\n250 PIPELINING\r\n", false);
		assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_INPUT);
		assert_int_equal(hear("250 a\r\n250 b\r\n354 c\r\n"), CLIENT_WANTS_CONTENT);
		assert_int_equal(client_content(&client, SLICE("\r\n")), CLIENT_WANTS_INPUT);
		assert_int_equal(hear(ends[i]), CLIENT_HAS_RESULT);
		assert_int_equal(client.results[0].verdict, DELIVERY_TAKEN);
		assert_int_equal(client_next(&client), CLIENT_IS_OVER);
		client_fini(&client);
	}
	/* With the one to RSET. */
	begin("250 x\r\n", false);
	assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_INPUT);
	assert_int_equal(hear("550 no\r\n"), CLIENT_HAS_RESULT);
	assert_int_equal(client_next(&client), CLIENT_WANTS_INPUT);
	assert_int_equal(hear("250 a\r\n250 b\r\n"), CLIENT_IS_OVER);
	client_fini(&client);
	/* In the middle, where one command waits for the other. */
	begin("250-x\r\n250 CHUNKING\r\n", false);
	assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_INPUT);
	assert_int_equal(hear("250 a\r\n250 b\r\n"), CLIENT_IS_OVER);
	assert_int_equal(client.results[0].verdict, DELIVERY_LATER);
	client_fini(&client);
	/* Before anything was begun: the next server, please. */
	client_init(&client,
		    &(struct client_options){ .hostname = "me.example", .tls = CLIENT_TLS_MAY },
		    &log_);
	assert_int_equal(hear("220 hello\r\n"), CLIENT_WANTS_INPUT);
	assert_int_equal(hear("250 x\r\n250 y\r\n"), CLIENT_IS_OVER);
	assert_false(client.was_greeted);
	client_fini(&client);
}

static void goes_step_by_step_and_resets(void **state)
{
	begin("250 x\r\n", false);
	struct delivery_message m = message_for(two, 2, &(struct envelope){ 0 });
	assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_INPUT);
	said("MAIL FROM:<alice@example.org>\r\n");
	assert_int_equal(hear("250 ok\r\n"), CLIENT_WANTS_INPUT);
	said("RCPT TO:<bob@far.example>\r\n");
	assert_int_equal(hear("550 5.1.1 no\r\n"), CLIENT_WANTS_INPUT);
	said("RCPT TO:<carl@far.example>\r\n");
	assert_int_equal(hear("450 4.2.0 later\r\n"), CLIENT_HAS_RESULT);
	assert_int_equal(client.results[0].verdict, DELIVERY_REFUSED);
	assert_true(slice_eq(client.results[0].status, SLICE("5.1.1")));
	assert_true(slice_eq(client.results[0].words, SLICE("550 5.1.1 no")));
	assert_int_equal(client.results[1].verdict, DELIVERY_LATER);
	assert_int_equal(client_next(&client), CLIENT_WANTS_INPUT);
	said("RSET\r\n");
	assert_int_equal(hear("250 ok\r\n"), CLIENT_IS_READY);
	client_fini(&client);
}

static void an_empty_message_goes_to_nobody(void **state)
{
	/* All refused, and DATA was said already: an empty message ends it. */
	begin("250-x\r\n250 PIPELINING\r\n", false);
	struct delivery_message m = message_for(two, 1, &(struct envelope){ 0 });
	client_begin(&client, &m, false);
	buffer_clear(&client.out);
	assert_int_equal(hear("250 ok\r\n550 no\r\n354 go\r\n"), CLIENT_WANTS_INPUT);
	said(".\r\n");
	assert_int_equal(hear("554 nobody\r\n"), CLIENT_HAS_RESULT);
	assert_int_equal(client.results[0].code, 550);
	client_fini(&client);
	/* Whoever refuses the sender and takes recipients gets nothing. */
	begin("250-x\r\n250 PIPELINING\r\n", false);
	client_begin(&client, &m, false);
	buffer_clear(&client.out);
	assert_int_equal(hear("451 no\r\n250 ok\r\n354 go\r\n"), CLIENT_IS_OVER);
	said("");
	assert_int_equal(client.results[0].code, 451);
	client_fini(&client);
}

static void what_a_server_cannot_take_is_not_sent(void **state)
{
	static const struct {
		struct envelope envelope;
		uint64_t size;
		const char *status;
	} given[] = {
		{ { .is_utf8 = false }, 1001, "5.3.4" },
		{ { .is_utf8 = true }, 10, "5.6.7" },
		{ { .requires_tls = true }, 10, "5.7.10" },
	};
	begin("250-x\r\n250 SIZE 1000\r\n", false);
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		struct delivery_message m = message_for(two, 1, &given[i].envelope);
		m.size_octets = given[i].size;
		assert_int_equal(client_begin(&client, &m, false), CLIENT_HAS_RESULT);
		assert_int_equal(client.results[0].verdict, DELIVERY_REFUSED);
		assert_true(slice_eq(client.results[0].status, slice_cstr(given[i].status)));
		said("");
		assert_int_equal(client_next(&client), CLIENT_IS_READY);
	}
	client_fini(&client);
}

/* Nothing is said to the server before the content has a form that it takes. */
static void content_is_asked_for_in_a_form_that_is_taken(void **state)
{
	static const struct {
		const char *features;
		enum envelope_body form, asked;
		const char *mail; /* what is said at once; NULL: the back is asked */
	} given[] = {
		{ "250-x\r\n250 8BITMIME\r\n", ENVELOPE_8BITMIME, 0, " BODY=8BITMIME" },
		{ "250 x\r\n", ENVELOPE_7BIT, 0, "" },
		{ "250 x\r\n", ENVELOPE_8BITMIME, ENVELOPE_7BIT, NULL },
		{ "250-x\r\n250 CHUNKING\r\n", ENVELOPE_BINARYMIME, ENVELOPE_7BIT, NULL },
		{ "250-x\r\n250-BINARYMIME\r\n250 8BITMIME\r\n", ENVELOPE_BINARYMIME,
		  ENVELOPE_8BITMIME, NULL },
		{ "250-x\r\n250-BINARYMIME\r\n250-CHUNKING\r\n250 8BITMIME\r\n",
		  ENVELOPE_BINARYMIME, 0, " BODY=BINARYMIME" },
	};
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		char mail[80];
		begin(given[i].features, false);
		struct delivery_message m =
			message_for(two, 1, &(struct envelope){ .body = given[i].form });
		m.form = given[i].form;
		enum client_wish wish = client_begin(&client, &m, false);
		if (!given[i].mail) {
			const struct delivery_message answer = { .form = given[i].asked,
								 .size_octets = 20,
								 .envelope = {
									 .body = given[i].asked } };
			assert_int_equal(wish, CLIENT_WANTS_FORM);
			assert_int_equal(client_form(&client), given[i].asked);
			said("");
			wish = client_formed(&client, &answer);
			assert_int_equal(client.delivery.size_octets, 20);
		}
		assert_int_equal(wish, CLIENT_WANTS_INPUT);
		snprintf(mail, sizeof(mail), "MAIL FROM:<alice@example.org>%s\r\n",
			 given[i].mail			       ? given[i].mail
			 : given[i].asked == ENVELOPE_8BITMIME ? " BODY=8BITMIME"
							       : "");
		said(mail);
		client_fini(&client);
	}
}

static void the_size_told_is_that_of_what_is_sent(void **state)
{
	const struct delivery_message answer = { .size_octets = 20 },
				      large = { .size_octets = 1001 },
				      none = { .form = ENVELOPE_8BITMIME, .size_octets = 10 };
	begin("250-x\r\n250-CHUNKING\r\n250 SIZE 1000\r\n", false);
	struct delivery_message m = message_for(two, 1, &(struct envelope){ 0 });
	m.form = ENVELOPE_8BITMIME;
	assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_FORM);
	assert_int_equal(client_formed(&client, &answer), CLIENT_WANTS_INPUT);
	said("MAIL FROM:<alice@example.org> SIZE=20\r\n");
	assert_int_equal(hear("250 ok\r\n"), CLIENT_WANTS_INPUT);
	buffer_clear(&client.out);
	assert_int_equal(hear("250 ok\r\n"), CLIENT_WANTS_CONTENT);
	said("BDAT 20 LAST\r\n");
	assert_int_equal(client_content(&client, SLICE("12345678901234567890")),
			 CLIENT_WANTS_INPUT);
	buffer_clear(&client.out);
	assert_int_equal(hear("250 ok\r\n"), CLIENT_HAS_RESULT);
	assert_int_equal(client_next(&client), CLIENT_IS_READY);
	/* Too large only since it was converted. */
	assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_FORM);
	assert_int_equal(client_formed(&client, &large), CLIENT_HAS_RESULT);
	assert_slice(client.results[0].status, "5.3.4");
	assert_int_equal(client_next(&client), CLIENT_IS_READY);
	assert_int_equal(client_begin(&client, &m, false), CLIENT_WANTS_FORM);
	/* Not to be had: it is not for this server. */
	assert_int_equal(client_formed(&client, &none), CLIENT_WANTS_FORM);
	said("");
	/* A server that speaks meanwhile has nothing to answer. */
	assert_int_equal(hear("25"), CLIENT_IS_OVER);
	assert_int_equal(client.results[0].verdict, DELIVERY_LATER);
	client_fini(&client);
}

/* A server before this one needed another form, and hung up before that was there. What comes is that
 * form, though this one would have taken the first. */
static void a_form_that_is_on_its_way_is_waited_for(void **state)
{
	const struct delivery_message answer = { .form = ENVELOPE_7BIT, .size_octets = 20 },
				      none = { .form = ENVELOPE_8BITMIME,
					       .size_octets = 30,
					       .envelope = { .body = ENVELOPE_8BITMIME } };
	begin("250-x\r\n250-SIZE 1000\r\n250 8BITMIME\r\n", false);
	struct delivery_message m = message_for(two, 1, &(struct envelope){ 0 });
	m.form = m.envelope.body = ENVELOPE_8BITMIME;
	assert_int_equal(client_begin(&client, &m, true), CLIENT_WANTS_FORM);
	said("");
	assert_int_equal(client_formed(&client, &answer), CLIENT_WANTS_INPUT);
	said("MAIL FROM:<alice@example.org> SIZE=20\r\n");
	client_fini(&client);

	/* It could not be had, but this one needs no other. */
	begin("250-x\r\n250-SIZE 1000\r\n250 8BITMIME\r\n", false);
	assert_int_equal(client_begin(&client, &m, true), CLIENT_WANTS_FORM);
	assert_int_equal(client_formed(&client, &none), CLIENT_WANTS_INPUT);
	said("MAIL FROM:<alice@example.org> SIZE=30 BODY=8BITMIME\r\n");
	client_fini(&client);
}

static void requiretls_wants_a_proven_server_that_knows_it(void **state)
{
	const struct envelope demanding = { .requires_tls = true };
	struct delivery_message m = message_for(two, 1, &demanding);
	const char *status;
	begin("250 x\r\n", false);
	client.is_secure = true;
	assert_non_null(client_lacks_tls(&client, &m, &status));
	assert_string_equal(status, "5.7.10");
	client.is_proven = true;
	assert_non_null(client_lacks_tls(&client, &m, &status));
	assert_string_equal(status, "5.7.30");
	/* A report about such a message is sent all the same, without the word. */
	m.envelope.reverse_path = SLICE_NONE;
	client_begin(&client, &m, false);
	said("MAIL FROM:<>\r\n");
	client_fini(&client);
	begin("250-x\r\n250 REQUIRETLS\r\n", false);
	client.is_secure = client.is_proven = true;
	m = message_for(two, 1, &demanding);
	assert_null(client_lacks_tls(&client, &m, &status));
	client_begin(&client, &m, false);
	said("MAIL FROM:<alice@example.org> REQUIRETLS\r\n");
	client_fini(&client);
}

static void losing_the_connection_is_uncertain_only_at_the_end(void **state)
{
	for (int at_end = 0; at_end < 2; at_end++) {
		begin("250-x\r\n250 CHUNKING\r\n", false);
		struct delivery_message m = message_for(two, 1, &(struct envelope){ 0 });
		client_begin(&client, &m, false);
		hear("250 ok\r\n");
		assert_int_equal(hear("250 ok\r\n"), CLIENT_WANTS_CONTENT);
		buffer_clear(&client.out);
		if (at_end) {
			assert_int_equal(client_content(&client, SLICE(".23456789012")),
					 CLIENT_WANTS_INPUT);
			said(".23456789012");
		}
		client_abandon(&client, "gone");
		assert_int_equal(client.results[0].verdict, DELIVERY_LATER);
		assert_true(client.is_uncertain == (at_end == 1));
		client_fini(&client);
	}
}

static void lmtp_tells_of_each(void **state)
{
	begin("250 PIPELINING\r\n", true);
	struct delivery_message m = message_for(two, 2, &(struct envelope){ 0 });
	client_begin(&client, &m, false);
	hear("250 ok\r\n");
	hear("250 ok\r\n");
	hear("250 ok\r\n");
	assert_int_equal(hear("354 go\r\n"), CLIENT_WANTS_CONTENT);
	client_content(&client, SLICE("0123456789\r\n"));
	assert_int_equal(hear("250 kept\r\n"), CLIENT_WANTS_INPUT);
	assert_int_equal(hear("552 full\r\n"), CLIENT_HAS_RESULT);
	assert_int_equal(client.results[0].verdict, DELIVERY_TAKEN);
	assert_int_equal(client.results[1].verdict, DELIVERY_REFUSED);
	client_fini(&client);
}

static void starttls_where_it_is_offered(void **state)
{
	const struct client_options must = { .hostname = "me", .tls = CLIENT_TLS_MUST };
	const struct client_options may = { .hostname = "me", .tls = CLIENT_TLS_MAY };
	client_init(&client, &may, &log_);
	hear("220 x\r\n");
	hear("250-x\r\n250 STARTTLS\r\n");
	assert_int_equal(hear("454 not now\r\n"), CLIENT_IS_READY);
	client_fini(&client);
	client_init(&client, &must, &log_);
	hear("220 x\r\n");
	assert_int_equal(hear("250 x\r\n"), CLIENT_IS_OVER);
	client_fini(&client);
	client_init(&client, &must, &log_);
	hear("220 x\r\n");
	hear("250-x\r\n250-CHUNKING\r\n250 STARTTLS\r\n");
	assert_int_equal(hear("220 go\r\n"), CLIENT_WANTS_TLS);
	buffer_clear(&client.out);
	assert_int_equal(client_secured(&client), CLIENT_WANTS_INPUT);
	said("EHLO me\r\n");
	assert_int_equal(hear("250 x\r\n"), CLIENT_IS_READY);
	assert_int_equal(client.features, 0); /* what was said before is forgotten */
	client_fini(&client);
}

static void signs_in(void **state)
{
	const struct client_options options = {
		.hostname = "me", .is_secure = true, .user = "user", .password = "pencil"
	};
	client_init(&client, &options, &log_);
	hear("220 x\r\n");
	buffer_clear(&client.out);
	assert_int_equal(hear("250-x\r\n250 AUTH PLAIN LOGIN\r\n"), CLIENT_WANTS_INPUT);
	said("AUTH PLAIN AHVzZXIAcGVuY2ls\r\n");
	assert_int_equal(hear("235 in\r\n"), CLIENT_IS_READY);
	client_fini(&client);
	client_init(&client, &options, &log_);
	hear("220 x\r\n");
	buffer_clear(&client.out);
	hear("250-x\r\n250 AUTH LOGIN\r\n");
	said("AUTH LOGIN\r\n");
	hear("334 VXNlcm5hbWU6\r\n");
	said("dXNlcg==\r\n");
	hear("334 UGFzc3dvcmQ6\r\n");
	said("cGVuY2ls\r\n");
	assert_int_equal(hear("535 5.7.8 no\r\n"), CLIENT_IS_OVER);
	client_fini(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipelines_and_tells_each_recipient),
		cmocka_unit_test(a_line_ends_in_full),
		cmocka_unit_test(half_replies_win_no_time),
		cmocka_unit_test(replies_too_many_answer_nothing),
		cmocka_unit_test(goes_step_by_step_and_resets),
		cmocka_unit_test(an_empty_message_goes_to_nobody),
		cmocka_unit_test(what_a_server_cannot_take_is_not_sent),
		cmocka_unit_test(content_is_asked_for_in_a_form_that_is_taken),
		cmocka_unit_test(the_size_told_is_that_of_what_is_sent),
		cmocka_unit_test(a_form_that_is_on_its_way_is_waited_for),
		cmocka_unit_test(requiretls_wants_a_proven_server_that_knows_it),
		cmocka_unit_test(losing_the_connection_is_uncertain_only_at_the_end),
		cmocka_unit_test(lmtp_tells_of_each),
		cmocka_unit_test(starttls_where_it_is_offered),
		cmocka_unit_test(signs_in),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	buffer_free(&envelope_);
	return failed;
}
