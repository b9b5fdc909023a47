/* tests/unit/runtime/tls.c - streams under TLS against a client in memory, contexts, and the
 * self-signed certificate. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/heap.h"
#include "runtime/stream_priv.h"
#include "tests/unit/runtime/tls_client.h"

struct server {
	struct loop *loop;
	struct stream *stream;
	struct buffer seen;
	unsigned secured, ended, timeouts, drained;
	size_t seen_when_secured;
	enum stream_end how;
	struct tls_context *starttls; /* a line "STARTTLS" begins it */
	bool close_when_secured;
};

static void on_input(struct stream *stream, struct cursor *in)
{
	struct server *server = stream_user(stream);
	struct slice line;
	if (server->starttls && take_crlf_line(in, &line)) {
		assert_slice(line, "STARTTLS");
		stream_write(stream, SLICE("220 go ahead\r\n"));
		stream_start_tls(stream, server->starttls);
		tls_context_release(&server->starttls);
		return;
	}
	buffer_add(&server->seen, cursor_rest(in));
	in->at = in->end;
}

static void on_drained(struct stream *stream)
{
	((struct server *)stream_user(stream))->drained++;
}

static void on_secured(struct stream *stream)
{
	struct server *server = stream_user(stream);
	server->secured++;
	server->seen_when_secured = server->seen.len;
	if (server->close_when_secured) {
		stream_close(stream);
		server->stream = NULL;
	}
}

static void on_timeout(struct stream *stream)
{
	((struct server *)stream_user(stream))->timeouts++;
}

static void on_ended(struct stream *stream, enum stream_end how)
{
	struct server *server = stream_user(stream);
	server->ended++;
	server->how = how;
}

static const struct stream_events events = { on_input, on_drained, on_secured, on_timeout,
					     on_ended };

static void leave_all(struct stream *stream, struct cursor *in)
{
}

static const struct stream_events leave_events = { .input = leave_all };

struct scene {
	struct server server;
	struct tls_client client;
	SSL_CTX *ctx;
};

static void scene_init(struct scene *s, bool implicit)
{
	int pair[2];
	*s = (struct scene){ .server.loop = loop_new(0), .ctx = SSL_CTX_new(TLS_client_method()) };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	s->server.stream = stream_new(s->server.loop, pair[0], &events, &s->server);
	if (implicit) {
		struct tls_context *context = test_context();
		stream_start_tls(s->server.stream, context);
		tls_context_release(&context); /* the stream has what it needs */
	}
	tls_client_init(&s->client, s->ctx, pair[1]);
}

static void scene_fini(struct scene *s)
{
	if (s->server.stream)
		stream_abort(s->server.stream);
	tls_client_fini(&s->client);
	tls_context_release(&s->server.starttls);
	buffer_free(&s->server.seen);
	SSL_CTX_free(s->ctx);
	loop_free(s->server.loop);
}

static void turn(struct scene *s, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		tls_client_turn(&s->client, s->server.loop);
}

static void shake(struct scene *s)
{
	SSL_do_handshake(s->client.ssl);
	turn(s, 4);
	assert_int_equal(s->server.secured, 1);
	assert_true(stream_is_secure(s->server.stream));
}

static void test_versions(void **state)
{
	static const struct {
		uint16_t version;
		const char *name;
	} rows[] = { { TLS1_2_VERSION, "TLSv1.2" }, { TLS1_3_VERSION, "TLSv1.3" } };
	for (size_t i = 0; i < 2; i++) {
		struct scene s;
		scene_init(&s, true);
		SSL_set_min_proto_version(s.client.ssl, rows[i].version);
		SSL_set_max_proto_version(s.client.ssl, rows[i].version);
		assert_null(stream_tls_version(s.server.stream));
		shake(&s);
		assert_string_equal(stream_tls_version(s.server.stream), rows[i].name);
		assert_string_equal(stream_tls_cipher(s.server.stream),
				    SSL_CIPHER_standard_name(SSL_get_current_cipher(s.client.ssl)));
		tls_client_say(&s.client, SLICE("hello"));
		stream_write(s.server.stream, SLICE("world"));
		turn(&s, 2);
		assert_slice(buffer_slice(&s.server.seen), "hello");
		assert_slice(buffer_slice(&s.client.heard), "world");
		/* Idle, it owns no buffer. */
		assert_null(s.server.stream->in.data);
		assert_null(s.server.stream->out.data);
		assert_null(s.server.stream->early.data);
		scene_fini(&s);
	}
}

