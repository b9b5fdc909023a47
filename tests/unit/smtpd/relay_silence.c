/* tests/unit/smtpd/relay_silence.c - the sending client and a server that falls silent, at whatever
 * stage: it is waited for as long as RFC 5321 section 4.5.3.2 says, to the millisecond, and not longer.
 * The whole of the front's part is at work; the clock is the test's. */
#include "tests/unit/smtpd/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "runtime/channel.h"
#include "runtime/delivery.h"
#include "runtime/tls_verify.h"
#include "smtpd/relay/relay.h"
#include "tests/unit/test_clock.h"

enum {
	SECOND_MS = 1000,
	MINUTE_MS = 60 * SECOND_MS,
	SETTLE_TURNS = 50,
	TURNS_MAX = 60 * 1000,
	CONFIGS_MAX = 64,
	LARGE_OCTETS = 24 * 1024 * 1024, /* more than two sockets hold */
};

/* ---- our side ---- */

static struct front front;
static struct relay_sender *sender;
static struct channel *back; /* its end of the channel */
static struct config *configs[CONFIGS_MAX];
static size_t config_count;

static uint32_t conversation; /* of the last message */
static uint64_t content_left, window;
static enum envelope_body form; /* of messages */
static bool is_delivered, is_probe;
static unsigned answers; /* that a recipient of a probe was taken */
static struct delivered_message told;
static struct delivered_recipient first;
static struct buffer payload;

/* ---- the other side ---- */

static struct {
	int listener, fd, fill[2];
	unsigned connections;
	const char *
		silent_at; /* the verb that has no answer; "" the greeting, "." the content's end */
	const char *features;
	const char *rcpt; /* the answer to RCPT */
	char verb[16];	  /* the last one */
	char line[4096];
	size_t len;
	bool is_silent, in_content, has_ended;
	bool holds;    /* replies to RCPT and DATA are the test's to give: */
	unsigned held; /* so many to RCPT */
	uint64_t content_octets;
} server;

static void server_say(const char *text)
{
	assert_int_equal(write(server.fd, text, strlen(text)), strlen(text));
}

/* True: it had been silent here. */
static bool falls_silent(const char *stage)
{
	server.is_silent = server.silent_at && strcmp(server.silent_at, stage) == 0;
	return server.is_silent;
}

static void answer(void)
{
	snprintf(server.verb, sizeof(server.verb), "%.*s", (int)strcspn(server.line, " \r"),
		 server.line);
	if (falls_silent(server.verb))
		return;
	if (strcmp(server.verb, "EHLO") == 0) {
		server_say(server.features);
	} else if (strcmp(server.verb, "STARTTLS") == 0) {
		server_say("220 go\r\n");
		(void)falls_silent("handshake");
	} else if (server.holds && strcmp(server.verb, "RCPT") == 0) {
		server.held++;
	} else if (server.holds && strcmp(server.verb, "DATA") == 0) {
		server.in_content = true;
	} else if (strcmp(server.verb, "RCPT") == 0) {
		server_say(server.rcpt);
	} else if (strcmp(server.verb, "DATA") == 0) {
		server_say("354 go\r\n");
		server.in_content = true;
		(void)falls_silent("content");
	} else {
		server_say("250 fine\r\n");
	}
}

static void take_octet(char octet)
{
	if (server.len < sizeof(server.line) - 1)
		server.line[server.len++] = octet;
	if (octet != '\n')
		return;
	server.line[server.len] = 0;
	if (!server.in_content) {
		answer();
	} else if (strcmp(server.line, ".\r\n") == 0) {
		server.in_content = false;
		if (!falls_silent("."))
			server_say("250 kept\r\n");
	}
	server.len = 0;
}

static void server_turn(void)
{
	char octets[16 * 1024];
	ssize_t len;
	if (server.fd < 0 && server.fill[0] < 0) {
		server.fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (server.fd < 0)
			return;
		server.connections++;
		server.len = 0;
		server.in_content = server.has_ended = false;
		if (!falls_silent(""))
			server_say("220 hello\r\n");
	}
	/* Who is silent in the middle of the content does not read on, either. */
	if (server.is_silent && server.in_content)
		return;
	if (server.fd < 0)
		return;
	while ((len = read(server.fd, octets, sizeof(octets))) > 0)
		for (ssize_t i = 0; i < len; i++)
			if (!server.is_silent || server.in_content)
				take_octet(octets[i]);
	if (len == 0 || (len < 0 && errno != EAGAIN)) {
		server.has_ended = true;
		close(server.fd);
		server.fd = -1;
	}
}

