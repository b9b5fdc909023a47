/* tests/unit/runtime/relay.c - a client under TLS, the relay, and a back played by the test. */
#include "runtime/relay.h"
#include "base/heap.h"
#include "runtime/stream_priv.h"
#include "tests/unit/runtime/tls_client.h"

struct scene {
	struct loop *loop;
	struct tls_client client;
	SSL_CTX *ctx;
	struct stream *stream;
	int back; /* our end of the pair */
	bool secured;
	struct buffer heard; /* by the back */
	bool back_ended;
};

static void on_secured(struct stream *stream)
{
	((struct scene *)stream_user(stream))->secured = true;
}

/* The login: leaves everything for the relay. */
static void on_input(struct stream *stream, struct cursor *in)
{
}

static const struct stream_events login_events = { .input = on_input, .secured = on_secured };

static void turn(struct scene *s, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		tls_client_turn(&s->client, s->loop);
}

static void back_listen(struct scene *s)
{
	for (;;) {
		uint8_t *at = buffer_reserve(&s->heard, 65536);
		ssize_t got = recv(s->back, at, 65536, MSG_DONTWAIT);
		s->back_ended |= got == 0;
		if (got <= 0)
			return;
		s->heard.len += (size_t)got;
	}
}

static void scene_init(struct scene *s, struct slice typed)
{
	int pair[2], back[2];
	*s = (struct scene){ .loop = loop_new(0), .ctx = SSL_CTX_new(TLS_client_method()) };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, back), 0);
	s->back = back[1];
	s->stream = stream_new(s->loop, pair[0], &login_events, s);
	struct tls_context *context = test_context();
	stream_start_tls(s->stream, context);
	tls_context_release(&context);
	tls_client_init(&s->client, s->ctx, pair[1]);
	SSL_do_handshake(s->client.ssl);
	turn(s, 4);
	assert_true(s->secured);
	if (typed.len) {
		tls_client_say(&s->client, typed);
		turn(s, 2);
	}
	relay_start(s->stream, back[0], NULL);
	assert_int_equal(relay_count(s->loop), 1);
}

static void scene_fini(struct scene *s)
{
	tls_client_fini(&s->client);
	if (s->back >= 0)
		close(s->back);
	while (relay_count(s->loop) > 0)
		loop_run_once(s->loop, 10);
	SSL_CTX_free(s->ctx);
	buffer_free(&s->heard);
	loop_free(s->loop);
}