static void test_old_version_is_refused(void **state)
{
	struct scene s;
	scene_init(&s, true);
	SSL_set_min_proto_version(s.client.ssl, TLS1_VERSION);
	SSL_set_max_proto_version(s.client.ssl, TLS1_1_VERSION);
	SSL_do_handshake(s.client.ssl);
	turn(&s, 4);
	assert_int_equal(s.server.secured, 0);
	assert_int_equal(s.server.ended, 1);
	assert_int_equal(s.server.how, STREAM_TLS);
	scene_fini(&s);
}

/* A first command that arrives in one piece with the client's Finished is seen at once: no
 * further octet comes that could wake the poll. */
static void test_command_with_finished(void **state)
{
	struct scene s;
	scene_init(&s, true);
	SSL_do_handshake(s.client.ssl);
	tls_client_send(&s.client, SIZE_MAX);
	loop_run_once(s.server.loop, 0);
	loop_run_once(s.server.loop, 0);
	tls_client_receive(&s.client); /* makes Finished, does not send it */
	assert_int_equal(s.server.secured, 0);
	tls_client_say(&s.client, SLICE("a NOOP\r\n"));
	tls_client_say(&s.client, SLICE("b NOOP\r\n"));
	tls_client_send(&s.client, SIZE_MAX);
	loop_run_once(s.server.loop, 0);
	assert_int_equal(s.server.secured, 1);
	assert_int_equal(s.server.seen_when_secured, 0);
	assert_slice(buffer_slice(&s.server.seen), "a NOOP\r\nb NOOP\r\n");
	scene_fini(&s);
}

static void test_octet_by_octet(void **state)
{
	struct scene s;
	scene_init(&s, true);
	SSL_do_handshake(s.client.ssl);
	for (unsigned i = 0; i < 20000 && !s.server.secured; i++) {
		tls_client_send(&s.client, 1);
		loop_run_once(s.server.loop, 0);
		tls_client_receive(&s.client);
	}
	assert_int_equal(s.server.secured, 1);
	tls_client_say(&s.client, SLICE("one"));
	tls_client_say(&s.client, SLICE("two"));
	while (tls_client_send(&s.client, 1))
		loop_run_once(s.server.loop, 0);
	loop_run_once(s.server.loop, 0);
	assert_slice(buffer_slice(&s.server.seen), "onetwo");
	scene_fini(&s);
}

/* The memory of a begun record is watched, whatever the cut; a complete one is not. */
static void test_partial_record_is_watched(void **state)
{
	struct scene s;
	scene_init(&s, true);
	shake(&s);
	struct stream *stream = s.server.stream;
	assert_int_equal(stream->since_ms, 0);
	tls_client_say(&s.client, SLICE("hello"));
	while (tls_client_send(&s.client, 1)) {
		loop_run_once(s.server.loop, 0);
		assert_int_equal(stream->since_ms != 0, s.server.seen.len == 0);
	}
	assert_slice(buffer_slice(&s.server.seen), "hello");
	assert_int_equal(stream->since_ms, 0);
	/* Were the minute over: */
	tls_client_say(&s.client, SLICE("never"));
	tls_client_send(&s.client, 6);
	loop_run_once(s.server.loop, 0);
	stream->since_ms = 1;
	deadline_set(s.server.loop, &stream->deadline, 0);
	turn(&s, 0);
	for (unsigned i = 0; i < 5 && !s.server.ended; i++)
		loop_run_once(s.server.loop, 10);
	assert_int_equal(s.server.ended, 1);
	assert_int_equal(s.server.how, STREAM_TLS);
	scene_fini(&s);
}

