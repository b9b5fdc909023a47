/* runtime/tls.h - what a TLS endpoint needs before its first connection.
 *
 * BoringSSL stays behind this header and runtime/stream. A context is reference counted: a
 * reload makes a new one, connections under way keep theirs. Any thread. */
#pragma once

#include "base/attributes.h"
#include "base/slice.h"

struct tls_context;

/* A server's context from PEM texts (certificate chain, private key). TLS 1.2 and 1.3 only,
 * X25519 and P-256, forward-secret AEAD suites; session tickets under a key that lives in
 * memory only. NULL when the texts do not fit together; `why_out` then says so in words for
 * an operator. */
struct tls_context *tls_server_context(struct slice certificate_pem, struct slice key_pem,
				       const char **why_out) MUST_USE;
struct tls_context *tls_context_hold(struct tls_context *context);
void tls_context_release(struct tls_context **context); /* accepts NULL, leaves NULL */
