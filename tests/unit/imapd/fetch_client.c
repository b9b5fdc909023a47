/* tests/unit/imapd/fetch_client.c - a long FETCH and its client at the other end of a socket. */
#include "tests/unit/imapd/mixed.h"

#include <sys/socket.h>

struct client {
	struct session *session;
	int fd;
	struct buffer heard;
};

static void hear(struct client *client, size_t octets_max)
{
	ssize_t got = recv(client->fd, buffer_reserve(&client->heard, octets_max), octets_max,
			   MSG_DONTWAIT);
	client->heard.len += got > 0 ? (size_t)got : 0;
}

static void say(struct client *client, const char *text)
{
	assert_int_equal(write(client->fd, text, strlen(text)), (ssize_t)strlen(text));
}

static bool has_heard(const struct client *client, const char *part)
{
	struct slice heard = buffer_slice(&client->heard);
	return slice_find(heard, 0, slice_cstr(part)) < heard.len;
}

/* One that has said ALL, and of whose answer the socket has not taken everything. */
static struct client connect_and_wait(void)
{
	static const struct stream_events none;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct client client = { .session = core_sign_in(&world, 7), .fd = pair[1] };
	session_start(client.session, stream_new(world.loop, pair[0], &none, NULL), NULL);
	say(&client, "s SELECT mixed\r\n");
	while (!has_heard(&client, "\r\ns OK")) {
		loop_run_once(world.loop, 1000);
		hear(&client, 65536);
	}
	buffer_clear(&client.heard);
	say(&client, ALL "\r\n");
	while (!client.session->out_waits || client.session->job_out)
		loop_run_once(world.loop, 1000);
	return client;
}

static void client_end(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	while (session_count(world.loop) > 0)
		loop_run_once(world.loop, 1000);
	buffer_free(&client->heard);
}

/* Octets that are held for the client; while no worker is at them. */
static size_t held_for(const struct client *client)
{
	struct session *session = client->session;
	const struct fetch *f = CONTAINER_OF(session, struct imap_session, session)->work;
	return stream_queued(session->stream) + session->out.len + (f ? f->made.len : 0);
}

static void a_slow_reader_keeps_memory_flat(void **state)
{
	struct client client = connect_and_wait();
	size_t most = held_for(&client), at_first = most;
	unsigned slices = atomic_load(&slices_of_workers);
	assert_true(most > 0);
	for (unsigned i = 0; i < 20; i++)
		loop_run_once(world.loop, 1);
	assert_int_equal(held_for(&client), at_first);
	assert_int_equal(atomic_load(&slices_of_workers), slices);
	while (!has_heard(&client, "\r\nf OK")) {
		hear(&client, 20 * 1000);
		loop_run_once(world.loop, 1);
		if (!client.session->job_out && held_for(&client) > most)
			most = held_for(&client);
	}
	assert_true(most <= 2 * AHEAD_MAX_OCTETS + STREAM_HIGH_WATER_OCTETS);
	assert_true(2 * most < want_all.len);
	assert_same(&client.heard, &want_all);
	client_end(&client);
}

static void a_client_that_leaves_is_not_worked_for(void **state)
{
	struct client client = connect_and_wait();
	hear(&client, 100 * 1000);
	unsigned slices = atomic_load(&slices_of_workers);
	close(client.fd);
	client.fd = -1;
	client_end(&client);
	assert_true(atomic_load(&slices_of_workers) <= slices + 3);
}

/* It has closed its side and reads on: all of the answer is for it. */
static void one_that_only_listens_hears_everything(void **state)
{
	struct client client = connect_and_wait();
	shutdown(client.fd, SHUT_WR);
	while (!has_heard(&client, "\r\nf OK")) {
		hear(&client, 65536);
		loop_run_once(world.loop, 1);
	}
	assert_same(&client.heard, &want_all);
	client_end(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_reader_keeps_memory_flat),
		cmocka_unit_test(a_client_that_leaves_is_not_worked_for),
		cmocka_unit_test(one_that_only_listens_hears_everything),
	};
	pool_set_threads(WORKERS);
	return cmocka_run_group_tests(tests, mixed_setup, mixed_teardown);
}