static void test_handshake_times_out(void **state)
{
	struct scene s;
	scene_init(&s, true);
	SSL_do_handshake(s.client.ssl);
	stream_set_idle_ms(s.server.stream, 20);
	while (!s.server.ended) { /* dribbling does not help */
		tls_client_send(&s.client, 1);
		loop_run_once(s.server.loop, 1);
	}
	assert_int_equal(s.server.how, STREAM_TLS);
	assert_int_equal(s.server.timeouts, 0);
	scene_fini(&s);
}

static void test_starttls_drops_what_came_before(void **state)
{
	struct scene s;
	uint8_t reply[100];
	scene_init(&s, false);
	s.server.starttls = test_context();
	const char *typed = "STARTTLS\r\nMAIL FROM:<eve@example.org>\r\n";
	assert_int_equal(write(s.client.fd, typed, strlen(typed)), (ssize_t)strlen(typed));
	loop_run_once(s.server.loop, 0);
	loop_run_once(s.server.loop, 0);
	ssize_t len = recv(s.client.fd, reply, sizeof(reply), MSG_DONTWAIT);
	assert_int_equal(len, 14);
	assert_slice(slice_of(reply, 14), "220 go ahead\r\n");
	shake(&s);
	tls_client_say(&s.client, SLICE("EHLO client"));
	turn(&s, 2);
	assert_slice(buffer_slice(&s.server.seen), "EHLO client");
	scene_fini(&s);
}

/* The same where the owner had paused, and starts TLS from elsewhere than input(). */
static void test_starttls_drops_what_was_left(void **state)
{
	struct scene s;
	scene_init(&s, false);
	stream_set_events(s.server.stream, &leave_events, NULL);
	assert_int_equal(write(s.client.fd, "EVIL", 4), 4);
	loop_run_once(s.server.loop, 0);
	loop_run_once(s.server.loop, 0);
	assert_int_equal(s.server.stream->in.len, 4);
	struct tls_context *context = test_context();
	stream_start_tls(s.server.stream, context);
	tls_context_release(&context);
	stream_set_events(s.server.stream, &events, &s.server);
	shake(&s);
	tls_client_say(&s.client, SLICE("good"));
	turn(&s, 2);
	assert_slice(buffer_slice(&s.server.seen), "good");
	scene_fini(&s);
}

static void test_written_during_handshake(void **state)
{
	struct scene s;
	scene_init(&s, true);
	assert_true(stream_write(s.server.stream, SLICE("greeting")));
	assert_int_equal(stream_queued(s.server.stream), 8);
	shake(&s);
	turn(&s, 1);
	assert_slice(buffer_slice(&s.client.heard), "greeting");
	assert_int_equal(stream_queued(s.server.stream), 0);
	scene_fini(&s);
}

static void test_ends(void **state)
{
	for (unsigned way = 0; way < 3; way++) {
		static const enum stream_end want[] = { STREAM_EOF, STREAM_RESET, STREAM_TLS };
		struct scene s;
		scene_init(&s, true);
		shake(&s);
		tls_client_say(&s.client, SLICE("last"));
		if (way == 0)
			SSL_shutdown(s.client.ssl);
		tls_client_send(&s.client, SIZE_MAX);
		if (way == 1)
			shutdown(s.client.fd, SHUT_WR); /* no close_notify */
		if (way == 2)
			assert_int_equal(
				write(s.client.fd,
				      "\x17\x03\x03\x00\x20garbage...........................", 37),
				37);
		turn(&s, 3);
		assert_slice(buffer_slice(&s.server.seen), "last");
		assert_int_equal(s.server.ended, 1);
		assert_int_equal(s.server.how, want[way]);
		scene_fini(&s);
	}
}

