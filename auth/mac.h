/* auth/mac.h - a text that only who knows the key can have written: HMAC-SHA-256 (RFC 2104). Values
 * only; any thread. */
#pragma once

#include "base/attributes.h"
#include "base/slice.h"

enum { MAC_KEY_OCTETS = 32, MAC_OCTETS = 32 };

void mac_make(const uint8_t key[MAC_KEY_OCTETS], struct slice text, uint8_t mac_out[MAC_OCTETS]);
/* Of the first `octets`, in constant time. */
bool mac_equal(const uint8_t *a, const uint8_t *b, size_t octets);
