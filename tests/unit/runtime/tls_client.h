/* tests/unit/runtime/tls_client.h - a TLS client for tests, on BoringSSL over memory: the test
 * decides when and in which pieces its records reach the socket. */
#pragma once

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "runtime/certificate.h"
#include "runtime/tls.h"
#include "tests/unit/unit.h"

struct tls_client {
	int fd;
	SSL *ssl;
	BIO *from_server, *to_server; /* owned by ssl */
	struct buffer heard;
	bool ended; /* the server's close_notify has come */
	bool fin;   /* and its FIN */
};

static struct buffer test_certificate, test_key;

static inline struct tls_context *test_context(void)
{
	const char *why;
	if (test_certificate.len == 0)
		assert_int_equal(
			certificate_self_sign("mail.example.org", &test_certificate, &test_key),
			ERR_OK);
	struct tls_context *context =
		tls_server_context(buffer_slice(&test_certificate), buffer_slice(&test_key), &why);
	assert_non_null(context);
	return context;
}

/* For the end of a group of tests. */
static inline int test_certificate_free(void **state)
{
	buffer_free(&test_certificate);
	buffer_free(&test_key);
	return 0;
}

static inline void tls_client_init(struct tls_client *client, SSL_CTX *ctx, int fd)
{
	*client = (struct tls_client){ .fd = fd, .ssl = SSL_new(ctx) };
	client->from_server = BIO_new(BIO_s_mem());
	client->to_server = BIO_new(BIO_s_mem());
	SSL_set_bio(client->ssl, client->from_server, client->to_server);
	SSL_set_connect_state(client->ssl);
}

static inline void tls_client_fini(struct tls_client *client)
{
	SSL_free(client->ssl);
	if (client->fd >= 0)
		close(client->fd);
	buffer_free(&client->heard);
}

/* What the server has sent, decrypted to `heard`. */
static inline void tls_client_receive(struct tls_client *client)
{
	static uint8_t octets[65536];
	ssize_t got;
	while ((got = recv(client->fd, octets, sizeof(octets), MSG_DONTWAIT)) > 0)
		assert_int_equal(BIO_write(client->from_server, octets, (int)got), got);
	client->fin |= got == 0;
	ERR_clear_error();
	if (!SSL_is_init_finished(client->ssl) && SSL_do_handshake(client->ssl) != 1)
		return;
	int len;
	while ((len = SSL_read(client->ssl, octets, sizeof(octets))) > 0)
		buffer_add(&client->heard, slice_of(octets, (size_t)len));
	client->ended |= SSL_get_error(client->ssl, len) == SSL_ERROR_ZERO_RETURN;
}

/* At most `limit` octets of what the client has to send. Returns how many went. */
static inline size_t tls_client_send(struct tls_client *client, size_t limit)
{
	const uint8_t *octets;
	size_t len;
	assert_true(BIO_mem_contents(client->to_server, &octets, &len));
	if (len > limit)
		len = limit;
	if (len == 0)
		return 0;
	ssize_t sent = send(client->fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent <= 0)
		return 0;
	uint8_t gone[4096];
	for (size_t left = (size_t)sent; left > 0;) {
		int part = (int)(left < sizeof(gone) ? left : sizeof(gone));
		left -= (size_t)BIO_read(client->to_server, gone, part);
	}
	return (size_t)sent;
}

static inline void tls_client_say(struct tls_client *client, struct slice text)
{
	assert_int_equal(SSL_write(client->ssl, text.ptr, (int)text.len), text.len);
}

/* One exchange: the loop turns, everything that is there moves. */
static inline void tls_client_turn(struct tls_client *client, struct loop *loop)
{
	tls_client_send(client, SIZE_MAX);
	loop_run_once(loop, 0);
	tls_client_receive(client);
	tls_client_send(client, SIZE_MAX);
}
