/* auth/mac.c - HMAC-SHA-256 by libsodium. Runs in the back and in the admin's process. */
#include "auth/mac.h"

#include <sodium.h>

void mac_make(const uint8_t key[MAC_KEY_OCTETS], struct slice text, uint8_t mac_out[MAC_OCTETS])
{
	crypto_auth_hmacsha256(mac_out, text.ptr, text.len, key);
}

bool mac_equal(const uint8_t *a, const uint8_t *b, size_t octets)
{
	return sodium_memcmp(a, b, octets) == 0;
}
