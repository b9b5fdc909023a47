/* tests/unit/runtime/dane.c - chains of certificates against TLSA records of all kinds. */
#include "tests/unit/unit.h"

#include <openssl/digest.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/buffer.h"
#include "runtime/tls_client_priv.h"

enum { ROOT, INTERMEDIATE, LEAF, OLD_LEAF, STRANGER, CERTIFICATES };
enum { DAY_SECONDS = 24 * 3600 };

static struct {
	X509 *certificate;
	EVP_PKEY *key;
	struct buffer der, spki;
} made[CERTIFICATES];

static void add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, NULL, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

static void make(int which, int issuer, const char *name, bool is_authority, long until_seconds)
{
	EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	EVP_PKEY *key = made[which].key = EVP_PKEY_new();
	assert_true(EC_KEY_generate_key(ec) && EVP_PKEY_assign_EC_KEY(key, ec));
	X509 *certificate = made[which].certificate = X509_new();
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), which + 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -2L * DAY_SECONDS);
	X509_gmtime_adj(X509_getm_notAfter(certificate), until_seconds);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
				   (const uint8_t *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(made[issuer].certificate));
	X509_set_pubkey(certificate, key);
	if (is_authority) {
		add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
	} else {
		char names[128];
		snprintf(names, sizeof(names), "DNS:%s,DNS:*.wild.example", name);
		add_extension(certificate, NID_subject_alt_name, names);
	}
	assert_true(X509_sign(certificate, made[issuer].key, EVP_sha256()) > 0);
	uint8_t *der = NULL;
	int len = i2d_X509(certificate, &der);
	buffer_add(&made[which].der, slice_of(der, (size_t)len));
	OPENSSL_free(der);
	der = NULL;
	len = i2d_PUBKEY(key, &der);
	buffer_add(&made[which].spki, slice_of(der, (size_t)len));
	OPENSSL_free(der);
}

static int make_all(void **state)
{
	make(ROOT, ROOT, "root", true, 10 * DAY_SECONDS);
	make(INTERMEDIATE, ROOT, "intermediate", true, 10 * DAY_SECONDS);
	make(LEAF, INTERMEDIATE, "mail.example.org", false, 10 * DAY_SECONDS);
	make(OLD_LEAF, INTERMEDIATE, "mail.example.org", false, -DAY_SECONDS);
	make(STRANGER, STRANGER, "stranger", true, 10 * DAY_SECONDS);
	return 0;
}

static int free_all(void **state)
{
	for (int i = 0; i < CERTIFICATES; i++) {
		X509_free(made[i].certificate);
		EVP_PKEY_free(made[i].key);
		buffer_free(&made[i].der);
		buffer_free(&made[i].spki);
	}
	return 0;
}

/* A record of one of the certificates. `storage` lives as long as the record is used. */
static struct tlsa record_of(int which, uint8_t usage, uint8_t selector, uint8_t matching,
			     uint8_t storage[SHA512_DIGEST_LENGTH])
{
	struct slice what = buffer_slice(selector ? &made[which].spki : &made[which].der);
	if (matching == 1)
		what = slice_of(SHA256(what.ptr, what.len, storage), SHA256_DIGEST_LENGTH);
	else if (matching == 2)
		what = slice_of(SHA512(what.ptr, what.len, storage), SHA512_DIGEST_LENGTH);
	return (struct tlsa){ usage, selector, matching, what };
}

static enum tls_refusal judge(const int *chain, size_t count, const struct tlsa *records,
			      size_t record_count, const char *name)
{
	const char *const names[] = { "next-hop.example", name };
	STACK_OF(CRYPTO_BUFFER) *buffers = sk_CRYPTO_BUFFER_new_null();
	for (size_t i = 0; i < count; i++) {
		const struct buffer *der = &made[chain[i]].der;
		sk_CRYPTO_BUFFER_push(buffers, CRYPTO_BUFFER_new(der->data, der->len, NULL));
	}
	enum tls_refusal refusal = dane_verify(buffers, records, record_count, names, 2);
	sk_CRYPTO_BUFFER_pop_free(buffers, CRYPTO_BUFFER_free);
	return refusal;
}

static enum tls_refusal judge_one(const int *chain, size_t count, const struct tlsa *record,
				  const char *name)
{
	return judge(chain, count, record, 1, name);
}

static const int whole[] = { LEAF, INTERMEDIATE, ROOT };
static const int without_root[] = { LEAF, INTERMEDIATE };
static const int bare[] = { LEAF };
static const int old[] = { OLD_LEAF, INTERMEDIATE, ROOT };

static void every_form_fits_its_certificate(void **state)
{
	uint8_t digest[SHA512_DIGEST_LENGTH];
	for (uint8_t selector = 0; selector <= 1; selector++)
		for (uint8_t matching = 0; matching <= 2; matching++) {
			struct tlsa record = record_of(LEAF, 3, selector, matching, digest);
			assert_true(tlsa_is_usable(&record));
			assert_int_equal(judge_one(bare, 1, &record, "x.example"), TLS_NOT_REFUSED);
			record = record_of(STRANGER, 3, selector, matching, digest);
			assert_int_equal(judge_one(bare, 1, &record, "mail.example.org"),
					 TLS_REFUSED_DANE);
			/* The anchor's certificate comes with the chain. */
			for (int anchor = ROOT; anchor <= INTERMEDIATE; anchor++) {
				record = record_of(anchor, 2, selector, matching, digest);
				assert_int_equal(judge_one(whole, 3, &record, "mail.example.org"),
						 TLS_NOT_REFUSED);
			}
			record = record_of(STRANGER, 2, selector, matching, digest);
			assert_int_not_equal(judge_one(whole, 3, &record, "mail.example.org"),
					     TLS_NOT_REFUSED);
		}
}

