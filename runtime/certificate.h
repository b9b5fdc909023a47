/* runtime/certificate.h - the self-signed certificate of a server that was given none. */
#pragma once

#include "base/buffer.h"
#include "base/err.h"

/* ECDSA P-256, ten years, subject and alternative name `hostname`, also "localhost",
 * 127.0.0.1 and ::1 so that a client on the same machine can check it. PEM texts. */
enum err certificate_self_sign(const char *hostname, struct buffer *certificate_pem,
			       struct buffer *key_pem) MUST_USE;
