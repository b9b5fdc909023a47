/* runtime/tls_result.h - what came of securing one connection to another mail server, as the front
 * tells the back (MESSAGE_TLS_RESULT), as it is counted by day and domain, and as it is reported
 * (RFC 8460 section 4). Values only; any thread. Decoding trusts nothing. */
#pragma once

#include "base/buffer.h"

/* How well the way to a domain was secured. */
enum tls_level {
	TLS_LEVEL_NONE,
	TLS_LEVEL_ENCRYPTED, /* with whomever that was */
	TLS_LEVEL_PROVEN,    /* by DANE, or by an authority under a policy */
	TLS_LEVEL_UNSAID,    /* this connection says nothing about that */
};

/* RFC 8460 section 4.4: policy-type. */
enum tls_policy_kind { TLS_POLICY_NONE, TLS_POLICY_TLSA, TLS_POLICY_STS, TLS_POLICY_COUNT };

/* RFC 8460 section 4.3: result-type. */
enum tls_result_kind {
	TLS_RESULT_GOOD,
	TLS_RESULT_NO_STARTTLS,
	TLS_RESULT_NAME,
	TLS_RESULT_EXPIRED,
	TLS_RESULT_UNTRUSTED,
	TLS_RESULT_FAILED, /* validation-failure: any other */
	TLS_RESULT_POLICY_NOT_FETCHED,
	TLS_RESULT_POLICY_INVALID,
	TLS_RESULT_POLICY_HOST_UNTRUSTED,
	TLS_RESULT_DNSSEC,
	TLS_RESULT_COUNT,
};
/* "starttls-not-supported"; of TLS_RESULT_GOOD "good". */
const char *tls_result_word(enum tls_result_kind kind);
const char *tls_policy_word(enum tls_policy_kind kind); /* "tlsa", "sts", "no-policy-found" */

enum {
	TLS_RESULT_POLICY_MAX_OCTETS = 4096,
	TLS_RESULT_TEXT_MAX_OCTETS = 255,
	TLS_RESULT_REPORT_TO_MAX_OCTETS = 1024,
};

struct tls_result {
	enum tls_policy_kind policy;
	struct slice policy_text; /* its lines, separated by LF: records, or what was fetched */
	enum tls_result_kind kind;
	/* Of a failure. */
	struct slice host;	/* the exchanger's name */
	struct slice address;	/* and its address, as text */
	struct slice reason;	/* in words */
	struct slice report_to; /* addresses that want reports, as DNS has them; empty: nobody */
};
/* What is too long is cut. */
void tls_result_encode(const struct tls_result *result, struct buffer *out);
bool tls_result_decode(struct slice octets, struct tls_result *result_out);

struct tls_result_message {
	struct slice domain;
	enum tls_level level;
	enum tls_policy_kind proven_by; /* of TLS_LEVEL_PROVEN */
	/* The way was proven before, and that is not to be expected any more. */
	bool is_renounced;
	bool has_result;     /* else the message is about the level alone */
	struct slice result; /* encoded */
};
void tls_result_message_encode(const struct tls_result_message *m, struct buffer *out);
/* The result has been decoded once when it is true. */
bool tls_result_message_decode(struct slice payload, struct tls_result_message *m_out);
