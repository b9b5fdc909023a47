/* tests/transcripts/wire.h - the client's end of one connection: octets, and TLS where asked. */
#pragma once

#include "base/buffer.h"

struct wire {
	int fd;	   /* -1: not open, or closed by us */
	void *tls; /* BoringSSL's; NULL in plaintext */
	struct buffer in;
	size_t taken; /* octets of `in` that have been looked at */
	bool ended;   /* the server has closed */
};

void wire_open(struct wire *wire, int fd);
/* Takes what has come, unless much waits to be looked at: so the server has to wait, too. True:
 * something has come. */
bool wire_read(struct wire *wire);
/* What has come and has not been looked at. */
static inline struct slice wire_unread(const struct wire *wire)
{
	return slice_sub(buffer_slice(&wire->in), wire->taken, wire->in.len);
}
void wire_take(struct wire *wire, size_t len);
/* How many octets the socket took; 0: it is full. Pretends to send when the server is gone. */
size_t wire_write(struct wire *wire, struct slice octets);
/* True when the server has read all that was sent, or is gone. */
bool wire_is_drained(const struct wire *wire);
void wire_start_tls(struct wire *wire);
/* 1: done; 0: go on when more has come; -1: failed. */
int wire_handshake(struct wire *wire);
/* No more input from us; we still read. */
void wire_end(struct wire *wire);
void wire_close(struct wire *wire);
