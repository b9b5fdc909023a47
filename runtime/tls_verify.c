/* runtime/tls_verify.c - TLS 1.2 and 1.3 as a client: the certificate's chain is checked against
 * trusted authorities, and its names against the host's (RFC 9525). No client certificates, no
 * revocation lists. */
#include "runtime/tls_verify.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/heap.h"
#include "runtime/tls_priv.h"

/* Where systems keep the authorities they trust; the first is Debian's. */
static const char *const system_files[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem",
};

static const char *system_file(void)
{
	for (size_t i = 0; i < ARRAY_LEN(system_files); i++)
		if (access(system_files[i], R_OK) == 0)
			return system_files[i];
	return NULL;
}

struct tls_context *tls_client_context(const char *ca_path, const char **why_out)
{
	struct tls_context *context = NULL;
	const char *path = ca_path ? ca_path : system_file();
	*why_out = "";
	if (!path) {
		*why_out = "this machine has no file of trusted authorities; install the package "
			   "ca-certificates, or name a file";
		return NULL;
	}
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)) {
		*why_out = "TLS cannot be set up";
	} else if (!SSL_CTX_load_verify_locations(ctx, path, NULL)) {
		*why_out = "the file of trusted authorities cannot be read, or holds no "
			   "certificates in PEM form";
	} else {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		context = heap_alloc(sizeof(*context));
		context->ctx = ctx;
		ctx = NULL;
		atomic_init(&context->references, 1);
	}
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return context;
}

struct tls_context *tls_opportunistic_context(void)
{
	struct tls_context *context = NULL;
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		context = heap_alloc(sizeof(*context));
		context->ctx = ctx;
		ctx = NULL;
		atomic_init(&context->references, 1);
	}
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return context;
}

void tls_client_expect(SSL *ssl, const char *host)
{
	uint8_t address[16];
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	bool is_set;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* An address has no SNI. */
	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		is_set = X509_VERIFY_PARAM_set1_ip_asc(param, host);
	else
		is_set = X509_VERIFY_PARAM_set1_host(param, host, strlen(host)) &&
			 SSL_set_tlsext_host_name(ssl, host);
	/* What cannot be demanded cannot be proved: BoringSSL remembers a name it could not take
	 * and refuses every certificate. */
	if (!is_set)
		ERR_clear_error();
}

const char *tls_client_refusal(const SSL *ssl)
{
	long result = SSL_get_verify_result(ssl);
	return result == X509_V_OK || result == X509_V_ERR_INVALID_CALL
		       ? NULL
		       : X509_verify_cert_error_string(result);
}
