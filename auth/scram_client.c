/* auth/scram_client.c - SCRAM-SHA-256 as a client (RFC 5802 sections 3 and 5). The names of the
 * values are the RFC's. Runs in the front.
 *
 * Left out: SASLprep of the password; one beyond ASCII is sent as it stands. */
#include "auth/scram_client.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/cursor.h"
#include "base/heap.h"

enum { HASH = crypto_auth_hmacsha256_BYTES, NONCE_OCTETS = 18 };

struct scram_client {
	struct buffer password, nonce;
	struct buffer first_bare; /* client-first-message-bare */
	uint8_t server_signature[HASH];
	bool has_signature;
};

static void hmac(const uint8_t *key, size_t key_len, struct slice text, uint8_t out[HASH])
{
	crypto_auth_hmacsha256_state state;
	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, text.ptr, text.len);
	crypto_auth_hmacsha256_final(&state, out);
	sodium_memzero(&state, sizeof(state));
}

/* Hi(): PBKDF2 with one block. The key's state is made once. */
static void salted_password(struct slice password, struct slice salt, uint32_t iterations,
			    uint8_t out[HASH])
{
	static const uint8_t one[4] = { 0, 0, 0, 1 };
	crypto_auth_hmacsha256_state keyed, state;
	uint8_t u[HASH];
	crypto_auth_hmacsha256_init(&keyed, password.ptr, password.len);
	state = keyed;
	crypto_auth_hmacsha256_update(&state, salt.ptr, salt.len);
	crypto_auth_hmacsha256_update(&state, one, sizeof(one));
	crypto_auth_hmacsha256_final(&state, u);
	memcpy(out, u, HASH);
	for (uint32_t i = 1; i < iterations; i++) {
		state = keyed;
		crypto_auth_hmacsha256_update(&state, u, HASH);
		crypto_auth_hmacsha256_final(&state, u);
		for (size_t j = 0; j < HASH; j++)
			out[j] ^= u[j];
	}
	sodium_memzero(&keyed, sizeof(keyed));
	sodium_memzero(&state, sizeof(state));
	sodium_memzero(u, sizeof(u));
}

struct scram_client *scram_client_new(struct slice user, struct slice password, struct slice nonce)
{
	struct scram_client *scram = heap_alloc(sizeof(*scram));
	uint8_t random[NONCE_OCTETS];
	buffer_add(&scram->password, password);
	if (nonce.len > 0) {
		buffer_add(&scram->nonce, nonce);
	} else {
		randombytes_buf(random, sizeof(random));
		base64_encode(slice_of(random, sizeof(random)), &scram->nonce);
	}
	buffer_add_cstr(&scram->first_bare, "n=");
	for (size_t i = 0; i < user.len; i++) {
		if (user.ptr[i] == '=')
			buffer_add_cstr(&scram->first_bare, "=3D");
		else if (user.ptr[i] == ',')
			buffer_add_cstr(&scram->first_bare, "=2C");
		else
			buffer_add_byte(&scram->first_bare, user.ptr[i]);
	}
	buffer_add_cstr(&scram->first_bare, ",r=");
	buffer_add(&scram->first_bare, buffer_slice(&scram->nonce));
	return scram;
}

void scram_client_first(struct scram_client *scram, struct buffer *out)
{
	buffer_add_cstr(out, "n,,");
	buffer_add(out, buffer_slice(&scram->first_bare));
}

/* attribute "=" value, up to the next comma. */
static bool take_attribute(struct cursor *c, uint8_t name, struct slice *value_out)
{
	struct cursor at = *c;
	if (!take_byte(&at, name) || !take_byte(&at, '='))
		return false;
	struct slice rest = cursor_rest(&at);
	*value_out = slice_sub(rest, 0, slice_find_byte(rest, 0, ','));
	at.at += value_out->len;
	take_byte(&at, ',');
	*c = at;
	return true;
}

enum err scram_client_answer(struct scram_client *scram, struct slice challenge, struct buffer *out)
{
	struct cursor c = cursor_of(challenge);
	struct slice nonce, salt64, count;
	struct buffer salt = { 0 }, auth_message = { 0 };
	uint8_t salted[HASH], key[HASH], stored[HASH], proof[HASH];
	uint64_t iterations;
	enum err err = ERR_BAD_INPUT;
	if (!take_attribute(&c, 'r', &nonce) || !take_attribute(&c, 's', &salt64) ||
	    !take_attribute(&c, 'i', &count) || !slice_to_u64(count, UINT32_MAX, &iterations) ||
	    iterations == 0 || nonce.len <= scram->nonce.len ||
	    !slice_eq(slice_sub(nonce, 0, scram->nonce.len), buffer_slice(&scram->nonce)) ||
	    !base64_decode(salt64, &salt) || salt.len == 0)
		goto out;
	err = ERR_LIMIT;
	if (iterations > SCRAM_ITERATIONS_MAX)
		goto out;
	/* The answer without its proof; "biws" is "n,,". */
	size_t start = out->len;
	buffer_add_cstr(out, "c=biws,r=");
	buffer_add(out, nonce);
	buffer_add(&auth_message, buffer_slice(&scram->first_bare));
	buffer_add_byte(&auth_message, ',');
	buffer_add(&auth_message, challenge);
	buffer_add_byte(&auth_message, ',');
	buffer_add(&auth_message, slice_of(out->data + start, out->len - start));

	salted_password(buffer_slice(&scram->password), buffer_slice(&salt), (uint32_t)iterations,
			salted);
	hmac(salted, HASH, SLICE("Client Key"), key);
	crypto_hash_sha256(stored, key, HASH);
	hmac(stored, HASH, buffer_slice(&auth_message), proof);
	for (size_t i = 0; i < HASH; i++)
		proof[i] ^= key[i];
	buffer_add_cstr(out, ",p=");
	base64_encode(slice_of(proof, HASH), out);
	hmac(salted, HASH, SLICE("Server Key"), key);
	hmac(key, HASH, buffer_slice(&auth_message), scram->server_signature);
	scram->has_signature = true;
	err = ERR_OK;
out:
	sodium_memzero(salted, sizeof(salted));
	sodium_memzero(key, sizeof(key));
	sodium_memzero(stored, sizeof(stored));
	buffer_free(&salt);
	buffer_free(&auth_message);
	return err;
}

enum err scram_client_verify(struct scram_client *scram, struct slice message)
{
	struct cursor c = cursor_of(message);
	struct slice value;
	struct buffer signature = { 0 };
	bool good = scram->has_signature && take_attribute(&c, 'v', &value) &&
		    base64_decode(value, &signature) && signature.len == HASH &&
		    sodium_memcmp(signature.data, scram->server_signature, HASH) == 0;
	buffer_free(&signature);
	return good ? ERR_OK : ERR_DENIED;
}

void scram_client_free(struct scram_client **scram_at)
{
	struct scram_client *scram = *scram_at;
	*scram_at = NULL;
	if (!scram)
		return;
	buffer_wipe(&scram->password);
	buffer_free(&scram->nonce);
	buffer_free(&scram->first_bare);
	free(scram);
}
