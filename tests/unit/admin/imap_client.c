/* tests/unit/admin/imap_client.c - a server that does as it likes, in a thread of its own. */
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/imap_client.h"

enum { FIRST_OCTETS = 100 * 1024, ALL_OCTETS = 900 * 1024 };
/* With what a terminal would obey. */
#define REFUSAL                         \
	"NO n\xc3\xb6 \x1b[31m\xc2\x9b" \
	"31m"

struct server {
	int listener;
	uint16_t port;
	pthread_t thread;
	int go_on[2]; /* a pipe: the rest may come */
};

static void say(int fd, const void *octets, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t done = send(fd, (const char *)octets + at, len - at, MSG_NOSIGNAL);
		if (done <= 0)
			return;
		at += (size_t)done;
	}
}

/* A command; false at the end. */
static bool hear(int fd, char line[static 256])
{
	size_t len = 0;
	while (len < 255 && recv(fd, line + len, 1, 0) == 1)
		if (line[len++] == '\n')
			break;
	line[len] = '\0';
	return len > 0;
}

static uint8_t octet_at(size_t i)
{
	return (uint8_t)('a' + i / 7 % 26);
}

static void *serve(void *arg)
{
	struct server *server = arg;
	int fd = accept(server->listener, NULL, NULL);
	static const char greeting[] = "* OK [CAPABILITY IMAP4rev1] ready\r\n";
	static const char fetch[] = "* 1 FETCH (BODY[] {921600}\r\n";
	uint8_t *content = malloc(ALL_OCTETS);
	char c, line[256], done[64];
	for (size_t i = 0; i < ALL_OCTETS; i++)
		content[i] = octet_at(i);
	say(fd, greeting, strlen(greeting));
	while (hear(fd, line)) {
		if (strstr(line, "FETCH")) {
			say(fd, fetch, strlen(fetch));
			say(fd, content, FIRST_OCTETS);
			if (read(server->go_on[0], &c, 1) == 1)
				say(fd, content + FIRST_OCTETS, ALL_OCTETS - FIRST_OCTETS);
			say(fd, ")\r\n", 3);
		}
		snprintf(done, sizeof(done), "%.*s %s\r\n", (int)strcspn(line, " "), line,
			 strstr(line, "LOGIN") ? REFUSAL : "OK done");
		say(fd, done, strlen(done));
	}
	close(fd);
	free(content);
	return NULL;
}

static void server_start(struct server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(server->listener, 1), 0);
	getsockname(server->listener, (struct sockaddr *)&address, &len);
	server->port = ntohs(address.sin_port);
	assert_int_equal(pipe(server->go_on), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

/* A client of a server that has just begun. */
static struct imap_client *client_of(struct server *server, struct loop *loop)
{
	const char *why = NULL;
	server_start(server);
	const struct imap_client_options options = { .host = "127.0.0.1", .port = server->port };
	struct imap_client *client = imap_client_open(loop, &options, &why);
	assert_non_null(client);
	return client;
}

static void end(struct imap_client **client, struct server *server, struct loop *loop)
{
	imap_client_close(client);
	for (int turn = 0; turn < 3; turn++)
		loop_run_once(loop, 0);
	pthread_join(server->thread, NULL);
	close(server->listener);
	close(server->go_on[0]);
	close(server->go_on[1]);
	loop_free(loop);
}

struct taker {
	struct loop *loop;
	struct server *server;
	size_t taken;
	bool differs;
};

/* Like an importer that has to wait for its store: the loop runs on while it looks at the piece. */
static void take(void *user, struct slice octets)
{
	struct taker *taker = user;
	if (taker->taken == 0 && write(taker->server->go_on[1], "x", 1) != 1)
		fail();
	for (int turn = 0; turn < 20; turn++)
		loop_run_once(taker->loop, 10);
	for (size_t i = 0; i < octets.len; i++)
		taker->differs |= octets.ptr[i] != octet_at(taker->taken + i);
	taker->taken += octets.len;
}

static void pieces_last_while_they_are_taken(void **state)
{
	struct server server;
	struct loop *loop = loop_new(0);
	struct imap_client *client = client_of(&server, loop);
	struct taker taker = { .loop = loop, .server = &server };
	const struct imap_events events = { .content = take };
	unsigned tag = imap_client_send(client, "FETCH 1 BODY.PEEK[]");
	assert_int_equal(imap_client_wait(client, tag, &events, &taker), IMAP_OK);
	assert_int_equal(taker.taken, ALL_OCTETS);
	assert_false(taker.differs);
	end(&client, &server, loop);
}

static void a_refusal_is_text_and_no_more(void **state)
{
	struct server server;
	struct loop *loop = loop_new(0);
	struct imap_client *client = client_of(&server, loop);
	assert_false(imap_client_login(client, SLICE("alice"), SLICE("secret")));
	assert_string_equal(imap_client_problem(client),
			    "it refused user or password: n\xc3\xb6 ?[31m?31m");
	end(&client, &server, loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_last_while_they_are_taken),
		cmocka_unit_test(a_refusal_is_text_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
