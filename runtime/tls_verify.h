/* runtime/tls_verify.h - what a TLS client needs before its first connection: whom it trusts. */
#pragma once

#include "runtime/tls.h"

/* Trusts the authorities in a PEM file, or, where `ca_path` is NULL, the system's. NULL: `why_out` says so in words for an operator; static text. Used by
 * stream_start_tls_client(). */
struct tls_context *tls_client_context(const char *ca_path, const char **why_out) MUST_USE;

/* Encrypts, and takes any certificate: for mail to servers that may speak plaintext just as well,
 * where an attacker gains nothing by a false one (RFC 7435). NULL: TLS cannot be set up. */
struct tls_context *tls_opportunistic_context(void) MUST_USE;
