/* smtpd/known.c - who has sent good mail before: told to a front that has just begun, out of the
 * journal, so that a restart makes no strangers of those who write every day (smtpd/arrival.c has
 * these greeted at once). Runs in the back.
 *
 * The newest come first, and both what is looked at and what is told has its end; what the journal has
 * let go is forgotten here as well. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "runtime/known_clients.h"
#include "smtpd/smtpd.h"
#include "storage/back.h"
#include "storage/journal.h"

enum {
	LOOK_AT_MAX = 10000, /* events */
	LOOK_BACK_DAYS = 14,
	SLOTS = 4 * KNOWN_CLIENTS_MAX,
};

struct gathering {
	struct buffer clients;
	struct peer seen[SLOTS]; /* open addressing; family 0: free */
	unsigned count, looked_at;
};

/* False: it was there. */
static bool note_seen(struct gathering *gathering, const struct peer *peer)
{
	size_t at = 0, octets = peer->family == 4 ? 4 : sizeof(peer->address);
	for (size_t i = 0; i < octets; i++)
		at = (at * 31 + peer->address[i]) % SLOTS;
	while (gathering->seen[at].family != 0) {
		const struct peer *other = &gathering->seen[at];
		if (other->family == peer->family &&
		    memcmp(other->address, peer->address, octets) == 0)
			return false;
		at = (at + 1) % SLOTS;
	}
	gathering->seen[at] = *peer;
	return true;
}

static bool on_event(void *user, const struct journal_event *event)
{
	struct gathering *gathering = user;

	if (event->kind == JOURNAL_RECEIVED && event->peer.family != 0 &&
	    slice_eq(event->service, SLICE("smtp")) && note_seen(gathering, &event->peer)) {
		known_clients_add(&gathering->clients, &event->peer);
		gathering->count++;
	}
	return gathering->count < KNOWN_CLIENTS_MAX && ++gathering->looked_at < LOOK_AT_MAX;
}

void smtpd_tell_known(struct back *back, struct channel *channel)
{
	static const struct journal_term anybody[] = {
		{ .kind = JOURNAL_BY_NETWORK, .network = { .family = 4 } },
		{ .kind = JOURNAL_BY_NETWORK, .network = { .family = 6 } },
	};
	struct gathering *gathering = heap_alloc(sizeof(*gathering));
	struct read *read = read_begin(back->store);
	int64_t since_unix_ms = clock_unix_ms() - LOOK_BACK_DAYS * INT64_C(24 * 3600 * 1000);

	journal_find(read, anybody, ARRAY_LEN(anybody), since_unix_ms, on_event, gathering);
	read_end(&read);
	if (gathering->count > 0)
		channel_send(channel, MESSAGE_KNOWN_CLIENTS, 0, buffer_slice(&gathering->clients),
			     -1);
	buffer_free(&gathering->clients);
	free(gathering);
}