/* After the client's close_notify it still gets the replies that are under way. */
static void test_half_close(void **state)
{
	struct scene s;
	scene_init(&s, true);
	shake(&s);
	SSL_shutdown(s.client.ssl);
	turn(&s, 2);
	assert_int_equal(s.server.how, STREAM_EOF);
	stream_write(s.server.stream, SLICE("reply"));
	turn(&s, 2);
	assert_slice(buffer_slice(&s.client.heard), "reply");
	stream_close(s.server.stream);
	s.server.stream = NULL;
	turn(&s, 2);
	assert_true(s.client.ended);
	assert_true(s.client.fin);
	scene_fini(&s);
}

static void test_close_says_goodbye(void **state)
{
	struct scene s;
	scene_init(&s, true);
	shake(&s);
	stream_write(s.server.stream, SLICE("bye"));
	stream_close(s.server.stream);
	s.server.stream = NULL;
	turn(&s, 3);
	assert_slice(buffer_slice(&s.client.heard), "bye");
	assert_true(s.client.ended);
	assert_true(s.client.fin);
	scene_fini(&s);
}

static void test_close_in_secured(void **state)
{
	struct scene s;
	scene_init(&s, true);
	s.server.close_when_secured = true;
	SSL_do_handshake(s.client.ssl);
	tls_client_send(&s.client, SIZE_MAX);
	loop_run_once(s.server.loop, 0);
	tls_client_receive(&s.client);
	tls_client_say(&s.client, SLICE("unheard"));
	turn(&s, 3);
	assert_int_equal(s.server.secured, 1);
	assert_int_equal(s.server.seen.len, 0);
	assert_true(s.client.ended);
	scene_fini(&s);
}

static void test_bulk_with_back_pressure(void **state)
{
	enum { BLOCK = 70000, BLOCKS = 60 };
	struct scene s;
	uint8_t *block = heap_alloc(BLOCK);
	scene_init(&s, true);
	shake(&s);
	unsigned stops = 0, written = 0;
	size_t most_queued = 0;
	for (unsigned turns = 0; turns < 20000 && s.client.heard.len < BLOCK * BLOCKS; turns++) {
		/* Writes as a producer should: not above the mark. */
		while (written < BLOCKS &&
		       stream_queued(s.server.stream) <= STREAM_HIGH_WATER_OCTETS) {
			for (size_t i = 0; i < BLOCK; i++)
				block[i] = (uint8_t)(written * 31 + i / 7);
			stops += !stream_write(s.server.stream, slice_of(block, BLOCK));
			written++;
		}
		if (stream_queued(s.server.stream) > most_queued)
			most_queued = stream_queued(s.server.stream);
		turn(&s, 1);
	}
	assert_true(stops > 0);
	assert_true(most_queued < STREAM_HIGH_WATER_OCTETS + BLOCK + 4096);
	assert_int_equal(s.client.heard.len, BLOCK * BLOCKS);
	for (size_t at = 0; at < s.client.heard.len; at++)
		if (s.client.heard.data[at] != (uint8_t)(at / BLOCK * 31 + at % BLOCK / 7))
			fail_msg("octet %zu differs", at);
	turn(&s, 2);
	assert_true(s.server.drained > 0);
	assert_null(s.server.stream->out.data);
	/* And the other way. */
	unsigned said = 0;
	for (unsigned i = 0; i < 20000 && s.server.seen.len < BLOCK * BLOCKS; i++) {
		for (; said < BLOCKS && BIO_pending(s.client.to_server) == 0; said++)
			tls_client_say(&s.client, slice_of(block, BLOCK));
		turn(&s, 1);
	}
	assert_int_equal(s.server.seen.len, BLOCK * BLOCKS);
	assert_memory_equal(s.server.seen.data + BLOCK * (BLOCKS - 1), block, BLOCK);
	free(block);
	scene_fini(&s);
}

