/* smtpd/relay/results_priv.h - what came of securing connections, told to the back. On the front's
 * loop. */
#pragma once

#include "runtime/tls_result.h"
#include "smtpd/relay/sts_priv.h"

struct connection;
struct outgoing;

/* Once for each connection; the second time nothing is told. `kind` TLS_RESULT_GOOD: `reason` is not
 * looked at. */
void results_note(struct connection *connection, enum tls_result_kind kind, const char *reason);
/* Of TLS that was refused, or failed. */
enum tls_result_kind results_kind(enum tls_refusal refusal);
/* The exchanger was not even tried: the policy does not know it, or less is known of it than before. */
void results_note_refused(const struct outgoing *outgoing, const char *reason);
/* Signatures of TLSA records do not hold. */
void results_note_dnssec(const struct front *front, struct slice domain, struct slice host);
/* A policy could not be fetched. */
void results_note_policy(const struct front *front, struct slice domain, enum tls_result_kind kind,
			 const char *reason);
