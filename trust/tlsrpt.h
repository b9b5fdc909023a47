/* trust/tlsrpt.h - who wants reports about TLS (RFC 8460 section 3). Values only; any thread. */
#pragma once

#include "base/slice.h"

/* The TXT records at "_smtp._tls" and the domain: the URIs of the one that is understood, separated by
 * commas. False: there is not exactly one. */
bool tlsrpt_records_uris(const struct slice *texts, size_t count, struct slice *uris_out);

enum tlsrpt_scheme { TLSRPT_MAILTO, TLSRPT_HTTPS };
struct tlsrpt_uri {
	enum tlsrpt_scheme scheme;
	struct slice address; /* of TLSRPT_MAILTO: a mailbox */
	/* Of TLSRPT_HTTPS. The path has the query with it, and may lack its first slash. */
	struct slice host, path;
	uint16_t port;
};
/* The next one that a report can be sent to; others are passed over. `uris` goes on behind it. False at
 * the end. */
bool tlsrpt_next_uri(struct slice *uris, struct tlsrpt_uri *uri_out);
/* As many whole ones as there is room for. */
struct slice tlsrpt_cut_uris(struct slice uris, size_t max_octets);
