/* tests/unit/smtpd/whole_message.c - the message that arrives is the one that was sent: random
 * bodies by DATA and by BDAT, text and binary, whatever the chunks, the packets and the moments at
 * which the back gives credit. And what could be read as two messages is refused as a whole. */
#include "tests/unit/smtpd/settings.h"

#include <stdlib.h>

#include "tests/dice.h"
#include "tests/unit/smtpd/fake_link.h"

enum { ROUNDS = 60, BODY_MAX_OCTETS = 20 * 1000, LARGE_MAX_OCTETS = 600 * 1000 };

static struct config *config;
static struct front front;
static struct smtp_session *session;
static struct buffer unread, replies, message, wire;
static uint32_t seed;

/* ---- the session, its client and its back ---- */

static void drive(void)
{
	struct cursor in = cursor_of(buffer_slice(&unread));
	size_t left = cursor_left(&in);

	(void)session_drive(&session->session, &in);
	buffer_drop_front(&unread, left - cursor_left(&in));
	buffer_add(&replies, buffer_slice(&session->session.out));
	buffer_clear(&session->session.out);
}

static void on_woken(struct session *s)
{
	drive();
}

static void answer(void)
{
	if (!fake.question)
		return;
	if (fake.asked == MESSAGE_RECIPIENT)
		fake_verdict(RECIPIENT_OK);
	else if (fake.is_committed)
		fake_filed(ERR_OK);
	else if (fake.unanswered_octets > 0)
		fake_credit(1 + dice_roll(&seed, fake.unanswered_octets));
}

/* Everything of `wire`, in pieces. */
static void send_wire(void)
{
	struct slice all = buffer_slice(&wire);
	size_t most = dice_roll(&seed, 2) ? 1 + dice_roll(&seed, 40) : 1 + dice_roll(&seed, 70000);

	for (size_t at = 0; at < all.len;) {
		size_t len = 1 + dice_roll(&seed, (uint32_t)most);
		struct slice piece = slice_sub(all, at, len);
		buffer_add(&unread, piece);
		at += piece.len;
		drive();
		if (dice_roll(&seed, 3) == 0)
			answer();
	}
	while (session->session.job_out)
		answer();
	assert_int_equal(unread.len, 0);
}

static void start(void)
{
	struct peer peer = { .address = { 192, 0, 2, 7 }, .family = 4 };

	fake_reset();
	session = smtp_session_new(&front, SERVICE_SMTP, &peer, false);
	session->session.woken = on_woken;
	buffer_clear(&wire);
	buffer_clear(&message);
	drive();
	buffer_add_cstr(&wire, "EHLO client.example\r\n");
	send_wire();
	buffer_clear(&replies);
	buffer_clear(&wire);
}

static void finish(void)
{
	buffer_free(&session->session.out);
	session->session.class->free(&session->session);
	fake_reset();
	buffer_free(&unread);
	buffer_free(&replies);
	buffer_free(&message);
	buffer_free(&wire);
}

/* ---- messages ---- */

static void add_octets(const char *favourites, size_t count)
{
	size_t favourite_count = strlen(favourites);
	while (count--) {
		uint8_t octet = dice_roll(&seed, 3)
					? (uint8_t)favourites[dice_roll(&seed, favourite_count)]
					: (uint8_t)dice_roll(&seed, 256);
		buffer_add_byte(&message, octet);
	}
}

/* Lines that end in CRLF, and hold neither CR nor LF besides. */
static void make_text(void)
{
	size_t size = dice_roll(&seed, 4) ? dice_roll(&seed, BODY_MAX_OCTETS)
					  : dice_roll(&seed, LARGE_MAX_OCTETS);

	buffer_add_cstr(&message, "Subject: x\r\n\r\n");
	while (message.len < size) {
		size_t from = message.len;
		for (size_t dots = dice_roll(&seed, 4); dots > 0; dots--)
			buffer_add_byte(&message, '.');
		add_octets(".. ab", dice_roll(&seed, dice_roll(&seed, 10) ? 30 : 3000));
		for (size_t i = from; i < message.len; i++)
			if (message.data[i] == '\r' || message.data[i] == '\n')
				message.data[i] = '\0';
		buffer_add_cstr(&message, "\r\n");
	}
}

static void make_binary(void)
{
	buffer_add_cstr(&message, "Subject: x\r\nReceived: y\r\n\r\n");
	add_octets("\r\n.\r\n", dice_roll(&seed, 4) ? dice_roll(&seed, BODY_MAX_OCTETS)
						    : dice_roll(&seed, LARGE_MAX_OCTETS));
}

static void wire_by_data(struct slice text)
{
	bool at_start = true;

	buffer_add_cstr(&wire, "MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n");
	for (size_t i = 0; i < text.len; i++) {
		if (at_start && text.ptr[i] == '.')
			buffer_add_byte(&wire, '.');
		buffer_add_byte(&wire, text.ptr[i]);
		at_start = text.ptr[i] == '\n' && i > 0 && text.ptr[i - 1] == '\r';
	}
	buffer_add_cstr(&wire, ".\r\n");
}

