/* mda/tls_report.h - telling another domain how connections to its mail servers were secured on one day
 * (RFC 8460). Text only: who gets it and when is the caller's to say. Runs in the back. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/config.h"
#include "storage/remote.h"

struct tls_report {
	struct slice submitter; /* the domain that it comes from */
	struct slice contact;	/* an address there */
	uint32_t day;		/* since 1970, of UTC */
	struct slice domain;	/* whose mail servers they are */
	struct slice uris;	/* where it is to go: trust/tlsrpt.h; empty: nobody wants it */
	/* What the store has counted, in one domain; runtime/tls_result.h. */
	const struct remote_result *results;
	size_t result_count;
};
/* The next domain with results of that day. Zero-initialise `place`. Slices live in `arena`; submitter
 * and contact are not set. False: there are no more of that day. */
bool tls_report_next(struct read *read, uint32_t day, struct remote_place *place,
		     struct arena *arena, struct tls_report *report_out);
/* Who sends it: this server, as its configuration has it. */
void tls_report_set_submitter(struct tls_report *report, const struct config *config,
			      struct arena *arena);
/* Appends the report (section 4.4). */
void tls_report_json(const struct tls_report *report, struct buffer *out);
/* Appends it compressed (section 5.2). */
void tls_report_pack(const struct tls_report *report, struct buffer *out);
/* Appends the message to `to`, with the report compressed in it (section 5.3). */
void tls_report_format(const struct tls_report *report, struct slice to, int64_t now_unix,
		       struct buffer *out);
