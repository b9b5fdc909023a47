/* tests/transcripts/wire.c - a client's socket, driven by hand. The only test that speaks TLS
 * itself: what STARTTLS throws away can be seen only by a client that puts it there. */
#include "tests/transcripts/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_OCTETS = 64 * 1024, UNREAD_MAX_OCTETS = 256 * 1024 };

static SSL_CTX *client_context;

void wire_open(struct wire *wire, int fd)
{
	*wire = (struct wire){ .fd = fd };
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

bool wire_read(struct wire *wire)
{
	bool something = false;
	while (wire->fd >= 0 && !wire->ended && wire_unread(wire).len < UNREAD_MAX_OCTETS) {
		uint8_t *at = buffer_reserve(&wire->in, READ_OCTETS);
		ssize_t len;
		if (wire->tls) {
			ERR_clear_error();
			len = SSL_read(wire->tls, at, READ_OCTETS);
			if (len <= 0 && SSL_get_error(wire->tls, (int)len) == SSL_ERROR_WANT_READ)
				return something;
		} else {
			len = read(wire->fd, at, READ_OCTETS);
			if (len < 0 && (errno == EAGAIN || errno == EINTR))
				return something;
		}
		if (len <= 0)
			wire->ended = true;
		else
			wire->in.len += (size_t)len;
		something = true;
	}
	return something;
}

void wire_take(struct wire *wire, size_t len)
{
	wire->taken += len;
	/* Not for each line, or a long answer would be moved as often as it has lines. */
	if (wire->taken == wire->in.len || wire->taken > UNREAD_MAX_OCTETS) {
		buffer_drop_front(&wire->in, wire->taken);
		wire->taken = 0;
	}
}

size_t wire_write(struct wire *wire, struct slice octets)
{
	ssize_t len;
	if (wire->fd < 0 || octets.len == 0)
		return octets.len;
	if (wire->tls) {
		ERR_clear_error();
		len = SSL_write(wire->tls, octets.ptr, (int)octets.len);
		if (len <= 0 && SSL_get_error(wire->tls, (int)len) == SSL_ERROR_WANT_WRITE)
			return 0;
	} else {
		len = send(wire->fd, octets.ptr, octets.len, MSG_NOSIGNAL);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
	}
	return len > 0 ? (size_t)len : octets.len;
}

bool wire_is_drained(const struct wire *wire)
{
	int unread = 0;
	return wire->fd < 0 || ioctl(wire->fd, SIOCOUTQ, &unread) < 0 || unread == 0;
}

void wire_start_tls(struct wire *wire)
{
	if (!client_context) {
		client_context = SSL_CTX_new(TLS_method());
		SSL_CTX_set_verify(client_context, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_mode(client_context, SSL_MODE_ENABLE_PARTIAL_WRITE |
							 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	}
	SSL *ssl = SSL_new(client_context);
	if (!ssl || SSL_set_fd(ssl, wire->fd) != 1)
		abort();
	SSL_set_connect_state(ssl);
	wire->tls = ssl;
}

int wire_handshake(struct wire *wire)
{
	ERR_clear_error();
	int status = SSL_do_handshake(wire->tls);
	if (status == 1)
		return 1;
	int why = SSL_get_error(wire->tls, status);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

void wire_end(struct wire *wire)
{
	if (wire->tls)
		SSL_shutdown(wire->tls);
	if (wire->fd >= 0)
		shutdown(wire->fd, SHUT_WR);
}

void wire_close(struct wire *wire)
{
	SSL_free(wire->tls);
	wire->tls = NULL;
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
	wire->taken = 0;
	buffer_free(&wire->in);
}
