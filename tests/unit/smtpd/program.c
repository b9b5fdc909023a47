/* tests/unit/smtpd/program.c - users of this machine at the socket of [listen] sendmail: as whom they
 * send, what becomes of what they send, and that none of them keeps the others out. */
#include "tests/unit/smtpd/back_bed.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/octets.h"
#include "runtime/program_message.h"
#include "smtpd/smtpd.h"
#include "storage/blob.h"
#include "storage/submission.h"

enum { WWW = 33, ALICE = 1000, EVE = 1001, NOT_ANSWERED = 255 };

static struct config *config;
static struct program_desk *desk;
static struct buffer text; /* of the newest in the queue */

static enum err add_others(struct write *write, void *arg)
{
	const struct slice alices = SLICE("alice@example.org");
	uint32_t bob;
	enum err err = account_add(write, SLICE("bob"), SLICE("example.org"), SLICE("-"), &bob);
	if (err == ERR_OK)
		err = alias_set(write, SLICE("www-data"), SLICE("example.org"), &alices, 1);
	if (err == ERR_OK)
		err = alias_set(write, SLICE("sales"), SLICE("example.org"), &alices, 1);
	if (err == ERR_OK) /* the catch-all */
		err = alias_set(write, SLICE(""), SLICE("example.org"), &alices, 1);
	return err == ERR_OK
		       ? domain_set_alias(write, SLICE("other-name.example"), SLICE("example.org"))
		       : err;
}

static int begin(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	assert_int_equal(bed_write(&bed, add_others, NULL), ERR_OK);
	back_begin(config);
	desk = program_desk_new(&back);
	return 0;
}

static int end(void **state)
{
	clock_set_fake_unix_ms(-1);
	program_desk_stop(desk);
	while (!program_desk_is_empty(desk))
		loop_run_once(back.loop, 20);
	program_desk_free(&desk);
	back_end();
	buffer_free(&text);
	return 0;
}

/* ---- a program ---- */

static int connect_as(uint32_t uid, const char *user)
{
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	program_desk_take(desk, ends[1], uid, slice_cstr(user));
	return ends[0];
}

static void say(int fd, struct slice octets)
{
	assert_int_equal(send(fd, octets.ptr, octets.len, MSG_NOSIGNAL), octets.len);
}

static void add_head(const char *from, const char *const *to, const char *fallback, size_t count,
		     size_t size_octets, struct buffer *out)
{
	const struct program_message message = { .reverse_path = slice_cstr(from),
						 .size_octets = size_octets,
						 .recipient_count = (uint32_t)count };
	struct buffer head = { 0 };
	program_encode(&message, &head);
	for (size_t i = 0; i < count; i++)
		program_encode_recipient(
			&(struct program_recipient){ .forward_path = slice_cstr(to[i]),
						     .fallback = slice_cstr(fallback) },
			&head);
	buffer_add_be32(out, (uint32_t)head.len);
	buffer_add(out, buffer_slice(&head));
	buffer_free(&head);
}

/* What comes until the other side closes; -1: it does not, yet. */
static int listen_to(int fd, uint8_t *answer, size_t room)
{
	for (size_t len = 0;;) {
		ssize_t got = recv(fd, answer + len, room - len, MSG_DONTWAIT);
		if (got == 0)
			return (int)len;
		if (got < 0)
			return -1;
		len += (size_t)got;
		if (len == room)
			return (int)len;
	}
}

static size_t wait_for_answer(int fd, uint8_t *answer, size_t room)
{
	int len;
	while ((len = listen_to(fd, answer, room)) < 0)
		loop_run_once(back.loop, 100);
	close(fd);
	return (size_t)len;
}

static enum err send_to(uint32_t uid, const char *user, const char *from, const char *to,
			const char *fallback, struct slice octets)
{
	struct buffer all = { 0 };
	uint8_t answer = NOT_ANSWERED;
	int fd = connect_as(uid, user);
	add_head(from, &to, fallback, 1, octets.len, &all);
	buffer_add(&all, octets);
	say(fd, buffer_slice(&all));
	buffer_free(&all);
	wait_for_answer(fd, &answer, 1);
	return (enum err)answer;
}

static enum err send_text(uint32_t uid, const char *user, const char *from, const char *octets)
{
	return send_to(uid, user, from, "x@far.example", "", slice_cstr(octets));
}