static void say_back(struct scene *s, const char *text)
{
	assert_int_equal(write(s->back, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_both_ways(void **state)
{
	struct scene s;
	scene_init(&s, SLICE("typed early\r\n"));
	turn(&s, 2);
	tls_client_say(&s.client, SLICE("a SELECT INBOX\r\n"));
	say_back(&s, "* 3 EXISTS\r\n");
	turn(&s, 3);
	back_listen(&s);
	assert_slice(buffer_slice(&s.heard), "typed early\r\na SELECT INBOX\r\n");
	assert_slice(buffer_slice(&s.client.heard), "* 3 EXISTS\r\n");
	/* Idle, neither side owns a buffer, nor a deadline. */
	assert_null(s.stream->in.data);
	assert_null(s.stream->out.data);
	assert_int_equal(s.stream->idle_ms, 0);
	scene_fini(&s);
}

static void test_back_ends_with_all_it_said(void **state)
{
	struct scene s;
	scene_init(&s, SLICE_NONE);
	say_back(&s, "* BYE\r\n");
	close(s.back);
	s.back = -1;
	turn(&s, 5);
	assert_slice(buffer_slice(&s.client.heard), "* BYE\r\n");
	assert_true(s.client.ended);
	assert_true(s.client.fin);
	assert_int_equal(relay_count(s.loop), 0);
	scene_fini(&s);
}

/* A client that has said all it wants is still answered. */
static void test_client_half_closes(void **state)
{
	struct scene s;
	scene_init(&s, SLICE_NONE);
	tls_client_say(&s.client, SLICE("a LOGOUT\r\n"));
	SSL_shutdown(s.client.ssl);
	turn(&s, 4);
	back_listen(&s);
	assert_slice(buffer_slice(&s.heard), "a LOGOUT\r\n");
	assert_true(s.back_ended);
	assert_int_equal(relay_count(s.loop), 1);
	say_back(&s, "a OK\r\n");
	close(s.back);
	s.back = -1;
	turn(&s, 5);
	assert_slice(buffer_slice(&s.client.heard), "a OK\r\n");
	assert_int_equal(relay_count(s.loop), 0);
	scene_fini(&s);
}

/* What a client sent before it broke off reaches the back. */
static void test_client_breaks_off(void **state)
{
	struct scene s;
	scene_init(&s, SLICE_NONE);
	tls_client_say(&s.client, SLICE("a EXPUNGE\r\n"));
	tls_client_send(&s.client, SIZE_MAX);
	close(s.client.fd);
	s.client.fd = -1;
	for (unsigned i = 0; i < 4; i++)
		loop_run_once(s.loop, 0);
	back_listen(&s);
	assert_slice(buffer_slice(&s.heard), "a EXPUNGE\r\n");
	assert_true(s.back_ended);
	assert_int_equal(relay_count(s.loop), 0);
	scene_fini(&s);
}

enum { BULK = 6 * 1024 * 1024 };

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

static void assert_pattern(const struct buffer *got)
{
	assert_int_equal(got->len, BULK);
	for (size_t i = 0; i < BULK; i++)
		if (got->data[i] != pattern(i))
			fail_msg("octet %zu differs", i);
}

static void test_bulk_to_slow_client(void **state)
{
	struct scene s;
	uint8_t block[50000];
	size_t sent = 0, most_queued = 0;
	scene_init(&s, SLICE_NONE);
	for (unsigned i = 0; i < 100000 && s.client.heard.len < BULK; i++) {
		for (;;) { /* the back writes whenever it can */
			size_t len = sizeof(block) < BULK - sent ? sizeof(block) : BULK - sent;
			for (size_t at = 0; at < len; at++)
				block[at] = pattern(sent + at);
			ssize_t wrote = len ? send(s.back, block, len, MSG_DONTWAIT) : 0;
			if (wrote <= 0)
				break;
			sent += (size_t)wrote;
		}
		loop_run_once(s.loop, 0);
		if (stream_queued(s.stream) > most_queued)
			most_queued = stream_queued(s.stream);
		if (i % 5 == 4) /* the client does not */
			tls_client_receive(&s.client);
	}
	assert_pattern(&s.client.heard);
	assert_true(most_queued > 0);
	assert_true(most_queued < 80 * 1024); /* one read of the pair and no more */
	assert_null(s.stream->out.data);
	scene_fini(&s);
}

static void test_bulk_to_slow_back(void **state)
{
	struct scene s;
	uint8_t *block = heap_alloc(BULK);
	scene_init(&s, SLICE_NONE);
	for (size_t i = 0; i < BULK; i++)
		block[i] = pattern(i);
	size_t said = 0, taken = 0;
	/* A back that reads nothing stops the client, and no memory of ours grows meanwhile. */
	tls_client_say(&s.client, slice_of(block, 3 << 20));
	said = 3 << 20;
	for (unsigned i = 0; i < 500; i++) {
		taken += tls_client_send(&s.client, SIZE_MAX);
		loop_run_once(s.loop, 0);
	}
	assert_true(taken < 2 << 20);
	for (unsigned i = 0; i < 100000 && s.heard.len < BULK; i++) {
		if (said < BULK && BIO_pending(s.client.to_server) == 0) {
			struct slice part = slice_sub(slice_of(block, BULK), said, 256 * 1024);
			tls_client_say(&s.client, part);
			said += part.len;
		}
		tls_client_send(&s.client, SIZE_MAX);
		loop_run_once(s.loop, 0);
		assert_true(s.stream->in.len <= STREAM_READ_OCTETS + 16 * 1024);
		if (i % 5 == 4)
			back_listen(&s);
	}
	assert_pattern(&s.heard);
	assert_null(s.stream->in.data);
	free(block);
	scene_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_back_ends_with_all_it_said),
		cmocka_unit_test(test_client_half_closes),
		cmocka_unit_test(test_client_breaks_off),
		cmocka_unit_test(test_bulk_to_slow_client),
		cmocka_unit_test(test_bulk_to_slow_back),
	};
	return cmocka_run_group_tests(tests, NULL, test_certificate_free);
}
