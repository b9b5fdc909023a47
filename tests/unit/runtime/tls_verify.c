/* tests/unit/runtime/tls_verify.c - a client's TLS against our own server's: whom it believes. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/certificate.h"
#include "runtime/stream.h"
#include "runtime/tls_sessions.h"
#include "runtime/tls_verify.h"

struct end {
	struct stream *stream;
	struct buffer seen;
	bool secured, ended;
	enum stream_end how;
	const char *refusal;
	enum tls_refusal kind;
};

static void on_input(struct stream *stream, struct cursor *in)
{
	struct end *end = stream_user(stream);
	buffer_add(&end->seen, cursor_rest(in));
	in->at = in->end;
}
static void on_drained(struct stream *stream)
{
}
static void on_secured(struct stream *stream)
{
	((struct end *)stream_user(stream))->secured = true;
}
static void on_ended(struct stream *stream, enum stream_end how)
{
	struct end *end = stream_user(stream);
	end->ended = true;
	end->how = how;
	end->refusal = stream_tls_refusal(stream, &end->kind);
}
static const struct stream_events events = { on_input, on_drained, on_secured, on_drained,
					     on_ended };

struct scene {
	struct loop *loop;
	struct tls_context *server, *client;
	struct end at_server, at_client;
};

static void write_file(char path[64], struct slice text)
{
	snprintf(path, 64, "/tmp/bode-ca-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len);
	close(fd);
}

/* The server has a certificate of its own; the client trusts it, or another of the same name. */
static void connect_as(struct scene *scene, bool is_trusted, const struct tls_demand *demand)
{
	struct buffer certificate = { 0 }, key = { 0 }, other = { 0 }, other_key = { 0 };
	const char *why;
	char path[64];
	int pair[2];
	*scene = (struct scene){ .loop = loop_new(0) };
	assert_int_equal(certificate_self_sign("mail.example.org", &certificate, &key), 0);
	assert_int_equal(certificate_self_sign("mail.example.org", &other, &other_key), 0);
	scene->server = tls_server_context(buffer_slice(&certificate), buffer_slice(&key), &why);
	assert_non_null(scene->server);
	write_file(path, buffer_slice(is_trusted ? &certificate : &other));
	scene->client = tls_client_context(path, &why);
	assert_non_null(scene->client);
	unlink(path);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	scene->at_server.stream = stream_new(scene->loop, pair[0], &events, &scene->at_server);
	scene->at_client.stream = stream_new(scene->loop, pair[1], &events, &scene->at_client);
	stream_start_tls(scene->at_server.stream, scene->server);
	stream_start_tls_client(scene->at_client.stream, scene->client, demand);
	for (int i = 0; i < 100 && !scene->at_client.ended &&
			!(scene->at_client.secured && scene->at_server.secured);
	     i++)
		loop_run_once(scene->loop, 100);
	buffer_free(&certificate);
	buffer_free(&key);
	buffer_free(&other);
	buffer_free(&other_key);
}

static void leave(struct scene *scene)
{
	stream_abort(scene->at_server.stream);
	stream_abort(scene->at_client.stream);
	loop_run_once(scene->loop, 0);
	tls_context_release(&scene->server);
	tls_context_release(&scene->client);
	loop_free(scene->loop);
	buffer_free(&scene->at_server.seen);
	buffer_free(&scene->at_client.seen);
}

static void speaks_with_whom_it_believes(void **state)
{
	static const char *const hosts[] = { "mail.example.org", "localhost", "127.0.0.1", "::1" };
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct scene scene;
		connect_as(&scene, true, &(struct tls_demand){ .host = hosts[i] });
		assert_true(scene.at_client.secured && scene.at_server.secured);
		assert_string_equal(stream_tls_version(scene.at_client.stream), "TLSv1.3");
		assert_null(stream_tls_refusal(scene.at_client.stream, &scene.at_client.kind));
		stream_write(scene.at_client.stream, SLICE("hello"));
		stream_write(scene.at_server.stream, SLICE("hi"));
		for (int k = 0;
		     k < 100 && (scene.at_server.seen.len < 5 || scene.at_client.seen.len < 2); k++)
			loop_run_once(scene.loop, 100);
		assert_slice(buffer_slice(&scene.at_server.seen), "hello");
		assert_slice(buffer_slice(&scene.at_client.seen), "hi");
		leave(&scene);
	}
}

static void refuses_everybody_else(void **state)
{
	static const struct {
		bool is_trusted;
		const char *host;
		enum tls_refusal kind;
	} rows[] = { { false, "mail.example.org", TLS_REFUSED_UNTRUSTED },
		     { true, "other.example.org", TLS_REFUSED_NAME },
		     { true, "192.0.2.1", TLS_REFUSED_NAME } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene scene;
		connect_as(&scene, rows[i].is_trusted,
			   &(struct tls_demand){ .host = rows[i].host });
		assert_true(scene.at_client.ended && !scene.at_client.secured);
		assert_int_equal(scene.at_client.how, STREAM_TLS);
		assert_non_null(scene.at_client.refusal);
		assert_int_equal(scene.at_client.kind, rows[i].kind);
		leave(&scene);
	}
}

static void who_is_lenient_goes_on_and_knows(void **state)
{
	struct scene scene;
	connect_as(&scene, true,
		   &(struct tls_demand){ .host = "other.example.org", .is_lenient = true });
	assert_true(scene.at_client.secured);
	assert_non_null(stream_tls_refusal(scene.at_client.stream, &scene.at_client.kind));
	assert_int_equal(scene.at_client.kind, TLS_REFUSED_NAME);
	leave(&scene);
}