/* The newest entry of the queue, until the next; its message is in `text`. */
static const struct queue_entry *newest(void)
{
	static struct queue_entry entry;
	struct queue_entry next;
	uint64_t queue_id = 0;
	struct read *read = read_begin(bed.store);
	while (queue_next(read, &queue_id, &bed.arena, &next))
		entry = next;
	buffer_clear(&text);
	assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &text), ERR_OK);
	read_end(&read);
	return &entry;
}

static bool has(const char *words)
{
	newest();
	return slice_find(buffer_slice(&text), 0, slice_cstr(words)) < text.len;
}

static uint32_t messages_today(uint32_t account_id)
{
	struct submission_usage usage;
	struct read *read = read_begin(bed.store);
	assert_int_equal(submission_usage(read, account_id, &usage), ERR_OK);
	read_end(&read);
	return usage.messages;
}

#define MAIL "Subject: x\r\n\r\nhello\r\n"

/* ---- as whom ---- */

static void who_reads_his_mail_is_not_who_he_is(void **state)
{
	/* By an alias, the catch-all, a detail, a role. */
	static const char *const users[] = { "www-data", "backup", "alice+x", "postmaster" };
	for (size_t i = 0; i < ARRAY_LEN(users); i++) {
		assert_int_equal(send_text(WWW, users[i], "alice@example.org", MAIL),
				 ERR_BAD_INPUT);
		assert_int_equal(send_text(WWW, users[i], "sales@example.org", MAIL),
				 ERR_BAD_INPUT);
		assert_int_equal(send_text(WWW, users[i], "", MAIL), ERR_OK);
		assert_int_equal(newest()->account_id, 0);
	}
	assert_int_equal(send_text(WWW, "www-data", "www-data@example.org", MAIL), ERR_OK);
	assert_int_equal(send_text(WWW, "www-data", "WWW-Data@MX.example.org", MAIL), ERR_OK);
	assert_int_equal(messages_today(bed.account_id), 0);
	/* She has the account. */
	assert_int_equal(send_text(ALICE, "alice", "sales@example.org", MAIL), ERR_OK);
	assert_int_equal(newest()->account_id, bed.account_id);
	assert_int_equal(messages_today(bed.account_id), 1);
	assert_int_equal(send_text(ALICE, "alice", "bob@example.org", MAIL), ERR_BAD_INPUT);
}

static void an_account_has_its_address_in_each_name_of_its_domain(void **state)
{
	char *origin = config->origin;
	config->origin = (char[]){ "Other-Name.example" };
	assert_int_equal(send_text(ALICE, "alice", "sales@example.org", MAIL), ERR_OK);
	assert_int_equal(send_text(WWW, "www-data", "sales@example.org", MAIL), ERR_BAD_INPUT);
	assert_int_equal(send_text(WWW, "www-data", "www-data@other-name.example", MAIL), ERR_OK);
	config->origin = origin;
}

static void the_author_is_who_sends(void **state)
{
	static const char *const own[] = {
		"From: www-data@example.org\r\n" MAIL,
		"From: The web <WWW-DATA@mx.example.org>\r\n" MAIL,
		"From: www-data (Cron Daemon)\r\n" MAIL,
		MAIL,
	};
	static const char *const others[] = {
		"From: alice@example.org\r\n" MAIL,
		"From: www-data@example.org, alice@example.org\r\n" MAIL,
		"From: alice (Cron Daemon)\r\n" MAIL,
		"From: boss@far.example\r\n" MAIL,
		"From:\r\n" MAIL,
		"From: <alice@example.org>", /* all of it */
	};
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		assert_int_equal(send_text(WWW, "www-data", "", own[i]), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_int_equal(send_text(WWW, "www-data", "", others[i]), ERR_BAD_INPUT);
		assert_int_equal(send_text(0, "root", "", others[i]), ERR_OK);
	}
	assert_int_equal(send_text(ALICE, "alice", "", "From: sales@example.org\r\n" MAIL), ERR_OK);
	assert_int_equal(send_text(ALICE, "alice", "", "From: bob@example.org\r\n" MAIL),
			 ERR_BAD_INPUT);
}

static void the_header_is_completed(void **state)
{
	static const char with_bcc[] = "Bcc: bob@far.example\r\nSubject: x\r\n\r\nhello\r\n";
	assert_int_equal(send_text(WWW, "www-data", "", with_bcc), ERR_OK);
	assert_false(has("Bcc"));
	assert_true(has("\r\nFrom: <www-data@example.org>\r\n"));
	assert_true(has("\r\nDate: "));
	assert_true(has("\r\nMessage-ID: <"));
	assert_true(has("\r\n\r\nhello\r\n"));
	assert_int_equal(send_text(WWW, "www-data", "www-data@mx.example.org", "\r\nno header\r\n"),
			 ERR_OK);
	assert_true(has("\r\nFrom: <www-data@mx.example.org>\r\n"));
	assert_true(has("\r\n\r\nno header\r\n"));
	assert_int_equal(send_text(0, "root", "", with_bcc), ERR_OK);
	assert_false(has("Bcc"));
	assert_true(has("\r\nFrom: <root@example.org>\r\n"));
}

