/* trust/tlsrpt.h - who wants reports about TLS (RFC 8460 section 3). Values only; any thread. */
#pragma once

#include "base/slice.h"

/* The TXT records at "_smtp._tls" and the domain: the URIs of the one that is understood, separated by
 * commas. False: there is not exactly one. */
bool tlsrpt_records_uris(const struct slice *texts, size_t count, struct slice *uris_out);
/* The next address among URIs that is a mailbox; others are passed over. `uris` goes on behind it. False
 * at the end. */
bool tlsrpt_next_mailbox(struct slice *uris, struct slice *address_out);