static void an_anchor_that_is_whole_in_dns_need_not_be_sent(void **state)
{
	uint8_t digest[SHA512_DIGEST_LENGTH];
	struct tlsa record = record_of(ROOT, 2, 0, 0, digest);
	assert_int_equal(judge_one(without_root, 2, &record, "mail.example.org"), TLS_NOT_REFUSED);
	record = record_of(ROOT, 2, 1, 0, digest);
	assert_int_equal(judge_one(without_root, 2, &record, "mail.example.org"), TLS_NOT_REFUSED);
	record = record_of(INTERMEDIATE, 2, 1, 0, digest);
	assert_int_equal(judge_one(bare, 1, &record, "mail.example.org"), TLS_NOT_REFUSED);
	record = record_of(ROOT, 2, 0, 1, digest);
	assert_int_equal(judge_one(without_root, 2, &record, "mail.example.org"), TLS_REFUSED_DANE);
}

static void names_and_dates_count_under_an_anchor_alone(void **state)
{
	uint8_t digest[SHA512_DIGEST_LENGTH];
	struct tlsa anchor = record_of(ROOT, 2, 0, 1, digest);
	assert_int_equal(judge_one(whole, 3, &anchor, "a.wild.example"), TLS_NOT_REFUSED);
	assert_int_equal(judge_one(whole, 3, &anchor, "a.b.wild.example"), TLS_REFUSED_NAME);
	assert_int_equal(judge_one(whole, 3, &anchor, "other.example.org"), TLS_REFUSED_NAME);
	assert_int_equal(judge_one(old, 3, &anchor, "mail.example.org"), TLS_REFUSED_EXPIRED);
	struct tlsa own = record_of(OLD_LEAF, 3, 1, 1, digest);
	assert_int_equal(judge_one(old, 3, &own, "other.example.org"), TLS_NOT_REFUSED);
}

/* The peer's own certificate is no anchor, even if a record of usage 2 has its digest. */
static void a_leaf_vouches_for_nobody(void **state)
{
	uint8_t digest[SHA512_DIGEST_LENGTH];
	struct tlsa record = record_of(LEAF, 2, 1, 1, digest);
	assert_int_equal(judge_one(whole, 3, &record, "mail.example.org"), TLS_REFUSED_DANE);
}

static void the_strongest_digest_counts(void **state)
{
	uint8_t one[SHA512_DIGEST_LENGTH], two[SHA512_DIGEST_LENGTH];
	struct tlsa records[2] = { record_of(LEAF, 3, 1, 1, one),
				   record_of(STRANGER, 3, 1, 2, two) };
	assert_int_equal(judge(bare, 1, records, 2, "x.example"), TLS_REFUSED_DANE);
	records[1].selector = 0; /* of another kind of thing */
	assert_int_equal(judge(bare, 1, records, 2, "x.example"), TLS_NOT_REFUSED);
	/* Several of one kind: any may fit. */
	records[0] = record_of(STRANGER, 3, 1, 1, one);
	records[1] = record_of(LEAF, 3, 1, 1, two);
	assert_int_equal(judge(bare, 1, records, 2, "x.example"), TLS_NOT_REFUSED);
}

static void what_cannot_be_used_is_known(void **state)
{
	uint8_t digest[SHA512_DIGEST_LENGTH];
	struct tlsa good = record_of(LEAF, 3, 1, 1, digest), bad;
	for (unsigned usage = 0; usage < 256; usage++) {
		bad = good;
		bad.usage = (uint8_t)usage;
		assert_int_equal(tlsa_is_usable(&bad), usage == 2 || usage == 3);
	}
	bad = good;
	bad.selector = 2;
	assert_false(tlsa_is_usable(&bad));
	bad = good;
	bad.matching = 3;
	assert_false(tlsa_is_usable(&bad));
	bad = good;
	bad.data.len--;
	assert_false(tlsa_is_usable(&bad));
	bad = (struct tlsa){ 3, 0, 0, SLICE("no certificate") };
	assert_false(tlsa_is_usable(&bad));
	bad.selector = 1;
	assert_false(tlsa_is_usable(&bad));
	assert_int_equal(judge_one(bare, 1, &bad, "x.example"), TLS_REFUSED_DANE);
	assert_int_equal(judge(bare, 0, &good, 1, "x.example"), TLS_REFUSED_DANE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_fits_its_certificate),
		cmocka_unit_test(an_anchor_that_is_whole_in_dns_need_not_be_sent),
		cmocka_unit_test(names_and_dates_count_under_an_anchor_alone),
		cmocka_unit_test(a_leaf_vouches_for_nobody),
		cmocka_unit_test(the_strongest_digest_counts),
		cmocka_unit_test(what_cannot_be_used_is_known),
	};
	return cmocka_run_group_tests(tests, make_all, free_all);
}