/* ---- what it is ---- */

/* A server that takes a bare LF for the end of a line would find commands in it. */
static void a_line_ends_with_crlf_alone(void **state)
{
	static const char *const bad[] = {
		"Subject: x\r\n\r\nhello\n.\r\nMAIL FROM:<boss@example.org>\r\n",
		"Subject: x\r\n\r\nhello\r\n.\nMAIL FROM:<boss@example.org>\r\n",
		"Subject: x\r\n\r\nhello\r.\r\n",
		"Subject: x\n\r\nhello\r\n",
		"Subject: x\r\n\r\nhello\r",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(send_text(0, "root", "", bad[i]), ERR_LINE_END);
	assert_int_equal(send_text(0, "root", "", "Subject: x\r\n\r\n.\r\nhello\r\n..\r\n"),
			 ERR_OK);
	assert_true(has("\r\n\r\n.\r\nhello\r\n..\r\n"));
}

static void what_goes_round_in_circles_is_refused(void **state)
{
	struct buffer loop = { 0 };
	for (unsigned i = 0; i < 101; i++)
		buffer_add_cstr(&loop, "Received: by x; now\r\n");
	buffer_add_cstr(&loop, MAIL);
	assert_int_equal(send_to(0, "root", "", "x@far.example", "", buffer_slice(&loop)),
			 ERR_LOOP);
	buffer_free(&loop);
}

static void its_form_is_what_it_is(void **state)
{
	static const char name[] = "x@far.example";
	char long_path[256] = { 0 };
	assert_int_equal(send_to(0, "root", "", name, "", SLICE(MAIL)), ERR_OK);
	assert_int_equal(newest()->envelope.body, ENVELOPE_7BIT);
	assert_false(newest()->envelope.is_utf8);
	assert_int_equal(send_to(0, "root", "", name, "", SLICE(MAIL "b\xc3\xb6s\r\n")), ERR_OK);
	assert_int_equal(newest()->envelope.body, ENVELOPE_8BITMIME);
	assert_false(newest()->envelope.is_utf8);
	/* A length above 127 is no letter. */
	memset(long_path, 'x', 60);
	long_path[60] = '@';
	for (size_t i = 61; i < 180; i++)
		long_path[i] = i % 40 == 39 ? '.' : 'x';
	snprintf(long_path + 180, sizeof(long_path) - 180, ".example");
	assert_int_equal(send_to(0, "root", "", long_path, "", SLICE(MAIL)), ERR_OK);
	assert_false(newest()->envelope.is_utf8);
	assert_int_equal(send_to(0, "root", "", "b\xc3\xb6@far.example", "", SLICE(MAIL)), ERR_OK);
	assert_true(newest()->envelope.is_utf8);
}

static void the_trace_names_who_gets_it(void **state)
{
	assert_int_equal(send_to(0, "root", "", "x y", "x@far.example", SLICE(MAIL)), ERR_OK);
	assert_true(has("\tfor <x@far.example>;"));
	assert_false(has("x y"));
}

static void too_many_recipients_are_told_so(void **state)
{
	enum { MANY = 101 };
	static const char *paths[MANY];
	uint8_t answers[MANY + 1];
	struct buffer all = { 0 };
	for (size_t i = 0; i < MANY; i++)
		paths[i] = "x@far.example";
	for (size_t count = MANY - 1; count <= MANY; count++) {
		int fd = connect_as(EVE, "eve");
		buffer_clear(&all);
		add_head("", paths, "", count, strlen(MAIL), &all);
		buffer_add_cstr(&all, MAIL);
		say(fd, buffer_slice(&all));
		assert_int_equal(wait_for_answer(fd, answers, count), count);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(answers[i], count < MANY ? ERR_OK : ERR_LIMIT);
	}
	buffer_free(&all);
}

/* ---- places ---- */

static bool is_open(int fd)
{
	uint8_t octet;
	for (unsigned i = 0; i < 3; i++)
		loop_run_once(back.loop, 20);
	return listen_to(fd, &octet, 1) < 0;
}

static void nobody_takes_all_places(void **state)
{
	enum { TRIES = 120 };
	int fds[TRIES];
	unsigned taken = 0;
	for (size_t i = 0; i < TRIES; i++) {
		fds[i] = connect_as(EVE, "eve");
		uint8_t octet;
		taken += listen_to(fds[i], &octet, 1) < 0;
	}
	assert_in_range(taken, 10, TRIES - 10);
	assert_int_equal(send_text(WWW, "www-data", "", MAIL), ERR_OK);
	int others[] = { connect_as(ALICE, "alice"), connect_as(WWW, "www-data"),
			 connect_as(WWW, "www-data") };
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_true(is_open(others[i]));
		close(others[i]);
	}
	for (size_t i = 0; i < TRIES; i++)
		close(fds[i]);
}