/* Paused, it reads nothing; resumed, nothing is lost, though a whole batch had been decrypted. */
static void test_pause(void **state)
{
	struct scene s;
	scene_init(&s, true);
	shake(&s);
	stream_pause(s.server.stream);
	tls_client_say(&s.client, SLICE("one"));
	SSL_shutdown(s.client.ssl);
	turn(&s, 4);
	assert_int_equal(s.server.seen.len, 0);
	assert_int_equal(s.server.ended, 0);
	stream_resume(s.server.stream);
	turn(&s, 4);
	assert_slice(buffer_slice(&s.server.seen), "one");
	assert_int_equal(s.server.how, STREAM_EOF);
	scene_fini(&s);
}

/* ---- a long talk with an owner who takes what he likes, pauses and resumes, in any order ---- */

struct whim {
	struct loop *loop;
	struct stream *stream;
	struct buffer seen;
	unsigned ended;
	bool paused;
};

static void whim_input(struct stream *stream, struct cursor *in)
{
	struct whim *whim = stream_user(stream);
	assert_false(whim->paused);
	assert_true(cursor_left(in) <= STREAM_READ_OCTETS);
	size_t most = rand() % 4 ? cursor_left(in) : (size_t)rand() % (cursor_left(in) + 1);
	struct slice part = slice_sub(cursor_rest(in), 0, most);
	buffer_add(&whim->seen, part);
	in->at += part.len;
	if (rand() % 4 == 0 || !at_end(in)) {
		stream_pause(stream);
		whim->paused = true;
	}
}

static void whim_ended(struct stream *stream, enum stream_end how)
{
	struct whim *whim = stream_user(stream);
	assert_int_equal(how, STREAM_EOF);
	assert_false(whim->paused);
	whim->ended++;
}

static const struct stream_events whim_events = { whim_input, on_drained, on_secured, on_timeout,
						  whim_ended };

static void test_any_order(void **state)
{
	enum { TOTAL = 3000000 };
	for (unsigned round = 0; round < 6; round++) {
		struct scene s;
		struct whim whim = { 0 };
		uint8_t *text = heap_alloc(TOTAL);
		srand(round + 1);
		scene_init(&s, true);
		shake(&s);
		stream_set_events(s.server.stream, &whim_events, &whim);
		for (size_t i = 0; i < TOTAL; i++)
			text[i] = (uint8_t)(i * 2654435761u >> 11);
		size_t said = 0;
		bool over = false;
		for (unsigned i = 0; i < 400000 && !whim.ended; i++) {
			if (said < TOTAL && BIO_pending(s.client.to_server) == 0) {
				struct slice part = slice_sub(slice_of(text, TOTAL), said,
							      (size_t)rand() % 40000 + 1);
				tls_client_say(&s.client, part);
				said += part.len;
			} else if (said == TOTAL && !over) {
				over = true;
				SSL_shutdown(s.client.ssl);
			}
			tls_client_send(&s.client, (size_t)rand() % 30000 + 1);
			loop_run_once(s.server.loop, 0);
			if (whim.paused && rand() % 2) {
				whim.paused = false;
				stream_resume(s.server.stream);
			}
		}
		assert_int_equal(whim.ended, 1);
		assert_int_equal(whim.seen.len, TOTAL);
		assert_memory_equal(whim.seen.data, text, TOTAL);
		buffer_free(&whim.seen);
		free(text);
		scene_fini(&s);
	}
}

static SSL_SESSION *ticket;
static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION_free(ticket);
	ticket = session;
	return 1;
}

static void test_resumption(void **state)
{
	static const uint16_t versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	for (size_t v = 0; v < 2; v++) {
		struct tls_context *context = test_context();
		for (unsigned round = 0; round < 2; round++) {
			struct scene s;
			scene_init(&s, false);
			stream_start_tls(s.server.stream, context);
			SSL_CTX_set_session_cache_mode(s.ctx, SSL_SESS_CACHE_CLIENT);
			SSL_CTX_sess_set_new_cb(s.ctx, keep_ticket);
			SSL_set_min_proto_version(s.client.ssl, versions[v]);
			SSL_set_max_proto_version(s.client.ssl, versions[v]);
			if (round == 1)
				SSL_set_session(s.client.ssl, ticket);
			shake(&s);
			stream_write(s.server.stream, SLICE("tickets go with this"));
			turn(&s, 2);
			assert_int_equal(SSL_session_reused(s.client.ssl), round == 1);
			assert_non_null(ticket);
			scene_fini(&s);
		}
		SSL_SESSION_free(ticket);
		ticket = NULL;
		tls_context_release(&context);
	}
}

