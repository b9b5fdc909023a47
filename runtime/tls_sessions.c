/* runtime/tls_sessions.c - a short list of sessions, the newest first. Runs in the front.
 *
 * A session goes with what the peer had to prove when it began: it is kept under a fingerprint of
 * that, so one that proved less is never resumed where more is demanded, and a change of the TLSA
 * records makes all sessions under the old ones useless. A TLS 1.3 ticket is used once (RFC 8446
 * appendix C.4). A session that comes of a resumed one is as old as the handshake in which the peer has
 * shown its certificate. */
#include "runtime/tls_sessions.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "runtime/tls_client_priv.h"

enum { SESSION_MAX_SECONDS = 3600 }; /* a certificate is looked at again after this long */

struct kept {
	struct kept *next;
	uint8_t place[TLS_PLACE_OCTETS];
	SSL_SESSION *session;
	int64_t proven_unix;
};

struct tls_sessions {
	struct kept *newest;
	size_t count, max;
};

static void drop(struct tls_sessions *sessions, struct kept **at)
{
	struct kept *kept = *at;
	*at = kept->next;
	sessions->count--;
	SSL_SESSION_free(kept->session); /* BoringSSL overwrites it */
	free(kept);
}

struct tls_sessions *tls_sessions_new(size_t max)
{
	struct tls_sessions *sessions = heap_alloc(sizeof(*sessions));
	sessions->max = max;
	return sessions;
}

void tls_sessions_free(struct tls_sessions **at)
{
	struct tls_sessions *sessions = *at;
	*at = NULL;
	if (!sessions)
		return;
	while (sessions->newest)
		drop(sessions, &sessions->newest);
	free(sessions);
}

void tls_sessions_put(struct tls_sessions *sessions, const uint8_t place[TLS_PLACE_OCTETS],
		      SSL_SESSION *session, int64_t proven_unix)
{
	struct kept *kept = heap_alloc(sizeof(*kept));
	memcpy(kept->place, place, sizeof(kept->place));
	kept->session = session;
	kept->proven_unix = proven_unix;
	kept->next = sessions->newest;
	sessions->newest = kept;
	if (++sessions->count <= sessions->max)
		return;
	struct kept **last = &sessions->newest;
	while ((*last)->next)
		last = &(*last)->next;
	drop(sessions, last);
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *sessions, const uint8_t place[TLS_PLACE_OCTETS],
			       int64_t *proven_unix_out)
{
	int64_t oldest_unix = clock_unix() - SESSION_MAX_SECONDS;
	for (struct kept **at = &sessions->newest; *at;) {
		struct kept *kept = *at;
		if (kept->proven_unix < oldest_unix) {
			drop(sessions, at);
			continue;
		}
		if (memcmp(kept->place, place, sizeof(kept->place)) == 0) {
			SSL_SESSION *session = kept->session;
			*proven_unix_out = kept->proven_unix;
			SSL_SESSION_up_ref(session);
			if (SSL_SESSION_should_be_single_use(session))
				drop(sessions, at);
			return session;
		}
		at = &kept->next;
	}
	return NULL;
}
