/* runtime/stream_tls.c - TLS 1.2 and 1.3 (RFC 5246, RFC 8446) under a stream, as a server and as a client.
 *
 * All TLS streams of a loop share one BIO, one buffer for what comes from the socket and one
 * for what goes to it: each pass reads a piece, decrypts all of it, and sends all records that
 * came of a write in one call. A connection keeps only BoringSSL's own state. What stays
 * undecrypted is the beginning of a record, which BoringSSL keeps; a deadline bounds it. */
#include <assert.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/log.h"
#include "runtime/stream_priv.h"
#include "runtime/tls_client_priv.h"

enum { WRITE_BATCH_OCTETS = 64 * 1024 };

struct tls_loop {
	BIO_METHOD *method;
	BIO *bio;
	uint8_t *cipher_in;	  /* LOOP_CIPHER_OCTETS */
	struct slice incoming;	  /* of cipher_in: not yet read by BoringSSL */
	struct buffer cipher_out; /* records of one pass */
	struct buffer *outgoing;  /* where records go now: cipher_out or a stream's queue */
};

static int bio_read(BIO *bio, char *into, int room)
{
	struct tls_loop *tls = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (!tls->incoming.ptr || tls->incoming.len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	struct slice part = slice_sub(tls->incoming, 0, (size_t)room);
	memcpy(into, part.ptr, part.len);
	tls->incoming = slice_sub(tls->incoming, part.len, tls->incoming.len);
	return (int)part.len;
}

static int bio_write(BIO *bio, const char *octets, int len)
{
	struct tls_loop *tls = BIO_get_data(bio);
	assert(tls->outgoing);
	buffer_add(tls->outgoing, slice_of(octets, (size_t)len));
	return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH;
}

static struct tls_loop *tls_of(struct loop *loop)
{
	if (loop->tls)
		return loop->tls;
	struct tls_loop *tls = heap_alloc(sizeof(*tls));
	tls->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
	assert(tls->method);
	BIO_meth_set_read(tls->method, bio_read);
	BIO_meth_set_write(tls->method, bio_write);
	BIO_meth_set_ctrl(tls->method, bio_ctrl);
	tls->bio = BIO_new(tls->method);
	assert(tls->bio);
	BIO_set_data(tls->bio, tls);
	BIO_set_init(tls->bio, 1);
	tls->cipher_in = heap_alloc(LOOP_CIPHER_OCTETS);
	loop->tls = tls;
	return tls;
}

void stream_tls_loop_fini(struct loop *loop)
{
	struct tls_loop *tls = loop->tls;
	if (!tls)
		return;
	BIO_free(tls->bio);
	BIO_meth_free(tls->method);
	buffer_free(&tls->cipher_out);
	free(tls->cipher_in);
	free(tls);
	loop->tls = NULL;
}

/* Between these two BoringSSL may write. Behind a queue the records go straight into it. */
static void records_begin(struct stream *stream)
{
	struct tls_loop *tls = stream->loop->tls;
	assert(!tls->outgoing);
	tls->outgoing = stream->out.len ? &stream->out : &tls->cipher_out;
	ERR_clear_error();
}

static void records_end(struct stream *stream)
{
	struct tls_loop *tls = stream->loop->tls;
	tls->outgoing = NULL;
	stream_send_raw(stream, buffer_slice(&tls->cipher_out));
	buffer_clear(&tls->cipher_out);
}

void stream_tls_log_failure(const struct stream *stream, const char *why)
{
	char peer[PEER_TEXT_MAX];
	peer_format(&stream->peer, peer);
	log_info(NULL, EVENT("tls-failed"), CSTR("peer", peer),
		 WORD("at", stream->secured ? "record" : "handshake"), WORD("why", why));
}

static void fail(struct stream *stream)
{
	stream_tls_log_failure(stream, tls_take_error());
	stream_input_over(stream, STREAM_TLS);
}

bool stream_is_secure(const struct stream *stream)
{
	return stream->secured;
}

const char *stream_tls_version(const struct stream *stream)
{
	return stream->secured ? SSL_get_version(stream->ssl) : NULL;
}

const char *stream_tls_cipher(const struct stream *stream)
{
	if (!stream->secured)
		return NULL;
	return SSL_CIPHER_standard_name(SSL_get_current_cipher(stream->ssl));
}

/* True once the handshake is complete. */
static bool shake_hands(struct stream *stream)
{
	int done = SSL_do_handshake(stream->ssl);
	if (done == 1) {
		stream->secured = true;
		stream->active_ms = loop_now_ms(stream->loop);
		return true;
	}
	if (SSL_get_error(stream->ssl, done) != SSL_ERROR_WANT_READ)
		fail(stream);
	return false;
}

static void begin(struct stream *stream, struct tls_context *context)
{
	assert(!stream->ssl && context);
	struct tls_loop *tls = tls_of(stream->loop);
	stream->ssl = SSL_new(context->ctx); /* holds its SSL_CTX, so that we need not */
	assert(stream->ssl);
	BIO_up_ref(tls->bio);
	SSL_set_bio(stream->ssl, tls->bio, tls->bio);
	SSL_set_shed_handshake_config(stream->ssl, 1);
	/* Sent before the handshake, so perhaps an attacker's: drop it (RFC 3207 section 4.2). */
	buffer_wipe(&stream->in);
	stream->drop_input = true;
	stream->since_ms = loop_now_ms(stream->loop);
	stream_arm(stream);
}

void stream_start_tls(struct stream *stream, struct tls_context *context)
{
	if (!stream->events)
		return;
	begin(stream, context);
	SSL_set_accept_state(stream->ssl);
}

void stream_start_tls_client(struct stream *stream, struct tls_context *context,
			     const struct tls_demand *demand)
{
	if (!stream->events)
		return;
	begin(stream, context);
	SSL_set_connect_state(stream->ssl);
	tls_client_expect(stream->ssl, demand);
	records_begin(stream);
	shake_hands(stream); /* the client speaks first */
	records_end(stream);
}

const char *stream_tls_refusal(const struct stream *stream, enum tls_refusal *kind_out)
{
	*kind_out = TLS_NOT_REFUSED;
	return stream->ssl ? tls_client_refusal(stream->ssl, kind_out) : NULL;
}

bool stream_tls_is_resumed(const struct stream *stream)
{
	return stream->secured && SSL_session_reused(stream->ssl);
}

/* Decrypts until BoringSSL wants more than came. It has to be all: what came with the client's
 * Finished is already off the socket, and no poll would tell of it. */
static size_t decrypt(struct stream *stream, uint8_t *into)
{
	size_t len = 0;
	for (;;) {
		assert(len < LOOP_PLAIN_OCTETS);
		int got = SSL_read(stream->ssl, into + len, (int)(LOOP_PLAIN_OCTETS - len));
		if (got > 0) {
			len += (size_t)got;
			continue;
		}
		int error = SSL_get_error(stream->ssl, got);
		if (error == SSL_ERROR_ZERO_RETURN)
			stream_input_over(stream, STREAM_EOF);
		else if (error != SSL_ERROR_WANT_READ)
			fail(stream);
		return len;
	}
}

/* Follows the record headers (RFC 8446 section 5.1: type, version, length) through octets that
 * BoringSSL is about to read, from a record's boundary on. True: a record ended among them. */
static bool follow_records(struct stream *stream, struct slice cipher)
{
	enum { HEADER_OCTETS = 5, LENGTH_AT = 3 };
	bool ended = false;
	for (size_t at = 0; at < cipher.len;) {
		if (stream->record_header < HEADER_OCTETS) {
			uint8_t octet = cipher.ptr[at++];
			if (stream->record_header++ >= LENGTH_AT)
				stream->record_left = (uint16_t)(stream->record_left << 8 | octet);
		} else {
			size_t part = cipher.len - at;
			part = part < stream->record_left ? part : stream->record_left;
			stream->record_left = (uint16_t)(stream->record_left - part);
			at += part;
		}
		if (stream->record_header == HEADER_OCTETS && stream->record_left == 0) {
			stream->record_header = 0;
			ended = true;
		}
	}
	return ended;
}

/* A record that has begun pins up to 16 KiB: note since when. */
static void watch_partial_record(struct stream *stream, bool progress)
{
	if (stream->input_over || stream->record_header == 0) {
		stream->since_ms = 0;
	} else if (stream->since_ms == 0 || progress) {
		stream->since_ms = loop_now_ms(stream->loop);
		stream_arm(stream);
	}
}

bool stream_tls_receive(struct stream *stream, size_t room, struct slice *plain_out)
{
	struct tls_loop *tls = stream->loop->tls;
	if (room > LOOP_CIPHER_OCTETS)
		room = LOOP_CIPHER_OCTETS;
	ssize_t count = stream_recv(stream, tls->cipher_in, room);
	if (count <= 0) {
		/* An end without close_notify may be an attacker's (RFC 8446 section 6.1). */
		if (count == 0 || errno != EAGAIN)
			stream_input_over(stream, STREAM_RESET);
		return false;
	}
	tls->incoming = slice_of(tls->cipher_in, (size_t)count);
	records_begin(stream);
	bool fresh = !stream->secured && shake_hands(stream);
	if (stream->secured) {
		uint8_t *plain = loop_plain(stream->loop);
		bool progress = follow_records(stream, tls->incoming);
		*plain_out = slice_of(plain, decrypt(stream, plain));
		watch_partial_record(stream, fresh || progress);
	}
	tls->incoming = SLICE_NONE; /* only what follows an end or an error can be left */
	records_end(stream);
	return fresh;
}

void stream_tls_write(struct stream *stream, struct slice octets)
{
	for (size_t at = 0; at < octets.len && !stream->broken;) {
		struct slice batch = slice_sub(octets, at, WRITE_BATCH_OCTETS);
		records_begin(stream);
		/* Makes records of 16 KiB; the BIO takes them all. */
		int written = SSL_write(stream->ssl, batch.ptr, (int)batch.len);
		records_end(stream);
		if (written != (int)batch.len)
			return; /* after a failure that was noted when it was read */
		at += batch.len;
	}
}

void stream_tls_goodbye(struct stream *stream)
{
	records_begin(stream);
	SSL_shutdown(stream->ssl);
	records_end(stream);
}

void stream_tls_fini(struct stream *stream)
{
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	stream->secured = false;
}