/* ---- both ---- */

static void give_content(void)
{
	static uint8_t piece[DELIVERY_FRAME_OCTETS];
	memset(piece, 'x', sizeof(piece));
	while (content_left > 0 && window > 0) {
		uint64_t len = sizeof(piece);
		len = len < content_left ? len : content_left;
		len = len < window ? len : window;
		content_left -= len;
		window -= len;
		channel_send(back, MESSAGE_DELIVERY_CONTENT, conversation, slice_of(piece, len),
			     -1);
	}
}

static void on_message(struct channel *channel, uint16_t type, uint32_t number, struct slice octets,
		       int fd)
{
	uint32_t credit;
	if (type == MESSAGE_DELIVERY_CREDIT && number == conversation) {
		assert_true(credit_decode(octets, &credit));
		window += credit;
		give_content();
	}
	if (type == MESSAGE_DELIVERY_ANSWERED) {
		assert_int_equal(number, conversation);
		assert_int_equal(octets.len, 0);
		assert_false(is_delivered);
		answers++;
	}
	if (type != MESSAGE_DELIVERED)
		return;
	assert_int_equal(number, conversation);
	assert_false(is_delivered);
	is_delivered = true;
	buffer_clear(&payload);
	buffer_add(&payload, octets);
	assert_true(delivered_decode(buffer_slice(&payload), &told));
	struct slice rest = told.recipients;
	assert_true(delivered_next_recipient(&rest, &first));
}

static void turn(void)
{
	loop_run_once(front.loop, 0);
	server_turn();
	test_clock_rest();
}

/* What is going to happen without the clock has happened. */
static void settle(void)
{
	uint64_t before;
	do {
		before = content_left;
		for (int i = 0; i < SETTLE_TURNS; i++)
			turn();
	} while (content_left != before);
}

static void until(const bool *what)
{
	for (int i = 0; i < TURNS_MAX && !*what; i++)
		turn();
	assert_true(*what);
}

static void deliver(uint64_t size_octets, unsigned recipients)
{
	struct buffer encoded = { 0 }, octets = { 0 };
	for (unsigned i = 0; i < recipients; i++)
		envelope_encode_recipient(
			&(struct envelope_recipient){ .forward_path = SLICE("bob@far.example") },
			&encoded);
	const struct delivery_message message = {
		.destination = SLICE("far.example"),
		.size_octets = size_octets,
		.form = form,
		.is_probe = is_probe,
		.envelope = { .reverse_path = SLICE("alice@example.org"),
			      .recipient_count = recipients,
			      .recipients = buffer_slice(&encoded) },
	};
	delivery_encode(&message, &octets);
	is_delivered = false;
	answers = 0;
	content_left = size_octets;
	window = DELIVERY_WINDOW_OCTETS;
	channel_send(back, MESSAGE_DELIVER, ++conversation, buffer_slice(&octets), -1);
	give_content();
	buffer_free(&encoded);
	buffer_free(&octets);
}

/* Another server, at another port, which falls silent there. NULL: never. */
static void begin(const char *silent_at)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	char text[256];
	memset(&server, 0, sizeof(server));
	server.fd = server.fill[0] = server.fill[1] = -1;
	server.silent_at = silent_at;
	server.features = "250 far.example\r\n";
	server.rcpt = "250 fine\r\n";
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_return_code(bind(server.listener, (struct sockaddr *)&at, sizeof(at)), errno);
	assert_return_code(getsockname(server.listener, (struct sockaddr *)&at, &len), errno);
	snprintf(text, sizeof(text), "[route far.example]\nto = smtp:127.0.0.1:%u\n",
		 ntohs(at.sin_port));
	assert_true(config_count < CONFIGS_MAX);
	front.config = configs[config_count++] = config_with(text);
	bool is_full = silent_at && strcmp(silent_at, "connect") == 0;
	assert_return_code(listen(server.listener, is_full ? 0 : 8), errno);
	for (int i = 0; is_full && i < 2; i++) {
		server.fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(server.fill[i], (struct sockaddr *)&at, sizeof(at));
	}
}

