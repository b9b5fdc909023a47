/* runtime/tls_sessions.h - TLS sessions with other servers, kept to be resumed (RFC 5077, RFC 8446
 * section 2.2): secrets that stay in memory, bounded in number and age. One loop's, on its thread. */
#pragma once

#include <stddef.h>

struct tls_sessions;

/* The least used go when there would be more than `max`. */
struct tls_sessions *tls_sessions_new(size_t max);
/* No connection that was given it is there any more. Accepts NULL, leaves NULL. */
void tls_sessions_free(struct tls_sessions **sessions);
