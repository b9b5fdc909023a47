/* runtime/tls_client.c - what a peer has to prove to us as a client, demanded of BoringSSL: a chain
 * to an authority and a name (RFC 9525), or TLSA records (RFC 7671), or nothing; and sessions to be
 * resumed. Runs in the front, and in the admin's process. No client certificates, no revocation
 * lists. */
#include "runtime/tls_client_priv.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/heap.h"
#include "runtime/fingerprint.h"
#include "runtime/tls_sessions.h"

/* The connection's own copy of its demand, and what came of it. */
struct tls_client {
	struct arena arena;
	struct tls_demand demand;
	uint8_t place[TLS_PLACE_OCTETS];
	int64_t proven_unix; /* of the session that is offered */
	enum tls_refusal refusal;
	const char *words; /* static text */
};

/* ---- a connection's own ---- */

static int client_index;
static pthread_once_t client_index_once = PTHREAD_ONCE_INIT;

static void free_client(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl,
			void *argp)
{
	struct tls_client *client = ptr;
	if (!client)
		return;
	arena_fini(&client->arena);
	free(client);
}

static void make_index(void)
{
	client_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_client);
	assert(client_index >= 0);
}

static struct tls_client *client_of(const SSL *ssl)
{
	pthread_once(&client_index_once, make_index);
	return SSL_get_ex_data(ssl, client_index);
}

static void copy_demand(struct tls_client *client, const struct tls_demand *demand)
{
	struct arena *arena = &client->arena;
	size_t count = demand->record_count < TLSA_RECORDS_MAX ? demand->record_count
							       : (size_t)TLSA_RECORDS_MAX;
	struct tlsa *records = arena_alloc_array(arena, count, sizeof(*records));
	client->demand = *demand;
	client->demand.host = arena_string(arena, slice_cstr(demand->host));
	for (size_t i = 0; i < count; i++) {
		records[i] = demand->records[i];
		records[i].data = arena_copy(arena, records[i].data);
	}
	client->demand.records = records;
	client->demand.record_count = count;
	for (size_t i = 0; i < demand->name_count; i++)
		client->demand.names[i] = arena_string(arena, slice_cstr(demand->names[i]));
}

/* Everything that a session stands for. */
static void find_place(struct tls_client *client)
{
	const struct tls_demand *demand = &client->demand;
	uint8_t heads[TLSA_RECORDS_MAX][3];
	struct slice pieces[4 + TLS_NAMES_MAX + 2 * TLSA_RECORDS_MAX];
	uint8_t kind[2] = { (uint8_t)demand->proof, demand->is_lenient };
	size_t count = 0;
	pieces[count++] = slice_cstr(demand->place);
	pieces[count++] = slice_cstr(demand->host);
	pieces[count++] = slice_of(kind, sizeof(kind));
	for (size_t i = 0; i < demand->name_count; i++)
		pieces[count++] = slice_cstr(demand->names[i]);
	for (size_t i = 0; i < demand->record_count; i++) {
		const struct tlsa *record = &demand->records[i];
		heads[i][0] = record->usage;
		heads[i][1] = record->selector;
		heads[i][2] = record->matching;
		pieces[count++] = slice_of(heads[i], sizeof(heads[i]));
		pieces[count++] = record->data;
	}
	fingerprint(pieces, count, client->place, sizeof(client->place));
}

/* ---- proofs ---- */

static enum tls_refusal refusal_of(int error)
{
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
	case X509_V_ERR_EMAIL_MISMATCH: return TLS_REFUSED_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID: return TLS_REFUSED_EXPIRED;
	default: return TLS_REFUSED_UNTRUSTED;
	}
}

/* Called for each certificate of the chain, and for each thing that is wrong with it. */
static int on_chain(int is_good, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_client *client = client_of(ssl);
	if (is_good)
		return 1;
	if (client->refusal == TLS_NOT_REFUSED) {
		int error = X509_STORE_CTX_get_error(store);
		client->refusal = refusal_of(error);
		client->words = X509_verify_cert_error_string(error);
	}
	return client->demand.is_lenient;
}

static enum ssl_verify_result_t on_dane(SSL *ssl, uint8_t *alert_out)
{
	static const char *const words[] = {
		[TLS_REFUSED_NAME] = "its names are not those that DNS leads to",
		[TLS_REFUSED_EXPIRED] = "it is not valid at this time",
		[TLS_REFUSED_UNTRUSTED] = "the trust anchor in DNS does not vouch for it",
		[TLS_REFUSED_DANE] = "it is not the one that DNS announces (TLSA)",
	};
	struct tls_client *client = client_of(ssl);
	const struct tls_demand *demand = &client->demand;
	client->refusal = dane_verify(SSL_get0_peer_certificates(ssl), demand->records,
				      demand->record_count, demand->names, demand->name_count);
	if (client->refusal == TLS_NOT_REFUSED)
		return ssl_verify_ok;
	client->words = words[client->refusal];
	*alert_out = SSL_AD_BAD_CERTIFICATE;
	return client->demand.is_lenient ? ssl_verify_ok : ssl_verify_invalid;
}

static bool is_address(const char *host)
{
	uint8_t address[16];
	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

void tls_client_expect(SSL *ssl, const struct tls_demand *demand)
{
	const char *host = demand->host;
	struct tls_client *client = heap_alloc(sizeof(*client));
	(void)client_of(ssl); /* makes the index */
	copy_demand(client, demand);
	SSL_set_ex_data(ssl, client_index, client);
	/* An address has no SNI (RFC 6066 section 3). */
	bool is_set = is_address(host) || SSL_set_tlsext_host_name(ssl, host);
	switch (demand->proof) {
	case TLS_PROOF_NONE: SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL); break;
	case TLS_PROOF_DANE: SSL_set_custom_verify(ssl, SSL_VERIFY_PEER, on_dane); break;
	case TLS_PROOF_NAME: {
		X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
		X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		SSL_set_verify(ssl, SSL_VERIFY_PEER, on_chain);
		is_set &= is_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(param, host)
					   : X509_VERIFY_PARAM_set1_host(param, host, strlen(host));
		break;
	}
	}
	/* What cannot be demanded cannot be proved: BoringSSL remembers a name it could not take
	 * and refuses every certificate. */
	if (!is_set)
		ERR_clear_error();
	if (!demand->sessions)
		return;
	find_place(client);
	SSL_SESSION *session =
		tls_sessions_take(demand->sessions, client->place, &client->proven_unix);
	if (session)
		SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
}

const char *tls_client_refusal(const SSL *ssl, enum tls_refusal *kind_out)
{
	const struct tls_client *client = client_of(ssl);
	*kind_out = client ? client->refusal : TLS_NOT_REFUSED;
	return client ? client->words : NULL;
}

/* ---- sessions ---- */

/* One: the reference is ours. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_client *client = client_of(ssl);
	if (!client || !client->demand.sessions || client->refusal != TLS_NOT_REFUSED ||
	    !SSL_SESSION_is_resumable(session))
		return 0;
	tls_sessions_put(client->demand.sessions, client->place, session,
			 SSL_session_reused(ssl) ? client->proven_unix : clock_unix());
	return 1;
}

void tls_client_prepare_context(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_new_session);
}
