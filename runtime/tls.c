/* runtime/tls.c - a server's TLS context: TLS 1.2 and 1.3, forward-secret AEAD suites (RFC 9325
 * section 4), session tickets (RFC 5077, RFC 8446 section 4.6.1) under keys that BoringSSL makes,
 * keeps in memory and rotates. No client certificates, no ALPN, no early data. */
#include "runtime/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/heap.h"
#include "runtime/tls_priv.h"

/* The order of the brackets is ours, the one inside them is the client's: who has no AES in
 * hardware asks for ChaCha20 first. TLS 1.3's suites are all good and not listed. */
static const char cipher_list[] = "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:"
				  "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:"
				  "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

static const int groups[] = {
#ifdef NID_X25519MLKEM768
	NID_X25519MLKEM768, /* newer BoringSSL than Debian's */
#endif
	NID_X25519,
	NID_X9_62_prime256v1,
};

const char *tls_take_error(void)
{
	const char *why = ERR_reason_error_string(ERR_peek_error());
	ERR_clear_error();
	return why ? why : "unknown";
}

/* Never asks on a terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *user)
{
	return -1;
}

static bool use_chain(SSL_CTX *ctx, struct slice pem)
{
	bool good = false;
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	if (!certificate || !SSL_CTX_use_certificate(ctx, certificate))
		goto out;
	for (;;) {
		X509 *issuer = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
		if (!issuer)
			break;
		if (!SSL_CTX_add0_chain_cert(ctx, issuer)) {
			X509_free(issuer);
			goto out;
		}
	}
	/* The end of the text is the only good reason to stop. */
	uint32_t error = ERR_peek_last_error();
	good = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
	ERR_clear_error();
out:
	X509_free(certificate);
	BIO_free(bio);
	return good;
}

static bool use_key(SSL_CTX *ctx, struct slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	bool good = key && SSL_CTX_use_PrivateKey(ctx, key);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return good;
}

static bool set_policy(SSL_CTX *ctx)
{
	static const uint8_t id_context[] = "bode";
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets need no memory */
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_strict_cipher_list(ctx, cipher_list) &&
	       SSL_CTX_set1_curves(ctx, groups, sizeof(groups) / sizeof(groups[0])) &&
	       SSL_CTX_set_session_id_context(ctx, id_context, sizeof(id_context) - 1);
}

struct tls_context *tls_server_context(struct slice certificate_pem, struct slice key_pem,
				       const char **why_out)
{
	struct tls_context *context = NULL;
	SSL_CTX *ctx = NULL;

	*why_out = "";
	ERR_clear_error();
	if (certificate_pem.len > INT32_MAX || key_pem.len > INT32_MAX) {
		*why_out = "the certificate or the key is too large";
		goto out;
	}
	ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || !set_policy(ctx)) {
		*why_out = tls_take_error();
		goto out;
	}
	if (!use_chain(ctx, certificate_pem)) {
		*why_out = "the certificate file holds no usable PEM certificate chain";
		goto out;
	}
	if (!use_key(ctx, key_pem)) {
		*why_out = "the key file holds no usable PEM private key without passphrase, or "
			   "not the key of the certificate";
		goto out;
	}
	if (!SSL_CTX_check_private_key(ctx)) {
		*why_out = "the key does not belong to the certificate";
		goto out;
	}
	context = heap_alloc(sizeof(*context));
	context->ctx = ctx;
	ctx = NULL;
	atomic_init(&context->references, 1);
out:
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return context;
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
	if (context)
		atomic_fetch_add(&context->references, 1);
	return context;
}

void tls_context_release(struct tls_context **context)
{
	if (*context && atomic_fetch_sub(&(*context)->references, 1) == 1) {
		SSL_CTX_free((*context)->ctx);
		free(*context);
	}
	*context = NULL;
}
