/* smtpd/trace.h - the trace header fields that whoever takes a message puts on top of it (RFC
 * 5321 section 4.4). Values only; any thread. */
#pragma once

#include "base/buffer.h"
#include "runtime/peer.h"

struct trace {
	struct slice reverse_path; /* without angle brackets; empty: the null sender */
	struct slice client_name;  /* what EHLO or HELO said; empty: it did not come over SMTP */
	struct slice host;	   /* the client's name in DNS, confirmed; empty: none */
	const struct peer *peer;   /* of the client; NULL likewise */
	struct slice hostname;	   /* ours */
	const char *protocol;	   /* "ESMTPS": trace_protocol() */
	const char *tls_version;   /* NULL: no TLS */
	const char *tls_cipher;
	struct slice id;	   /* an atom; empty: none */
	struct slice forward_path; /* only where the message has one recipient (section 7.2) */
	int8_t priority;	   /* MT-PRIORITY; 0: the ordinary one, not mentioned */
	int64_t arrived_unix;
};

/* Appends Return-Path and Received. All slices must be printable, as the grammars of RFC 5321
 * leave them; paths in UTF-8 only with SMTPUTF8. */
void trace_format(const struct trace *trace, struct buffer *out);
/* The keyword after "with": SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, LMTP and so on (RFC 3848), and
 * with SMTPUTF8 "UTF8SMTP" and so on (RFC 6531 section 4.3). */
enum trace_transport { TRACE_SMTP, TRACE_ESMTP, TRACE_LMTP };
const char *trace_protocol(enum trace_transport transport, bool is_utf8, bool is_secure,
			   bool is_signed_in);