static void some_places_are_roots_alone(void **state)
{
	enum { USERS = 100 };
	int fds[USERS];
	for (uint32_t user = 0; user < USERS; user++)
		fds[user] = connect_as(EVE + user, "eve");
	int fd = connect_as(ALICE, "alice");
	assert_false(is_open(fd));
	close(fd);
	assert_int_equal(send_text(0, "root", "", MAIL), ERR_OK);
	for (size_t i = 0; i < USERS; i++)
		close(fds[i]);
}

/* Of those who have no name, and one number together. */
static void who_is_refused_is_named(void **state)
{
	enum { TRIES = 100 };
	int fds[TRIES], log = memfd_create("log", 0), stderr_fd = dup(STDERR_FILENO);
	char said[1000] = { 0 };
	dup2(log, STDERR_FILENO);
	log_set_level(LOG_WARNING);
	for (size_t i = 0; i < TRIES; i++)
		fds[i] = connect_as(UINT32_MAX, "uid100234");
	log_set_level(LOG_ERROR);
	dup2(stderr_fd, STDERR_FILENO);
	close(stderr_fd);
	assert_true(pread(log, said, sizeof(said) - 1, 0) > 0);
	close(log);
	assert_non_null(strstr(said, "event=program-refused"));
	assert_non_null(strstr(said, "uid100234"));
	for (size_t i = 0; i < TRIES; i++)
		close(fds[i]);
}

static void who_dribbles_loses_his_place(void **state)
{
	struct buffer all = { 0 };
	int64_t now_ms = 1000 * 1000;
	clock_set_fake_unix_ms(now_ms);
	int fd = connect_as(EVE, "eve");
	/* An octet of the head at a time. */
	say(fd, SLICE("\0"));
	assert_true(is_open(fd));
	clock_set_fake_unix_ms(now_ms += 59 * 1000);
	say(fd, SLICE("\0"));
	assert_true(is_open(fd));
	clock_set_fake_unix_ms(now_ms += 2 * 1000);
	say(fd, SLICE("\0"));
	assert_false(is_open(fd));
	close(fd);
	/* Content: what comes with the rate that is asked for goes on, minute by minute. */
	const char *to = "x@far.example";
	fd = connect_as(EVE, "eve");
	add_head("", &to, "", 1, 100000, &all);
	say(fd, buffer_slice(&all));
	assert_true(is_open(fd));
	buffer_clear(&all);
	buffer_add_cstr(&all, "Subject: x\r\n\r\n");
	while (all.len < 4000)
		buffer_add_cstr(&all, "0123456789\r\n");
	for (unsigned minute = 0; minute < 3; minute++) {
		say(fd, buffer_slice(&all));
		assert_true(is_open(fd));
		clock_set_fake_unix_ms(now_ms += 61 * 1000);
		say(fd, SLICE("x"));
		assert_true(is_open(fd));
	}
	clock_set_fake_unix_ms(now_ms + 61 * 1000);
	say(fd, SLICE("x"));
	assert_false(is_open(fd));
	close(fd);
	buffer_free(&all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_reads_his_mail_is_not_who_he_is),
		TEST(an_account_has_its_address_in_each_name_of_its_domain),
		TEST(the_author_is_who_sends),
		TEST(the_header_is_completed),
		TEST(a_line_ends_with_crlf_alone),
		TEST(what_goes_round_in_circles_is_refused),
		TEST(its_form_is_what_it_is),
		TEST(the_trace_names_who_gets_it),
		TEST(too_many_recipients_are_told_so),
		TEST(nobody_takes_all_places),
		TEST(some_places_are_roots_alone),
		TEST(who_is_refused_is_named),
		TEST(who_dribbles_loses_his_place),
	};
	log_set_level(LOG_ERROR);
	config = config_with("[addresses]\norigin = example.org\n[limits]\nrecipients = 100\n");
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	config_free(config);
	return status;
}
