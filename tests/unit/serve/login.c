/* tests/unit/serve/login.c - signing in, seen from the front's end of the channel, over a real
 * store: who gets a token, who does not, and what a token is good for. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/password.h"
#include "base/heap.h"
#include "runtime/messages.h"
#include "serve/login_priv.h"
#include "storage/account.h"
#include "tests/folder.h"

static char exempt_network[] = "10.0.0.0/8";
static char *exempt[] = { exempt_network };
static const struct config config = {
	.exempt = exempt,
	.exempt_count = 1,
	.idle_imap_seconds = 1800,
	.idle_pop3_seconds = 600,
};

/* Both ends of a channel on one loop: the desk's, and that of a front made of plastic. */
struct bench {
	char dir[FOLDER_PATH_OCTETS];
	struct loop *loop;
	struct store *store;
	struct back back;
	struct login *login;
	struct login_desk *desk;
	struct channel *back_end, *front_end;
	bool broken; /* the desk has refused a message */
	unsigned answers;
	struct authenticated_message last;
};

struct set_up_job {
	struct job job;
	struct slice hash;
	uint32_t account_id;
};

static enum err set_up(struct write *write, struct job *job)
{
	struct set_up_job *set_up_job = CONTAINER_OF(job, struct set_up_job, job);
	enum err err = domain_add(write, SLICE("example.org"));
	if (err == ERR_OK)
		err = account_add(write, SLICE("alice"), SLICE("example.org"), set_up_job->hash,
				  &set_up_job->account_id);
	return err;
}

static void on_question(struct channel *channel, uint16_t type, uint32_t conversation,
			struct slice payload, int fd)
{
	struct bench *b = channel_user(channel);
	if (!login_desk_message(b->desk, type, conversation, payload, fd))
		b->broken = true;
}

static void on_answer(struct channel *channel, uint16_t type, uint32_t conversation,
		      struct slice payload, int fd)
{
	struct bench *b = channel_user(channel);
	assert_int_equal(type, MESSAGE_AUTHENTICATED);
	assert_true(authenticated_decode(payload, &b->last));
	b->answers++;
}

static void on_closed(struct channel *channel)
{
}

static const struct channel_events back_events = { .message = on_question, .closed = on_closed };
static const struct channel_events front_events = { .message = on_answer, .closed = on_closed };

static int bench_make(void **state)
{
	struct bench *b = heap_alloc(sizeof(*b));
	struct set_up_job job = { .job = { .run = set_up } };
	struct buffer hash = { NULL };
	const char *why;
	int ends[2];
	folder_make(b->dir, "login");
	password_start();
	assert_int_equal(password_hash(SLICE("secret"), &hash), ERR_OK);
	job.hash = buffer_slice(&hash);
	assert_int_equal(store_open(b->dir, STORE_CREATE, &b->store, &why), ERR_OK);
	assert_int_equal(store_write_now(b->store, &job.job), ERR_OK);
	buffer_free(&hash);

	b->loop = loop_new(0);
	b->back = (struct back){ .loop = b->loop, .store = b->store, .config = &config };
	b->login = login_new(&config);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	b->back_end = channel_new(b->loop, ends[0], &back_events, b);
	b->front_end = channel_new(b->loop, ends[1], &front_events, b);
	b->desk = login_desk_new(b->login, &b->back, b->back_end);
	*state = b;
	return 0;
}

static int bench_break(void **state)
{
	struct bench *b = *state;
	login_desk_free(&b->desk);
	channel_free(&b->back_end);
	channel_free(&b->front_end);
	for (int i = 0; i < 10; i++)
		loop_run_once(b->loop, 10);
	login_free(&b->login);
	store_close(&b->store);
	loop_free(b->loop);
	folder_remove(b->dir);
	free(b);
	return 0;
}

