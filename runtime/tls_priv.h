/* runtime/tls_priv.h - what runtime/ shares of BoringSSL, and where its versions differ.
 *
 * Debian 12 packs API version 17; upstream goes on. Of the calls below, both know the older
 * `curves` names; lengths became size_t in some; groups came. */
#pragma once

#include <openssl/base.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

#include "runtime/tls.h"

#ifndef SSL_SIGN_ECDSA_SECP256R1_SHA256
#error "this BoringSSL is too old"
#endif

struct tls_context {
	SSL_CTX *ctx;
	atomic_uint references;
};

/* A word for the oldest error of this thread's queue, which it empties. Static text. */
const char *tls_take_error(void);