static void test_certificate_is_good_for(void **state)
{
	static const struct {
		const char *host;
		bool good;
	} rows[] = { { "mail.example.org", true },
		     { "localhost", true },
		     { "other.example.org", false } };
	tls_context_release(&(struct tls_context *){ test_context() });
	BIO *bio = BIO_new_mem_buf(test_certificate.data, (int)test_certificate.len);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	for (size_t i = 0; i < 3; i++) {
		struct scene s;
		scene_init(&s, true);
		X509_STORE_add_cert(SSL_CTX_get_cert_store(s.ctx), x);
		SSL_set_verify(s.client.ssl, SSL_VERIFY_PEER, NULL);
		SSL_set1_host(s.client.ssl, rows[i].host);
		SSL_do_handshake(s.client.ssl);
		turn(&s, 4);
		assert_int_equal(s.server.secured, rows[i].good);
		scene_fini(&s);
	}
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.2", 0), 0);
	X509_free(x);
	BIO_free(bio);
}

static void test_bad_contexts(void **state)
{
	struct buffer other_certificate = { 0 }, other_key = { 0 };
	const char *why = NULL;
	tls_context_release(&(struct tls_context *){ test_context() });
	assert_int_equal(certificate_self_sign("x", &other_certificate, &other_key), ERR_OK);
	struct slice certificate = buffer_slice(&test_certificate);
	struct slice key = buffer_slice(&test_key);
	struct slice cut = slice_sub(certificate, 0, certificate.len / 2);
	const struct {
		struct slice certificate, key;
		bool good;
	} rows[] = {
		{ certificate, key, true },
		{ SLICE_NONE, key, false },
		{ certificate, SLICE_NONE, false },
		{ cut, key, false },
		{ key, certificate, false },
		{ certificate, buffer_slice(&other_key), false },
		{ SLICE("no PEM at all"), key, false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_context *context =
			tls_server_context(rows[i].certificate, rows[i].key, &why);
		assert_int_equal(context != NULL, rows[i].good);
		assert_int_equal(strlen(why) == 0, rows[i].good);
		struct tls_context *held = tls_context_hold(context);
		tls_context_release(&context);
		tls_context_release(&held);
		assert_null(held);
	}
	/* A chain of two, and one whose second half is broken. */
	buffer_add(&other_certificate, certificate);
	struct tls_context *context = tls_server_context(buffer_slice(&other_certificate),
							 buffer_slice(&other_key), &why);
	assert_non_null(context);
	tls_context_release(&context);
	other_certificate.len -= 100;
	assert_null(tls_server_context(buffer_slice(&other_certificate), buffer_slice(&other_key),
				       &why));
	buffer_free(&other_certificate);
	buffer_free(&other_key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_old_version_is_refused),
		cmocka_unit_test(test_command_with_finished),
		cmocka_unit_test(test_octet_by_octet),
		cmocka_unit_test(test_partial_record_is_watched),
		cmocka_unit_test(test_handshake_times_out),
		cmocka_unit_test(test_starttls_drops_what_came_before),
		cmocka_unit_test(test_starttls_drops_what_was_left),
		cmocka_unit_test(test_written_during_handshake),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_close_says_goodbye),
		cmocka_unit_test(test_close_in_secured),
		cmocka_unit_test(test_bulk_with_back_pressure),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_certificate_is_good_for),
		cmocka_unit_test(test_bad_contexts),
	};
	return cmocka_run_group_tests(tests, NULL, test_certificate_free);
}
