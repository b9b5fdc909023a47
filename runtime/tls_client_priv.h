/* runtime/tls_client_priv.h - a TLS connection as a client: the demand in BoringSSL's terms. */
#pragma once

#include "runtime/tls_demand.h"
#include "runtime/tls_priv.h"

/* ---- tls_client.c ---- */

/* Callbacks of a context that stream_start_tls_client() may be given. */
void tls_client_prepare_context(SSL_CTX *ctx);
/* Demands it of this connection, which copies it. */
void tls_client_expect(SSL *ssl, const struct tls_demand *demand);
/* Why the certificate was refused, or would have been; NULL where it was not. */
const char *tls_client_refusal(const SSL *ssl, enum tls_refusal *kind_out);

/* ---- dane.c ---- */

/* `chain`: the peer's certificates, its own first. */
enum tls_refusal dane_verify(const STACK_OF(CRYPTO_BUFFER) * chain, const struct tlsa *records,
			     size_t record_count, const char *const *names, size_t name_count);

/* ---- tls_sessions.c ---- */

enum { TLS_PLACE_OCTETS = 32 };
/* Takes the reference to `session`, for which the peer has proven who it is at `proven_unix`. */
void tls_sessions_put(struct tls_sessions *sessions, const uint8_t place[TLS_PLACE_OCTETS],
		      SSL_SESSION *session, int64_t proven_unix);
/* The newest of that place, with a reference for the caller; NULL: there is none. */
SSL_SESSION *tls_sessions_take(struct tls_sessions *sessions, const uint8_t place[TLS_PLACE_OCTETS],
			       int64_t *proven_unix_out);
