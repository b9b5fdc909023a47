/* serve/identity_priv.h - the server's certificate and key, as PEM texts. For this room alone. */
#pragma once

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/config.h"

/* Reads the files that the configuration names, or those in the state directory, which are
 * made where they are missing (self-signed, the key for its owner alone). Checks that they
 * fit together. False: one line on `errors` says what is wrong. */
bool identity_load(const struct config *config, struct buffer *certificate_pem,
		   struct buffer *key_pem, FILE *errors) MUST_USE;
