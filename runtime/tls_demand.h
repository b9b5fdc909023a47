/* runtime/tls_demand.h - what the other side of one TLS connection has to prove, to us as a client,
 * and whether an earlier session with it is resumed. Values; used by stream_start_tls_client(). */
#pragma once

#include "base/slice.h"

enum tls_proof {
	TLS_PROOF_NAME, /* a chain to the context's authorities, and the host's name (RFC 9525) */
	TLS_PROOF_NONE, /* any certificate will do (RFC 7435) */
	TLS_PROOF_DANE, /* what TLSA records say (RFC 7671), of usage 2 and 3 alone (RFC 7672) */
};

/* A TLSA record (RFC 6698 section 2.1). */
struct tlsa {
	uint8_t usage, selector, matching;
	struct slice data;
};
enum { TLSA_RECORDS_MAX = 32, TLS_NAMES_MAX = 4 };
/* Whether a mail server can be authenticated by it (RFC 7672 section 3.1): well-formed, and of a
 * usage, selector and matching type that are known. */
bool tlsa_is_usable(const struct tlsa *record);

struct tls_sessions; /* runtime/tls_sessions.h */

struct tls_demand {
	const char *host; /* a name, told to the peer (SNI), or an address */
	enum tls_proof proof;
	/* A proof that fails is noted, and the connection goes on: stream_tls_refusal() tells. */
	bool is_lenient;
	/* TLS_PROOF_DANE: the records, at least one of them usable; names one of which a certificate
	 * has to bear that a trust anchor vouches for (RFC 7672 section 3.2.2). */
	const struct tlsa *records;
	size_t record_count;
	const char *names[TLS_NAMES_MAX];
	size_t name_count;
	/* Sessions are resumed from here, with the same place and the same demand only. NULL: none. */
	struct tls_sessions *sessions;
	const char *place;
};

/* Why a certificate was not good enough. */
enum tls_refusal {
	TLS_NOT_REFUSED,
	TLS_REFUSED_NAME,
	TLS_REFUSED_EXPIRED,
	TLS_REFUSED_UNTRUSTED,
	TLS_REFUSED_DANE, /* no TLSA record fits */
};
