/* runtime/fingerprint.c - SHA-256 (FIPS 180-4) by BoringSSL. */
#include "runtime/fingerprint.h"

#include <assert.h>
#include <openssl/sha.h>

#include "base/octets.h"

void fingerprint(const struct slice *pieces, size_t count, uint8_t *out, size_t len)
{
	uint8_t hash[SHA256_DIGEST_LENGTH], length[8];
	SHA256_CTX sha;
	assert(len <= sizeof(hash));
	SHA256_Init(&sha);
	for (size_t i = 0; i < count; i++) {
		put_be64(length, pieces[i].len);
		SHA256_Update(&sha, length, sizeof(length));
		SHA256_Update(&sha, pieces[i].ptr, pieces[i].len);
	}
	SHA256_Final(hash, &sha);
	memcpy(out, hash, len);
}
