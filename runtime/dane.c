/* runtime/dane.c - a certificate chain against TLSA records: RFC 6698 section 2, with the changes
 * of RFC 7671 (what usages 2 and 3 mean, the strongest digest of several) and RFC 7672 section 3.
 * Runs in the front.
 *
 * Usages 0 and 1 lean on authorities that two mail servers need not have in common; nobody is
 * authenticated by them (RFC 7672 section 3.1.3). */
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "runtime/tls_client_priv.h"

enum {
	USAGE_TRUST_ANCHOR = 2,
	USAGE_END_ENTITY = 3,
	SELECTOR_CERTIFICATE = 0,
	SELECTOR_KEY = 1,
	MATCHING_FULL = 0,
	MATCHING_SHA256 = 1,
	MATCHING_SHA512 = 2,
	CHAIN_MAX = 16,
	FULL_MAX_OCTETS = 16 * 1024,
};

/* ---- records ---- */

static X509 *certificate_of(struct slice der)
{
	const uint8_t *at = der.ptr;
	X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
	if (certificate && at != der.ptr + der.len) {
		X509_free(certificate);
		certificate = NULL;
	}
	ERR_clear_error();
	return certificate;
}

static EVP_PKEY *key_of(struct slice der)
{
	const uint8_t *at = der.ptr;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)der.len);
	if (key && at != der.ptr + der.len) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	ERR_clear_error();
	return key;
}

static bool full_is_well_formed(const struct tlsa *record)
{
	if (record->data.len > FULL_MAX_OCTETS)
		return false;
	if (record->selector == SELECTOR_CERTIFICATE) {
		X509 *certificate = certificate_of(record->data);
		X509_free(certificate);
		return certificate != NULL;
	}
	EVP_PKEY *key = key_of(record->data);
	EVP_PKEY_free(key);
	return key != NULL;
}

bool tlsa_is_usable(const struct tlsa *record)
{
	if ((record->usage != USAGE_TRUST_ANCHOR && record->usage != USAGE_END_ENTITY) ||
	    record->selector > SELECTOR_KEY)
		return false;
	switch (record->matching) {
	case MATCHING_FULL: return full_is_well_formed(record);
	case MATCHING_SHA256: return record->data.len == SHA256_DIGEST_LENGTH;
	case MATCHING_SHA512: return record->data.len == SHA512_DIGEST_LENGTH;
	default: return false;
	}
}

/* RFC 7671 section 9: where a stronger digest of the same kind of thing is there, a weaker one does
 * not count. */
static bool is_outdone(const struct tlsa *record, const struct tlsa *records, size_t count)
{
	if (record->matching != MATCHING_SHA256)
		return false;
	for (size_t i = 0; i < count; i++)
		if (records[i].matching == MATCHING_SHA512 && records[i].usage == record->usage &&
		    records[i].selector == record->selector && tlsa_is_usable(&records[i]))
			return true;
	return false;
}

static bool fits(const struct tlsa *record, X509 *certificate)
{
	uint8_t digest[SHA512_DIGEST_LENGTH], *der = NULL;
	int len = record->selector == SELECTOR_CERTIFICATE
			  ? i2d_X509(certificate, &der)
			  : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	if (len <= 0) {
		ERR_clear_error();
		return false;
	}
	struct slice what = slice_of(der, (size_t)len);
	if (record->matching == MATCHING_SHA256)
		what = slice_of(SHA256(der, (size_t)len, digest), SHA256_DIGEST_LENGTH);
	else if (record->matching == MATCHING_SHA512)
		what = slice_of(SHA512(der, (size_t)len, digest), SHA512_DIGEST_LENGTH);
	bool is_same = slice_eq(record->data, what);
	OPENSSL_free(der);
	return is_same;
}

/* ---- trust anchors ---- */

struct chain {
	STACK_OF(X509) * certificates; /* the peer's own first */
	const char *const *names;
	size_t name_count;
};

static enum tls_refusal refusal_of(int error)
{
	if (error == X509_V_ERR_HOSTNAME_MISMATCH)
		return TLS_REFUSED_NAME;
	return error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID
		       ? TLS_REFUSED_EXPIRED
		       : TLS_REFUSED_UNTRUSTED;
}