static void ask(struct bench *b, uint8_t host, const char *authorize_as, const char *user,
		const char *password)
{
	struct authenticate_message message = {
		.client = { .peer = { .family = 4, .address = { host, 0, 2, 7 } }, .secure = true },
		.protocol = PROTOCOL_IMAP,
		.authorize_as = slice_cstr(authorize_as),
		.login = slice_cstr(user),
		.password = slice_cstr(password),
	};
	struct buffer payload = { NULL };
	authenticate_encode(&message, &payload);
	channel_send(b->front_end, MESSAGE_AUTHENTICATE, 7, buffer_slice(&payload), -1);
	buffer_free(&payload);
}

static void wait_for(struct bench *b, unsigned answers)
{
	while (b->answers < answers && !b->broken)
		loop_run_once(b->loop, 1000);
	assert_false(b->broken);
}

static enum err outcome_of(struct bench *b, const char *authorize_as, const char *user,
			   const char *password)
{
	unsigned before = b->answers;
	ask(b, 10, authorize_as, user, password);
	wait_for(b, before + 1);
	assert_int_equal(token_is_set(&b->last.token), b->last.outcome == ERR_OK);
	return b->last.outcome;
}

static void right_password_gets_a_token(void **state)
{
	struct bench *b = *state;
	struct token_owner owner;
	assert_int_equal(outcome_of(b, "", "alice@example.org", "secret"), ERR_OK);
	assert_true(token_find(login_tokens(b->login), &b->last.token, &owner));
	assert_int_equal(owner.protocol, PROTOCOL_IMAP);
	assert_string_equal(owner.login, "alice@example.org");
	/* In any spelling of the address, and from memory the second time. */
	assert_int_equal(outcome_of(b, "", "Alice@EXAMPLE.org", "secret"), ERR_OK);
	assert_int_equal(outcome_of(b, "alice@example.org", "alice@example.org", "secret"), ERR_OK);
}

static void others_get_none(void **state)
{
	struct bench *b = *state;
	assert_int_equal(outcome_of(b, "", "alice@example.org", "Secret"), ERR_DENIED);
	assert_int_equal(outcome_of(b, "", "alice@example.org", ""), ERR_DENIED);
	assert_int_equal(outcome_of(b, "", "bob@example.org", "secret"), ERR_DENIED);
	assert_int_equal(outcome_of(b, "", "bob@example.org", ""), ERR_DENIED);
	assert_int_equal(outcome_of(b, "", "alice", "secret"), ERR_DENIED);
	assert_int_equal(outcome_of(b, "", "", ""), ERR_DENIED);
	assert_int_equal(outcome_of(b, "", "alice@elsewhere.example", "secret"), ERR_DENIED);
	/* Nobody signs in for somebody else, whatever his own password. */
	assert_int_equal(outcome_of(b, "bob@example.org", "alice@example.org", "secret"),
			 ERR_DENIED);
	assert_int_equal(outcome_of(b, "alice@example.org", "bob@example.org", "secret"),
			 ERR_DENIED);
}

static void guesses_are_counted(void **state)
{
	struct bench *b = *state;
	unsigned refused = 0, asked = 1;
	assert_int_equal(outcome_of(b, "", "alice@example.org", "secret"), ERR_OK);
	for (unsigned i = 0; i < 5; i++) {
		ask(b, 192, "", "alice@example.org", "guess");
		wait_for(b, ++asked);
		refused += b->last.outcome == ERR_DENIED;
	}
	assert_int_equal(refused, 5);
	/* Now this address waits; an exempt one that asks later is answered before. */
	ask(b, 192, "", "alice@example.org", "guess");
	assert_int_equal(outcome_of(b, "", "alice@example.org", "secret"), ERR_OK);
	wait_for(b, asked + 2);
}

static void send_session(struct bench *b, const struct token *token, enum mail_protocol protocol,
			 int fd)
{
	struct session_message message = {
		.client = { .peer = { .family = 4, .address = { 10 } }, .secure = true },
		.protocol = protocol,
		.token = *token,
		.tag = SLICE("a"),
	};
	struct buffer payload = { NULL };
	session_message_encode(&message, &payload);
	channel_send(b->front_end, MESSAGE_SESSION, 0, buffer_slice(&payload), fd);
	buffer_free(&payload);
}