static void who_wants_no_proof_gets_none(void **state)
{
	struct scene scene;
	connect_as(&scene, false,
		   &(struct tls_demand){ .host = "other.example.org", .proof = TLS_PROOF_NONE });
	assert_true(scene.at_client.secured);
	assert_null(stream_tls_refusal(scene.at_client.stream, &scene.at_client.kind));
	leave(&scene);
}

static void dane_is_kept_to_in_the_handshake(void **state)
{
	uint8_t wrong[32] = { 1 };
	const struct tlsa record = { 3, 1, 1, slice_of(wrong, sizeof(wrong)) };
	struct scene scene;
	connect_as(&scene, true,
		   &(struct tls_demand){ .host = "mail.example.org",
					 .proof = TLS_PROOF_DANE,
					 .records = &record,
					 .record_count = 1 });
	assert_true(scene.at_client.ended && !scene.at_client.secured);
	assert_int_equal(scene.at_client.kind, TLS_REFUSED_DANE);
	leave(&scene);
}

/* A second connection of the scene to the same server; true: it resumed a session. */
static bool again_is_resumed(struct scene *scene, const struct tls_demand *demand)
{
	int pair[2];
	struct end at_server = { 0 }, at_client = { 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	at_server.stream = stream_new(scene->loop, pair[0], &events, &at_server);
	at_client.stream = stream_new(scene->loop, pair[1], &events, &at_client);
	stream_start_tls(at_server.stream, scene->server);
	stream_start_tls_client(at_client.stream, scene->client, demand);
	/* The tickets of TLS 1.3 come with what the server says first. */
	for (int i = 0; i < 100 && !(at_client.secured && at_server.secured); i++)
		loop_run_once(scene->loop, 100);
	stream_write(at_server.stream, SLICE("hi"));
	for (int i = 0; i < 100 && at_client.seen.len < 2; i++)
		loop_run_once(scene->loop, 100);
	assert_slice(buffer_slice(&at_client.seen), "hi");
	bool is_resumed = stream_tls_is_resumed(at_client.stream);
	stream_abort(at_server.stream);
	stream_abort(at_client.stream);
	loop_run_once(scene->loop, 0);
	buffer_free(&at_client.seen);
	return is_resumed;
}

static void sessions_are_resumed_for_the_same_demand_only(void **state)
{
	struct tls_sessions *sessions = tls_sessions_new(1);
	struct tls_demand demand = { .host = "mail.example.org",
				     .proof = TLS_PROOF_NONE,
				     .sessions = sessions,
				     .place = "example.org" };
	struct scene scene;
	connect_as(&scene, true, &(struct tls_demand){ .host = "mail.example.org" });
	assert_false(again_is_resumed(&scene, &demand));
	assert_true(again_is_resumed(&scene, &demand));
	/* Who demands more begins anew, and so does another place. */
	demand.proof = TLS_PROOF_NAME;
	assert_false(again_is_resumed(&scene, &demand));
	assert_true(again_is_resumed(&scene, &demand));
	demand.place = "example.net";
	assert_false(again_is_resumed(&scene, &demand));
	/* There is room for one: the ones before are forgotten. */
	demand.place = "example.org";
	assert_false(again_is_resumed(&scene, &demand));
	leave(&scene);
	tls_sessions_free(&sessions);
}

/* Each resumed connection brings new tickets, which are no younger than the certificate that was seen. */
static void an_hour_after_the_certificate_it_is_seen_again(void **state)
{
	enum { MINUTE_MS = 60 * 1000 };
	struct tls_sessions *sessions = tls_sessions_new(8);
	struct tls_demand demand = { .host = "mail.example.org",
				     .proof = TLS_PROOF_NAME,
				     .sessions = sessions,
				     .place = "example.org" };
	struct scene scene;
	int64_t now_ms = clock_unix_ms();
	connect_as(&scene, true, &(struct tls_demand){ .host = "mail.example.org" });
	clock_set_fake_unix_ms(now_ms);
	assert_false(again_is_resumed(&scene, &demand));
	clock_set_fake_unix_ms(now_ms + 30 * MINUTE_MS);
	assert_true(again_is_resumed(&scene, &demand));
	clock_set_fake_unix_ms(now_ms + 59 * MINUTE_MS);
	assert_true(again_is_resumed(&scene, &demand));
	clock_set_fake_unix_ms(now_ms + 61 * MINUTE_MS);
	assert_false(again_is_resumed(&scene, &demand));
	clock_set_fake_unix_ms(-1);
	leave(&scene);
	tls_sessions_free(&sessions);
}

static void authorities_have_to_be_some(void **state)
{
	const char *why;
	char path[64];
	assert_null(tls_client_context("/nonexistent/ca.pem", &why));
	assert_true(why[0] != '\0');
	write_file(path, SLICE("no certificate\n"));
	assert_null(tls_client_context(path, &why));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speaks_with_whom_it_believes),
		cmocka_unit_test(refuses_everybody_else),
		cmocka_unit_test(authorities_have_to_be_some),
		cmocka_unit_test(who_is_lenient_goes_on_and_knows),
		cmocka_unit_test(who_wants_no_proof_gets_none),
		cmocka_unit_test(dane_is_kept_to_in_the_handshake),
		cmocka_unit_test(sessions_are_resumed_for_the_same_demand_only),
		cmocka_unit_test(an_hour_after_the_certificate_it_is_seen_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