/* The chain up to the anchor, which is trusted as it is, self-signed or not; valid now, for a
 * server, and with one of the names. */
static enum tls_refusal verify_from(const struct chain *chain, X509 *anchor)
{
	enum tls_refusal refusal = TLS_REFUSED_UNTRUSTED;
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	if (!store || !ctx || !X509_STORE_add_cert(store, anchor) ||
	    !X509_STORE_CTX_init(ctx, store, sk_X509_value(chain->certificates, 0),
				 chain->certificates) ||
	    !X509_STORE_CTX_set_default(ctx, "ssl_server"))
		goto out;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (size_t i = 0; i < chain->name_count; i++)
		if (!X509_VERIFY_PARAM_add1_host(param, chain->names[i], strlen(chain->names[i])))
			goto out;
	refusal = X509_verify_cert(ctx) == 1 ? TLS_NOT_REFUSED
					     : refusal_of(X509_STORE_CTX_get_error(ctx));
out:
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return refusal;
}

/* The worst that is known is told only where nothing better came. */
static void better(enum tls_refusal *best, enum tls_refusal refusal)
{
	if (*best == TLS_REFUSED_DANE || refusal == TLS_NOT_REFUSED)
		*best = refusal;
}

/* A bare key need not come with a certificate of its own (RFC 7671 section 5.2.2). */
static void verify_from_key(const struct chain *chain, const struct tlsa *record,
			    enum tls_refusal *best)
{
	EVP_PKEY *key = key_of(record->data);
	for (size_t i = 0; key && i < sk_X509_num(chain->certificates); i++) {
		X509 *certificate = sk_X509_value(chain->certificates, i);
		if (X509_verify(certificate, key) == 1)
			better(best, verify_from(chain, certificate));
		ERR_clear_error();
	}
	EVP_PKEY_free(key);
}

static void verify_anchor(const struct chain *chain, const struct tlsa *record,
			  enum tls_refusal *best)
{
	/* An anchor stands above the certificate that it vouches for. */
	for (size_t i = 1; i < sk_X509_num(chain->certificates); i++) {
		X509 *certificate = sk_X509_value(chain->certificates, i);
		if (fits(record, certificate))
			better(best, verify_from(chain, certificate));
	}
	if (record->matching != MATCHING_FULL)
		return;
	if (record->selector == SELECTOR_KEY) {
		verify_from_key(chain, record, best);
		return;
	}
	/* The whole certificate in DNS: the server need not send it. */
	X509 *anchor = certificate_of(record->data);
	if (anchor)
		better(best, verify_from(chain, anchor));
	X509_free(anchor);
}

enum tls_refusal dane_verify(const STACK_OF(CRYPTO_BUFFER) * buffers, const struct tlsa *records,
			     size_t record_count, const char *const *names, size_t name_count)
{
	struct chain chain = { sk_X509_new_null(), names, name_count };
	enum tls_refusal best = TLS_REFUSED_DANE;
	for (size_t i = 0; buffers && i < sk_CRYPTO_BUFFER_num(buffers) && i < CHAIN_MAX; i++) {
		X509 *certificate = X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(buffers, i));
		if (!certificate || !sk_X509_push(chain.certificates, certificate)) {
			X509_free(certificate);
			break;
		}
	}
	for (size_t i = 0; i < record_count && best != TLS_NOT_REFUSED; i++) {
		const struct tlsa *record = &records[i];
		if (sk_X509_num(chain.certificates) == 0 || !tlsa_is_usable(record) ||
		    is_outdone(record, records, record_count))
			continue;
		/* The key is what counts: no name and no date (RFC 7672 section 3.1.1). */
		if (record->usage == USAGE_END_ENTITY) {
			if (fits(record, sk_X509_value(chain.certificates, 0)))
				best = TLS_NOT_REFUSED;
		} else {
			verify_anchor(&chain, record, &best);
		}
	}
	sk_X509_pop_free(chain.certificates, X509_free);
	ERR_clear_error();
	return best;
}