static void wire_by_bdat(struct slice octets, const char *parameters)
{
	size_t most = dice_roll(&seed, 2) ? 1 + dice_roll(&seed, 100)
					  : 1 + dice_roll(&seed, 300000),
	       at = 0;

	/* Not a million chunks of one octet. */
	if (octets.len / most > 200)
		most = octets.len / 200;
	buffer_add_format(&wire, "MAIL FROM:<>%s\r\nRCPT TO:<a@example.org>\r\n", parameters);
	do {
		struct slice chunk = slice_sub(octets, at, dice_roll(&seed, (uint32_t)most + 1));
		at += chunk.len;
		bool is_last = at == octets.len && dice_roll(&seed, 2);
		buffer_add_format(&wire, "BDAT %zu%s\r\n", chunk.len, is_last ? " LAST" : "");
		buffer_add(&wire, chunk);
		if (is_last)
			return;
	} while (at < octets.len);
	buffer_add_cstr(&wire, "BDAT 0 LAST\r\n");
}

static void assert_arrived(void)
{
	struct slice got = buffer_slice(&fake.content), want = buffer_slice(&message);
	size_t trace_len = got.len - want.len;

	assert_true(fake.is_committed);
	assert_true(got.len > want.len);
	assert_true(slice_starts_nocase(got, SLICE("Return-Path: <>\r\nReceived: from ")));
	assert_int_equal(slice_find(got, 0, SLICE("+0000\r\n")), trace_len - 7);
	assert_true(slice_eq(slice_sub(got, trace_len, want.len), want));
	assert_int_equal(slice_find(buffer_slice(&replies), 0, SLICE("\r\n5")), replies.len);
	assert_true(slice_find(buffer_slice(&replies), 0, SLICE("250 2.0.0 Message 18c0 ")) <
		    replies.len);
	assert_int_equal(session->accepted, 1);
}

static void by_data(void **state)
{
	for (unsigned round = 1; round <= ROUNDS; round++) {
		seed = round;
		start();
		make_text();
		wire_by_data(buffer_slice(&message));
		send_wire();
		assert_arrived();
		finish();
	}
}

static void by_bdat(void **state)
{
	for (unsigned round = 1; round <= ROUNDS; round++) {
		seed = round * 7919;
		start();
		make_text();
		if (dice_roll(&seed, 2)) /* without the end of the last line */
			message.len -= 2;
		wire_by_bdat(buffer_slice(&message), dice_roll(&seed, 2) ? " BODY=8BITMIME" : "");
		send_wire();
		assert_arrived();
		finish();
	}
}

static void binary_by_bdat(void **state)
{
	for (unsigned round = 1; round <= ROUNDS; round++) {
		seed = round * 104729;
		start();
		make_binary();
		wire_by_bdat(buffer_slice(&message), " BODY=BINARYMIME");
		send_wire();
		assert_arrived();
		finish();
	}
}

/* A CR or an LF of its own, somewhere in a text that is fine otherwise. */
static void damage(void)
{
	struct buffer damaged = { 0 };
	struct slice text = buffer_slice(&message);
	static const char *const pieces[] = { "\r", "\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\r\n" };
	const char *piece = pieces[dice_roll(&seed, ARRAY_LEN(pieces))];
	size_t at;

	do /* where it cannot make a pair with its neighbour */
		at = dice_roll(&seed, (uint32_t)text.len + 1);
	while ((at < text.len && text.ptr[at] == '\n') || (at > 0 && text.ptr[at - 1] == '\r'));
	buffer_add(&damaged, slice_sub(text, 0, at));
	buffer_add_cstr(&damaged, piece);
	buffer_add_cstr(&damaged, "x"); /* what follows may begin with LF */
	buffer_add(&damaged, slice_sub(text, at, text.len));
	buffer_free(&message);
	message = damaged;
	/* The true end of DATA stands behind a true line end. */
	buffer_add_cstr(&message, "\r\n");
}

static void smuggling(void **state)
{
	for (unsigned round = 1; round <= ROUNDS; round++) {
		seed = round * 15485863;
		start();
		make_text();
		damage();
		if (dice_roll(&seed, 2)) {
			wire_by_data(buffer_slice(&message));
		} else {
			/* One chunk: those behind a failed one would be refused, too. */
			buffer_add_format(&wire,
					  "MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\n"
					  "BDAT %zu LAST\r\n",
					  message.len);
			buffer_add(&wire, buffer_slice(&message));
		}
		buffer_add_cstr(&wire, "NOOP\r\n");
		send_wire();
		assert_false(fake.is_committed);
		assert_int_equal(session->accepted, 0);
		struct slice got = buffer_slice(&replies);
		size_t at = slice_find(got, 0, SLICE("554 5.6.0 "));
		assert_true(at < got.len);
		/* And the next command is understood, the only thing that comes after. */
		size_t end = slice_find(got, at, SLICE("\r\n")) + 2;
		assert_slice(slice_sub(got, end, got.len), "250 2.0.0 OK\r\n");
		finish();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_data),
		cmocka_unit_test(by_bdat),
		cmocka_unit_test(binary_by_bdat),
		cmocka_unit_test(smuggling),
	};
	log_set_level(LOG_ERROR);
	config = config_with("");
	front = (struct front){ .config = config };
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	config_free(config);
	return status;
}
