/* runtime/tls_priv.h - what runtime/ shares of BoringSSL.
 *
 * Debian 12 packs API version 17; upstream goes on. All calls of this room exist in both (the
 * older names `curves` and `X509_getm_...` are kept there); where upstream has more, it is asked
 * for by the macro that came with it, as the groups in tls.c. */
#pragma once

#include <openssl/base.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

#include "runtime/tls.h"

struct tls_context {
	SSL_CTX *ctx;
	atomic_uint references;
};

/* A word for the oldest error of this thread's queue, which it empties. Static text. */
const char *tls_take_error(void);