/* True when the back has closed its end without a word. */
static bool is_turned_away(struct bench *b, const struct token *token, enum mail_protocol protocol)
{
	int ends[2];
	char octet;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	send_session(b, token, protocol, ends[1]);
	ssize_t len = -1;
	for (int i = 0; i < 100 && len < 0; i++) {
		loop_run_once(b->loop, 10);
		len = recv(ends[0], &octet, 1, MSG_PEEK);
	}
	close(ends[0]);
	return len == 0;
}

static void tokens_are_for_one_session_of_their_protocol(void **state)
{
	struct bench *b = *state;
	struct token never = { { 1, 2, 3 } };
	assert_true(is_turned_away(b, &never, PROTOCOL_IMAP));
	assert_int_equal(outcome_of(b, "", "alice@example.org", "secret"), ERR_OK);
	struct token token = b->last.token;
	assert_true(is_turned_away(b, &token, PROTOCOL_POP3));
	assert_false(is_turned_away(b, &token, PROTOCOL_IMAP)); /* "a OK ..." */
	assert_true(is_turned_away(b, &token, PROTOCOL_IMAP));
	assert_false(b->broken);

	assert_int_equal(outcome_of(b, "", "alice@example.org", "secret"), ERR_OK);
	struct buffer payload = { NULL };
	token = b->last.token;
	forget_token_encode(&token, &payload);
	channel_send(b->front_end, MESSAGE_FORGET_TOKEN, 0, buffer_slice(&payload), -1);
	buffer_free(&payload);
	assert_true(is_turned_away(b, &token, PROTOCOL_IMAP));
	for (int i = 0; i < 20; i++) /* the session that began sees its client leave */
		loop_run_once(b->loop, 10);
}

static void broken_messages_end_the_channel(void **state)
{
	struct bench *b = *state;
	int ends[2];
	assert_false(login_desk_message(b->desk, MESSAGE_AUTHENTICATE, 1, SLICE("x"), -1));
	assert_false(login_desk_message(b->desk, MESSAGE_SESSION, 1, SLICE_NONE, -1));
	assert_false(login_desk_message(b->desk, MESSAGE_FORGET_TOKEN, 1, SLICE("short"), -1));
	assert_false(login_desk_message(b->desk, 99, 1, SLICE_NONE, -1));
	assert_int_equal(pipe(ends), 0);
	assert_false(login_desk_message(b->desk, MESSAGE_SESSION, 1, SLICE("x"), ends[0]));
	assert_false(login_desk_message(b->desk, MESSAGE_AUTHENTICATE, 1, SLICE("x"), ends[1]));
	assert_int_equal(close(ends[0]), -1); /* both were closed */
	assert_int_equal(close(ends[1]), -1);
}

/* The channel ends while the pool is at work: nothing is answered, nothing is leaked. */
static void checks_outlive_their_channel(void **state)
{
	struct bench *b = *state;
	for (int i = 0; i < 3; i++)
		ask(b, 10, "", "alice@example.org", "guess");
	channel_flush(b->front_end);
	loop_run_once(b->loop, 100);
	login_desk_free(&b->desk);
	b->desk = login_desk_new(b->login, &b->back, b->back_end);
	assert_int_equal(outcome_of(b, "", "alice@example.org", "secret"), ERR_OK);
	assert_int_equal(b->answers, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(right_password_gets_a_token, bench_make,
						bench_break),
		cmocka_unit_test_setup_teardown(others_get_none, bench_make, bench_break),
		cmocka_unit_test_setup_teardown(guesses_are_counted, bench_make, bench_break),
		cmocka_unit_test_setup_teardown(tokens_are_for_one_session_of_their_protocol,
						bench_make, bench_break),
		cmocka_unit_test_setup_teardown(broken_messages_end_the_channel, bench_make,
						bench_break),
		cmocka_unit_test_setup_teardown(checks_outlive_their_channel, bench_make,
						bench_break),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
