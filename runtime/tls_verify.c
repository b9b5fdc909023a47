/* runtime/tls_verify.c - contexts of TLS 1.2 and 1.3 as a client: with authorities to trust, or
 * without any. What one connection demands is tls_client.c's. */
#include "runtime/tls_verify.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/heap.h"
#include "runtime/tls_client_priv.h"

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

static SSL_CTX *client_new(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* Takes `ctx`. */
static struct tls_context *context_of(SSL_CTX *ctx, int verify_mode)
{
	SSL_CTX_set_verify(ctx, verify_mode, NULL);
	tls_client_prepare_context(ctx);
	struct tls_context *context = heap_alloc(sizeof(*context));
	context->ctx = ctx;
	atomic_init(&context->references, 1);
	return context;
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
	SSL_CTX *ctx = client_new();
	if (!ctx) {
		*why_out = "TLS cannot be set up";
	} else if (!SSL_CTX_load_verify_locations(ctx, path, NULL)) {
		*why_out = "the file of trusted authorities cannot be read, or holds no "
			   "certificates in PEM form";
		SSL_CTX_free(ctx);
	} else {
		context = context_of(ctx, SSL_VERIFY_PEER);
	}
	ERR_clear_error();
	return context;
}

struct tls_context *tls_opportunistic_context(void)
{
	ERR_clear_error();
	SSL_CTX *ctx = client_new();
	struct tls_context *context = ctx ? context_of(ctx, SSL_VERIFY_NONE) : NULL;
	ERR_clear_error();
	return context;
}