static void end(void)
{
	const int fds[] = { server.fd, server.listener, server.fill[0], server.fill[1] };
	/* The connection that is kept, if there is one, is closed before the next test. */
	test_clock_advance(MINUTE_MS);
	settle();
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	server.fd = -1;
	settle();
}

/* Nothing is said of the message until then, and then it is at once. */
static void waits_for(int64_t ms)
{
	settle();
	assert_false(is_delivered);
	test_clock_advance(ms - 1);
	settle();
	assert_false(is_delivered);
	test_clock_advance(1);
	until(&is_delivered);
}

static bool says(const char *words)
{
	return slice_find(first.words, 0, slice_cstr(words)) < first.words.len;
}

/* ---- tests ---- */

static void a_silent_server_is_waited_for_as_the_standard_says(void **state)
{
	static const struct {
		const char *stage;
		int64_t ms;
		const char *status;
		bool is_down, is_uncertain;
	} stages[] = {
		{ "", 5 * MINUTE_MS, "4.4.1", true, false },
		{ "EHLO", 5 * MINUTE_MS, "4.4.1", true, false },
		{ "STARTTLS", 5 * MINUTE_MS, "4.4.1", true, false },
		{ "MAIL", 5 * MINUTE_MS, "4.4.2", true, false },
		{ "RCPT", 5 * MINUTE_MS, "4.4.2", true, false },
		{ "DATA", 2 * MINUTE_MS, "4.4.2", false, false },
		{ ".", 10 * MINUTE_MS, "4.4.2", false, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
		begin(stages[i].stage);
		server.features = "250-far.example\r\n250 STARTTLS\r\n";
		if (strcmp(stages[i].stage, "STARTTLS") != 0)
			server.features = "250 far.example\r\n";
		deliver(100, 1);
		until(&server.is_silent);
		waits_for(stages[i].ms);
		assert_int_equal(first.verdict, DELIVERY_LATER);
		assert_int_equal(first.code, 0);
		assert_slice(first.status, stages[i].status);
		assert_true(says("did not answer in time"));
		assert_int_equal(told.is_down, stages[i].is_down);
		assert_int_equal(told.is_uncertain, stages[i].is_uncertain);
		until(&server.has_ended);
		assert_int_equal(server.connections, 1);
		end();
	}
}

static void one_that_takes_no_connection_is_waited_for(void **state)
{
	begin("connect");
	deliver(100, 1);
	waits_for(30 * SECOND_MS);
	assert_int_equal(first.verdict, DELIVERY_LATER);
	assert_slice(first.status, "4.4.1");
	assert_true(says("could not be reached"));
	assert_true(told.is_down);
	end();
}

static void one_that_takes_no_more_content_is_waited_for(void **state)
{
	begin("content");
	deliver(LARGE_OCTETS, 1);
	until(&server.is_silent);
	waits_for(3 * MINUTE_MS);
	assert_true(content_left > 0);
	assert_int_equal(first.verdict, DELIVERY_LATER);
	assert_true(says("did not answer in time"));
	assert_false(told.is_down);
	assert_false(told.is_uncertain);
	end();
}

/* Encryption is only an offer: without it, the next time. */
static void silence_in_the_handshake_is_no_end(void **state)
{
	begin("handshake");
	server.features = "250-far.example\r\n250 STARTTLS\r\n";
	deliver(100, 1);
	until(&server.is_silent);
	settle();
	test_clock_advance(MINUTE_MS - 1);
	settle();
	assert_int_equal(server.connections, 1);
	assert_false(server.has_ended);
	test_clock_advance(1);
	until(&is_delivered);
	assert_int_equal(first.verdict, DELIVERY_TAKEN);
	assert_int_equal(server.connections, 2);
	end();
}

/* What was said of the message stands; the connection is of no use any more. */
static void silence_after_a_refusal_ends_the_connection_alone(void **state)
{
	begin("RSET");
	server.rcpt = "550 5.1.1 nobody\r\n";
	deliver(100, 1);
	until(&is_delivered);
	assert_int_equal(first.verdict, DELIVERY_REFUSED);
	until(&server.is_silent);
	settle();
	test_clock_advance(5 * MINUTE_MS - 1);
	settle();
	assert_false(server.has_ended);
	test_clock_advance(1);
	until(&server.has_ended);
	end();
}

static void one_that_is_silent_at_the_farewell_is_not_waited_for(void **state)
{
	begin("QUIT");
	deliver(100, 1);
	until(&is_delivered);
	assert_int_equal(first.verdict, DELIVERY_TAKEN);
	settle();
	test_clock_advance(10 * SECOND_MS - 1);
	settle();
	assert_false(server.is_silent);
	test_clock_advance(1);
	until(&server.is_silent);
	/* The end of what we say comes right behind. */
	until(&server.has_ended);
	end();
}

static void an_octet_now_and_then_wins_no_time(void **state)
{
	begin("MAIL");
	deliver(100, 1);
	until(&server.is_silent);
	settle();
	for (int i = 0; i < 4; i++) {
		test_clock_advance(MINUTE_MS);
		server_say(i == 0 ? "2" : i == 1 ? "50-a\r\n250" : i == 2 ? "-b\r\n2" : "50");
		settle();
	}
	waits_for(MINUTE_MS);
	assert_int_equal(first.verdict, DELIVERY_LATER);
	assert_true(says("did not answer in time"));
	end();
}

static unsigned count(enum delivery_verdict verdict, const char *words)
{
	struct slice rest = told.recipients;
	struct delivered_recipient recipient;
	unsigned found = 0;
	for (uint32_t i = 0; i < told.recipient_count; i++) {
		assert_true(delivered_next_recipient(&rest, &recipient));
		found += recipient.verdict == verdict &&
			 slice_find(recipient.words, 0, slice_cstr(words)) < recipient.words.len;
	}
	return found;
}

/* Each reply in time, and never an end of it: whom it was asked for within the hour gets the message. */
static void an_hour_long_it_is_asked_for_recipients(void **state)
{
	enum { RECIPIENTS = 30, TAKEN = 15 };
	int64_t waited_ms = 0;
	begin("RCPT");
	deliver(7, RECIPIENTS);
	while (!is_delivered) {
		until(&server.is_silent);
		settle();
		test_clock_advance(4 * MINUTE_MS);
		waited_ms += 4 * MINUTE_MS;
		settle();
		assert_false(is_delivered);
		server.is_silent = false;
		server_say("250 fine\r\n");
		for (int i = 0; i < TURNS_MAX && !is_delivered && !server.is_silent; i++)
			turn();
	}
	assert_int_equal(waited_ms, 60 * MINUTE_MS);
	assert_int_equal(count(DELIVERY_TAKEN, "kept"), TAKEN);
	assert_int_equal(count(DELIVERY_LATER, "too slow"), RECIPIENTS - TAKEN);
	assert_false(told.is_down);
	assert_false(told.is_uncertain);
	end();
}

/* What it was asked last has its own time; silence is silence. */
static void after_the_hour_it_has_five_minutes_still(void **state)
{
	begin("RCPT");
	deliver(7, 30);
	for (int i = 0; i < 14; i++) {
		until(&server.is_silent);
		settle();
		test_clock_advance(4 * MINUTE_MS);
		settle();
		server.is_silent = false;
		server_say("250 fine\r\n");
	}
	until(&server.is_silent); /* four minutes before the hour is over */
	waits_for(5 * MINUTE_MS);
	assert_int_equal(count(DELIVERY_LATER, "did not answer in time"), 15);
	assert_int_equal(count(DELIVERY_LATER, "too slow"), 15);
	end();
}

/* All were asked for at once. */
static void each_of_many_recipients_has_five_minutes(void **state)
{
	enum { RECIPIENTS = DELIVERY_RECIPIENTS_MAX, EACH_MS = 40 * SECOND_MS };
	begin(NULL);
	server.features = "250-far.example\r\n250 PIPELINING\r\n";
	server.holds = true;
	deliver(7, RECIPIENTS);
	until(&server.in_content);
	assert_int_equal(server.held, RECIPIENTS);
	_Static_assert(RECIPIENTS * EACH_MS > 60 * MINUTE_MS, "longer than the hour");
	for (; server.held > 0; server.held--) {
		settle();
		test_clock_advance(EACH_MS);
		settle();
		assert_false(is_delivered);
		server_say("250 fine\r\n");
	}
	server_say("354 go\r\n");
	until(&is_delivered);
	assert_int_equal(count(DELIVERY_TAKEN, "kept"), RECIPIENTS);
	end();
}

static void content_has_a_time_of_its_own(void **state)
{
	enum { RECIPIENTS = 14 };
	begin("RCPT");
	deliver(LARGE_OCTETS, RECIPIENTS);
	for (int i = 0; i < RECIPIENTS; i++) {
		until(&server.is_silent);
		settle();
		test_clock_advance(4 * MINUTE_MS + 10 * SECOND_MS);
		settle();
		server.is_silent = false;
		if (i == RECIPIENTS - 1)
			server.silent_at = "content";
		server_say("250 fine\r\n");
	}
	until(&server.is_silent);
	waits_for(3 * MINUTE_MS);
	assert_int_equal(count(DELIVERY_LATER, "did not answer in time"), RECIPIENTS);
	end();
}

/* The back waits for that with more mail for the same place. */
static void the_first_recipient_of_a_probe_is_told_of(void **state)
{
	is_probe = true;
	begin("DATA");
	deliver(100, 3);
	until(&server.is_silent);
	settle();
	assert_int_equal(answers, 1);
	waits_for(2 * MINUTE_MS);
	end();
	/* A place that takes nobody is no such place. */
	begin(NULL);
	server.rcpt = "550 5.1.1 nobody\r\n";
	deliver(100, 2);
	until(&is_delivered);
	assert_int_equal(answers, 0);
	end();
	is_probe = false;
	begin(NULL);
	deliver(100, 1);
	until(&is_delivered);
	assert_int_equal(answers, 0);
	end();
}

/* The hour is for what comes before: the server has all of it, and may be at work on it. */
static void what_is_out_has_ten_minutes_whatever_went_before(void **state)
{
	enum { RECIPIENTS = 14 };
	begin("RCPT");
	deliver(7, RECIPIENTS);
	for (int i = 0; i < RECIPIENTS; i++) {
		until(&server.is_silent);
		settle();
		test_clock_advance(4 * MINUTE_MS);
		settle();
		server.is_silent = false;
		if (i == RECIPIENTS - 1)
			server.silent_at = ".";
		server_say("250 fine\r\n");
	}
	until(&server.is_silent);
	waits_for(10 * MINUTE_MS);
	assert_int_equal(first.verdict, DELIVERY_LATER);
	assert_true(told.is_uncertain);
	end();
}

/* The back, which is to convert it, does not answer: that says nothing of the server. */
static void who_waits_for_us_is_not_down(void **state)
{
	begin(NULL);
	form = ENVELOPE_8BITMIME;
	deliver(100, 1);
	form = ENVELOPE_7BIT;
	waits_for(5 * MINUTE_MS);
	assert_string_equal(server.verb, "EHLO");
	assert_int_equal(first.verdict, DELIVERY_LATER);
	assert_true(says("not converted in time"));
	assert_false(told.is_down);
	end();
}

static int set_up(void **state)
{
	static const struct channel_events events = { .message = on_message };
	static struct relay_trust trust;
	int fds[2];
	test_clock_stand_still();
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), errno);
	front.loop = loop_new(0);
	front.link = link_new(front.loop);
	front.config = configs[config_count++] = config_with("");
	trust.opportunistic = tls_opportunistic_context();
	sender = relay_sender_new(&front, &trust);
	link_connect(front.link, fds[0]);
	back = channel_new(front.loop, fds[1], &events, NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_server_is_waited_for_as_the_standard_says),
		cmocka_unit_test(one_that_takes_no_connection_is_waited_for),
		cmocka_unit_test(one_that_takes_no_more_content_is_waited_for),
		cmocka_unit_test(silence_in_the_handshake_is_no_end),
		cmocka_unit_test(silence_after_a_refusal_ends_the_connection_alone),
		cmocka_unit_test(one_that_is_silent_at_the_farewell_is_not_waited_for),
		cmocka_unit_test(an_octet_now_and_then_wins_no_time),
		cmocka_unit_test(an_hour_long_it_is_asked_for_recipients),
		cmocka_unit_test(after_the_hour_it_has_five_minutes_still),
		cmocka_unit_test(each_of_many_recipients_has_five_minutes),
		cmocka_unit_test(content_has_a_time_of_its_own),
		cmocka_unit_test(the_first_recipient_of_a_probe_is_told_of),
		cmocka_unit_test(what_is_out_has_ten_minutes_whatever_went_before),
		cmocka_unit_test(who_waits_for_us_is_not_down),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, set_up, NULL);
}
