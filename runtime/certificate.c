/* runtime/certificate.c - a self-signed certificate (RFC 5280) of ECDSA P-256 with SHA-256. It may
 * sign nothing but itself; a client has to be told to trust it. */
#include "runtime/certificate.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/log.h"
#include "runtime/tls_priv.h"

enum {
	CERTIFICATE_SECONDS = 3650L * 24 * 60 * 60,
	BACKDATED_SECONDS = 24 * 60 * 60, /* for clients whose clock is slow */
	SERIAL_OCTETS = 16,
	COMMON_NAME_MAX_OCTETS = 64, /* ub-common-name */
};

static EVP_PKEY *make_key(void)
{
	EVP_PKEY *key = EVP_PKEY_new();
	EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	if (!key || !ec || !EC_KEY_generate_key(ec) || !EVP_PKEY_set1_EC_KEY(key, ec)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	EC_KEY_free(ec);
	return key;
}

static bool set_serial(X509 *x)
{
	uint8_t octets[SERIAL_OCTETS];
	RAND_bytes(octets, sizeof(octets));
	octets[0] = (uint8_t)((octets[0] & 0x7f) | 1); /* positive, RFC 5280 section 4.1.2.2 */
	BIGNUM *number = BN_bin2bn(octets, sizeof(octets), NULL);
	bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
	BN_free(number);
	return good;
}

static bool set_names(X509 *x, struct slice hostname)
{
	X509_NAME *name = X509_get_subject_name(x);
	/* A longer name stands in the alternative names only, where clients look. */
	struct slice common = hostname.len <= COMMON_NAME_MAX_OCTETS ? hostname : SLICE("bode");
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common.ptr, (int)common.len, -1,
					  0) &&
	       X509_set_issuer_name(x, name);
}

static bool add_alternative(GENERAL_NAMES *names, int type, struct slice octets)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *text =
		ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);
	if (!name || !text || !ASN1_STRING_set(text, octets.ptr, (int)octets.len))
		goto out;
	GENERAL_NAME_set0_value(name, type, text);
	text = NULL;
	if (!sk_GENERAL_NAME_push(names, name))
		goto out;
	return true;
out:
	ASN1_STRING_free(text);
	GENERAL_NAME_free(name);
	return false;
}

static bool add_alternatives(X509 *x, struct slice hostname)
{
	static const uint8_t v4[4] = { 127, 0, 0, 1 }, v6[16] = { [15] = 1 };
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	bool good = names && add_alternative(names, GEN_DNS, hostname) &&
		    add_alternative(names, GEN_DNS, SLICE("localhost")) &&
		    add_alternative(names, GEN_IPADD, slice_of(v4, sizeof(v4))) &&
		    add_alternative(names, GEN_IPADD, slice_of(v6, sizeof(v6))) &&
		    X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
	GENERAL_NAMES_free(names);
	return good;
}

static bool add_constraints(X509 *x)
{
	BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
	/* Not an authority: what it signs itself is taken by being named as trusted. */
	bool good = constraints && X509_add1_ext_i2d(x, NID_basic_constraints, constraints, 1,
						     X509V3_ADD_DEFAULT) == 1;
	BASIC_CONSTRAINTS_free(constraints);
	return good;
}

static X509 *make_certificate(EVP_PKEY *key, struct slice hostname)
{
	X509 *x = X509_new();
	if (x && X509_set_version(x, 2 /* version 3 */) && set_serial(x) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -BACKDATED_SECONDS) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), CERTIFICATE_SECONDS) && set_names(x, hostname) &&
	    X509_set_pubkey(x, key) && add_alternatives(x, hostname) && add_constraints(x) &&
	    X509_sign(x, key, EVP_sha256()))
		return x;
	X509_free(x);
	return NULL;
}

static bool add_bio(struct buffer *out, BIO *bio)
{
	const uint8_t *octets;
	size_t len;
	if (!BIO_mem_contents(bio, &octets, &len))
		return false;
	buffer_add(out, slice_of(octets, len));
	return true;
}

enum err certificate_self_sign(const char *hostname, struct buffer *certificate_pem,
			       struct buffer *key_pem)
{
	enum err err = ERR_UNAVAILABLE;
	EVP_PKEY *key = NULL;
	X509 *x = NULL;
	BIO *key_bio = BIO_new(BIO_s_mem());
	BIO *x_bio = BIO_new(BIO_s_mem());

	if (slice_cstr(hostname).len == 0) {
		err = ERR_BAD_INPUT;
		goto out;
	}
	key = make_key();
	x = key ? make_certificate(key, slice_cstr(hostname)) : NULL;
	if (!x || !key_bio || !x_bio || !PEM_write_bio_X509(x_bio, x) ||
	    !PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) ||
	    !add_bio(certificate_pem, x_bio) || !add_bio(key_pem, key_bio)) {
		log_error(NULL, EVENT("certificate-failed"), WORD("why", tls_take_error()));
		goto out;
	}
	err = ERR_OK;
out:
	BIO_free(key_bio);
	BIO_free(x_bio);
	X509_free(x);
	EVP_PKEY_free(key);
	return err;
}
