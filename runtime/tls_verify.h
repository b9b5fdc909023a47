/* runtime/tls_verify.h - what a TLS client needs before its first connection: whom it trusts. */
#pragma once

#include "runtime/tls.h"

/* Trusts the authorities in a PEM file, or, where `ca_path` is NULL, the system's. NULL: `why_out`
 * says so in words for an operator; static text. Used by stream_start_tls_client(). */
struct tls_context *tls_client_context(const char *ca_path, const char **why_out) MUST_USE;

/* Trusts no authority: for what proves nothing, since the server may speak plaintext just as well
 * (RFC 7435), and for what DNS proves. NULL: TLS cannot be set up. */
struct tls_context *tls_opportunistic_context(void) MUST_USE;
